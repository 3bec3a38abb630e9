/* Random commands, half done and repeated ones among them, while the news of the earlier ones are
 * still under way in any order: what must be true at the end is true. */
#include "domain/memory_shop_fixture.h"

#include "base/id.h"
#include "domain/order_status.h"
#include "tests/support/suite.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 60, COMMANDS = 200, PRODUCTS = 4, CARTS = 12 };

static struct memory_shop *shop;

static int64_t amount_of(const char *inventory_id)
{
	return ((const Shop__Inventory *)memory_shop_state(shop, "inventory", inventory_id))
	    ->amount;
}

struct world {
	unsigned seed;
	const char *customer;
	const char *products[PRODUCTS];
	const char *inventories[PRODUCTS];
	const char *carts[CARTS];
	char orders[8 * COMMANDS][37];
	size_t order_count;
	size_t command_count;
};

static size_t pick(struct world *world, size_t count)
{
	return (size_t)rand_r(&world->seed) % count;
}

/* Some commands die half way and are delivered again later. */
static struct answer attempt(struct world *world, const char *service, const char *function,
                             const char *params)
{
	char number[24], message_id[37];
	snprintf(number, sizeof(number), "%zu", world->command_count++);
	uuid_v5(message_id, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", number, NULL);
	if (pick(world, 6) == 0)
		memory_shop_crash_next(shop);
	struct answer answer = memory_shop_run(shop, service, function, message_id, params);
	if (answer.error.code == ERR_UNAVAILABLE) {
		memory_shop_step(shop, pick(world, 30));
		answer = memory_shop_run(shop, service, function, message_id, params);
	}
	/* Refusals are part of life, but none may be our fault. */
	ck_assert_msg(answer.result != NULL || answer.error.code == ERR_NOT_FOUND ||
	                  answer.error.code == ERR_PRECONDITION || answer.error.code == ERR_EXISTS,
	              "%s.%s %s: %s", service, function, params, answer.error.message);
	return answer;
}

static void world_begin(struct world *world, unsigned seed)
{
	*world = (struct world){ .seed = seed };
	world->customer = memory_shop_do(shop, "customer", "create_customers",
	                                 "{\"name\":\"Ann\",\"email\":\"ann@example.com\"}");
	for (size_t i = 0; i < PRODUCTS; i++) {
		world->products[i] = memory_shop_do(shop, "product", "create_products",
		                                    "{\"name\":\"Tea\",\"price\":500}");
		world->inventories[i] = memory_shop_do(shop, "inventory", "create_inventories",
		                                       "{\"product_id\":\"%s\",\"amount\":%zu}",
		                                       world->products[i], pick(world, 4));
	}
	for (size_t i = 0; i < CARTS; i++) {
		char ids[400] = "";
		size_t units = 1 + pick(world, 3);
		for (size_t j = 0; j < units; j++) {
			strcat(ids, j > 0 ? ",\"" : "\"");
			strcat(ids, world->products[pick(world, PRODUCTS)]);
			strcat(ids, "\"");
		}
		world->carts[i] = memory_shop_do(shop, "cart", "create_carts",
		                                 "{\"customer_id\":\"%s\",\"product_ids\":[%s]}",
		                                 world->customer, ids);
	}
}

static void command_create(struct world *world)
{
	char params[200];
	snprintf(params, sizeof(params), "{\"cart_id\":\"%s\",\"fulfilment\":\"%s\"}",
	         world->carts[pick(world, CARTS)], pick(world, 2) == 0 ? "auto" : "manual");
	struct answer answer = attempt(world, "order", "create_orders", params);
	if (answer.result == NULL)
		return;
	memcpy(world->orders[world->order_count++], answer.result + 2, 36);
}

static void command_restock(struct world *world)
{
	size_t i = pick(world, PRODUCTS);
	int64_t more = (int64_t)pick(world, 4);
	char params[200];
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"amount\":%" PRId64 "}",
	         world->inventories[i], amount_of(world->inventories[i]) + more);
	attempt(world, "inventory", "update_inventory", params);
}

