#include "ordershop/olist_plan.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 1024 * 1024, EMAIL_SIZE = 1024 };

/* All ids are v5 below this. */
static const char space[] = "6f1d3c52-9a70-4c1e-8f5e-2f6a0f1f9d11";

/* ---- The entities ------------------------------------------------------------------------ */

void plan_customer_init(struct plan_customer *customer, const struct olist_customer *from)
{
	customer->from = from;
	uuid_v5(customer->id, space, "customer", from->id);
}

void plan_product_init(struct plan_product *product, const struct olist_product *from)
{
	*product = (struct plan_product){ .from = from };
	uuid_v5(product->id, space, "product", from->id);
	uuid_v5(product->stock_id, product->id, "inventory", NULL);
}

static void set_goal(struct plan_order *order)
{
	static const Shop__OrderStatus goals[OLIST_STATUSES] = {
		[OLIST_CREATED] = SHOP__ORDER_STATUS__IN_STOCK,
		[OLIST_APPROVED] = SHOP__ORDER_STATUS__CLEARED,
		[OLIST_PROCESSING] = SHOP__ORDER_STATUS__CLEARED,
		[OLIST_INVOICED] = SHOP__ORDER_STATUS__CLEARED,
		[OLIST_SHIPPED] = SHOP__ORDER_STATUS__SHIPPED,
		[OLIST_DELIVERED] = SHOP__ORDER_STATUS__DELIVERED,
		[OLIST_UNAVAILABLE] = SHOP__ORDER_STATUS__CANCELLED,
		[OLIST_CANCELED] = SHOP__ORDER_STATUS__CANCELLED,
	};
	const struct olist_order *from = order->from;

	order->goal = goals[from->status];
	/* A cancelled one may have been paid, and even be on its way, before. */
	order->shipped = order->goal == SHOP__ORDER_STATUS__SHIPPED ||
	                 order->goal == SHOP__ORDER_STATUS__DELIVERED ||
	                 (order->goal == SHOP__ORDER_STATUS__CANCELLED && from->carrier != 0);
	order->billed = order->shipped || order->goal == SHOP__ORDER_STATUS__CLEARED ||
	                (order->goal == SHOP__ORDER_STATUS__CANCELLED && from->approved != 0);
}

void plan_order_init(struct plan_order *order, const struct olist_order *from)
{
	order->from = from;
	uuid_v5(order->id, space, "order", from->id);
	uuid_v5(order->cart_id, space, "cart", from->id);
	uuid_v5(order->billing_id, order->id, "billing", NULL);
	set_goal(order);
}

/* ---- The plan ---------------------------------------------------------------------------- */

/* A cart names products, not prices: within one order each has one. */
static bool check_prices(const struct olist_order *order, struct error *err)
{
	if (order->item_count == 0)
		return error_set(err, ERR_INVALID, "order %s has no items", order->id);
	for (size_t j = 1; j < order->item_count; j++) {
		for (size_t k = 0; k < j; k++) {
			if (order->items[j].product == order->items[k].product &&
			    order->items[j].price != order->items[k].price)
				return error_set(err, ERR_INVALID,
				                 "order %s has one product at two prices",
				                 order->id);
		}
	}
	return true;
}

/* Orders come by time of purchase, so each product's turns do too. */
static void add_turn(struct plan *plan, const struct olist_item *item, size_t order)
{
	struct plan_product *product = &plan->products[item->product];

	if (product->turn_count == 0)
		product->first_price = item->price;
	else if (item->price != product->first_price)
		product->several = true;
	if (product->turn_count > 0 && product->turns[product->turn_count - 1] == order)
		return;
	product->turns =
	    realloc(product->turns, (product->turn_count + 1) * sizeof(*product->turns));
	ASSERT(product->turns);
	product->turns[product->turn_count++] = order;
}

bool plan_create(const struct olist *olist, struct plan **out, struct error *err)
{
	struct plan *plan;

	for (size_t i = 0; i < olist->order_count; i++) {
		if (!check_prices(&olist->orders[i], err))
			return false;
	}
	plan = calloc(1, sizeof(*plan));
	ASSERT(plan);
	plan->olist = olist;
	plan->customers = calloc(olist->customer_count + 1, sizeof(*plan->customers));
	plan->products = calloc(olist->product_count + 1, sizeof(*plan->products));
	plan->orders = calloc(olist->order_count + 1, sizeof(*plan->orders));
	ASSERT(plan->customers && plan->products && plan->orders);
	for (size_t i = 0; i < olist->customer_count; i++)
		plan_customer_init(&plan->customers[i], &olist->customers[i]);
	for (size_t i = 0; i < olist->product_count; i++)
		plan_product_init(&plan->products[i], &olist->products[i]);
	for (size_t i = 0; i < olist->order_count; i++) {
		plan_order_init(&plan->orders[i], &olist->orders[i]);
		for (size_t j = 0; j < olist->orders[i].item_count; j++)
			add_turn(plan, &olist->orders[i].items[j], i);
	}
	*out = plan;
	return true;
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->olist->product_count; i++)
		free(plan->products[i].turns);
	free(plan->customers);
	free(plan->products);
	free(plan->orders);
	free(plan);
}

/* ---- Commands ---------------------------------------------------------------------------- */

