#include "read-model/projection.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct projection *run;
static unsigned entry;

static void setup(void)
{
	run = projection_create();
	entry = 0;
}

static void teardown(void)
{
	projection_destroy(run);
}

static void add(const char *topic, const char *action, const char *id, uint64_t version,
                const char *data)
{
	char entry_id[32];
	snprintf(entry_id, sizeof(entry_id), "1600000000000-%u", entry++);
	struct projection_event event = { topic, entry_id, "event", action, data, id, version };
	projection_add(run, &event);
}

static struct projection_write at(size_t index)
{
	struct projection_write write;
	ck_assert(projection_at(run, index, &write));
	return write;
}

static const char *value(const struct projection_write *write, const char *field)
{
	int position = kind_field_position(write->kind, field);
	ck_assert_int_ge(position, 0);
	return write->values[position].bytes;
}

/* Spaces in a text make another way of reading it. */
START_TEST(a_text_with_spaces_is_the_same_entity)
{
	static const char *const pairs[][2] = {
		{ "{\"entity_id\":\"o\",\"cart_id\":\"c\",\"status\":\"CREATED\",\"total\":7,"
		  "\"items\":[{\"product_id\":\"p\",\"quantity\":2}],\"stock_held\":true}",
		  " {\"entity_id\":\"o\",\"cart_id\":\"c\",\"status\":\"CREATED\",\"total\":7,"
		  "\"items\":[{\"product_id\":\"p\",\"quantity\":2}],\"stock_held\":true}" },
		{ "{\"total\":\"7\",\"status\":null,\"items\":\"x\",\"cart_id\":[1]}",
		  "{\"total\":\"7\", \"status\":null,\"items\":\"x\",\"cart_id\":[1]}" },
		{ "{\"stat\":1,\"statusx\":2}", "{ \"stat\":1,\"statusx\":2}" },
		{ "{}", "{ }" },
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		projection_clear(run);
		add("order", "entity_created", "a", 1, pairs[i][0]);
		add("order", "entity_created", "b", 1, pairs[i][1]);
		struct projection_write a = at(0), b = at(1);
		ck_assert_uint_eq(a.value_count, b.value_count);
		for (size_t k = 0; k < a.value_count; k++)
			ck_assert_str_eq(a.values[k].bytes, b.values[k].bytes);
		ck_assert_uint_eq(a.more.len, b.more.len);
		ck_assert_mem_eq(a.more.bytes, b.more.bytes, a.more.len);
	}
}
END_TEST

START_TEST(fields_follow_the_declaration)
{
	add("order", "entity_created", "o1", 1,
	    "{\"entity_id\":\"o1\",\"cart_id\":\"c1\",\"status\":\"IN_STOCK\",\"total\":\"700\","
	    "\"items\":[{\"product_id\":\"p1\",\"quantity\":2,\"price\":350}],\"note\":"
	    "\"x\\\"y\"}");
	struct projection_write write = at(0);
	ck_assert_int_eq(write.action, PROJECTION_PUT);
	ck_assert_int_eq(write.before, PROJECTION_NEW);
	ck_assert_uint_eq(write.created_us, 1600000000000000);
	ck_assert_str_eq(value(&write, "status"), "IN_STOCK");
	ck_assert_str_eq(value(&write, "total"), "700");
	ck_assert_str_eq(value(&write, "items"),
	                 "[{\"product_id\":\"p1\",\"quantity\":2,\"price\":350}]");
	ck_assert_str_eq(value(&write, "shipping_fee"), "0");
	ck_assert_str_eq(value(&write, "stock_held"), "false");
	ck_assert_str_eq(value(&write, "fulfilment"), "auto");
	ck_assert_str_eq(write.more.bytes, "\"note\":\"x\\\"y\"");
}
END_TEST

START_TEST(last_state_wins)
{
	add("customer", "entity_created", "a", 1, "{\"entity_id\":\"a\",\"name\":\"one\"}");
	add("customer", "entity_created", "b", 1, "{\"entity_id\":\"b\"}");
	add("customer", "entity_updated", "a", 2, "{\"entity_id\":\"a\",\"name\":\"two\"}");
	ck_assert_uint_eq(projection_events(run), 3);
	ck_assert_uint_eq(projection_writes(run), 2);
	struct projection_write write = at(0);
	ck_assert_str_eq(value(&write, "name"), "two");
	ck_assert_uint_eq(write.version, 2);
	ck_assert_int_eq(write.before, PROJECTION_NEW);
	ck_assert_uint_eq(write.created_us, 1600000000000000);
}
END_TEST

