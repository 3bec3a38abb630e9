/* A history that breaks nothing, and for each invariant one that breaks it and nothing else. */
#include "domain/history_fixture.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

enum { EXTRA_MAX = 3 };

/* ---- Cases ------------------------------------------------------------------------------- */

/* So many lines of the history, then these. */
static const struct broken {
	const char *invariant;
	size_t keep;
	bool at_rest; /* with the mails, and checked at the end */
	const char *no_mail_of;
	struct line extra[EXTRA_MAX];
} cases[] = {
	{ "event-ids", ALL,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("5"),
	               .event_id = SPACE },
	             { UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("6"),
	               .event_id = SPACE } } },
	{ "event-ids", NOTHING,
	  .extra = { { .topic = "parcel",
	               .type = "",
	               .action = "sent",
	               .data = "{}",
	               .event_id = "no uuid" },
	             { .topic = "parcel",
	               .type = "",
	               .action = "sent",
	               .data = "{}",
	               .event_id = "no uuid" } } },
	{ "log-order", ALL,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("5"),
	               .entry_id = "1001-0" } } },
	{ "versions", ALL,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("5"),
	               .version = 3 } } },
	{ "versions", NOTHING,
	  .extra = { { CREATED("parcel", ""), .id = "$X", .data = "{}", .version = 2 } } },
	{ "readable", ALL,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P",
	               .data = "{\"price\":\"much\"}" } } },
	{ "readable", ALL,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P", .data = CUSTOMER } } },
	{ "readable", NOTHING,
	  .extra = { { CREATED("product", "ProductCreated"), .data = PRODUCT("5") } } },
	{ "life", ALL,
	  .extra = { { CREATED("product", "ProductCreated"), .id = "$P", .data = PRODUCT("5") } } },
	{ "life", NOTHING,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("5") } } },
	{ "life", NOTHING,
	  .extra = { { CREATED("product", "ProductCreated"), .id = "$P", .data = PRODUCT("5") },
	             { .topic = "product",
	               .type = "ProductDeleted",
	               .action = ENTITY_DELETED,
	               .id = "$P",
	               .data = PRODUCT("5") },
	             { .topic = "product",
	               .type = "ProductDeleted",
	               .action = ENTITY_DELETED,
	               .id = "$P",
	               .data = PRODUCT("5") } } },
	{ "fields", ALL,
	  .extra = { { UPDATED("product", "ProductUpdated"), .id = "$P",
	               .data = PRODUCT("-1") } } },
	{ "fields", HAS_STOCK,
	  .extra = { { UPDATED("inventory", "StockReserved"), .id = "$I", .data = STOCK("-1") } } },
	{ "fixed-fields", BILLED,
	  .extra = { { UPDATED("billing", "BillingUpdated"), .id = "$B",
	               .data = BILLING("\"amount\":1") } } },
	{ "fixed-fields", PLACED,
	  .extra = { { UPDATED("order", "OrderUpdated"), .id = "$O",
	               .data = "{\"entity_id\":\"$O\",\"cart_id\":\"$K\","
	                       "\"customer_id\":\"$C\",\"items\":[{"
	                       "\"product_id\":\"$P\",\"quantity\":2,"
	                       "\"price\":501}],\"shipping_fee\":7,"
	                       "\"total\":1007}" } } },
	{ "references", ALL,
	  .extra = { { CREATED("cart", "CartCreated"), .id = "$L",
	               .data = "{\"entity_id\":\"$L\",\"customer_id\":\"$X\","
	                       "\"product_ids\":[\"$P\"]}" } } },
	{ "references", ALL,
	  .extra = { { UPDATED("cart", "CartUpdated"), .id = "$K",
	               .data = "{\"entity_id\":\"$K\",\"customer_id\":\"$C\","
	                       "\"product_ids\":[\"$P\",\"$X\"]}" } } },
	{ "one-per-owner", IN_STOCK,
	  .extra = { { CREATED("billing", "BillingCreated"), .id = "$X",
	               .data = "{\"entity_id\":\"$X\",\"order_id\":"
	                       "\"$O\",\"amount\":1007}" } } },
	{ "totals", IN_STOCK,
	  .extra = { { CREATED("billing", "BillingCreated"), .id = "$B",
	               .data = BILLING("\"amount\":1") } } },
	{ "totals", CHECKED_OUT,
	  .extra = { { CREATED("order", "OrderPlaced"), .id = "$O",
	               .data = "{\"entity_id\":\"$O\",\"cart_id\":\"$K\","
	                       "\"customer_id\":\"$C\",\"items\":[{"
	                       "\"product_id\":\"$P\",\"quantity\":2,"
	                       "\"price\":500}],\"total\":1001}" } } },
	{ "status-path", IN_STOCK,
	  .extra = { { UPDATED("order", "OrderShipped"), .id = "$O",
	               .data = ORDER("SHIPPED", "true") } } },
	{ "status-path", IN_STOCK,
	  .extra = { { UPDATED("order", "OrderUpdated"), .id = "$O",
	               .data = ORDER("CLEARED", "true") } } },
	{ "status-path", IN_STOCK,
	  .extra = { { UPDATED("order", "OrderInStock"), .id = "$O",
	               .data = ORDER("IN_STOCK", "true") } } },
	{ "status-path", CHECKED_OUT,
	  .extra = { { CREATED("order", "OrderPlaced"), .id = "$O",
	               .data = ORDER("OUT_OF_STOCK", "false") } } },
	{ "stock-mark", RESERVED,
	  .extra = { { UPDATED("order", "OrderInStock"), .id = "$O",
	               .data = ORDER("IN_STOCK", "false") } } },
	{ "stock-mark", RESERVED,
	  .extra = { { UPDATED("order", "OrderUpdated"), .id = "$O",
	               .data = ORDER("CREATED", "true") } } },
	{ "stock-mark", IN_STOCK,
	  .extra = { { UPDATED("order", "OrderUpdated"), .id = "$O",
	               .data = ORDER("IN_STOCK", "false") } } },
	{ "order-of-cart", CHECKED_OUT,
	  .extra = { { CREATED("order", "OrderPlaced"), .id = "$O",
	               .data = "{\"entity_id\":\"$O\",\"cart_id\":"
	                       "\"$K\",\"customer_id\":\"$C\","
	                       "\"items\":[{\"product_id\":\"$P\","
	                       "\"quantity\":1,\"price\":500}],"
	                       "\"total\":500}" } } },
	{ "order-of-cart", CHECKED_OUT - 1,
	  .extra = { { CREATED("order", "OrderPlaced"), .id = "$O",
	               .data = ORDER("CREATED", "false") } } },
	{ "held-cart", IN_STOCK,
	  .extra = { { UPDATED("cart", "CartUpdated"), .id = "$K",
	               .data = "{\"entity_id\":\"$K\",\"customer_id\":\"$C\","
	                       "\"product_ids\":[\"$P\"],\"order_id\":"
	                       "\"$O\"}" } } },
	{ "held-cart", IN_STOCK,
	  .extra = { { UPDATED("cart", "CartReleased"), .id = "$K", .data = CART("") } } },
	{ "stock-moves", HAS_STOCK,
	  .extra = { { UPDATED("inventory", "StockAdded"), .id = "$I", .data = STOCK("9") } } },
	{ "stock-moves", HAS_STOCK,
	  .extra = { { UPDATED("inventory", "StockReserved"), .id = "$I", .data = STOCK("10") } } },
	{ "no-oversell", PLACED,
	  .extra = { { UPDATED("order", "OrderInStock"), .id = "$O",
	               .data = ORDER("IN_STOCK", "true") } } },
	{ "no-oversell", IN_STOCK,
	  .extra = { { UPDATED("inventory", "StockReleased"), .id = "$I", .data = STOCK("9") } } },
	{ "refund-once", BILLED,
	  .extra = { { UPDATED("billing", "BillingUpdated"), .id = "$B",
	               .data = BILLING("\"amount\":1007,\"refunded\":"
	                               "true") } } },
	{ "refund-once", BILLED,
	  .extra = { { UPDATED("billing", "BillingRefunded"), .id = "$B",
	               .data = BILLING("\"amount\":1007,\"refunded\":"
	                               "true") },
	             { UPDATED("billing", "BillingRefunded"), .id = "$B",
	               .data = BILLING("\"amount\":1007,\"refunded\":"
	                               "true") } } },
	{ "delivery", SHIPPED,
	  .extra = { { UPDATED("shipping", "ShippingDelivered"), .id = "$S",
	               .data = SHIPPING("\"delivered\":5") } } },
	{ "delivery", ALL,
	  .extra = { { UPDATED("shipping", "ShippingUpdated"), .id = "$S",
	               .data = SHIPPING("\"delivered\":0") } } },
	{ "mails-once", ALL,
	  .extra = { { .topic = "mail",
	               .type = "MailSent",
	               .action = "mail_sent",
	               .data = "{\"recipient\":\"a@b\",\"message\":"
	                       "\"OrderInStock\"}" } } },
	{ "orders-at-rest", PLACED, .at_rest = true },
	{ "orders-at-rest", BILLED, .at_rest = true },
	{ "orders-at-rest", SHIPPED - 1, .at_rest = true },
	{ "orders-at-rest", DELIVERED - 1, .at_rest = true,
	  .extra = { { UPDATED("cart", "CartReleased"), .id = "$K", .data = CART("") } } },
	{ "refunds-at-rest", ALL, .at_rest = true,
	  .extra = { { UPDATED("billing", "BillingRefunded"), .id = "$B",
	               .data = BILLING("\"amount\":1007,\"refunded\":true") } } },
	{ "deliveries-done", DELIVERED - 1, .at_rest = true,
	  .extra = { { UPDATED("cart", "CartReleased"), .id = "$K", .data = CART("") },
	             { .topic = "order",
	               .type = "OrderDeleted",
	               .action = ENTITY_DELETED,
	               .id = "$O",
	               .data = ORDER("DELIVERED", "true") } } },
	{ "stock-at-rest", ALL, .at_rest = true,
	  .extra = { { UPDATED("inventory", "StockReserved"), .id = "$I", .data = STOCK("7") } } },
	{ "carts-free", DELIVERED, .at_rest = true },
	{ "mails-sent", ALL, .at_rest = true, .no_mail_of = "BillingCreated" },
};