static const struct {
	const char *service, *function, *both;
} steps[PLAN_STEPS] = {
#define STEP(service, function)                                                                    \
	{                                                                                          \
		service, function, service "." function                                            \
	}
	[PLAN_CUSTOMER] = STEP("customer", "create_customers"),
	[PLAN_PRODUCT] = STEP("product", "create_products"),
	[PLAN_STOCK] = STEP("inventory", "create_inventories"),
	[PLAN_PRICE] = STEP("product", "update_product"),
	[PLAN_RESTOCK] = STEP("inventory", "update_inventory"),
	[PLAN_CART] = STEP("cart", "create_carts"),
	[PLAN_ORDER] = STEP("order", "create_orders"),
	[PLAN_BILL] = STEP("billing", "create_billings"),
	[PLAN_SHIP] = STEP("shipping", "create_shippings"),
	[PLAN_DELIVER] = STEP("shipping", "update_shipping"),
	[PLAN_CANCEL] = STEP("order", "cancel_order"),
#undef STEP
};

const char *plan_function(enum plan_step step)
{
	return steps[step].both;
}

void plan_message_id(const struct plan_command *command, unsigned attempt, char out[UUID_SIZE])
{
	char number[16];

	snprintf(number, sizeof(number), "%u", attempt);
	uuid_v5(out, command->name, command->function, number);
}

static struct buffer *begin(struct plan_command *command, enum plan_step step, const char *name)
{
	command->service = steps[step].service;
	command->function = steps[step].function;
	memcpy(command->name, name, UUID_SIZE);
	buffer_init(&command->params, PARAMS_MAX);
	return &command->params;
}

void plan_customer_command(const struct plan_customer *customer, struct plan_command *out)
{
	const char *person = customer->from->unique_id;
	struct buffer *params = begin(out, PLAN_CUSTOMER, customer->id);
	char email[EMAIL_SIZE];

	snprintf(email, sizeof(email), "%s@example.com", person);
	buffer_printf(params, "{\"entity_id\":\"%s\",\"name\":", customer->id);
	json_write_string(params, person, strlen(person));
	buffer_puts(params, ",\"email\":");
	json_write_string(params, email, strlen(email));
	buffer_putc(params, '}');
}

void plan_product_command(const struct plan_product *product, enum plan_step step,
                          struct plan_command *out)
{
	const char *name = product->from->id;
	struct buffer *params;

	if (step == PLAN_STOCK) {
		buffer_printf(begin(out, step, product->stock_id),
		              "{\"product_id\":\"%s\",\"amount\":%" PRId64 "}", product->id,
		              product->from->units);
		return;
	}
	params = begin(out, step, product->id);
	buffer_printf(params, "{\"entity_id\":\"%s\",\"name\":", product->id);
	json_write_string(params, name, strlen(name));
	buffer_printf(params, ",\"price\":%" PRId64 "}", product->first_price);
}

static void write_cart(const struct plan *plan, const struct plan_order *order,
                       struct buffer *params)
{
	const struct olist_order *from = order->from;

	buffer_printf(params, "{\"entity_id\":\"%s\",\"customer_id\":\"%s\",\"product_ids\":[",
	              order->cart_id, plan->customers[from->customer].id);
	for (size_t i = 0; i < from->item_count; i++)
		buffer_printf(params, "%s\"%s\"", i > 0 ? "," : "",
		              plan->products[from->items[i].product].id);
	buffer_puts(params, "]}");
}

int64_t plan_delivered(const struct plan_order *order)
{
	const struct olist_order *from = order->from;

	return from->delivered ? from->delivered : from->carrier ? from->carrier : from->purchased;
}

static void write_delivery(const struct plan_order *order, struct buffer *params)
{
	char id[UUID_SIZE];

	uuid_v5(id, order->id, "shipping", NULL);
	buffer_printf(params, "{\"entity_id\":\"%s\",\"delivered\":%" PRId64 "}", id,
	              plan_delivered(order));
}

/* Price and stock are changed once per order and product. */
static void write_product(const struct plan_order *order, const struct plan_product *product,
                          int64_t price, struct plan_command *out)
{
	bool stock = strcmp(out->service, "inventory") == 0;

	uuid_v5(out->name, order->id, stock ? "stock" : "price", product->id);
	buffer_printf(&out->params, "{\"entity_id\":\"%s\",\"%s\":%" PRId64 "}",
	              stock ? product->stock_id : product->id, stock ? "amount" : "price",
	              stock ? product->from->units : price);
}

void plan_order_command(const struct plan *plan, const struct plan_order *order,
                        enum plan_step step, size_t item, struct plan_command *out)
{
	const struct olist_order *from = order->from;
	struct buffer *params = begin(out, step, order->id);

	switch (step) {
	case PLAN_PRICE:
	case PLAN_RESTOCK:
		write_product(order, &plan->products[from->items[item].product],
		              from->items[item].price, out);
		break;
	case PLAN_CART:
		write_cart(plan, order, params);
		break;
	case PLAN_ORDER:
		buffer_printf(params,
		              "{\"entity_id\":\"%s\",\"cart_id\":\"%s\",\"shipping_fee\":%" PRId64
		              ",\"fulfilment\":\"manual\"}",
		              order->id, order->cart_id, from->freight);
		break;
	case PLAN_BILL:
		buffer_printf(params, "{\"order_id\":\"%s\",\"amount\":%" PRId64 "}", order->id,
		              from->goods + from->freight);
		break;
	case PLAN_SHIP:
		buffer_printf(params, "{\"order_id\":\"%s\"}", order->id);
		break;
	case PLAN_DELIVER:
		write_delivery(order, params);
		break;
	default:
		ASSERT(step == PLAN_CANCEL);
		buffer_printf(params, "{\"entity_id\":\"%s\"}", order->id);
		break;
	}
}
