/* shipping.c - the rules of shippings.
 *
 * There is one shipping per order; its id follows from the order's. It is created while the order is
 * CLEARED, and delivered by an update that sets `delivered`; the order becomes DELIVERED in the same
 * command, so it cannot be cancelled meanwhile.
 *
 *   recall {order_id}: deletes the shipping of an order that was cancelled or uncleared while it was
 *                      being created; nothing if there is none or the order is SHIPPED after all. */
#include "domain/order.h"
#include "domain/rules.h"
#include "domain/services.h"

#include <string.h>

/* The last second of the year 9999. */
#define TIME_MAX INT64_C(253402300799)

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	int64_t delivered = ((const Shop__Shipping *)entity)->delivered;
	if (delivered < 0 || delivered > TIME_MAX)
		return error_set(err, ERR_INVALID,
		                 "delivered: must be 0 or the time of delivery in seconds since "
		                 "1970, is %lld",
		                 (long long)delivered);
	return true;
}

static const char *derive(struct context *context, const ProtobufCMessage *entity)
{
	const char *order_id = ((const Shop__Shipping *)entity)->order_id;
	if (!uuid_check(context, "order_id", order_id))
		return NULL;
	return derive_id(context, order_id, "shipping");
}

static enum step refuse_creation(struct context *context, const Shop__Order *order,
                                 const char *order_id)
{
	Shop__OrderStatus next;
	if (order_can(order->status, ORDER_BILL)) {
		const struct entity *billing =
		    decide_load(context, "billing", derive_id(context, order_id, "billing"));
		if (billing == NULL)
			return STEP_MORE;
		if (billing->state != NULL)
			return decide_fail_for_now(context, "order %s is %s: it is being cleared",
			                           order_id, order_status_name(order->status));
	}
	ASSERT(!order_status_next(order->status, ORDER_SHIP, &next, &context->error));
	(void)error_wrap(&context->error, "order %s", order_id);
	return STEP_FAILED;
}

static enum step permit_creation(struct context *context, const Shop__Shipping *shipping)
{
	if (shipping->delivered != 0)
		return decide_fail(context, ERR_INVALID,
		                   "delivered: must be 0 when a shipping is created; update it "
		                   "when it was delivered");
	enum step step;
	const struct entity *loaded = load_existing(context, "order", shipping->order_id, &step);
	if (loaded == NULL)
		return step;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	/* SHIPPED without a shipping: it was recalled at the same time (order_saga.c). */
	if (order_can(order->status, ORDER_SHIP) || order->status == SHOP__ORDER_STATUS__SHIPPED)
		return STEP_DONE;
	return refuse_creation(context, order, shipping->order_id);
}

/* An earlier try of such a command came so far; the order may have been deleted since. */
static bool is_delivered(const struct entity *loaded)
{
	if (loaded == NULL)
		return false;
	const ProtobufCMessage *state = loaded->state != NULL ? loaded->state : loaded->last;
	return state != NULL &&
	       ((const Shop__Order *)state)->status == SHOP__ORDER_STATUS__DELIVERED;
}

static enum step permit_delivery(struct context *context, struct change *change,
                                 const char *order_id)
{
	enum step step;
	Shop__OrderStatus next;
	change->event_type = "ShippingDelivered";
	const struct entity *loaded = decide_load(context, "order", order_id);
	if (is_delivered(loaded))
		return STEP_DONE;
	loaded = load_existing(context, "order", order_id, &step);
	if (loaded == NULL)
		return step;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	/* Until it is SHIPPED the shipping may still be recalled. */
	if (order_can(order->status, ORDER_SHIP))
		return decide_fail_for_now(context, "order %s is %s: it is being shipped", order_id,
		                           order_status_name(order->status));
	if (!order_status_next(order->status, ORDER_DELIVER, &next, &context->error)) {
		(void)error_wrap(&context->error, "order %s", order_id);
		return STEP_FAILED;
	}
	decide_event(context, order_move_event(ORDER_DELIVER), ENTITY_UPDATED, "order", loaded->id,
	             &order_moved(context, order, ORDER_DELIVER)->base);
	return STEP_DONE;
}

static enum step permit_deletion(struct context *context, const Shop__Shipping *shipping)
{
	const struct entity *loaded = decide_load(context, "order", shipping->order_id);
	if (loaded == NULL)
		return STEP_MORE;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	if (order == NULL || order->status == SHOP__ORDER_STATUS__CANCELLED)
		return STEP_DONE;
	return decide_fail(context, ERR_PRECONDITION,
	                   "order %s is %s: its shipping can be deleted only when it was cancelled "
	                   "or deleted",
	                   shipping->order_id, order_status_name(order->status));
}

static enum step permit(struct context *context, struct change *change)
{
	const Shop__Shipping *before = (const Shop__Shipping *)change->before;
	const Shop__Shipping *after = (const Shop__Shipping *)change->after;
	if (before == NULL)
		return permit_creation(context, after);
	if (after == NULL)
		return permit_deletion(context, before);
	if (before->delivered == 0 && after->delivered != 0)
		return permit_delivery(context, change, before->order_id);
	if (before->delivered != 0 && after->delivered == 0)
		return decide_fail(context, ERR_PRECONDITION,
		                   "delivered: shipping %s was delivered and stays so", change->id);
	return STEP_DONE;
}

static const struct fixed_field fixed[] = {
	{ .name = "order_id", .how = "stays as it was created" },
	{ .name = NULL },
};

static const struct entity_rules rules = {
	.topic = "shipping",
	.type = &shop__shipping__descriptor,
	.created = "ShippingCreated",
	.updated = "ShippingUpdated",
	.deleted = "ShippingDeleted",
	.fixed = fixed,
	.check = check,
	.derive = derive,
	.permit = permit,
};

static enum step recall(struct context *context, const struct command *command)
{
	decide_true(context);
	const char *order_id = decide_text(context, command->params, "order_id");
	if (order_id == NULL || !uuid_check(context, "order_id", order_id))
		return STEP_FAILED;
	if (command->applied)
		return STEP_DONE;
	const char *id = derive_id(context, order_id, "shipping");
	const struct entity *shipping = decide_load(context, "shipping", id);
	const struct entity *loaded = decide_load(context, "order", order_id);
	if (shipping == NULL || loaded == NULL)
		return STEP_MORE;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	bool wanted = order != NULL && (order->status == SHOP__ORDER_STATUS__SHIPPED ||
	                                order->status == SHOP__ORDER_STATUS__DELIVERED);
	if (!wanted && shipping->state != NULL)
		decide_event(context, "ShippingDeleted", ENTITY_DELETED, "shipping", id,
		             shipping->state);
	return STEP_DONE;
}

static const struct function functions[] = {
	{ .name = "create_shippings", .decide = rules_create, .rules = &rules },
	{ .name = "update_shipping",
	  .decide = rules_update,
	  .rules = &rules,
	  .first_topic = "order" },
	{ .name = "delete_shipping", .decide = rules_delete, .rules = &rules },
	{ .name = "recall", .decide = recall },
};

const struct service shipping_service = {
	.name = "shipping",
	.topic = "shipping",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
