/* The rules together: what follows from what. */
#include "domain/memory_shop_fixture.h"

#include "base/id.h"
#include "domain/order_status.h"
#include "tests/support/suite.h"

#include <check.h>
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

/* Another message that creates the same order, whose cart the first one holds by now. */
struct twin {
	const char *cart, *params;
	bool done;
};

static void place_twin(void *arg)
{
	struct twin *twin = arg;
	const Shop__Cart *cart = memory_shop_state(shop, "cart", twin->cart);
	if (twin->done || cart->order_id[0] == '\0')
		return;
	twin->done = true;
	memory_shop_do(shop, "order", "create_orders", "%s", twin->params);
}

START_TEST(of_two_orders_with_one_id_the_loser_does_not_free_the_cart)
{
	static const char id[] = "00000000-0000-4000-8000-0000000000aa";
	char params[200];
	const char *cart = memory_shop_do(shop, "cart", "create_carts",
	                                  "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}",
	                                  customer(), product());
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"cart_id\":\"%s\"}", id, cart);
	struct twin twin = { cart, params, false };
	memory_shop_meanwhile(shop, place_twin, &twin);
	struct answer answer = memory_shop_run(shop, "order", "create_orders", NULL, params);
	memory_shop_meanwhile(shop, NULL, NULL);
	ck_assert(twin.done);
	ck_assert_int_eq(answer.error.code, ERR_EXISTS);
	memory_shop_settle(shop);
	ck_assert_str_eq(((const Shop__Cart *)memory_shop_state(shop, "cart", cart))->order_id, id);
	ck_assert_uint_eq(memory_shop_count(shop, "CartReleased"), 0);
	ck_assert_uint_eq(memory_shop_count(shop, "OrderPlaced"), 1);
}
END_TEST

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

START_TEST(a_delivery_that_meets_a_cancellation_is_refused)
{
	const char *order = order_in_stock("");
	bill(order);
	memory_shop_settle(shop);
	char shipping[37], params[100];
	uuid_v5(shipping, order, "shipping", NULL);
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"delivered\":9}", shipping);
	struct other other = { "order", "cancel_order", order, false };
	memory_shop_meanwhile(shop, run_other, &other);
	struct answer answer = memory_shop_run(shop, "shipping", "update_shipping", NULL, params);
	memory_shop_meanwhile(shop, NULL, NULL);
	ck_assert_int_eq(answer.error.code, ERR_PRECONDITION);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(order), "CANCELLED");
	ck_assert_str_eq(memory_shop_events(shop, "shipping", shipping), "ShippingCreated");
}
END_TEST

START_TEST(a_delivery_that_died_half_way_is_completed)
{
	const char *order = order_in_stock("");
	bill(order);
	memory_shop_settle(shop);
	char shipping[37], params[100];
	uuid_v5(shipping, order, "shipping", NULL);
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\",\"delivered\":9}", shipping);
	memory_shop_crash_next(shop);
	struct answer answer = memory_shop_run(shop, "shipping", "update_shipping", NULL, params);
	ck_assert_int_eq(answer.error.code, ERR_UNAVAILABLE);
	memory_shop_do(shop, "shipping", "update_shipping", "%s", params);
	memory_shop_settle(shop);
	ck_assert_str_eq(status_of(order), "DELIVERED");
	ck_assert_str_eq(memory_shop_events(shop, "shipping", shipping),
	                 "ShippingCreated ShippingDelivered");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shop");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, of_two_orders_with_one_id_the_loser_does_not_free_the_cart);
	tcase_add_test(all, ten_orders_make_twenty_two_mails);
	tcase_add_test(all, a_restock_serves_who_waits_oldest_first);
	tcase_add_test(all, cancelling_gives_everything_back);
	tcase_add_test(all, the_billing_of_a_cancelled_order_is_refunded);
	tcase_add_test(all, a_billing_that_meets_a_cancelled_order_is_refunded);
	tcase_add_test(all, a_shipping_that_meets_an_uncleared_order_is_recalled);
	tcase_add_test(all, a_delivery_waits_until_the_order_is_shipped);
	tcase_add_test(all, a_delivery_that_meets_a_cancellation_is_refused);
	tcase_add_test(all, a_delivery_that_died_half_way_is_completed);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
