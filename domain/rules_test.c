/* The rules of what is no order: one command at a time. */
#include "domain/rules_fixture.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* ---- What all have in common ------------------------------------------------------------- */

START_TEST(params_are_an_object_or_a_list)
{
	static const char *const bad[] = { "null", "1", "\"x\"", "[]" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuse("customer", "create_customers", ERR_INVALID, "params", "%s", bad[i]);
	ck_assert_ptr_null(
	    memory_shop_run(shop, "customer", "create_customers", NULL, NULL).result);
	ck_assert_ptr_null(memory_shop_run(shop, "customer", "update_customer", NULL, NULL).result);
	ck_assert_ptr_null(memory_shop_run(shop, "customer", "delete_customer", NULL, NULL).result);
	refuse("customer", "create_customers", ERR_INVALID,
	       "params[1]: ", "[{\"name\":\"A\",\"email\":\"a@b\"},7]");
	refuse("customer", "create_customers", ERR_INVALID, "params[1]: name: must have 1 to 200",
	       "[{\"name\":\"A\",\"email\":\"a@b\"},{\"email\":\"a@b\"}]");
	refuse("customer", "create_customers", ERR_INVALID, "colour: is not a field of Customer",
	       "{\"colour\":1}");
	refuse("customer", "update_customer", ERR_INVALID, "entity_id: must be",
	       "{\"name\":\"x\"}");
	refuse("customer", "delete_customer", ERR_INVALID, "entity_id: must be", "{}");
	/* All or none. */
	ck_assert_str_eq(memory_shop_events(shop, "customer", NULL), "");
}
END_TEST

START_TEST(lists_answer_with_their_ids)
{
	struct answer answer = memory_shop_run(
	    shop, "customer", "create_customers", "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	    "[{\"name\":\"A\",\"email\":\"a@b\"},{\"name\":\"B\",\"email\":\"b@b\"}]");
	struct answer again = memory_shop_run(
	    shop, "customer", "create_customers", "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	    "[{\"name\":\"A\",\"email\":\"a@b\"},{\"name\":\"B\",\"email\":\"b@b\"}]");
	ck_assert_uint_eq(strlen(answer.result), 2 * 38 + 3);
	ck_assert_str_eq(answer.result, again.result);
	ck_assert_str_eq(memory_shop_events(shop, "customer", NULL),
	                 "CustomerCreated CustomerCreated");
}
END_TEST

START_TEST(entity_ids_can_be_given)
{
	const char *id =
	    memory_shop_do(shop, "customer", "create_customers",
	                   "{\"entity_id\":\"%s\",\"name\":\"A\",\"email\":\"a@b\"}", unknown);
	ck_assert_str_eq(id, unknown);
	refuse("customer", "create_customers", ERR_EXISTS, unknown,
	       "{\"entity_id\":\"%s\",\"name\":\"A\",\"email\":\"a@b\"}", unknown);
	refuse("customer", "create_customers", ERR_INVALID, "entity_id: must be a UUID",
	       "{\"entity_id\":\"7\",\"name\":\"A\",\"email\":\"a@b\"}");
	refuse("customer", "create_customers", ERR_INVALID, "entity_id: is missing",
	       "{\"entity_id\":\"\",\"name\":\"A\",\"email\":\"a@b\"}");
	memory_shop_do(shop, "customer", "delete_customer", "{\"entity_id\":\"%s\"}", id);
	refuse("customer", "delete_customer", ERR_NOT_FOUND, unknown, "{\"entity_id\":\"%s\"}",
	       unknown);
	refuse("customer", "update_customer", ERR_NOT_FOUND, unknown, "{\"entity_id\":\"%s\"}",
	       unknown);
	memory_shop_do(shop, "customer", "create_customers",
	               "{\"entity_id\":\"%s\",\"name\":\"A\",\"email\":\"a@b\"}", unknown);
	ck_assert_str_eq(memory_shop_events(shop, "customer", id),
	                 "CustomerCreated CustomerDeleted CustomerCreated");
}
END_TEST

START_TEST(updates_change_what_is_given)
{
	const char *id = customer();
	memory_shop_do(shop, "customer", "update_customer",
	               "{\"entity_id\":\"%s\",\"name\":\"a_b:c \xc3\xa9\"}", id);
	snprintf(text, sizeof(text),
	         "{\"entity_id\":\"%s\",\"name\":\"a_b:c \xc3\xa9\",\"email\":\"a@b\"}", id);
	ck_assert_str_eq(memory_shop_get(shop, "customer", id), text);
	refuse("customer", "update_customer", ERR_INVALID,
	       "name:", "{\"entity_id\":\"%s\",\"name\":\"\"}", id);
}
END_TEST

/* ---- Entity by entity -------------------------------------------------------------------- */

START_TEST(customers_and_products_have_limits)
{
	char name[402] = "";
	for (int i = 0; i < 200; i++)
		strcat(name, "\xc3\xa9");
	memory_shop_do(shop, "product", "create_products",
	               "{\"name\":\"%s\",\"price\":1000000000000}", name);
	refuse("product", "create_products", ERR_INVALID, "name: must have 1 to 200",
	       "{\"name\":\"%sx\",\"price\":1}", name);
	refuse("customer", "create_customers", ERR_INVALID, "name: must have 1 to 200",
	       "{\"name\":\"%sx\",\"email\":\"a@b\"}", name);
	static const char *const emails[] = { "", "@b", "a@", "ab", "a@b@c" };
	for (size_t i = 0; i < ARRAY_LEN(emails); i++)
		refuse("customer", "create_customers", ERR_INVALID, "email: must have",
		       "{\"name\":\"A\",\"email\":\"%s\"}", emails[i]);
	static const char *const prices[] = { "-1",    "1000000000001", "1.5",
		                              "\"x\"", "null",          "9007199254740993" };
	for (size_t i = 0; i < ARRAY_LEN(prices); i++)
		refuse("product", "create_products", ERR_INVALID,
		       "price: ", "{\"name\":\"A\",\"price\":%s}", prices[i]);
	const char *id = memory_shop_do(shop, "product", "create_products",
	                                "{\"name\":\"A\",\"price\":\"708\"}");
	ck_assert_int_eq(((const Shop__Product *)memory_shop_state(shop, "product", id))->price,
	                 708);
}
END_TEST

START_TEST(there_is_one_inventory_per_product)
{
	const char *product_id = product(5);
	refuse("inventory", "create_inventories", ERR_NOT_FOUND, unknown,
	       "{\"product_id\":\"%s\",\"amount\":1}", unknown);
	refuse("inventory", "create_inventories", ERR_INVALID, "product_id: is missing",
	       "{\"amount\":1}");
	refuse("inventory", "create_inventories", ERR_INVALID, "product_id: must be a UUID",
	       "{\"product_id\":\"a/b\",\"amount\":1}");
	refuse("inventory", "create_inventories", ERR_INVALID, "entity_id: must be ",
	       "{\"entity_id\":\"%s\",\"product_id\":\"%s\",\"amount\":1}", unknown, product_id);
	refuse("inventory", "create_inventories", ERR_INVALID, "amount: must be 0 to",
	       "{\"product_id\":\"%s\",\"amount\":-1}", product_id);
	const char *id = stock(product_id, 3);
	ck_assert_str_eq(id, derived(product_id, "inventory"));
	refuse("inventory", "create_inventories", ERR_EXISTS, id,
	       "{\"product_id\":\"%s\",\"amount\":1}", product_id);
	memory_shop_do(shop, "inventory", "update_inventory",
	               "{\"entity_id\":\"%s\",\"product_id\":\"%s\",\"amount\":9}", id, product_id);
	memory_shop_do(shop, "inventory", "update_inventory", "{\"entity_id\":\"%s\",\"amount\":8}",
	               id);
	refuse("inventory", "update_inventory", ERR_INVALID, "product_id: cannot be set by clients",
	       "{\"entity_id\":\"%s\",\"product_id\":\"%s\"}", id, unknown);
	memory_shop_do(shop, "inventory", "delete_inventory", "{\"entity_id\":\"%s\"}", id);
	stock(product_id, 1);
	ck_assert_str_eq(memory_shop_events(shop, "inventory", id),
	                 "InventoryCreated StockAdded InventoryUpdated InventoryDeleted "
	                 "InventoryCreated");
}
END_TEST

START_TEST(stock_is_reserved_in_full_or_not_at_all)
{
	const char *a = product(5), *b = product(5), *none = product(5);
	const char *stock_a = stock(a, 3);
	stock(b, 1);
	static const struct {
		const char *quantity;
		bool with_none;
		bool reserved;
	} cases[] = { { "4", false, false },
		      { "3", true, false },
		      { "2", false, true },
		      { "1", false, false } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		snprintf(text, sizeof(text),
		         "{\"order_id\":\"o\",\"items\":[{\"product_id\":\"%s\",\"quantity\":%s},"
		         "{\"product_id\":\"%s\",\"quantity\":1}]}",
		         a, cases[i].quantity, cases[i].with_none ? none : b);
		struct answer answer = memory_shop_run(shop, "inventory", "reserve", NULL, text);
		ck_assert_str_eq(answer.result, cases[i].reserved
		                                    ? "{\"order_id\":\"o\",\"reserved\":true}"
		                                    : "{\"order_id\":\"o\",\"reserved\":false}");
	}
	ck_assert_uint_eq(memory_shop_count(shop, "StockReserved"), 2);
	memory_shop_do(shop, "inventory", "release",
	               "{\"order_id\":\"o\",\"items\":[{\"product_id\":\"%s\",\"quantity\":2},"
	               "{\"product_id\":\"%s\",\"quantity\":1}]}",
	               a, none);
	ck_assert_int_eq(
	    ((const Shop__Inventory *)memory_shop_state(shop, "inventory", stock_a))->amount, 3);
	refuse("inventory", "reserve", ERR_INVALID, "items: must be a list",
	       "{\"order_id\":\"o\"}");
	refuse("inventory", "reserve", ERR_INVALID, "order_id", "{\"items\":[]}");
	refuse("inventory", "reserve", ERR_INVALID, "params[0]: quantity: must be 1 to",
	       "{\"order_id\":\"o\",\"items\":[{\"product_id\":\"%s\"}]}", a);
	refuse("inventory", "release", ERR_INVALID, "is given twice",
	       "{\"order_id\":\"o\",\"items\":[{\"product_id\":\"%s\",\"quantity\":2},"
	       "{\"product_id\":\"%s\",\"quantity\":1}]}",
	       a, a);
}
END_TEST

START_TEST(carts_refer_to_customers_and_products)
{
	const char *a = product(5), *buyer = customer();
	refuse("cart", "create_carts", ERR_INVALID, "product_ids: must be a list of 1 to 1000",
	       "{\"customer_id\":\"%s\",\"product_ids\":[]}", buyer);
	refuse("cart", "create_carts", ERR_NOT_FOUND, unknown,
	       "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\"]}", buyer, a, unknown);
	refuse("cart", "create_carts", ERR_NOT_FOUND, unknown,
	       "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}", unknown, a);
	refuse("cart", "create_carts", ERR_INVALID, "customer_id: is missing",
	       "{\"product_ids\":[\"%s\"]}", a);
	refuse("cart", "create_carts", ERR_INVALID, "order_id: cannot be set by clients",
	       "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"],\"order_id\":\"%s\"}", buyer, a,
	       unknown);
	const char *id = cart(a), *b = product(7);
	memory_shop_do(shop, "cart", "update_cart",
	               "{\"entity_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\",\"%s\"]}", id, b, a,
	               b);
	refuse("cart", "update_cart", ERR_NOT_FOUND, unknown,
	       "{\"entity_id\":\"%s\",\"product_ids\":[\"%s\"]}", id, unknown);
	refuse("cart", "update_cart", ERR_NOT_FOUND, unknown,
	       "{\"entity_id\":\"%s\",\"customer_id\":\"%s\"}", id, unknown);
	memory_shop_do(shop, "cart", "delete_cart", "{\"entity_id\":\"%s\"}", id);
	ck_assert_str_eq(memory_shop_events(shop, "cart", id),
	                 "CartCreated CartUpdated CartDeleted");
}
END_TEST

START_TEST(carts_have_a_limit_of_units_and_of_products)
{
	const char *buyer = customer(), *a = product(1);
	for (int units = 1000; units <= 1001; units++) {
		size_t len =
		    (size_t)sprintf(text, "{\"customer_id\":\"%s\",\"product_ids\":[", buyer);
		for (int i = 0; i < units; i++)
			len += (size_t)sprintf(text + len, "%s\"%s\"", i > 0 ? "," : "", a);
		strcpy(text + len, "]}");
		struct answer answer = memory_shop_run(shop, "cart", "create_carts", NULL, text);
		ck_assert((answer.result != NULL) == (units == 1000));
	}
	for (int kinds = BATCH_MAX; kinds <= BATCH_MAX + 1; kinds++) {
		size_t len =
		    (size_t)sprintf(text, "{\"customer_id\":\"%s\",\"product_ids\":[", buyer);
		for (int i = 0; i < kinds; i++)
			len +=
			    (size_t)sprintf(text + len, "%s\"%s\"", i > 0 ? "," : "", product(i));
		strcpy(text + len, "]}");
		struct answer answer = memory_shop_run(shop, "cart", "create_carts", NULL, text);
		ck_assert((answer.result != NULL) == (kinds == BATCH_MAX));
	}
}
END_TEST

START_TEST(mails_are_events)
{
	static const char id[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(
		    memory_shop_run(shop, "mail", "send", id, "{\"to\":\"a@b\",\"msg\":\"hello\"}")
		        .result,
		    "true");
	ck_assert_str_eq(memory_shop_events(shop, "mail", NULL), "MailSent");
	refuse("mail", "send", ERR_INVALID, "to: ", "{\"msg\":\"x\"}");
	refuse("mail", "send", ERR_INVALID, "msg: ", "{\"to\":\"x\"}");
	refuse("mail", "send", ERR_INVALID, "msg: ", "{\"to\":\"x\",\"msg\":5}");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, rules_setup, rules_teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, params_are_an_object_or_a_list);
	tcase_add_test(all, lists_answer_with_their_ids);
	tcase_add_test(all, entity_ids_can_be_given);
	tcase_add_test(all, updates_change_what_is_given);
	tcase_add_test(all, customers_and_products_have_limits);
	tcase_add_test(all, there_is_one_inventory_per_product);
	tcase_add_test(all, stock_is_reserved_in_full_or_not_at_all);
	tcase_add_test(all, carts_refer_to_customers_and_products);
	tcase_add_test(all, carts_have_a_limit_of_units_and_of_products);
	tcase_add_test(all, mails_are_events);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