/* What the store must know of the states in between: every order of up to three events. */
START_TEST(creations_and_deletions)
{
	static const struct {
		const char
		    *events; /* c created (version 1), u updated, d deleted, r created again */
		bool written;
		enum projection_action action;
		enum projection_before before;
	} rows[] = {
		{ "c", true, PROJECTION_PUT, PROJECTION_NEW },
		{ "u", true, PROJECTION_PUT, PROJECTION_KEEP },
		{ "r", true, PROJECTION_PUT, PROJECTION_KEEP },
		{ "d", true, PROJECTION_REMOVE, PROJECTION_KEEP },
		{ "cd", false, PROJECTION_REMOVE, PROJECTION_NEW },
		{ "cdr", true, PROJECTION_PUT, PROJECTION_NEW },
		{ "ud", true, PROJECTION_REMOVE, PROJECTION_KEEP },
		{ "dr", true, PROJECTION_PUT, PROJECTION_DROP },
		{ "dru", true, PROJECTION_PUT, PROJECTION_DROP },
		{ "drd", true, PROJECTION_REMOVE, PROJECTION_KEEP },
		{ "udr", true, PROJECTION_PUT, PROJECTION_DROP },
		{ "drdr", true, PROJECTION_PUT, PROJECTION_DROP },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		projection_clear(run);
		uint64_t version = rows[i].events[0] == 'c' ? 0 : 5;
		for (const char *e = rows[i].events; *e != '\0'; e++)
			add("product",
			    *e == 'u'   ? "entity_updated"
			    : *e == 'd' ? "entity_deleted"
			                : "entity_created",
			    "p", ++version, "{\"entity_id\":\"p\"}");
		struct projection_write write;
		ck_assert_msg(projection_at(run, 0, &write) == rows[i].written, "%s",
		              rows[i].events);
		ck_assert_msg(write.action == rows[i].action, "%s", rows[i].events);
		ck_assert_msg(write.before == rows[i].before, "%s", rows[i].events);
	}
}
END_TEST

START_TEST(other_topics_and_actions)
{
	add("parcel", "entity_created", "x", 1, "{\"weight\": 3.5}");
	add("parcel", "parcel_weighed", "x", 2, "{\"weight\": 4}");
	add("mail", "mail_sent", "", 0, "{\"recipient\":\"a@b\",\"message\":\"hi\"}");
	add("parcel", "entity_created", "", 0, "{}");
	ck_assert_uint_eq(projection_events(run), 4);
	ck_assert_uint_eq(projection_writes(run), 2);
	struct projection_write write = at(0);
	ck_assert_ptr_null(write.kind->type);
	ck_assert_uint_eq(write.version, 1);
	ck_assert_str_eq(write.values[0].bytes, "{\"weight\": 3.5}");
	write = at(1);
	ck_assert_int_eq(write.action, PROJECTION_MAIL);
	ck_assert_str_eq(write.id, "1600000000000-2");
}
END_TEST

START_TEST(what_cannot_be_read_is_passed_over)
{
	static const char *const bad[] = { "", "[1]", "{\"a\":", "7", "{\"a\":\"\\u0000\"}" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct projection_write write;
		projection_clear(run);
		add("cart", "entity_created", "c", 1, bad[i]);
		ck_assert_msg(!projection_at(run, 0, &write), "%s", bad[i]);
		ck_assert_uint_eq(projection_unreadable(run), 1);
	}
	projection_clear(run);
	add("cart", "entity_created", "c", 1,
	    "{\"entity_id\":5,\"product_ids\":\"p\",\"customer_id\":null,\"order_id\":{}}");
	struct projection_write write = at(0); /* odd types stay readable */
	ck_assert_str_eq(value(&write, "product_ids"), "\"p\"");
	ck_assert_str_eq(value(&write, "customer_id"), "");
	ck_assert_str_eq(value(&write, "order_id"), "{}");
}
END_TEST

START_TEST(place_in_lists)
{
	ck_assert_uint_eq(projection_created_us("1600000000123-456"), 1600000000123456);
	ck_assert_uint_eq(projection_created_us("1600000000123-5000"), 1600000000123999);
	ck_assert_uint_eq(projection_created_us("nonsense"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("projection");
	TCase *tcase = tcase_create("pure");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_text_with_spaces_is_the_same_entity);
	tcase_add_test(tcase, fields_follow_the_declaration);
	tcase_add_test(tcase, last_state_wins);
	tcase_add_test(tcase, creations_and_deletions);
	tcase_add_test(tcase, other_topics_and_actions);
	tcase_add_test(tcase, what_cannot_be_read_is_passed_over);
	tcase_add_test(tcase, place_in_lists);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
