/* order.c - the rules of orders.
 *
 * An order takes its items from the cart and their prices from the products of the moment; its
 * total is fixed then. create_orders first holds the cart, then places the order, so that a cart
 * cannot be changed or ordered again while its order is in progress.
 *
 *   cancel_order {entity_id}: from all statuses but DELIVERED.
 *   mark_X {order_id}: the moves that follow from stock, billings and shippings (order_saga.c). To
 *                      UNCLEARED and DELIVERED billing.c and shipping.c move it themselves.
 *                      Result: {"accepted": true | false, "status": before it}; no status: there is no
 *                      order, or this command was applied before.
 *   retry {order_id}: of an order that is OUT_OF_STOCK, its stock is asked for again. */
#include "domain/order.h"

#include "domain/cart.h"
#include "domain/rules.h"
#include "domain/services.h"

#include <string.h>

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	return amount_check("shipping_fee", ((const Shop__Order *)entity)->shipping_fee, err);
}

Shop__Order *order_moved(struct context *context, const Shop__Order *order, enum order_move move)
{
	Shop__Order *after = arena_alloc(context_arena(context), sizeof(*after));
	*after = *order;
	struct error err;
	ASSERT(order_status_next(order->status, move, &after->status, &err));
	after->stock_held = order->stock_held || move == ORDER_RESERVE;
	return after;
}

/* ---- Placing ----------------------------------------------------------------------------- */

static Shop__OrderItem *item_of(struct context *context, Shop__Order *order, const char *product_id)
{
	for (size_t i = 0; i < order->n_items; i++) {
		if (strcmp(order->items[i]->product_id, product_id) == 0)
			return order->items[i];
	}
	Shop__OrderItem *item = arena_alloc(context_arena(context), sizeof(*item));
	shop__order_item__init(item);
	item->product_id = product_id;
	order->items[order->n_items++] = item;
	return item;
}

/* One item per product of the cart, in the order of their first units. */
static void take_items(struct context *context, Shop__Order *order, const Shop__Cart *cart)
{
	order->n_items = 0;
	order->items =
	    arena_alloc(context_arena(context), cart->n_product_ids * sizeof(Shop__OrderItem *));
	for (size_t i = 0; i < cart->n_product_ids; i++)
		item_of(context, order, cart->product_ids[i])->quantity++;
}

/* An order whose cart was checked out for it stands, also if a product was deleted before it could be placed:
 * a refusal would leave the cart held. */
static const Shop__Product *product_of(struct context *context, const char *id, bool checked_out,
                                       enum step *step)
{
	const struct entity *product = decide_load(context, "product", id);
	if (checked_out && product != NULL && product->state == NULL && product->last != NULL)
		return (const Shop__Product *)product->last;
	product = load_existing(context, "product", id, step);
	return product == NULL ? NULL : (const Shop__Product *)product->state;
}

static enum step take_prices(struct context *context, Shop__Order *order, bool checked_out)
{
	enum step outcome = STEP_DONE;
	order->total = order->shipping_fee;
	for (size_t i = 0; i < order->n_items; i++) {
		Shop__OrderItem *item = order->items[i];
		enum step step;
		const Shop__Product *product =
		    product_of(context, item->product_id, checked_out, &step);
		if (product == NULL && step == STEP_FAILED)
			return step;
		if (product == NULL) {
			outcome = STEP_MORE;
			continue;
		}
		int64_t sum;
		item->price = product->price;
		if (__builtin_mul_overflow(item->price, item->quantity, &sum) ||
		    __builtin_add_overflow(order->total, sum, &order->total) ||
		    order->total > AMOUNT_MAX)
			return decide_fail(context, ERR_INVALID,
			                   "total: must be at most %lld, the items of cart %s "
			                   "and the shipping_fee cost more",
			                   (long long)AMOUNT_MAX, order->cart_id);
	}
	return outcome;
}

