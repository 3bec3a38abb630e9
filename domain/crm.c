/* crm.c - turns events into mails to the customer.
 *
 * A mail's message id follows from its event's id, so it is sent once. A customer who was deleted in
 * the meantime gets no mail about orders. */
#include "domain/services.h"

#include "proto/entities.pb-c.h"

#include <string.h>

static void send_mail(struct context *context, const Shop__Customer *customer, const char *text)
{
	enum { PARAMS_MAX = 65536 };
	const char *message =
	    arena_printf(context_arena(context), "Dear %s!\n\n%s\n\nCheers", customer->name, text);
	struct buffer params;
	buffer_init(&params, PARAMS_MAX);
	buffer_puts(&params, "{\"to\":");
	json_write_string(&params, customer->email, strlen(customer->email));
	buffer_puts(&params, ",\"msg\":");
	json_write_string(&params, message, strlen(message));
	buffer_putc(&params, '}');
	if (!params.overflow)
		react_send(context, "mail", "send", NULL,
		           arena_copy(context_arena(context), params.bytes, params.len));
	buffer_free(&params);
}

static enum step mail_customer(struct context *context, const char *customer_id, const char *text)
{
	const struct entity *customer = react_load(context, "customer", customer_id);
	if (customer == NULL)
		return STEP_MORE;
	if (customer->state != NULL)
		send_mail(context, (const Shop__Customer *)customer->state, text);
	return STEP_DONE;
}

/* The order, or NULL: not there yet (STEP_MORE), or deleted (STEP_DONE). */
static const Shop__Order *load_order(struct context *context, const char *id, enum step *step)
{
	const struct entity *order = react_load(context, "order", id);
	*step = order == NULL ? STEP_MORE : STEP_DONE;
	return order == NULL ? NULL : (const Shop__Order *)order->state;
}

static enum step on_customer_created(struct context *context, const struct event *event)
{
	send_mail(context, (const Shop__Customer *)event->state, "Welcome to OrderShop.");
	return STEP_DONE;
}

static enum step on_customer_deleted(struct context *context, const struct event *event)
{
	send_mail(context, (const Shop__Customer *)event->state, "Good bye, hope to see you soon.");
	return STEP_DONE;
}

static enum step on_order_in_stock(struct context *context, const struct event *event)
{
	const Shop__Order *order = (const Shop__Order *)event->state;
	const char *text = arena_printf(
	    context_arena(context), "Thank you for your order %s. Please pay %lld.%02d.",
	    order->entity_id, (long long)(order->total / 100), (int)(order->total % 100));
	return mail_customer(context, order->customer_id, text);
}

static enum step on_billing_created(struct context *context, const struct event *event)
{
	const Shop__Billing *billing = (const Shop__Billing *)event->state;
	enum step step;
	const Shop__Order *order = load_order(context, billing->order_id, &step);
	if (order == NULL)
		return step;
	const char *text = arena_printf(
	    context_arena(context), "We have received your payment of %lld.%02d for order %s.",
	    (long long)(billing->amount / 100), (int)(billing->amount % 100), order->entity_id);
	return mail_customer(context, order->customer_id, text);
}

static enum step on_shipping_created(struct context *context, const struct event *event)
{
	enum step step;
	const Shop__Order *order =
	    load_order(context, ((const Shop__Shipping *)event->state)->order_id, &step);
	if (order == NULL)
		return step;
	const char *text =
	    arena_printf(context_arena(context), "Your order %s is on its way.", order->entity_id);
	return mail_customer(context, order->customer_id, text);
}

static const struct saga sagas[] = {
	{ "customer", { "CustomerCreated" }, on_customer_created },
	{ "customer", { "CustomerDeleted" }, on_customer_deleted },
	{ "order", { "OrderInStock" }, on_order_in_stock },
	{ "billing", { "BillingCreated" }, on_billing_created },
	{ "shipping", { "ShippingCreated" }, on_shipping_created },
};

const struct service crm_service = {
	.name = "crm",
	.sagas = sagas,
	.saga_count = ARRAY_LEN(sagas),
};