START_TEST(an_invariant_is_broken_alone)
{
	const struct broken *broken = &cases[_i];
	struct log log;
	log_open(&log, NULL);
	log_add_history(&log, broken->keep);
	log_add_mails(&log, broken->keep, broken->no_mail_of);
	if (!broken->at_rest)
		log.expected = broken->invariant;
	for (size_t i = 0; i < EXTRA_MAX && broken->extra[i].topic != NULL; i++)
		log_add(&log, &broken->extra[i]);
	log.expected = broken->invariant;
	if (broken->at_rest)
		invariants_rest(log.all);
	ck_assert_msg(log.violations == 1, "%s: %zu violations", broken->invariant, log.violations);
	const struct invariant *row = invariant_find(broken->invariant);
	ck_assert_uint_eq(invariants_violations(log.all, row), 1);
	ck_assert_uint_gt(invariants_checked(log.all, row), 0);
	ck_assert_uint_eq(invariants_broken_total(log.all), 1);
	log_close(&log);
}
END_TEST

START_TEST(a_good_history_breaks_none)
{
	struct log log;
	log_open(&log, NULL);
	log_add_history(&log, ALL);
	log_add_mails(&log, ALL, NULL);
	invariants_rest(log.all);
	for (size_t i = 0; i < invariant_count; i++)
		ck_assert_msg(invariants_checked(log.all, &invariant_table[i]) > 0, "%s",
		              invariant_table[i].name);
	log_close(&log);
}
END_TEST