static enum step place(struct context *context, Shop__Order *order)
{
	enum step step;
	const struct entity *loaded = load_given(context, "cart_id", "cart", order->cart_id, &step);
	if (loaded == NULL)
		return step;
	const Shop__Cart *cart = (const Shop__Cart *)loaded->state;
	enum step held = cart_check_free(context, cart, order->entity_id);
	if (held == STEP_FAILED)
		return held;
	order->customer_id = cart->customer_id;
	take_items(context, order, cart);
	bool checked_out = strcmp(cart->order_id, order->entity_id) == 0;
	step = take_prices(context, order, checked_out);
	if (step != STEP_DONE || held != STEP_DONE)
		return step == STEP_DONE ? held : step;
	decide_event(context, "CartCheckedOut", ENTITY_UPDATED, "cart", cart->entity_id,
	             cart_held(context, cart, order->entity_id));
	/* Held already, by an earlier try of this command or by another one of the same order id. The
	 * store drops this event of the former. Of the latter it moves the cart's version, so that
	 * whoever held it cannot free it any more if its order is not the one that will stand. */
	if (checked_out)
		return STEP_DONE;
	decide_undo(context, "CartReleased", "cart", cart->entity_id, cart_held(context, cart, ""));
	return STEP_DONE;
}

static enum step permit(struct context *context, struct change *change)
{
	const Shop__Order *before = (const Shop__Order *)change->before;
	Shop__Order *after = (Shop__Order *)change->after;
	if (before == NULL)
		return place(context, after);
	if (after != NULL && after->fulfilment != before->fulfilment &&
	    (order_status_final(before->status) || order_can(before->status, ORDER_SHIP) ||
	     order_can(before->status, ORDER_DELIVER)))
		return decide_fail(context, ERR_PRECONDITION,
		                   "fulfilment: cannot be changed any more, order %s is %s",
		                   change->id, order_status_name(before->status));
	return STEP_DONE;
}

static const struct fixed_field fixed[] = {
	{ .name = "cart_id", .how = "is fixed when the order is created" },
	{ .name = "shipping_fee", .how = "is fixed when the order is created" },
	{ .name = "status",
	  .always = true,
	  .how = "follows from stock, billings, shippings and cancel_order" },
	{ .name = "customer_id", .always = true, .how = "follows from the cart" },
	{ .name = "items", .always = true, .how = "follows from the cart" },
	{ .name = "total", .always = true, .how = "follows from the items and the shipping_fee" },
	{ .name = "stock_held", .always = true, .how = "follows from the stock" },
	{ .name = NULL },
};

static const struct entity_rules rules = {
	.topic = "order",
	.type = &shop__order__descriptor,
	.created = "OrderPlaced",
	.updated = "OrderUpdated",
	.deleted = "OrderDeleted",
	.fixed = fixed,
	.check = check,
	.permit = permit,
};

/* ---- Moving ------------------------------------------------------------------------------ */

static void emit_move(struct context *context, const Shop__Order *order, enum order_move move)
{
	decide_event(context, order_move_event(move), ENTITY_UPDATED, "order", order->entity_id,
	             &order_moved(context, order, move)->base);
}

static enum step cancel(struct context *context, const struct command *command)
{
	decide_true(context);
	if (command->applied)
		return STEP_DONE;
	const char *id = decide_text(context, command->params, "entity_id");
	if (id == NULL)
		return STEP_FAILED;
	enum step step;
	const struct entity *loaded = load_existing(context, "order", id, &step);
	if (loaded == NULL)
		return step;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	Shop__OrderStatus next;
	if (!order_status_next(order->status, ORDER_CANCEL, &next, &context->error)) {
		(void)error_wrap(&context->error, "order %s", id);
		return STEP_FAILED;
	}
	emit_move(context, order, ORDER_CANCEL);
	return STEP_DONE;
}

static const struct {
	const char *function;
	enum order_move move;
} marks[] = {
	{ "mark_in_stock", ORDER_RESERVE }, { "mark_out_of_stock", ORDER_RUN_SHORT },
	{ "mark_cleared", ORDER_BILL },     { "mark_uncleared", ORDER_UNBILL },
	{ "mark_shipped", ORDER_SHIP },
};

static enum order_move move_of(const char *function)
{
	size_t i = 0;
	while (strcmp(marks[i].function, function) != 0)
		ASSERT(++i < ARRAY_LEN(marks));
	return marks[i].move;
}

/* `order`: as it was before. */
static void answer_mark(struct context *context, bool accepted, const Shop__Order *order)
{
	struct buffer *result = decide_result(context);
	buffer_puts(result, accepted ? "{\"accepted\":true" : "{\"accepted\":false");
	if (order != NULL) {
		buffer_puts(result, ",\"status\":\"");
		buffer_puts(result, order_status_name(order->status));
		buffer_putc(result, '"');
	}
	buffer_putc(result, '}');
}

