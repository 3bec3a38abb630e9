/* The rules together: what follows from what, in any order of the news. */
#include "domain/memory_shop.h"

#include "base/id.h"
#include "domain/order_status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 60, COMMANDS = 200, PRODUCTS = 4, CARTS = 12 };

static struct memory_shop *shop;

static void setup(void)
{
	shop = memory_shop_create(1);
}

static void teardown(void)
{
	memory_shop_destroy(shop);
}

static const char *status_of(const char *order_id)
{
	const Shop__Order *order = memory_shop_state(shop, "order", order_id);
	return order == NULL ? "none" : order_status_name(order->status);
}

static int64_t amount_of(const char *inventory_id)
{
	return ((const Shop__Inventory *)memory_shop_state(shop, "inventory", inventory_id))
	    ->amount;
}

static const char *place(const char *customer, const char *product, const char *more)
{
	const char *cart =
	    memory_shop_do(shop, "cart", "create_carts",
	                   "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}", customer, product);
	return memory_shop_do(shop, "order", "create_orders", "{\"cart_id\":\"%s\"%s}", cart, more);
}

static const char *customer(void)
{
	return memory_shop_do(shop, "customer", "create_customers",
	                      "{\"name\":\"Ann\",\"email\":\"ann@example.com\"}");
}

static const char *product(void)
{
	return memory_shop_do(shop, "product", "create_products",
	                      "{\"name\":\"Tea\",\"price\":500}");
}

static const char *stock(const char *product_id, int amount)
{
	return memory_shop_do(shop, "inventory", "create_inventories",
	                      "{\"product_id\":\"%s\",\"amount\":%d}", product_id, amount);
}

/* The walk of the original's own suite. */
START_TEST(ten_orders_make_twenty_two_mails)
{
	const char *orders[10], *inventory = NULL, *third = NULL;
	for (int i = 0; i < 10; i++) {
		const char *buyer = customer(), *goods = product();
		const char *id = stock(goods, 100);
		orders[i] = place(buyer, goods, ",\"status\":\"CREATED\"");
		if (i == 2) {
			third = orders[i];
			inventory = id;
		}
	}
	memory_shop_settle(shop);
	ck_assert_int_eq(amount_of(inventory), 99);
	memory_shop_do(shop, "order", "delete_order", "{\"entity_id\":\"%s\"}", third);
	const char *billing = memory_shop_do(shop, "billing", "create_billings",
	                                     "{\"order_id\":\"%s\",\"amount\":500}", orders[0]);
	memory_shop_settle(shop);
	ck_assert_int_eq(amount_of(inventory), 100);
	ck_assert_str_eq(status_of(orders[0]), "SHIPPED");
	ck_assert_ptr_nonnull(memory_shop_get(shop, "billing", billing));
	ck_assert_uint_eq(memory_shop_count(shop, "MailSent"), 22);
	ck_assert_str_eq(memory_shop_events(shop, "order", orders[0]),
	                 "OrderPlaced OrderInStock OrderCleared OrderShipped");
}
END_TEST

START_TEST(a_restock_serves_who_waits_oldest_first)
{
	const char *buyer = customer(), *goods = product(), *other = product();
	const char *inventory = stock(goods, 0);
	const char *first = place(buyer, goods, ""), *none = place(buyer, other, "");
	memory_shop_settle(shop);
	const char *second = place(buyer, goods, ""), *third = place(buyer, goods, "");
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(first), "OUT_OF_STOCK");
	memory_shop_do(shop, "inventory", "update_inventory", "{\"entity_id\":\"%s\",\"amount\":2}",
	               inventory);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "OrderInStock"), 2);
	ck_assert_int_eq(amount_of(inventory), 0);
	/* The stock of a cancelled order serves the next one. */
	const char *served = strcmp(status_of(first), "IN_STOCK") == 0 ? first : second;
	memory_shop_do(shop, "order", "cancel_order", "{\"entity_id\":\"%s\"}", served);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "OrderInStock"), 3);
	ck_assert_int_eq(amount_of(inventory), 0);
	ck_assert_str_eq(status_of(none), "OUT_OF_STOCK");
	stock(other, 1);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(none), "IN_STOCK");
	(void)third;
}
END_TEST

START_TEST(cancelling_gives_everything_back)
{
	const char *buyer = customer(), *goods = product();
	const char *inventory = stock(goods, 5);
	const char *order = place(buyer, goods, "");
	memory_shop_settle(shop);
	const char *billing = memory_shop_do(shop, "billing", "create_billings",
	                                     "{\"order_id\":\"%s\",\"amount\":500}", order);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(order), "SHIPPED");
	memory_shop_do(shop, "order", "cancel_order", "{\"entity_id\":\"%s\"}", order);
	memory_shop_settle(shop);
	const Shop__Order *state = memory_shop_state(shop, "order", order);
	ck_assert_int_eq(state->status, SHOP__ORDER_STATUS__CANCELLED);
	ck_assert(!state->stock_held);
	ck_assert_int_eq(amount_of(inventory), 5);
	ck_assert(((const Shop__Billing *)memory_shop_state(shop, "billing", billing))->refunded);
	memory_shop_do(shop, "order", "delete_order", "{\"entity_id\":\"%s\"}", order);
	memory_shop_settle(shop);
	ck_assert_int_eq(amount_of(inventory), 5);
}
END_TEST

