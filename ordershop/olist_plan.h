/* olist_plan.h - what the orders of the files ask of a shop: which entities there are to be, what each order has
 * to come to, and the commands that bring it there.
 *
 * One order:  price of that day -> cart -> order ~> IN_STOCK -> billing ~> CLEARED -> shipping
 *             ~> SHIPPED -> delivery ~> DELIVERED, or cancel_order where it was cancelled
 *
 * "~>" is the shop's own doing. Ids of entities and messages follow from the ids of the files, so whatever
 * is sent twice runs once. Played through a running shop by olist_play.h, in memory by past.h. */
#ifndef ORDERSHOP_OLIST_PLAN_H
#define ORDERSHOP_OLIST_PLAN_H

#include "base/buffer.h"
#include "base/id.h"
#include "ordershop/olist_csv.h"
#include "proto/entities.pb-c.h"

struct plan_customer {
	const struct olist_customer *from;
	char id[UUID_SIZE];
};

struct plan_product {
	const struct olist_product *from;
	char id[UUID_SIZE], stock_id[UUID_SIZE];
	int64_t first_price; /* of its first order */
	/* Sold at several prices: its orders (indices, by time) are placed one after the other. */
	bool several;
	size_t *turns, turn_count;
};

struct plan_order {
	const struct olist_order *from;
	char id[UUID_SIZE], cart_id[UUID_SIZE], billing_id[UUID_SIZE];
	Shop__OrderStatus goal;
	bool billed, shipped; /* on the way to the goal */
};

struct plan {
	const struct olist *olist;
	/* As many, and in the same order, as the olist's. */
	struct plan_customer *customers;
	struct plan_product *products;
	struct plan_order *orders;
};

/* `olist` must outlive it. ERR_INVALID: an order that no cart can hold. */
MUST_USE bool plan_create(const struct olist *olist, struct plan **out, struct error *err);
void plan_destroy(struct plan *plan); /* NULL is fine */

void plan_customer_init(struct plan_customer *customer, const struct olist_customer *from);
void plan_product_init(struct plan_product *product, const struct olist_product *from);
void plan_order_init(struct plan_order *order, const struct olist_order *from);

/* ---- Commands ---------------------------------------------------------------------------- */

enum plan_step {
	PLAN_NONE,
	PLAN_CUSTOMER,
	PLAN_PRODUCT,
	PLAN_STOCK, /* as many as were sold */
	PLAN_PRICE,
	PLAN_RESTOCK, /* the stock is to be product->from->units again */
	PLAN_CART,
	PLAN_ORDER,
	PLAN_BILL,
	PLAN_SHIP,
	PLAN_DELIVER,
	PLAN_CANCEL,
	PLAN_STEPS
};

const char *plan_function(enum plan_step step); /* "order.create_orders" */

struct plan_command {
	const char *service, *function; /* "order", "create_orders" */
	char name[UUID_SIZE];           /* of entity and command: message ids follow from it */
	struct buffer params;           /* JSON; free it */
};
/* v5(name, function, attempt): a failed outcome is remembered under its id, so another try needs another. */
void plan_message_id(const struct plan_command *command, unsigned attempt, char out[UUID_SIZE]);

void plan_customer_command(const struct plan_customer *customer, struct plan_command *out);
/* PLAN_PRODUCT or PLAN_STOCK. */
void plan_product_command(const struct plan_product *product, enum plan_step step,
                          struct plan_command *out);
/* PLAN_PRICE and PLAN_RESTOCK, of the product of `item`, and those after them, which do not look at the items but
 * for PLAN_CART. */
void plan_order_command(const struct plan *plan, const struct plan_order *order,
                        enum plan_step step, size_t item, struct plan_command *out);

/* When the real one was delivered, in seconds since 1970: a few lack the time, then when it was last heard of. */
int64_t plan_delivered(const struct plan_order *order);

#endif
