/* order_saga.c - what follows from events for orders.
 *
 *   OrderPlaced, OrderOutOfStock        reserve the stock        -> IN_STOCK, OUT_OF_STOCK
 *   stock that grew                     OrderRetried for the orders that wait for it
 *   OrderRetried                        reserve the stock        -> IN_STOCK
 *   BillingCreated                                               -> CLEARED
 *   OrderCleared (fulfilment auto)      create the shipping
 *   ShippingCreated                                              -> SHIPPED
 *   OrderCancelled, OrderDeleted        give back stock, money and cart
 *   OrderDelivered                      release the cart
 *
 * Whoever comes too late is taken back: stock for an order that does not wait any more is released,
 * the billing of a cancelled order refunded, a shipping that was created while its order was
 * cancelled or uncleared recalled. */
#include "base/id.h"
#include "domain/order.h"

#include <string.h>

/* More than an event of 1 MiB can become, whoever wrote it; the queue refuses what is too large. */
enum { PARAMS_MAX = 32 * 1024 * 1024 };

static const char *params_text(struct context *context, struct buffer *text)
{
	ASSERT(!text->overflow);
	const char *copy = arena_copy(context_arena(context), text->bytes, text->len);
	buffer_free(text);
	return copy;
}

static void put_member(struct buffer *text, const char *name, const char *value)
{
	buffer_putc(text, text->len == 0 ? '{' : ',');
	json_write_string(text, name, strlen(name));
	buffer_putc(text, ':');
	json_write_string(text, value, strlen(value));
}

/* {"order_id": id} */
static const char *id_params(struct context *context, const char *order_id)
{
	struct buffer text;
	buffer_init(&text, PARAMS_MAX);
	put_member(&text, "order_id", order_id);
	buffer_putc(&text, '}');
	return params_text(context, &text);
}

/* {"order_id": id, "items": [...]} */
static const char *items_params(struct context *context, const Shop__Order *order)
{
	struct buffer text;
	buffer_init(&text, PARAMS_MAX);
	put_member(&text, "order_id", order->entity_id);
	buffer_puts(&text, ",\"items\":");
	json_write_field(
	    &text, &order->base,
	    protobuf_c_message_descriptor_get_field_by_name(&shop__order__descriptor, "items"));
	buffer_putc(&text, '}');
	return params_text(context, &text);
}

static void send_cart_release(struct context *context, const Shop__Order *order)
{
	struct buffer text;
	buffer_init(&text, PARAMS_MAX);
	put_member(&text, "cart_id", order->cart_id);
	put_member(&text, "order_id", order->entity_id);
	buffer_putc(&text, '}');
	react_send(context, "cart", "release", NULL, params_text(context, &text));
}

static bool is_true(const struct reply *reply, const char *name)
{
	const struct json *value = reply->result == NULL ? NULL : json_member(reply->result, name);
	struct buffer text;
	buffer_init(&text, 8);
	if (value != NULL && json_kind(value) == JSON_BOOL)
		json_write(&text, value);
	bool yes = text.len > 0 && strcmp(text.bytes, "true") == 0;
	buffer_free(&text);
	return yes;
}

static bool reply_status_is(const struct reply *reply, Shop__OrderStatus status)
{
	const struct json *value =
	    reply->result == NULL ? NULL : json_member(reply->result, "status");
	const char *text = value == NULL ? NULL : json_text(value);
	return text != NULL && strcmp(text, order_status_name(status)) == 0;
}

/* ---- Stock ------------------------------------------------------------------------------- */

/* Reserves and marks. Only for the order of the event itself: what a reaction has reserved and not yet marked
 * when its process dies is found again only if the same event leads to the same commands. */
static enum step reserve(struct context *context, const Shop__Order *order, bool mark_short)
{
	const char *items = items_params(context, order);
	const char *id = id_params(context, order->entity_id);
	const struct reply *reply = react_call(context, "inventory", "reserve", NULL, items);
	if (reply == NULL)
		return STEP_MORE;
	if (!is_true(reply, "reserved")) {
		if (mark_short &&
		    react_call(context, "order", "mark_out_of_stock", NULL, id) == NULL)
			return STEP_MORE;
		return STEP_DONE;
	}
	reply = react_call(context, "order", "mark_in_stock", NULL, id);
	if (reply == NULL)
		return STEP_MORE;
	/* It does not wait any more: cancelled, deleted, or served by another reservation. */
	if (!is_true(reply, "accepted"))
		react_send(context, "inventory", "release", NULL, items);
	return STEP_DONE;
}

static enum step on_placed(struct context *context, const struct event *event)
{
	return reserve(context, (const Shop__Order *)event->state, true);
}

/* Once more: stock that was added between the refusal and this event woke nobody. */
static enum step on_out_of_stock(struct context *context, const struct event *event)
{
	return reserve(context, (const Shop__Order *)event->state, false);
}

static enum step on_stock(struct context *context, const struct event *event)
{
	const char *product_id = ((const Shop__Inventory *)event->state)->product_id;
	const struct entity_list *waiting = react_list(
	    context, "order", "status", order_status_name(SHOP__ORDER_STATUS__OUT_OF_STOCK));
	if (waiting == NULL)
		return STEP_MORE;
	for (size_t i = 0; i < waiting->count; i++) {
		const Shop__Order *order = (const Shop__Order *)waiting->entities[i].state;
		bool wants = false;
		for (size_t j = 0; order != NULL && j < order->n_items; j++)
			wants = wants || strcmp(order->items[j]->product_id, product_id) == 0;
		if (wants)
			react_send(context, "order", "retry", order->entity_id,
			           id_params(context, order->entity_id));
	}
	return STEP_DONE;
}

