/* The rules of orders, billings and shippings: one command at a time. */
#include "domain/rules_fixture.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* ---- Orders ------------------------------------------------------------------------------ */

START_TEST(an_order_fixes_items_prices_and_total)
{
	const char *a = product(500), *b = product(30), *buyer = customer();
	const char *id = memory_shop_do(
	    shop, "cart", "create_carts",
	    "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\",\"%s\"]}", buyer, a, b, a);
	const char *placed =
	    order_of(id, ",\"status\":\"CREATED\",\"shipping_fee\":9,\"fulfilment\":\"manual\"");
	memory_shop_do(shop, "product", "update_product", "{\"entity_id\":\"%s\",\"price\":1}", a);
	snprintf(
	    text, sizeof(text),
	    "{\"entity_id\":\"%s\",\"cart_id\":\"%s\",\"status\":\"CREATED\","
	    "\"customer_id\":\"%s\",\"items\":[{\"product_id\":\"%s\",\"quantity\":2,"
	    "\"price\":500},{\"product_id\":\"%s\",\"quantity\":1,\"price\":30}],"
	    "\"shipping_fee\":9,\"total\":1039,\"fulfilment\":\"manual\",\"stock_held\":false}",
	    placed, id, buyer, a, b);
	ck_assert_str_eq(memory_shop_get(shop, "order", placed), text);
	ck_assert_str_eq(memory_shop_events(shop, "cart", id), "CartCreated CartCheckedOut");
}
END_TEST

START_TEST(orders_refuse_what_they_cannot_be)
{
	const char *a = product(500);
	const char *id = cart(a);
	refuse("order", "create_orders", ERR_INVALID, "cart_id: is missing", "{}");
	refuse("order", "create_orders", ERR_NOT_FOUND, unknown, "{\"cart_id\":\"%s\"}", unknown);
	static const char *const fields[] = {
		"\"status\":\"CLEARED\"", "\"total\":5",           "\"stock_held\":true",
		"\"customer_id\":\"x\"",  "\"items\":[{}]",        "\"status\":\"PAID\"",
		"\"shipping_fee\":-1",    "\"fulfilment\":\"no\"", "\"shipping_fee\":1000000000001",
	};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		char name[40];
		snprintf(name, sizeof(name), "%.*s: ", (int)strcspn(fields[i] + 1, "\""),
		         fields[i] + 1);
		refuse("order", "create_orders", ERR_INVALID, name, "{\"cart_id\":\"%s\",%s}", id,
		       fields[i]);
	}
	refuse("order", "create_orders", ERR_INVALID, "cancel_order",
	       "{\"cart_id\":\"%s\",\"status\":\"CANCELLED\"}", id);
	memory_shop_do(shop, "product", "update_product",
	               "{\"entity_id\":\"%s\",\"price\":1000000000000}", a);
	refuse("order", "create_orders", ERR_INVALID, "total: must be at most 1000000000000",
	       "{\"cart_id\":\"%s\",\"shipping_fee\":1}", id);
	memory_shop_do(shop, "product", "delete_product", "{\"entity_id\":\"%s\"}", a);
	refuse("order", "create_orders", ERR_NOT_FOUND, a, "{\"cart_id\":\"%s\"}", id);
	ck_assert_str_eq(memory_shop_events(shop, "cart", id), "CartCreated");
}
END_TEST