START_TEST(every_invariant_has_a_case)
{
	for (size_t i = 0; i < invariant_count; i++) {
		bool found = false;
		for (size_t j = 0; j < ARRAY_LEN(cases); j++)
			found = found || strcmp(cases[j].invariant, invariant_table[i].name) == 0;
		ck_assert_msg(found, "%s", invariant_table[i].name);
	}
}
END_TEST

/* What a rule at rest says of one entity, after each event: bisect needs it. */
START_TEST(one_entity_can_be_asked)
{
	struct log log;
	log_open(&log, NULL);
	const struct invariant *row = invariant_find("orders-at-rest");
	char id[UUID_SIZE];
	history_id('O', id);
	for (size_t i = 0; i < ALL; i++) {
		log_add(&log, &history[i]);
		const struct fold_entity *order = fold_find(invariants_fold(log.all), "order", id);
		bool rests = i + 1 == IN_STOCK || i + 1 == SHIPPED || i + 1 >= DELIVERED;
		if (order != NULL)
			ck_assert_msg(invariants_rest_holds(log.all, row, order) == rests,
			              "after line %zu", i);
	}
	ck_assert_uint_eq(invariants_broken_total(log.all), 0);
	log_close(&log);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("invariants");
	TCase *all = tcase_create("all");
	tcase_add_loop_test(all, an_invariant_is_broken_alone, 0, (int)ARRAY_LEN(cases));
	tcase_add_test(all, a_good_history_breaks_none);
	tcase_add_test(all, every_invariant_has_a_case);
	tcase_add_test(all, one_entity_can_be_asked);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