/* ---- Billing and shipping ---------------------------------------------------------------- */

static enum step on_billing_created(struct context *context, const struct event *event)
{
	const char *params = id_params(context, ((const Shop__Billing *)event->state)->order_id);
	const struct reply *reply = react_call(context, "order", "mark_cleared", NULL, params);
	if (reply == NULL)
		return STEP_MORE;
	bool gone = reply->result != NULL && json_member(reply->result, "status") == NULL;
	if (!is_true(reply, "accepted") &&
	    (gone || reply_status_is(reply, SHOP__ORDER_STATUS__CANCELLED)))
		react_send(context, "billing", "refund", NULL, params);
	return STEP_DONE;
}

/* delete_billing has unbilled the order already, unless two of them met. */
static enum step on_billing_deleted(struct context *context, const struct event *event)
{
	const char *params = id_params(context, ((const Shop__Billing *)event->state)->order_id);
	return react_call(context, "order", "mark_uncleared", NULL, params) == NULL ? STEP_MORE
	                                                                            : STEP_DONE;
}

static enum step on_cleared(struct context *context, const struct event *event)
{
	const Shop__Order *order = (const Shop__Order *)event->state;
	if (order->fulfilment == SHOP__FULFILMENT__auto)
		react_send(context, "shipping", "create_shippings", NULL,
		           id_params(context, order->entity_id));
	return STEP_DONE;
}

static enum step on_shipping_created(struct context *context, const struct event *event)
{
	const char *params = id_params(context, ((const Shop__Shipping *)event->state)->order_id);
	const struct reply *reply = react_call(context, "order", "mark_shipped", NULL, params);
	if (reply == NULL)
		return STEP_MORE;
	if (!is_true(reply, "accepted") && reply->error.code == ERR_NONE &&
	    !reply_status_is(reply, SHOP__ORDER_STATUS__SHIPPED) &&
	    !reply_status_is(reply, SHOP__ORDER_STATUS__DELIVERED))
		react_send(context, "shipping", "recall", NULL, params);
	return STEP_DONE;
}

/* Neither append of a recall and of a mark fails when the other was faster; so whichever comes second sees
 * that the order was shipped without it, and it is created again. A recalled shipping may also have been in the
 * way of the next one. */
static enum step on_shipping_deleted(struct context *context, const struct event *event)
{
	const char *order_id = ((const Shop__Shipping *)event->state)->order_id;
	const struct entity *loaded = react_load(context, "order", order_id);
	if (loaded == NULL)
		return STEP_MORE;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	if (order != NULL &&
	    (order->status == SHOP__ORDER_STATUS__SHIPPED ||
	     (order_can(order->status, ORDER_SHIP) && order->fulfilment == SHOP__FULFILMENT__auto)))
		react_send(context, "shipping", "create_shippings", NULL,
		           id_params(context, order_id));
	return STEP_DONE;
}

static enum step on_shipped(struct context *context, const struct event *event)
{
	const char *order_id = event->entity_id;
	if (!uuid_valid(order_id))
		return STEP_DONE;
	const struct entity *shipping =
	    react_load(context, "shipping", derive_id(context, order_id, "shipping"));
	if (shipping == NULL)
		return STEP_MORE;
	if (shipping->state == NULL)
		react_send(context, "shipping", "create_shippings", NULL,
		           id_params(context, order_id));
	return STEP_DONE;
}

/* ---- The end ----------------------------------------------------------------------------- */

static enum step on_cancelled(struct context *context, const struct event *event)
{
	const Shop__Order *order = (const Shop__Order *)event->state;
	const char *params = id_params(context, order->entity_id);
	send_cart_release(context, order);
	react_send(context, "billing", "refund", NULL, params);
	if (!order->stock_held)
		return STEP_DONE;
	if (react_call(context, "inventory", "release", NULL, items_params(context, order)) ==
	        NULL ||
	    react_call(context, "order", "mark_released", NULL, params) == NULL)
		return STEP_MORE;
	return STEP_DONE;
}

static enum step on_deleted(struct context *context, const struct event *event)
{
	const Shop__Order *order = (const Shop__Order *)event->state;
	/* What it held was given back or is delivered. */
	if (order_status_final(order->status))
		return STEP_DONE;
	send_cart_release(context, order);
	react_send(context, "billing", "refund", NULL, id_params(context, order->entity_id));
	if (order->stock_held)
		react_send(context, "inventory", "release", NULL, items_params(context, order));
	return STEP_DONE;
}

static enum step on_delivered(struct context *context, const struct event *event)
{
	send_cart_release(context, (const Shop__Order *)event->state);
	return STEP_DONE;
}

const struct saga order_sagas[ORDER_SAGAS] = {
	{ "order", { "OrderPlaced" }, on_placed },
	{ "order", { "OrderOutOfStock", "OrderRetried" }, on_out_of_stock },
	{ "order", { "OrderCleared" }, on_cleared },
	{ "order", { "OrderShipped" }, on_shipped },
	{ "order", { "OrderCancelled" }, on_cancelled },
	{ "order", { "OrderDeleted" }, on_deleted },
	{ "order", { "OrderDelivered" }, on_delivered },
	{ "inventory", { "InventoryCreated", "StockAdded", "StockReleased" }, on_stock },
	{ "billing", { "BillingCreated" }, on_billing_created },
	{ "billing", { "BillingDeleted" }, on_billing_deleted },
	{ "shipping", { "ShippingCreated" }, on_shipping_created },
	{ "shipping", { "ShippingDeleted" }, on_shipping_deleted },
};