START_TEST(a_cart_in_an_order_cannot_change)
{
	const char *a = product(500), *id = cart(a);
	const char *held_by = order_of(id, "");
	refuse("cart", "update_cart", ERR_PRECONDITION, held_by,
	       "{\"entity_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\"]}", id, a, a);
	refuse("cart", "delete_cart", ERR_PRECONDITION, held_by, "{\"entity_id\":\"%s\"}", id);
	refuse("order", "create_orders", ERR_PRECONDITION, held_by, "{\"cart_id\":\"%s\"}", id);
	/* Two at once of one cart are none. */
	const char *other = cart(a);
	refuse("order", "create_orders", ERR_PRECONDITION, "params[1]: cart ",
	       "[{\"cart_id\":\"%s\"},{\"cart_id\":\"%s\"}]", other, other);
	/* The end of the order frees it, also before the news has come to the cart. */
	memory_shop_do(shop, "order", "cancel_order", "{\"entity_id\":\"%s\"}", held_by);
	memory_shop_do(shop, "cart", "update_cart",
	               "{\"entity_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\"]}", id, a, a);
	const char *next = order_of(id, "");
	memory_shop_settle(shop);
	ck_assert_str_eq(((const Shop__Cart *)memory_shop_state(shop, "cart", id))->order_id, next);
	memory_shop_do(shop, "order", "delete_order", "{\"entity_id\":\"%s\"}", next);
	memory_shop_settle(shop);
	ck_assert_str_eq(((const Shop__Cart *)memory_shop_state(shop, "cart", id))->order_id, "");
	memory_shop_do(shop, "cart", "delete_cart", "{\"entity_id\":\"%s\"}", id);
}
END_TEST

static const char message_id[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

START_TEST(an_order_that_was_half_placed_is_placed)
{
	const char *id = cart(product(500));
	char params[100];
	snprintf(params, sizeof(params), "{\"cart_id\":\"%s\"}", id);
	memory_shop_crash_next(shop);
	struct answer answer = memory_shop_run(shop, "order", "create_orders", message_id, params);
	ck_assert_int_eq(answer.error.code, ERR_UNAVAILABLE);
	ck_assert_str_eq(memory_shop_events(shop, "cart", id), "CartCreated CartCheckedOut");
	/* Meanwhile nobody else gets the cart. */
	refuse("cart", "delete_cart", ERR_PRECONDITION, id, "{\"entity_id\":\"%s\"}", id);
	refuse("order", "create_orders", ERR_PRECONDITION, id, "{\"cart_id\":\"%s\"}", id);
	answer = memory_shop_run(shop, "order", "create_orders", message_id, params);
	struct answer again = memory_shop_run(shop, "order", "create_orders", message_id, params);
	ck_assert_str_eq(answer.result, again.result);
	ck_assert_str_eq(memory_shop_events(shop, "order", NULL), "OrderPlaced");
	ck_assert_str_eq(memory_shop_events(shop, "cart", id), "CartCreated CartCheckedOut");
}
END_TEST

START_TEST(a_billing_that_was_half_deleted_is_deleted)
{
	const char *id = order(",\"fulfilment\":\"manual\"");
	const char *billing = bill(id);
	char params[100];
	memory_shop_settle(shop);
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\"}", billing);
	memory_shop_crash_next(shop);
	struct answer answer =
	    memory_shop_run(shop, "billing", "delete_billing", message_id, params);
	ck_assert_int_eq(answer.error.code, ERR_UNAVAILABLE);
	ck_assert_str_eq(status_of(id), "UNCLEARED");
	refuse("billing", "create_billings", ERR_EXISTS, billing,
	       "{\"order_id\":\"%s\",\"amount\":500}", id);
	answer = memory_shop_run(shop, "billing", "delete_billing", message_id, params);
	ck_assert_str_eq(answer.result, "true");
	ck_assert_str_eq(memory_shop_events(shop, "billing", billing),
	                 "BillingCreated BillingDeleted");
	bill(id);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(id), "CLEARED");
}
END_TEST