static const char *derived(const char *order_id, const char *kind)
{
	static char id[37];
	uuid_v5(id, order_id, kind, NULL);
	return id;
}

static void command_for_order(struct world *world, const char *id)
{
	char params[200];
	const Shop__Order *order = memory_shop_state(shop, "order", id);
	switch (pick(world, 9)) {
	case 0:
	case 1:
	case 2:
		snprintf(params, sizeof(params), "{\"order_id\":\"%s\",\"amount\":%lld}", id,
		         order == NULL ? 0LL : (long long)order->total);
		attempt(world, "billing", "create_billings", params);
		break;
	case 3:
		snprintf(params, sizeof(params), "{\"entity_id\":\"%s\"}", derived(id, "billing"));
		attempt(world, "billing", "delete_billing", params);
		break;
	case 4:
	case 5:
		snprintf(params, sizeof(params), "{\"order_id\":\"%s\"}", id);
		attempt(world, "shipping", "create_shippings", params);
		break;
	case 6:
		snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"delivered\":9}",
		         derived(id, "shipping"));
		attempt(world, "shipping", "update_shipping", params);
		break;
	case 7:
		snprintf(params, sizeof(params), "{\"entity_id\":\"%s\"}", id);
		attempt(world, "order", "cancel_order", params);
		break;
	default:
		snprintf(params, sizeof(params), "{\"entity_id\":\"%s\"}", id);
		attempt(world, "order", "delete_order", params);
	}
}

/* Mostly of those about which there is news. */
static const char *recent_order(struct world *world)
{
	size_t among = pick(world, 4) > 0 && world->order_count > 4 ? 4 : world->order_count;
	return world->orders[world->order_count - 1 - pick(world, among)];
}

static void world_command(struct world *world)
{
	size_t kind = pick(world, 10);
	if (world->order_count == 0 || kind < 3)
		command_create(world);
	else if (kind == 3)
		command_restock(world);
	else
		command_for_order(world, recent_order(world));
}

/* While a command is under way, others are too. */
static void others(void *arg)
{
	struct world *world = arg;
	if (world->order_count < 4 * COMMANDS && pick(world, 4) == 0)
		world_command(world);
	else
		memory_shop_step(shop, pick(world, 5));
}

/* ---- What must be true at the end -------------------------------------------------------- */

struct sums {
	struct world *world;
	int64_t held[PRODUCTS];   /* units of orders */
	int64_t given[PRODUCTS];  /* units that were ever put into stock */
	int64_t amount[PRODUCTS]; /* of the inventory, so far */
	bool waiting[PRODUCTS];   /* somebody waits for one unit of this product alone */
};

static size_t product_index(const struct world *world, const char *product_id)
{
	size_t i = 0;
	while (strcmp(world->products[i], product_id) != 0)
		i++;
	return i;
}

static void hold(struct sums *sums, const Shop__Order *order)
{
	for (size_t i = 0; i < order->n_items; i++)
		sums->held[product_index(sums->world, order->items[i]->product_id)] +=
		    order->items[i]->quantity;
}

/* Orders that were deleted after their delivery keep what they took. */
static void sum_order_event(void *arg, const struct event *event)
{
	const Shop__Order *order = (const Shop__Order *)event->state;
	if (strcmp(event->type, "OrderDeleted") == 0 &&
	    order->status == SHOP__ORDER_STATUS__DELIVERED)
		hold(arg, order);
}

static void sum_stock_event(void *arg, const struct event *event)
{
	struct sums *sums = arg;
	const Shop__Inventory *inventory = (const Shop__Inventory *)event->state;
	size_t i = product_index(sums->world, inventory->product_id);
	if (strcmp(event->type, "StockReserved") != 0 && strcmp(event->type, "StockReleased") != 0)
		sums->given[i] += inventory->amount - sums->amount[i];
	sums->amount[i] = inventory->amount;
}

