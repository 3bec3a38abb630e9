/* domain_test.c - the domain services as processes, between the real queue, store and Redis. */
#include "base/id.h"
#include "tests/integration/domain_client.h"
#include "tests/integration/domain_processes.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *customer, *product, *inventory;

static void stock_up(int amount)
{
	customer = client_make("customer", "create_customers",
	                       "{\"name\":\"Ann\",\"email\":\"ann@example.org\"}");
	product = client_make("product", "create_products", "{\"name\":\"Tea\",\"price\":250}");
	inventory = client_make("inventory", "create_inventories",
	                        TEXT("{\"product_id\":\"%s\",\"amount\":%d}", product, amount));
}

static const char *make_cart(void)
{
	return client_make("cart", "create_carts",
	                   TEXT("{\"customer_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\"]}",
	                        customer, product, product));
}

START_TEST(an_order_goes_all_the_way)
{
	client_connect();
	stock_up(10);
	const char *cart = make_cart();
	const char *order =
	    client_make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", cart));
	ck_assert(client_comes("order", order, "IN_STOCK"));
	ck_assert_ptr_nonnull(strstr(client_data("inventory", inventory), "\"amount\":8"));
	client_refused("cart", "update_cart",
	               TEXT("{\"entity_id\":\"%s\",\"product_ids\":[]}", cart), ERR_INVALID,
	               "product_ids");
	client_refused("billing", "create_billings",
	               TEXT("{\"order_id\":\"%s\",\"amount\":499}", order), ERR_INVALID, "amount");
	client_make("billing", "create_billings",
	            TEXT("{\"order_id\":\"%s\",\"amount\":500}", order));
	ck_assert(client_comes("order", order, "SHIPPED"));
	char shipping[UUID_SIZE];
	uuid_v5(shipping, order, "shipping", NULL);
	ck_assert_int_eq(
	    client_run("shipping", "update_shipping",
	               TEXT("{\"entity_id\":\"%s\",\"delivered\":1700000000}", shipping))
	        ->error.code,
	    ERR_NONE);
	ck_assert(client_comes("order", order, "DELIVERED"));
	ck_assert(client_comes("cart", cart, "\"order_id\":\"\""));
	/* Welcome, please pay, paid, shipped. */
	for (int i = 0; i < 1000 && client_topic_length("mail") < 4; i++)
		usleep(5000);
	ck_assert_uint_eq(client_topic_length("mail"), 4);
	client_disconnect();
}
END_TEST

START_TEST(wrong_commands_are_refused_by_name)
{
	client_connect();
	client_refused("customer", "update_customer",
	               "{\"entity_id\":\"00000000-0000-4000-8000-000000000001\",\"name\":\"x\"}",
	               ERR_NOT_FOUND, "00000000-0000-4000-8000-000000000001");
	client_refused("customer", "create_customers", "{\"name\":5,\"email\":\"a@b\"}",
	               ERR_INVALID, "name");
	client_refused("product", "create_products",
	               "[{\"name\":\"a\",\"price\":1},{\"name\":\"b\",\"price\":-1}]", ERR_INVALID,
	               "params[1]");
	ck_assert_uint_eq(client_topic_length("product"), 0);
	client_disconnect();
}
END_TEST

/* Twice as many orders as stock, all at once: exactly the stock is sold. */
START_TEST(stock_is_not_sold_twice)
{
	enum { ORDERS = 60, STOCK = 60 /* two units each */ };
	const char *orders[ORDERS];
	client_connect();
	stock_up(STOCK);
	for (int i = 0; i < ORDERS; i++) {
		const char *cart = make_cart();
		orders[i] =
		    client_make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", cart));
	}
	int in_stock = 0;
	for (int i = 0; i < ORDERS; i++) {
		ck_assert(client_comes("order", orders[i], "STOCK\""));
		in_stock += strstr(client_data("order", orders[i]), "\"IN_STOCK\"") != NULL;
	}
	ck_assert_int_eq(in_stock, STOCK / 2);
	ck_assert_ptr_nonnull(strstr(client_data("inventory", inventory), "\"amount\":0"));
	client_disconnect();
}
END_TEST

