/* services.h - one per rule file. */
#ifndef DOMAIN_SERVICES_H
#define DOMAIN_SERVICES_H

#include "domain/decide.h"

extern const struct service customer_service;

#endif
