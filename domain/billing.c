/* billing.c - the rules of billings.
 *
 * There is one billing per order; its id follows from the order's. Its amount is the order's total.
 * delete_billing takes it back while the order is CLEARED (it becomes UNCLEARED in the same
 * command, so it cannot be shipped meanwhile); afterwards cancel_order refunds it.
 *
 *   refund {order_id}: of an order that was cancelled, or deleted before it was delivered, no other; nothing
 *   if it was not billed. */
#include "domain/order.h"
#include "domain/rules.h"
#include "domain/services.h"

#include <string.h>

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	return amount_check("amount", ((const Shop__Billing *)entity)->amount, err);
}

static const char *derive(struct context *context, const ProtobufCMessage *entity)
{
	const char *order_id = ((const Shop__Billing *)entity)->order_id;
	if (!uuid_check(context, "order_id", order_id))
		return NULL;
	return derive_id(context, order_id, "billing");
}

static enum step permit_creation(struct context *context, const Shop__Billing *billing)
{
	enum step step;
	const struct entity *loaded = load_existing(context, "order", billing->order_id, &step);
	if (loaded == NULL)
		return step;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	Shop__OrderStatus next;
	if (billing->amount != order->total)
		return decide_fail(
		    context, ERR_INVALID, "amount: must be %lld, the total of order %s, is %lld",
		    (long long)order->total, billing->order_id, (long long)billing->amount);
	if (order->status == SHOP__ORDER_STATUS__CREATED)
		return decide_fail_for_now(
		    context, "order %s is CREATED: its stock is being reserved", billing->order_id);
	if (order_status_next(order->status, ORDER_BILL, &next, &context->error))
		return STEP_DONE;
	(void)error_wrap(&context->error, "order %s", billing->order_id);
	return STEP_FAILED;
}

static enum step permit_deletion(struct context *context, const Shop__Billing *billing)
{
	const struct entity *loaded = decide_load(context, "order", billing->order_id);
	if (loaded == NULL)
		return STEP_MORE;
	const Shop__Order *order = (const Shop__Order *)loaded->state;
	/* UNCLEARED: an earlier try of such a command came so far. */
	if (order == NULL || order->status == SHOP__ORDER_STATUS__UNCLEARED)
		return STEP_DONE;
	if (order->status == SHOP__ORDER_STATUS__IN_STOCK)
		return decide_fail_for_now(context, "order %s is IN_STOCK: it is being cleared",
		                           billing->order_id);
	if (!order_can(order->status, ORDER_UNBILL))
		return decide_fail(context, ERR_PRECONDITION,
		                   "order %s is %s: its billing can be deleted only while it is "
		                   "CLEARED; cancel_order refunds it",
		                   billing->order_id, order_status_name(order->status));
	decide_event(context, order_move_event(ORDER_UNBILL), ENTITY_UPDATED, "order", loaded->id,
	             &order_moved(context, order, ORDER_UNBILL)->base);
	return STEP_DONE;
}

static enum step permit(struct context *context, struct change *change)
{
	if (change->before == NULL)
		return permit_creation(context, (const Shop__Billing *)change->after);
	if (change->after == NULL)
		return permit_deletion(context, (const Shop__Billing *)change->before);
	return STEP_DONE;
}

static const struct fixed_field fixed[] = {
	{ .name = "order_id", .how = "stays as it was created" },
	{ .name = "amount", .how = "is the total of the order" },
	{ .name = "refunded", .always = true, .how = "follows from cancel_order" },
	{ .name = NULL },
};

static const struct entity_rules rules = {
	.topic = "billing",
	.type = &shop__billing__descriptor,
	.created = "BillingCreated",
	.updated = "BillingUpdated",
	.deleted = "BillingDeleted",
	.fixed = fixed,
	.check = check,
	.derive = derive,
	.permit = permit,
};

static enum step refund(struct context *context, const struct command *command)
{
	decide_true(context);
	const char *order_id = decide_text(context, command->params, "order_id");
	if (order_id == NULL || !uuid_check(context, "order_id", order_id))
		return STEP_FAILED;
	if (command->applied)
		return STEP_DONE;
	const char *id = derive_id(context, order_id, "billing");
	const struct entity *loaded = decide_load(context, "billing", id);
	const struct entity *owner = decide_load(context, "order", order_id);
	if (loaded == NULL || owner == NULL)
		return STEP_MORE;
	const Shop__Billing *billing = (const Shop__Billing *)loaded->state;
	if (billing == NULL || billing->refunded)
		return STEP_DONE;
	const Shop__Order *order =
	    (const Shop__Order *)(owner->state != NULL ? owner->state : owner->last);
	bool due = order == NULL ||
	           (owner->state != NULL ? order->status == SHOP__ORDER_STATUS__CANCELLED
	                                 : order->status != SHOP__ORDER_STATUS__DELIVERED);
	if (!due)
		return decide_fail(
		    context, ERR_PRECONDITION,
		    "order %s is %s%s: its billing is refunded when it is cancelled, or "
		    "deleted before it is delivered",
		    order_id, order_status_name(order->status),
		    owner->state != NULL ? "" : " and was deleted");
	Shop__Billing *after = arena_alloc(context_arena(context), sizeof(*after));
	*after = *billing;
	after->refunded = true;
	decide_event(context, "BillingRefunded", ENTITY_UPDATED, "billing", id, &after->base);
	return STEP_DONE;
}

static const struct function functions[] = {
	{ .name = "create_billings", .decide = rules_create, .rules = &rules },
	{ .name = "update_billing", .decide = rules_update, .rules = &rules },
	{ .name = "delete_billing",
	  .decide = rules_delete,
	  .rules = &rules,
	  .first_topic = "order" },
	{ .name = "refund", .decide = refund },
};

const struct service billing_service = {
	.name = "billing",
	.topic = "billing",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
