/* order_status.h - the life of an order.
 *
 *             reserve               bill               ship              deliver
 *   CREATED ----------> IN_STOCK ---------> CLEARED --------> SHIPPED ----------> DELIVERED
 *      |                   ^                |     ^
 *      | run short         | reserve        v     | bill
 *      '----> OUT_OF_STOCK-'         unbill UNCLEARED
 *
 *   cancel: from all but DELIVERED to CANCELLED
 *
 * Pure. */
#ifndef DOMAIN_ORDER_STATUS_H
#define DOMAIN_ORDER_STATUS_H

#include "base/error.h"

#include "proto/entities.pb-c.h"

enum order_move {
	ORDER_RESERVE,
	ORDER_RUN_SHORT,
	ORDER_BILL,
	ORDER_UNBILL,
	ORDER_SHIP,
	ORDER_DELIVER,
	ORDER_CANCEL,
	ORDER_MOVES
};
enum { ORDER_STATUSES = SHOP__ORDER_STATUS__CANCELLED + 1 };

bool order_can(Shop__OrderStatus from, enum order_move move);
/* Where the move leads. ERR_PRECONDITION names the statuses that allow it. */
MUST_USE bool order_status_next(Shop__OrderStatus from, enum order_move move,
                                Shop__OrderStatus *next, struct error *err);
/* The type of the event of the move: "OrderInStock". */
const char *order_move_event(enum order_move move);
const char *order_status_name(Shop__OrderStatus status);
/* It will not move again. */
bool order_status_final(Shop__OrderStatus status);

#endif