START_TEST(orders_are_changed_by_their_commands_only)
{
	const char *id = order("");
	ck_assert_str_eq(status_of(id), "IN_STOCK");
	memory_shop_do(shop, "order", "update_order",
	               "{\"entity_id\":\"%s\",\"status\":\"IN_STOCK\",\"total\":500,"
	               "\"fulfilment\":\"manual\"}",
	               id);
	refuse("order", "update_order", ERR_INVALID,
	       "status: cannot be set by clients, is \"IN_STOCK\"",
	       "{\"entity_id\":\"%s\",\"status\":\"CLEARED\"}", id);
	refuse("order", "update_order", ERR_INVALID,
	       "cart_id: ", "{\"entity_id\":\"%s\",\"cart_id\":\"x\"}", id);
	refuse("order", "update_order", ERR_INVALID,
	       "shipping_fee: ", "{\"entity_id\":\"%s\",\"shipping_fee\":1}", id);
	bill(id);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(id), "CLEARED");
	refuse("order", "update_order", ERR_PRECONDITION,
	       "fulfilment: ", "{\"entity_id\":\"%s\",\"fulfilment\":\"auto\"}", id);
	memory_shop_do(shop, "order", "update_order",
	               "{\"entity_id\":\"%s\",\"fulfilment\":\"manual\"}", id);
	refuse("order", "cancel_order", ERR_NOT_FOUND, unknown, "{\"entity_id\":\"%s\"}", unknown);
	memory_shop_do(shop, "order", "cancel_order", "{\"entity_id\":\"%s\"}", id);
	refuse("order", "cancel_order", ERR_PRECONDITION,
	       "cannot cancel an order that is CANCELLED", "{\"entity_id\":\"%s\"}", id);
}
END_TEST

/* ---- Billings, shippings, mails ---------------------------------------------------------- */

START_TEST(a_billing_is_the_total_of_an_order_in_stock)
{
	const char *a = product(500), *waiting = order_of(cart(a), "");
	refuse("billing", "create_billings", ERR_NOT_FOUND, unknown,
	       "{\"order_id\":\"%s\",\"amount\":500}", unknown);
	refuse("billing", "create_billings", ERR_INVALID, "order_id: is missing",
	       "{\"amount\":500}");
	refuse("billing", "create_billings", ERR_INVALID, "amount: must be 500, the total of order",
	       "{\"order_id\":\"%s\",\"amount\":499}", waiting);
	refuse("billing", "create_billings", ERR_INVALID, "refunded: cannot be set",
	       "{\"order_id\":\"%s\",\"amount\":500,\"refunded\":true}", waiting);
	snprintf(text, sizeof(text), "{\"order_id\":\"%s\",\"amount\":500}", waiting);
	ck_assert(memory_shop_run(shop, "billing", "create_billings", NULL, text).passing);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(waiting), "OUT_OF_STOCK");
	refuse("billing", "create_billings", ERR_PRECONDITION,
	       "cannot bill an order that is OUT_OF_STOCK", "{\"order_id\":\"%s\",\"amount\":500}",
	       waiting);
	const char *id = order(",\"fulfilment\":\"manual\"");
	const char *billing = bill(id);
	ck_assert_str_eq(billing, derived(id, "billing"));
	refuse("billing", "create_billings", ERR_EXISTS, billing,
	       "{\"order_id\":\"%s\",\"amount\":500}", id);
	refuse("billing", "update_billing", ERR_INVALID, "amount: cannot be set",
	       "{\"entity_id\":\"%s\",\"amount\":1}", billing);
	/* Deleting waits until the order is cleared. */
	snprintf(text, sizeof(text), "{\"entity_id\":\"%s\"}", billing);
	ck_assert(memory_shop_run(shop, "billing", "delete_billing", NULL, text).passing);
	memory_shop_settle(shop);
	memory_shop_do(shop, "billing", "delete_billing", "{\"entity_id\":\"%s\"}", billing);
	ck_assert_str_eq(status_of(id), "UNCLEARED");
	bill(id);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(id), "CLEARED");
	memory_shop_do(shop, "order", "cancel_order", "{\"entity_id\":\"%s\"}", id);
	memory_shop_settle(shop);
	ck_assert(((const Shop__Billing *)memory_shop_state(shop, "billing", billing))->refunded);
	refuse("billing", "delete_billing", ERR_PRECONDITION, "is CANCELLED",
	       "{\"entity_id\":\"%s\"}", billing);
}
END_TEST

