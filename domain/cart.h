/* cart.h - how an order holds a cart. */
#ifndef DOMAIN_CART_H
#define DOMAIN_CART_H

#include "domain/decide.h"

#include "proto/entities.pb-c.h"

/* STEP_DONE when no order in progress holds the cart, or `order_id` (may be NULL) does. */
enum step cart_check_free(struct context *context, const Shop__Cart *cart, const char *order_id);
/* The cart held by the order; "": by none. */
const ProtobufCMessage *cart_held(struct context *context, const Shop__Cart *cart,
                                  const char *order_id);

#endif
