/* Two instances work on one message, since the lease of the first one ended: what the second one has ended without
 * events, the first one cannot do any more. */
#include "domain/memory_shop_fixture.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <string.h>

static struct memory_shop *shop;

static void setup(void)
{
	shop = memory_shop_create(1, MEMORY_SHOP_START_US);
}

static void teardown(void)
{
	memory_shop_destroy(shop);
}

/* The second instance, between the decision of the first one and its append. */
struct second {
	const char *service, *function, *params;
	const char *way_out; /* what makes it possible again, an id */
	void (*prevent)(const struct second *second), (*permit)(const struct second *second);
	struct answer answer;
	bool done;
};

static const char message_id[] = "00000000-0000-4000-8000-0000000000aa";

static void decide_second(void *arg)
{
	struct second *second = arg;
	if (second->done)
		return;
	second->done = true;
	second->prevent(second);
	second->answer =
	    memory_shop_run(shop, second->service, second->function, message_id, second->params);
	second->permit(second);
}

static struct answer run_both(struct second *second)
{
	memory_shop_meanwhile(shop, decide_second, second);
	struct answer first =
	    memory_shop_run(shop, second->service, second->function, message_id, second->params);
	memory_shop_meanwhile(shop, NULL, NULL);
	ck_assert(second->done);
	return first;
}

static const char *product(void)
{
	return memory_shop_do(shop, "product", "create_products",
	                      "{\"name\":\"Tea\",\"price\":500}");
}

static const char *cart_with(const char *product_id)
{
	const char *customer = memory_shop_do(shop, "customer", "create_customers",
	                                      "{\"name\":\"Ann\",\"email\":\"ann@example.com\"}");
	return memory_shop_do(shop, "cart", "create_carts",
	                      "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}", customer,
	                      product_id);
}

static void set_stock(const char *inventory, int amount)
{
	memory_shop_do(shop, "inventory", "update_inventory",
	               "{\"entity_id\":\"%s\",\"amount\":%d}", inventory, amount);
}

static void sell_out(const struct second *second)
{
	set_stock(second->way_out, 0);
}

static void restock(const struct second *second)
{
	set_stock(second->way_out, 5);
}

START_TEST(a_reservation_that_came_to_nothing_is_not_made_later)
{
	char params[200];
	const char *goods = product();
	const char *inventory = memory_shop_do(shop, "inventory", "create_inventories",
	                                       "{\"product_id\":\"%s\",\"amount\":1}", goods);
	snprintf(params, sizeof(params),
	         "{\"order_id\":\"o\",\"items\":[{\"product_id\":\"%s\",\"quantity\":1}]}", goods);
	struct second second = {
		.service = "inventory",
		.function = "reserve",
		.params = params,
		.way_out = inventory,
		.prevent = sell_out,
		.permit = restock,
	};
	struct answer first = run_both(&second);
	ck_assert_str_eq(second.answer.result, "{\"order_id\":\"o\",\"reserved\":false}");
	ck_assert_int_eq(first.error.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(first.error.message, "another delivery of this message"));
	ck_assert_uint_eq(memory_shop_count(shop, "StockReserved"), 0);
}
END_TEST

static void crowd(void *arg)
{
	restock(arg);
}

START_TEST(what_others_crowded_out_is_not_done_later)
{
	char params[200];
	const char *goods = product();
	const char *inventory = memory_shop_do(shop, "inventory", "create_inventories",
	                                       "{\"product_id\":\"%s\",\"amount\":5}", goods);
	struct second other = { .way_out = inventory };
	snprintf(params, sizeof(params),
	         "{\"order_id\":\"o\",\"items\":[{\"product_id\":\"%s\",\"quantity\":1}]}", goods);
	memory_shop_meanwhile(shop, crowd, &other);
	struct answer crowded = memory_shop_run(shop, "inventory", "reserve", message_id, params);
	memory_shop_meanwhile(shop, NULL, NULL);
	ck_assert_int_eq(crowded.error.code, ERR_CONFLICT);
	struct answer late = memory_shop_run(shop, "inventory", "reserve", message_id, params);
	ck_assert_int_eq(late.error.code, ERR_PRECONDITION);
	ck_assert_uint_eq(memory_shop_count(shop, "StockReserved"), 0);
}
END_TEST

static void delete_product(const struct second *second)
{
	memory_shop_do(shop, "product", "delete_product", "{\"entity_id\":\"%s\"}",
	               second->way_out);
}

static void nothing(const struct second *second)
{
	(void)second;
}

enum { PARAMS_SIZE = 200 };

static struct second placing(const char *cart, char params[PARAMS_SIZE])
{
	snprintf(params, PARAMS_SIZE, "{\"cart_id\":\"%s\"}", cart);
	return (struct second){
		.service = "order",
		.function = "create_orders",
		.params = params,
		.prevent = nothing,
		.permit = nothing,
	};
}

/* The first of two topics; no version tells the first instance that the product is gone. */
START_TEST(an_order_that_was_refused_does_not_take_the_cart_later)
{
	char params[PARAMS_SIZE];
	const char *goods = product();
	const char *cart = cart_with(goods);
	struct second second = placing(cart, params);
	second.way_out = goods;
	second.prevent = delete_product;
	struct answer first = run_both(&second);
	ck_assert_int_eq(second.answer.error.code, ERR_NOT_FOUND);
	ck_assert_int_eq(first.error.code, ERR_PRECONDITION);
	ck_assert_str_eq(memory_shop_events(shop, "cart", cart), "CartCreated");
	ck_assert_uint_eq(memory_shop_count(shop, "OrderPlaced"), 0);
}
END_TEST

/* Between the two appends of the first instance the second one finds the first half, and completes it. */
static void wait_for_cart(void *arg)
{
	struct second *second = arg;
	const Shop__Cart *cart = memory_shop_state(shop, "cart", second->way_out);
	if (cart->order_id[0] != '\0')
		decide_second(second);
}

START_TEST(what_is_half_done_is_completed_and_not_given_up)
{
	char params[PARAMS_SIZE];
	const char *goods = product();
	const char *cart = cart_with(goods);
	struct second second = placing(cart, params);
	second.way_out = cart;
	memory_shop_meanwhile(shop, wait_for_cart, &second);
	struct answer first = memory_shop_run(shop, "order", "create_orders", message_id, params);
	memory_shop_meanwhile(shop, NULL, NULL);
	ck_assert(second.done);
	ck_assert_str_eq(first.result, second.answer.result);
	ck_assert_uint_eq(memory_shop_count(shop, "OrderPlaced"), 1);
	ck_assert_uint_eq(memory_shop_count(shop, "CartReleased"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("give_up");
	TCase *tests = tcase_create("give_up");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_reservation_that_came_to_nothing_is_not_made_later);
	tcase_add_test(tests, what_others_crowded_out_is_not_done_later);
	tcase_add_test(tests, an_order_that_was_refused_does_not_take_the_cart_later);
	tcase_add_test(tests, what_is_half_done_is_completed_and_not_given_up);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