static void check_order(void *arg, const char *id, const void *state)
{
	struct sums *sums = arg;
	const Shop__Order *order = state;
	const Shop__Billing *billing = memory_shop_state(shop, "billing", derived(id, "billing"));
	const Shop__Shipping *shipping =
	    memory_shop_state(shop, "shipping", derived(id, "shipping"));
	const Shop__Cart *cart = memory_shop_state(shop, "cart", order->cart_id);
	const char *name = order_status_name(order->status);
	bool in_progress = !order_status_final(order->status);
	bool has_stock = strstr("IN_STOCK CLEARED UNCLEARED SHIPPED DELIVERED", name) != NULL;
	ck_assert_msg(strcmp(name, "CREATED") != 0, "%s was forgotten", id);
	ck_assert_msg(order->stock_held == has_stock, "%s is %s", id, name);
	ck_assert_msg((strcmp(cart->order_id, id) == 0) == in_progress, "%s is %s", id, name);
	if (order->status == SHOP__ORDER_STATUS__CANCELLED)
		ck_assert(billing == NULL || billing->refunded);
	else
		ck_assert_msg((billing != NULL) ==
		                  (strstr("CLEARED SHIPPED DELIVERED", name) != NULL),
		              "%s is %s, %s billing", id, name, billing == NULL ? "no" : "with a");
	bool shipped = strstr("SHIPPED DELIVERED", name) != NULL;
	if (order->status != SHOP__ORDER_STATUS__CANCELLED)
		ck_assert_msg((shipping != NULL) == shipped, "%s is %s, %s shipping", id, name,
		              shipping == NULL ? "no" : "with a");
	else
		ck_assert(shipping == NULL || shipping->delivered == 0);
	if (shipped)
		ck_assert((shipping->delivered != 0) == (strcmp(name, "DELIVERED") == 0));
	ck_assert_msg(order->status != SHOP__ORDER_STATUS__CLEARED ||
	                  order->fulfilment == SHOP__FULFILMENT__manual,
	              "%s was not shipped", id);
	if (order->stock_held)
		hold(sums, order);
	else if (order->status == SHOP__ORDER_STATUS__OUT_OF_STOCK && order->n_items == 1 &&
	         order->items[0]->quantity == 1)
		sums->waiting[product_index(sums->world, order->items[0]->product_id)] = true;
}

static void check_billing(void *arg, const char *id, const void *state)
{
	const Shop__Billing *billing = state;
	(void)arg;
	const Shop__Shipping *shipping =
	    memory_shop_state(shop, "shipping", derived(billing->order_id, "shipping"));
	ck_assert_msg(billing->refunded ||
	                  memory_shop_state(shop, "order", billing->order_id) != NULL ||
	                  (shipping != NULL && shipping->delivered != 0),
	              "billing %s of a deleted order is not refunded", id);
}

static void world_check(struct world *world)
{
	struct sums sums = { .world = world };
	memory_shop_each(shop, "order", check_order, &sums);
	memory_shop_each(shop, "billing", check_billing, NULL);
	memory_shop_replay(shop, "order", sum_order_event, &sums);
	memory_shop_replay(shop, "inventory", sum_stock_event, &sums);
	for (size_t i = 0; i < PRODUCTS; i++) {
		int64_t left = amount_of(world->inventories[i]);
		ck_assert_int_ge(left, 0);
		ck_assert_int_eq(left + sums.held[i], sums.given[i]);
		ck_assert_msg(!sums.waiting[i] || left == 0, "%lld units, but somebody waits",
		              (long long)left);
	}
}

START_TEST(any_history_ends_well)
{
	struct world world;
	shop = memory_shop_create((uint64_t)_i + 1, MEMORY_SHOP_START_US);
	world_begin(&world, (unsigned)_i + 1000);
	if (_i % 2 == 1)
		memory_shop_redeliver(shop);
	memory_shop_meanwhile(shop, others, &world);
	for (int i = 0; i < COMMANDS; i++) {
		world_command(&world);
		memory_shop_step(shop, pick(&world, 12));
	}
	memory_shop_meanwhile(shop, NULL, NULL);
	memory_shop_settle(shop);
	world_check(&world);
	memory_shop_destroy(shop);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shop_history");
	TCase *all = tcase_create("all");
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, any_history_ends_well, 0, RUNS);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
