/* cart.c - the rules of carts.
 *
 * A cart is held (order_id is set) from the moment an order takes it until that order is delivered,
 * cancelled or deleted; a held cart cannot change.
 *
 *   release {cart_id, order_id}: ends the hold of that order, of no other, when it is not in progress. */
#include "domain/cart.h"

#include "domain/order_status.h"
#include "domain/rules.h"
#include "domain/services.h"

#include <string.h>

enum { PRODUCTS_MAX = 1000 };

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	const Shop__Cart *cart = (const Shop__Cart *)entity;
	if (cart->n_product_ids < 1 || cart->n_product_ids > PRODUCTS_MAX)
		return error_set(
		    err, ERR_INVALID,
		    "product_ids: must be a list of 1 to %d ids, one per unit, has %zu",
		    PRODUCTS_MAX, cart->n_product_ids);
	return true;
}

enum step cart_check_free(struct context *context, const Shop__Cart *cart, const char *order_id)
{
	if (cart->order_id[0] == '\0' ||
	    (order_id != NULL && strcmp(cart->order_id, order_id) == 0))
		return STEP_DONE;
	const struct entity *holder = decide_load(context, "order", cart->order_id);
	if (holder == NULL)
		return STEP_MORE;
	const Shop__Order *order = (const Shop__Order *)holder->state;
	/* Its release is on the way. */
	if (order != NULL ? order_status_final(order->status) : holder->version > 0)
		return STEP_DONE;
	/* Its command is under way, or was parked between the cart and the order. */
	if (order == NULL)
		return decide_fail(
		    context, ERR_PRECONDITION,
		    "cart %s is held for order %s, which is being placed: try again; "
		    "if that does not end, create the order with this entity_id",
		    cart->entity_id, cart->order_id);
	return decide_fail(context, ERR_PRECONDITION,
	                   "cart %s is held by order %s, which is in progress: cancel or delete "
	                   "that order, or wait until it is delivered",
	                   cart->entity_id, cart->order_id);
}

static enum step load_products(struct context *context, const Shop__Cart *cart)
{
	enum step outcome = STEP_DONE;
	size_t kinds = 0;
	for (size_t i = 0; i < cart->n_product_ids; i++) {
		const char *id = cart->product_ids[i];
		enum step step;
		bool again = i > 0 && strcmp(id, cart->product_ids[i - 1]) == 0;
		for (size_t j = 0; j < i && !again; j++)
			again = strcmp(id, cart->product_ids[j]) == 0;
		if (again)
			continue;
		if (++kinds > BATCH_MAX)
			return decide_fail(context, ERR_INVALID,
			                   "product_ids: at most %d different products", BATCH_MAX);
		if (load_given(context, "product_ids", "product", id, &step) != NULL)
			continue;
		if (step == STEP_FAILED)
			return step;
		outcome = STEP_MORE;
	}
	return outcome;
}

/* Loads what the change newly refers to. */
static enum step load_references(struct context *context, const Shop__Cart *before,
                                 const Shop__Cart *after)
{
	enum step customer = STEP_DONE, products = STEP_DONE;
	bool same_customer = before != NULL && strcmp(before->customer_id, after->customer_id) == 0;
	bool same_products = before != NULL && before->product_ids == after->product_ids;
	if (!same_customer &&
	    load_given(context, "customer_id", "customer", after->customer_id, &customer) != NULL)
		customer = STEP_DONE;
	if (customer != STEP_FAILED && !same_products)
		products = load_products(context, after);
	return customer == STEP_DONE ? products : products == STEP_FAILED ? products : customer;
}

static enum step permit(struct context *context, struct change *change)
{
	const Shop__Cart *before = (const Shop__Cart *)change->before;
	Shop__Cart *after = (Shop__Cart *)change->after;
	enum step held = before == NULL ? STEP_DONE : cart_check_free(context, before, NULL);
	if (held == STEP_FAILED || after == NULL)
		return held;
	after->order_id = "";
	enum step step = load_references(context, before, after);
	return step == STEP_DONE ? held : step;
}

static const struct fixed_field fixed[] = {
	{ .name = "order_id", .always = true, .how = "is the order that holds the cart" },
	{ .name = NULL },
};

static const struct entity_rules rules = {
	.topic = "cart",
	.type = &shop__cart__descriptor,
	.created = "CartCreated",
	.updated = "CartUpdated",
	.deleted = "CartDeleted",
	.fixed = fixed,
	.check = check,
	.permit = permit,
};

static enum step release(struct context *context, const struct command *command)
{
	decide_true(context);
	const char *cart_id = decide_text(context, command->params, "cart_id");
	const char *order_id =
	    cart_id == NULL ? NULL : decide_text(context, command->params, "order_id");
	if (order_id == NULL)
		return STEP_FAILED;
	if (command->applied)
		return STEP_DONE;
	const struct entity *entity = decide_load(context, "cart", cart_id);
	if (entity == NULL)
		return STEP_MORE;
	const Shop__Cart *cart = (const Shop__Cart *)entity->state;
	if (cart == NULL || strcmp(cart->order_id, order_id) != 0)
		return STEP_DONE;
	const struct entity *holder = decide_load(context, "order", order_id);
	if (holder == NULL)
		return STEP_MORE;
	const Shop__Order *order = (const Shop__Order *)holder->state;
	if (order != NULL && !order_status_final(order->status))
		return decide_fail(
		    context, ERR_PRECONDITION,
		    "cart %s is held by order %s, which is %s: cancel or delete that "
		    "order, or wait until it is delivered",
		    cart_id, order_id, order_status_name(order->status));
	decide_event(context, "CartReleased", ENTITY_UPDATED, "cart", cart_id,
	             cart_held(context, cart, ""));
	return STEP_DONE;
}

const ProtobufCMessage *cart_held(struct context *context, const Shop__Cart *cart,
                                  const char *order_id)
{
	Shop__Cart *after = arena_alloc(context_arena(context), sizeof(*after));
	*after = *cart;
	after->order_id = order_id;
	return &after->base;
}

static const struct function functions[] = {
	{ .name = "create_carts", .decide = rules_create, .rules = &rules },
	{ .name = "update_cart", .decide = rules_update, .rules = &rules },
	{ .name = "delete_cart", .decide = rules_delete, .rules = &rules },
	{ .name = "release", .decide = release },
};

const struct service cart_service = {
	.name = "cart",
	.topic = "cart",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
