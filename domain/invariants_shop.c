/* invariants_shop.c - rules of single entities, checked with every event. */
#include "domain/invariants_internal.h"

#include "domain/order_status.h"

#include <inttypes.h>
#include <string.h>

/* ---- Orders ------------------------------------------------------------------------------ */

/* The move that leads from one status to the other; ORDER_MOVES: there is none. */
static enum order_move find_move(Shop__OrderStatus from, Shop__OrderStatus to)
{
	struct error err;
	for (enum order_move move = 0; move < ORDER_MOVES; move++) {
		Shop__OrderStatus next;
		if (order_can(from, move) && order_status_next(from, move, &next, &err) &&
		    next == to)
			return move;
	}
	return ORDER_MOVES;
}

static bool is_move_event(const struct invariants *all)
{
	for (enum order_move move = 0; move < ORDER_MOVES; move++) {
		if (invariants_event_is(all, order_move_event(move)))
			return true;
	}
	return false;
}

void check_status_path(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Order *before = BEFORE(Shop__Order), *after = AFTER(Shop__Order);
	if (before == NULL) {
		if (invariants_event_creates(all) && after->status != SHOP__ORDER_STATUS__CREATED)
			invariants_broken(all, entity, "status: must be CREATED at first, is %s",
			                  order_status_name(after->status));
		return;
	}
	const char *from = order_status_name(before->status);
	if (before->status == after->status) {
		if (is_move_event(all))
			invariants_broken(all, entity, "status: must change by %s, stays %s",
			                  all->event->type, from);
		return;
	}
	enum order_move move = find_move(before->status, after->status);
	if (move == ORDER_MOVES)
		invariants_broken(all, entity, "status: cannot go from %s to %s", from,
		                  order_status_name(after->status));
	else if (!invariants_event_is(all, order_move_event(move)))
		invariants_broken(all, entity,
		                  "type: must be %s, as status goes from %s to %s, is %.60s",
		                  order_move_event(move), from, order_status_name(after->status),
		                  all->event->type);
}

void check_stock_mark(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Order *before = BEFORE(Shop__Order), *after = AFTER(Shop__Order);
	bool held = before != NULL && before->stock_held, holds = after->stock_held;
	bool taken = invariants_event_is(all, order_move_event(ORDER_RESERVE));
	bool given_back = before != NULL && before->status == SHOP__ORDER_STATUS__CANCELLED;
	if (holds && !held && !taken)
		invariants_broken(all, entity, "stock_held: must be set by %s, is set by %.60s",
		                  order_move_event(ORDER_RESERVE), all->event->type);
	else if (!holds && taken)
		invariants_broken(all, entity, "stock_held: must be true after %s, is false",
		                  all->event->type);
	else if (!holds && held && !given_back)
		invariants_broken(
		    all, entity,
		    "stock_held: must stay true until the order is cancelled, is false");
}

static bool order_sum(const Shop__Order *order, int64_t *sum)
{
	*sum = order->shipping_fee;
	for (size_t i = 0; i < order->n_items; i++) {
		int64_t part;
		if (__builtin_mul_overflow(order->items[i]->price, order->items[i]->quantity,
		                           &part) ||
		    __builtin_add_overflow(*sum, part, sum))
			return false;
	}
	return true;
}

void check_total(struct invariants *all, const struct fold_entity *entity)
{
	int64_t expected, actual;
	if (!invariants_event_creates(all))
		return;
	if (strcmp(all->event->topic, "order") == 0) {
		const Shop__Order *order = AFTER(Shop__Order);
		actual = order->total;
		if (!order_sum(order, &expected) || expected != actual)
			invariants_broken(all, entity,
			                  "total: must be %" PRId64 ", the sum of items and "
			                  "shipping_fee, is %" PRId64,
			                  expected, actual);
	} else if (strcmp(all->event->topic, "billing") == 0) {
		const Shop__Billing *billing = AFTER(Shop__Billing);
		const struct fold_entity *order = fold_find(all->fold, "order", billing->order_id);
		if (order == NULL || order->state == NULL)
			return;
		expected = ((const Shop__Order *)order->state)->total;
		if (billing->amount != expected)
			invariants_broken(all, entity,
			                  "amount: must be %" PRId64
			                  ", the total of order %s, is %" PRId64,
			                  expected, order->id, billing->amount);
	}
}

static int64_t units_in_cart(const Shop__Cart *cart, const char *product_id)
{
	int64_t count = 0;
	for (size_t i = 0; i < cart->n_product_ids; i++)
		count += strcmp(cart->product_ids[i], product_id) == 0;
	return count;
}

void check_order_of_cart(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Order *order = AFTER(Shop__Order);
	if (!invariants_event_creates(all))
		return;
	const struct fold_entity *held = fold_find(all->fold, "cart", order->cart_id);
	const Shop__Cart *cart = held == NULL ? NULL : (const Shop__Cart *)held->state;
	if (cart == NULL)
		return;
	if (strcmp(cart->order_id, order->entity_id) != 0)
		invariants_broken(all, entity,
		                  "cart_id: must be a cart that this order holds, %s is "
		                  "held by \"%.60s\"",
		                  held->id, cart->order_id);
	if (strcmp(cart->customer_id, order->customer_id) != 0)
		invariants_broken(all, entity,
		                  "customer_id: must be %.60s, that of the cart, is %.60s",
		                  cart->customer_id, order->customer_id);
	int64_t units = 0;
	for (size_t i = 0; i < order->n_items; i++) {
		const Shop__OrderItem *item = order->items[i];
		int64_t expected = units_in_cart(cart, item->product_id);
		if (item->quantity != expected) {
			invariants_broken(all, entity,
			                  "items: must have %" PRId64
			                  " of product %.60s, as the cart, have %" PRId64,
			                  expected, item->product_id, item->quantity);
			return;
		}
		units += expected;
	}
	if (units != (int64_t)cart->n_product_ids)
		invariants_broken(all, entity,
		                  "items: must be the %zu units of the cart, are %" PRId64,
		                  cart->n_product_ids, units);
}

