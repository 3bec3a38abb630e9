/* summary.h - what the live page shows when it is opened: counts, orders by status, the latest
 * orders and events. Made on demand, at most twice a second however many ask. */
#ifndef GATEWAY_SUMMARY_H
#define GATEWAY_SUMMARY_H

#include "gateway/gateway.h"

struct summary;

struct summary *summary_create(struct gateway *gateway);
/* The channels must have been destroyed before. NULL is fine. */
void summary_destroy(struct summary *summary);
/* On the loop: answers the exchange, when it is made. */
void summary_run(struct summary *summary, struct exchange *exchange);

#endif