/* The order that a mark is about; NULL with STEP_DONE: there is none, and that was answered. */
static const Shop__Order *marked_order(struct context *context, const struct command *command,
                                       enum step *step)
{
	const char *id = decide_text(context, command->params, "order_id");
	*step = STEP_FAILED;
	if (id == NULL)
		return NULL;
	*step = STEP_DONE;
	if (command->applied) {
		answer_mark(context, true, NULL);
		return NULL;
	}
	const struct entity *loaded = decide_load(context, "order", id);
	if (loaded == NULL)
		*step = STEP_MORE;
	else if (loaded->state == NULL)
		answer_mark(context, false, NULL);
	return loaded == NULL ? NULL : (const Shop__Order *)loaded->state;
}

/* Does the move need to know whether there is such an entity of the order? A later billing than the first one
 * can be deleted by several commands at once; a shipping may have been recalled when the news of it comes
 * again, and the order is CLEARED once more. */
static const char *paper_of(const Shop__Order *order, enum order_move move)
{
	if (move == ORDER_SHIP)
		return "shipping";
	if (move == ORDER_UNBILL ||
	    (move == ORDER_BILL && order->status == SHOP__ORDER_STATUS__UNCLEARED))
		return "billing";
	return NULL;
}

/* Is it there, or gone, as the move says? */
static enum step check_paper(struct context *context, const Shop__Order *order,
                             enum order_move move, bool *holds)
{
	const char *topic = paper_of(order, move);
	*holds = true;
	if (topic == NULL)
		return STEP_DONE;
	if (!uuid_check(context, "order_id", order->entity_id))
		return STEP_FAILED;
	const struct entity *paper =
	    decide_load(context, topic, derive_id(context, order->entity_id, topic));
	if (paper == NULL)
		return STEP_MORE;
	*holds = (paper->state != NULL) == (move != ORDER_UNBILL);
	return STEP_DONE;
}

static enum step mark(struct context *context, const struct command *command)
{
	enum order_move move = move_of(command->function);
	enum step step;
	const Shop__Order *order = marked_order(context, command, &step);
	if (order == NULL)
		return step;
	bool holds;
	step = check_paper(context, order, move, &holds);
	if (step != STEP_DONE)
		return step;
	bool accepted = holds && order_can(order->status, move);
	if (accepted)
		emit_move(context, order, move);
	answer_mark(context, accepted, order);
	return STEP_DONE;
}

/* Stock came in that the order waits for. */
static enum step retry(struct context *context, const struct command *command)
{
	enum step step;
	const Shop__Order *order = marked_order(context, command, &step);
	if (order == NULL)
		return step;
	bool waits = order->status == SHOP__ORDER_STATUS__OUT_OF_STOCK;
	if (waits)
		decide_event(context, "OrderRetried", ENTITY_UPDATED, "order", order->entity_id,
		             &order->base);
	answer_mark(context, waits, order);
	return STEP_DONE;
}

/* The stock of a cancelled order was given back. */
static enum step mark_released(struct context *context, const struct command *command)
{
	enum step step;
	const Shop__Order *order = marked_order(context, command, &step);
	if (order == NULL)
		return step;
	bool accepted = order->status == SHOP__ORDER_STATUS__CANCELLED && order->stock_held;
	if (accepted) {
		Shop__Order *after = arena_alloc(context_arena(context), sizeof(*after));
		*after = *order;
		after->stock_held = false;
		decide_event(context, "OrderUpdated", ENTITY_UPDATED, "order", order->entity_id,
		             &after->base);
	}
	answer_mark(context, accepted, order);
	return STEP_DONE;
}

static const struct function functions[] = {
	{ .name = "create_orders", .decide = rules_create, .rules = &rules, .first_topic = "cart" },
	{ .name = "update_order", .decide = rules_update, .rules = &rules },
	{ .name = "delete_order", .decide = rules_delete, .rules = &rules },
	{ .name = "cancel_order", .decide = cancel },
	{ .name = "mark_in_stock", .decide = mark, .local = true },
	{ .name = "mark_out_of_stock", .decide = mark, .local = true },
	{ .name = "mark_cleared", .decide = mark, .local = true },
	{ .name = "mark_uncleared", .decide = mark, .local = true },
	{ .name = "mark_shipped", .decide = mark, .local = true },
	{ .name = "retry", .decide = retry, .local = true },
	{ .name = "mark_released", .decide = mark_released, .local = true },
};

const struct service order_service = {
	.name = "order",
	.topic = "order",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
	.sagas = order_sagas,
	.saga_count = ORDER_SAGAS,
};