/* ---- Carts ------------------------------------------------------------------------------- */

static const Shop__Order *order_in_progress(const struct invariants *all, const char *id)
{
	const struct fold_entity *order = id[0] == '\0' ? NULL : fold_find(all->fold, "order", id);
	if (order == NULL || order->deleted || order->state == NULL)
		return NULL;
	const Shop__Order *state = (const Shop__Order *)order->state;
	return order_status_final(state->status) ? NULL : state;
}

void check_cart_held(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Cart *before = BEFORE(Shop__Cart), *after = AFTER(Shop__Cart);
	const Shop__Order *order = before == NULL ? NULL : order_in_progress(all, before->order_id);
	if (order == NULL)
		return;
	bool same = !invariants_event_deletes(all) &&
	            strcmp(before->order_id, after->order_id) == 0 &&
	            strcmp(before->customer_id, after->customer_id) == 0 &&
	            before->n_product_ids == after->n_product_ids;
	for (size_t i = 0; same && i < after->n_product_ids; i++)
		same = strcmp(before->product_ids[i], after->product_ids[i]) == 0;
	if (!same)
		invariants_broken(
		    all, entity,
		    "cart: must stay as it is while order %.60s holds it, which is %s, "
		    "is changed by %.60s",
		    before->order_id, order_status_name(order->status), all->event->type);
}

/* ---- Stock ------------------------------------------------------------------------------- */

void check_stock_moves(struct invariants *all, const struct fold_entity *entity)
{
	static const struct {
		const char *type;
		int sign;
		const char *expected;
	} moves[] = {
		{ "StockReserved", -1, "less than" }, { "StockReleased", 1, "more than" },
		{ "StockAdded", 1, "more than" },     { "InventoryUpdated", 0, "at most" },
		{ "InventoryDeleted", 0, "at most" },
	};
	const Shop__Inventory *before = BEFORE(Shop__Inventory), *after = AFTER(Shop__Inventory);
	if (before == NULL)
		return;
	int sign = (after->amount > before->amount) - (after->amount < before->amount);
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (!invariants_event_is(all, moves[i].type))
			continue;
		if (moves[i].sign == 0 ? sign > 0 : sign != moves[i].sign)
			invariants_broken(
			    all, entity, "amount: must be %s %" PRId64 " after %s, is %" PRId64,
			    moves[i].expected, before->amount, moves[i].type, after->amount);
		return;
	}
	invariants_broken(all, entity, "type: must be one of inventories, is %.60s",
	                  all->event->type);
}

static void check_stock(struct invariants *all, const struct fold_entity *entity,
                        const char *product_id)
{
	const struct stock *stock = invariants_stock(all, product_id);
	if (stock->held > stock->out)
		invariants_broken(all, entity,
		                  "product %.60s: orders must hold at most the %" PRId64
		                  " units that are reserved, hold %" PRId64,
		                  product_id, stock->out, stock->held);
}

void check_no_oversell(struct invariants *all, const struct fold_entity *entity)
{
	if (strcmp(all->event->topic, "inventory") == 0) {
		if (invariants_event_is(all, "StockReleased"))
			check_stock(all, entity, AFTER(Shop__Inventory)->product_id);
	} else if (strcmp(all->event->topic, "order") == 0 && AFTER(Shop__Order)->stock_held &&
	           (BEFORE(Shop__Order) == NULL || !BEFORE(Shop__Order)->stock_held)) {
		const Shop__Order *order = AFTER(Shop__Order);
		for (size_t i = 0; i < order->n_items; i++)
			check_stock(all, entity, order->items[i]->product_id);
	}
}

/* ---- Billings, shippings, mails ---------------------------------------------------------- */

void check_refund(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Billing *before = BEFORE(Shop__Billing), *after = AFTER(Shop__Billing);
	bool was = before != NULL && before->refunded;
	bool refunds = invariants_event_is(all, "BillingRefunded");
	bool expected = was || refunds;
	if (after->refunded != expected || (was && refunds))
		invariants_broken(all, entity,
		                  "refunded: must become true once, by BillingRefunded, "
		                  "is %s after %s, was %s",
		                  after->refunded ? "true" : "false", all->event->type,
		                  was ? "true" : "false");
}

void check_delivery(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Shipping *before = BEFORE(Shop__Shipping), *after = AFTER(Shop__Shipping);
	bool was = before != NULL && before->delivered != 0, is = after->delivered != 0;
	bool delivers = invariants_event_is(all, "ShippingDelivered");
	if (is != (was || delivers) || (was && delivers)) {
		invariants_broken(all, entity,
		                  "delivered: must be set once, by ShippingDelivered, is %" PRId64
		                  " after %s",
		                  after->delivered, all->event->type);
		return;
	}
	if (was || !is)
		return;
	const struct fold_entity *order = fold_find(all->fold, "order", after->order_id);
	const Shop__Order *state = order == NULL ? NULL : (const Shop__Order *)order->state;
	if (state != NULL && state->status != SHOP__ORDER_STATUS__DELIVERED)
		invariants_broken(all, entity,
		                  "order %.60s: must be DELIVERED before its shipping, is %s",
		                  after->order_id, order_status_name(state->status));
}

void check_mails_once(struct invariants *all, const struct fold_entity *entity)
{
	if (all->mail_doubled)
		invariants_broken(all, entity, "mail to %.100s: must be sent once, is sent again",
		                  AFTER(Shop__Mail)->recipient);
}
