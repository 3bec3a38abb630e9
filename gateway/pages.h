/* pages.h - the files of web/, which are part of the executable. */
#ifndef GATEWAY_PAGES_H
#define GATEWAY_PAGES_H

#include "base/http_server.h"
#include "gateway/routes.h"

/* ROUTE_PAGE, ROUTE_STYLE or ROUTE_SCRIPT. */
void page_answer(enum route_action action, struct http_request *request);

#endif
