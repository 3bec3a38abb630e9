/* services.h - one per rule file. */
#ifndef DOMAIN_SERVICES_H
#define DOMAIN_SERVICES_H

#include "domain/decide.h"

extern const struct service customer_service;
extern const struct service product_service;
extern const struct service inventory_service;
extern const struct service cart_service;
extern const struct service order_service;
extern const struct service billing_service;
extern const struct service shipping_service;
extern const struct service mail_service;
extern const struct service crm_service;

#endif
