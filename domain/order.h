/* order.h - what of orders the other rules use. */
#ifndef DOMAIN_ORDER_H
#define DOMAIN_ORDER_H

#include "domain/decide.h"
#include "domain/order_status.h"

/* What the order is after the move. The move must be possible. */
Shop__Order *order_moved(struct context *context, const Shop__Order *order, enum order_move move);

enum { ORDER_SAGAS = 12 };
extern const struct saga order_sagas[ORDER_SAGAS];

#endif