START_TEST(a_restock_serves_the_orders_that_wait)
{
	client_connect();
	stock_up(1);
	const char *order =
	    client_make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", make_cart()));
	ck_assert(client_comes("order", order, "OUT_OF_STOCK"));
	ck_assert_int_eq(client_run("inventory", "update_inventory",
	                            TEXT("{\"entity_id\":\"%s\",\"amount\":5}", inventory))
	                     ->error.code,
	                 ERR_NONE);
	ck_assert(client_comes("order", order, "IN_STOCK"));
	ck_assert(client_comes("inventory", inventory, "\"amount\":3"));
	/* What a cancelled order held goes to the next one that waits. */
	const char *second =
	    client_make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", make_cart()));
	ck_assert(client_comes("order", second, "IN_STOCK"));
	const char *third =
	    client_make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", make_cart()));
	ck_assert(client_comes("order", third, "OUT_OF_STOCK"));
	ck_assert_int_eq(
	    client_run("order", "cancel_order", TEXT("{\"entity_id\":\"%s\"}", order))->error.code,
	    ERR_NONE);
	ck_assert(client_comes("order", third, "IN_STOCK"));
	ck_assert(client_comes("inventory", inventory, "\"amount\":1"));
	client_refused("order", "cancel_order", TEXT("{\"entity_id\":\"%s\"}", order),
	               ERR_PRECONDITION, order);
	client_disconnect();
}
END_TEST

/* Each service is killed while commands are under way; each command has its effect once. */
START_TEST(a_killed_service_loses_and_doubles_nothing)
{
	static const char *const victims[] = { "customer", "event-store", "message-queue",
		                               "customer" };
	enum { CUSTOMERS = 400 };
	client_connect();
	struct call *made[CUSTOMERS];
	size_t victim = 0;
	for (int i = 0; i < CUSTOMERS; i++) {
		made[i] =
		    client_begin("customer", "create_customers",
		                 TEXT("{\"name\":\"c%d\",\"email\":\"c%d@example.org\"}", i, i));
		if (i % 100 != 50)
			continue;
		process_kill(victims[victim]);
		process_start(victims[victim++]);
	}
	client_wait();
	for (int i = 0; i < CUSTOMERS; i++) {
		ck_assert_msg(made[i]->error.code == ERR_NONE, "%d: %s", i, made[i]->error.message);
		const char *id = json_text(json_at(made[i]->result, 0));
		ck_assert_ptr_nonnull(strstr(client_data("customer", id), TEXT("\"c%d\"", i)));
	}
	ck_assert_uint_eq(client_topic_length("customer"), CUSTOMERS);
	process_kill("crm");
	process_start("crm");
	for (int i = 0; i < 3000 && client_topic_length("mail") < CUSTOMERS; i++)
		usleep(5000);
	ck_assert_uint_eq(client_topic_length("mail"), CUSTOMERS);
	client_disconnect();
}
END_TEST

/* A service that is stopped finishes what it has and leaves the rest to the next one. */
START_TEST(a_stopped_service_leaves_nothing_behind)
{
	enum { CUSTOMERS = 2000 };
	struct call *made[CUSTOMERS];
	client_connect();
	stock_up(1);
	for (int i = 0; i < CUSTOMERS; i++)
		made[i] =
		    client_begin("customer", "create_customers",
		                 TEXT("{\"name\":\"c%d\",\"email\":\"c%d@example.org\"}", i, i));
	for (int round = 0; round < 3; round++) {
		ck_assert(process_stop("customer"));
		process_start("customer");
		ck_assert(process_stop("crm"));
		process_start("crm");
	}
	client_wait();
	for (int i = 0; i < CUSTOMERS; i++)
		ck_assert_msg(made[i]->error.code == ERR_NONE, "%d: %s", i, made[i]->error.message);
	ck_assert_uint_eq(client_topic_length("customer"), CUSTOMERS + 1);
	for (int i = 0; i < 3000 && client_topic_length("mail") < CUSTOMERS + 1; i++)
		usleep(5000);
	ck_assert_uint_eq(client_topic_length("mail"), CUSTOMERS + 1);
	ck_assert(process_stop("order"));
	client_disconnect();
}
END_TEST

int main(int argc, char **argv)
{
	if (process_main(argc, argv))
		return EXIT_SUCCESS;
	Suite *suite = suite_create("domain");
	TCase *tests = tcase_create("domain");
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, processes_setup, processes_teardown);
	tcase_add_test(tests, an_order_goes_all_the_way);
	tcase_add_test(tests, wrong_commands_are_refused_by_name);
	tcase_add_test(tests, stock_is_not_sold_twice);
	tcase_add_test(tests, a_restock_serves_the_orders_that_wait);
	tcase_add_test(tests, a_killed_service_loses_and_doubles_nothing);
	tcase_add_test(tests, a_stopped_service_leaves_nothing_behind);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