START_TEST(a_shipping_is_of_a_cleared_order)
{
	const char *id = order(",\"fulfilment\":\"manual\"");
	refuse("shipping", "create_shippings", ERR_NOT_FOUND, unknown, "{\"order_id\":\"%s\"}",
	       unknown);
	refuse("shipping", "create_shippings", ERR_PRECONDITION,
	       "cannot ship an order that is IN_STOCK: it must be one of CLEARED",
	       "{\"order_id\":\"%s\"}", id);
	bill(id);
	snprintf(text, sizeof(text), "{\"order_id\":\"%s\"}", id);
	ck_assert(memory_shop_run(shop, "shipping", "create_shippings", NULL, text).passing);
	memory_shop_settle(shop);
	refuse("shipping", "create_shippings", ERR_INVALID, "delivered: must be 0 when",
	       "{\"order_id\":\"%s\",\"delivered\":5}", id);
	const char *shipping =
	    memory_shop_do(shop, "shipping", "create_shippings", "{\"order_id\":\"%s\"}", id);
	ck_assert_str_eq(shipping, derived(id, "shipping"));
	refuse("shipping", "create_shippings", ERR_EXISTS, shipping, "{\"order_id\":\"%s\"}", id);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(id), "SHIPPED");
	refuse("shipping", "create_shippings", ERR_EXISTS, shipping, "{\"order_id\":\"%s\"}", id);
	refuse("shipping", "delete_shipping", ERR_PRECONDITION, "is SHIPPED",
	       "{\"entity_id\":\"%s\"}", shipping);
	refuse("shipping", "update_shipping", ERR_INVALID, "delivered: must be 0 or the time",
	       "{\"entity_id\":\"%s\",\"delivered\":-1}", shipping);
	memory_shop_do(shop, "shipping", "update_shipping",
	               "{\"entity_id\":\"%s\",\"delivered\":7}", shipping);
	memory_shop_do(shop, "shipping", "update_shipping",
	               "{\"entity_id\":\"%s\",\"delivered\":8}", shipping);
	refuse("shipping", "update_shipping", ERR_PRECONDITION,
	       "delivered: ", "{\"entity_id\":\"%s\",\"delivered\":0}", shipping);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(id), "DELIVERED");
	ck_assert_str_eq(memory_shop_events(shop, "shipping", shipping),
	                 "ShippingCreated ShippingDelivered ShippingUpdated");
	refuse("billing", "delete_billing", ERR_PRECONDITION, "is DELIVERED",
	       "{\"entity_id\":\"%s\"}", derived(id, "billing"));
}
END_TEST

START_TEST(a_returned_shipping_cannot_be_delivered)
{
	const char *id = order("");
	bill(id);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(id), "SHIPPED");
	memory_shop_do(shop, "order", "cancel_order", "{\"entity_id\":\"%s\"}", id);
	refuse("shipping", "update_shipping", ERR_PRECONDITION,
	       "cannot deliver an order that is CANCELLED",
	       "{\"entity_id\":\"%s\",\"delivered\":7}", derived(id, "shipping"));
	memory_shop_do(shop, "shipping", "delete_shipping", "{\"entity_id\":\"%s\"}",
	               derived(id, "shipping"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules_order");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, rules_setup, rules_teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, an_order_fixes_items_prices_and_total);
	tcase_add_test(all, orders_refuse_what_they_cannot_be);
	tcase_add_test(all, a_cart_in_an_order_cannot_change);
	tcase_add_test(all, an_order_that_was_half_placed_is_placed);
	tcase_add_test(all, a_billing_that_was_half_deleted_is_deleted);
	tcase_add_test(all, orders_are_changed_by_their_commands_only);
	tcase_add_test(all, a_billing_is_the_total_of_an_order_in_stock);
	tcase_add_test(all, a_shipping_is_of_a_cleared_order);
	tcase_add_test(all, a_returned_shipping_cannot_be_delivered);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