START_TEST(the_billing_of_a_cancelled_order_is_refunded)
{
	const char *order = place(customer(), product(), "");
	stock(((const Shop__Order *)memory_shop_state(shop, "order", order))->items[0]->product_id,
	      1);
	memory_shop_settle(shop);
	const char *billing = memory_shop_do(shop, "billing", "create_billings",
	                                     "{\"order_id\":\"%s\",\"amount\":500}", order);
	/* Before the news of the billing reaches the order. */
	memory_shop_do(shop, "order", "delete_order", "{\"entity_id\":\"%s\"}", order);
	memory_shop_settle(shop);
	ck_assert(((const Shop__Billing *)memory_shop_state(shop, "billing", billing))->refunded);
}
END_TEST

/* A command that runs, with all that follows, while another one is under way. */
struct other {
	const char *service, *function, *id;
	bool gone;
};

static void run_other(void *arg)
{
	const struct other *other = arg;
	memory_shop_do(shop, other->service, other->function, "{\"entity_id\":\"%s\"}", other->id);
	memory_shop_settle(shop);
	ck_assert(!other->gone || memory_shop_get(shop, other->service, other->id) == NULL);
}

static const char *order_in_stock(const char *more)
{
	const char *goods = product();
	stock(goods, 5);
	const char *order = place(customer(), goods, more);
	memory_shop_settle(shop);
	return order;
}

static const char *bill(const char *order)
{
	return memory_shop_do(shop, "billing", "create_billings",
	                      "{\"order_id\":\"%s\",\"amount\":500}", order);
}

START_TEST(a_billing_that_meets_a_cancelled_order_is_refunded)
{
	const char *order = order_in_stock("");
	struct other other = { "order", "cancel_order", order, false };
	memory_shop_meanwhile(shop, run_other, &other);
	const char *billing = bill(order);
	memory_shop_meanwhile(shop, NULL, NULL);
	memory_shop_settle(shop);
	ck_assert_str_eq(memory_shop_events(shop, "billing", billing),
	                 "BillingCreated BillingRefunded");
	ck_assert_str_eq(status_of(order), "CANCELLED");
}
END_TEST

START_TEST(a_shipping_that_meets_an_uncleared_order_is_recalled)
{
	const char *order = order_in_stock(",\"fulfilment\":\"manual\"");
	const char *billing = bill(order);
	memory_shop_settle(shop);
	struct other other = { "billing", "delete_billing", billing, true };
	memory_shop_meanwhile(shop, run_other, &other);
	const char *shipping =
	    memory_shop_do(shop, "shipping", "create_shippings", "{\"order_id\":\"%s\"}", order);
	memory_shop_meanwhile(shop, NULL, NULL);
	memory_shop_settle(shop);
	ck_assert_ptr_null(memory_shop_get(shop, "shipping", shipping));
	ck_assert_str_eq(status_of(order), "UNCLEARED");
	/* The next billing leads to a shipping again. */
	memory_shop_do(shop, "order", "update_order",
	               "{\"entity_id\":\"%s\",\"fulfilment\":\"auto\"}", order);
	bill(order);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(order), "SHIPPED");
	ck_assert_str_eq(memory_shop_events(shop, "shipping", shipping),
	                 "ShippingCreated ShippingDeleted ShippingCreated");
}
END_TEST

START_TEST(a_delivery_waits_until_the_order_is_shipped)
{
	const char *order = order_in_stock(",\"fulfilment\":\"manual\"");
	bill(order);
	memory_shop_settle(shop);
	const char *shipping =
	    memory_shop_do(shop, "shipping", "create_shippings", "{\"order_id\":\"%s\"}", order);
	char params[100];
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"delivered\":9}", shipping);
	ck_assert(memory_shop_run(shop, "shipping", "update_shipping", NULL, params).passing);
	memory_shop_settle(shop);
	memory_shop_do(shop, "shipping", "update_shipping", "%s", params);
	memory_shop_settle(shop);
	ck_assert_str_eq(memory_shop_events(shop, "order", order),
	                 "OrderPlaced OrderInStock OrderCleared OrderShipped OrderDelivered");
}
END_TEST

/* ---- Any commands in any order ----------------------------------------------------------- */

struct world {
	unsigned seed;
	const char *customer;
	const char *products[PRODUCTS];
	const char *inventories[PRODUCTS];
	const char *carts[CARTS];
	const char *orders[8 * COMMANDS];
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
	world->customer = customer();
	for (size_t i = 0; i < PRODUCTS; i++) {
		world->products[i] = product();
		world->inventories[i] = stock(world->products[i], (int)pick(world, 4));
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
	answer.result[2 + 36] = '\0';
	world->orders[world->order_count++] = answer.result + 2;
}

static void command_restock(struct world *world)
{
	size_t i = pick(world, PRODUCTS);
	int64_t more = (int64_t)pick(world, 4);
	char params[200];
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"amount\":%lld}",
	         world->inventories[i], (long long)(amount_of(world->inventories[i]) + more));
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
	memory_shop_destroy(shop);
	shop = memory_shop_create((unsigned)_i);
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
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shop");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, ten_orders_make_twenty_two_mails);
	tcase_add_test(all, a_restock_serves_who_waits_oldest_first);
	tcase_add_test(all, cancelling_gives_everything_back);
	tcase_add_test(all, the_billing_of_a_cancelled_order_is_refunded);
	tcase_add_test(all, a_billing_that_meets_a_cancelled_order_is_refunded);
	tcase_add_test(all, a_shipping_that_meets_an_uncleared_order_is_recalled);
	tcase_add_test(all, a_delivery_waits_until_the_order_is_shipped);
	tcase_add_loop_test(all, any_history_ends_well, 0, RUNS);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
