/* Every rule of every service, one command at a time. */
#include "domain/memory_shop.h"

#include "base/id.h"

#include "proto/entities.pb-c.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct memory_shop *shop;
static char text[200000];
static const char unknown[] = "00000000-0000-4000-8000-000000000000";

static void setup(void)
{
	shop = memory_shop_create(1);
}

static void teardown(void)
{
	memory_shop_destroy(shop);
}

/* The command must fail so; `message` is a part of the text. */
static void refuse(const char *service, const char *function, enum error_code code,
                   const char *message, const char *format, ...) PRINTF(5, 6);
static void refuse(const char *service, const char *function, enum error_code code,
                   const char *message, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct answer answer = memory_shop_run(shop, service, function, NULL, text);
	ck_assert_msg(answer.result == NULL, "%s.%s %s", service, function, text);
	ck_assert_msg(strstr(answer.error.message, message) != NULL, "%s.%s %s: %s", service,
	              function, text, answer.error.message);
	ck_assert_msg(answer.error.code == code, "%s.%s %s: %s", service, function, text,
	              error_name(answer.error.code));
}

static const char *customer(void)
{
	return memory_shop_do(shop, "customer", "create_customers",
	                      "{\"name\":\"Ann\",\"email\":\"a@b\"}");
}

static const char *product(int price)
{
	return memory_shop_do(shop, "product", "create_products", "{\"name\":\"Tea\",\"price\":%d}",
	                      price);
}

static const char *stock(const char *product_id, int amount)
{
	return memory_shop_do(shop, "inventory", "create_inventories",
	                      "{\"product_id\":\"%s\",\"amount\":%d}", product_id, amount);
}

static const char *cart(const char *product_id)
{
	return memory_shop_do(shop, "cart", "create_carts",
	                      "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}", customer(),
	                      product_id);
}

static const char *order_of(const char *cart_id, const char *more)
{
	return memory_shop_do(shop, "order", "create_orders", "{\"cart_id\":\"%s\"%s}", cart_id,
	                      more);
}

/* An order of one unit at 500 that settles IN_STOCK. */
static const char *order(const char *more)
{
	const char *id = product(500);
	stock(id, 10);
	id = order_of(cart(id), more);
	memory_shop_settle(shop);
	return id;
}

static const char *bill(const char *order_id)
{
	return memory_shop_do(shop, "billing", "create_billings",
	                      "{\"order_id\":\"%s\",\"amount\":500}", order_id);
}

static const char *status_of(const char *order_id)
{
	const Shop__Order *state = memory_shop_state(shop, "order", order_id);
	return state == NULL ? "none"
	                     : protobuf_c_enum_descriptor_get_value(&shop__order_status__descriptor,
	                                                            state->status)
	                           ->name;
}

static const char *derived(const char *space, const char *name)
{
	static char id[UUID_SIZE];
	uuid_v5(id, space, name, NULL);
	return id;
}

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
	tcase_add_checked_fixture(all, setup, teardown);
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
	tcase_add_test(all, an_order_fixes_items_prices_and_total);
	tcase_add_test(all, orders_refuse_what_they_cannot_be);
	tcase_add_test(all, a_cart_in_an_order_cannot_change);
	tcase_add_test(all, an_order_that_was_half_placed_is_placed);
	tcase_add_test(all, a_billing_that_was_half_deleted_is_deleted);
	tcase_add_test(all, orders_are_changed_by_their_commands_only);
	tcase_add_test(all, a_billing_is_the_total_of_an_order_in_stock);
	tcase_add_test(all, a_shipping_is_of_a_cleared_order);
	tcase_add_test(all, a_returned_shipping_cannot_be_delivered);
	tcase_add_test(all, mails_are_events);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
