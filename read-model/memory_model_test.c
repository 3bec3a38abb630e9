#include "read-model/memory_model.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct memory_model *model;
static unsigned entry;
static struct buffer seen; /* "id id" */

static void setup(void)
{
	model = memory_model_create();
	entry = 0;
	buffer_init(&seen, 4096);
}

static void teardown(void)
{
	memory_model_destroy(model);
	buffer_free(&seen);
}

static void add(const char *topic, const char *action, const char *id, uint64_t version,
                const char *data)
{
	char entry_id[32];
	snprintf(entry_id, sizeof(entry_id), "1600000000000-%u", entry++);
	struct projection_event event = { topic, entry_id, "event", action, data, id, version };
	memory_model_apply(model, &event, 1);
}

static void see(void *arg, const char *id, const char *json)
{
	(void)arg;
	ck_assert_ptr_nonnull(json);
	buffer_printf(&seen, "%s%s", seen.len > 0 ? " " : "", id);
}

static const char *taken(void)
{
	static char text[4096];
	snprintf(text, sizeof(text), "%s", seen.len > 0 ? seen.bytes : "");
	buffer_clear(&seen);
	return text;
}

static const char *listed(const char *name, const char *field, const char *value)
{
	struct memory_filter filter = { field, value };
	struct error err;
	ck_assert(memory_model_list(model, name, &filter, field == NULL ? 0 : 1, see, NULL, &err));
	return taken();
}

static const char *open_orders(void (*ask)(const struct memory_model *, memory_model_each *,
                                           void *))
{
	ask(model, see, NULL);
	return taken();
}

START_TEST(an_entity_is_its_last_state)
{
	struct buffer json;
	buffer_init(&json, 1024);
	add("product", "entity_created", "p1", 1, "{\"entity_id\":\"p1\",\"name\":\"Tea\"}");
	add("product", "entity_updated", "p1", 2,
	    "{\"entity_id\":\"p1\",\"name\":\"Green \\\"tea\\\"\",\"price\":7,\"note\":[1]}");
	ck_assert(memory_model_get(model, "product", "p1", &json));
	ck_assert_str_eq(json.bytes, "{\"entity_id\":\"p1\",\"name\":\"Green \\\"tea\\\"\","
	                             "\"price\":7,\"note\":[1]}");
	add("product", "entity_deleted", "p1", 3, "{}");
	ck_assert(!memory_model_get(model, "product", "p1", &json));
	ck_assert_uint_eq(memory_model_count(model, "product"), 0);
	buffer_free(&json);
}
END_TEST

START_TEST(lists_are_in_the_order_of_creation)
{
	add("cart", "entity_created", "b", 1, "{\"product_ids\":[\"p1\",\"p2\"]}");
	add("cart", "entity_created", "a", 1, "{\"product_ids\":[\"p2\"]}");
	add("cart", "entity_updated", "b", 2, "{\"product_ids\":[\"p1\"],\"customer_id\":\"c\"}");
	ck_assert_str_eq(listed("cart", NULL, NULL), "b a");
	ck_assert_str_eq(listed("cart", "product_ids", "p2"), "a");
	ck_assert_str_eq(listed("cart", "customer_id", "c"), "b");
	ck_assert_str_eq(listed("cart", "entity_id", "a"), "a");
	/* One that was deleted and created again is a new one. */
	add("cart", "entity_deleted", "b", 3, "{}");
	add("cart", "entity_created", "b", 4, "{}");
	ck_assert_str_eq(listed("cart", NULL, NULL), "a b");
	struct memory_filter filter = { "colour", "red" };
	struct error err;
	ck_assert(!memory_model_list(model, "cart", &filter, 1, see, NULL, &err));
	ck_assert_str_eq(err.message, "a cart has no field 'colour'");
}
END_TEST

START_TEST(orders_are_open_until_billed_shipped_or_cancelled)
{
	add("order", "entity_created", "o1", 1, "{\"status\":\"CREATED\"}");
	add("order", "entity_created", "o2", 1, "{\"status\":\"IN_STOCK\"}");
	add("order", "entity_created", "o3", 1, "{\"status\":\"CANCELLED\"}");
	add("billing", "entity_created", "b1", 1, "{\"order_id\":\"o1\"}");
	add("shipping", "entity_created", "s2", 1, "{\"order_id\":\"o2\"}");
	ck_assert_str_eq(open_orders(memory_model_unbilled), "o2");
	ck_assert_str_eq(open_orders(memory_model_unshipped), "o1");
	ck_assert_str_eq(open_orders(memory_model_delivered), "");
	add("shipping", "entity_updated", "s2", 2, "{\"order_id\":\"o2\",\"delivered\":9}");
	ck_assert_str_eq(open_orders(memory_model_delivered), "s2");
	add("billing", "entity_deleted", "b1", 2, "{}");
	ck_assert_str_eq(open_orders(memory_model_unbilled), "o1 o2");
	add("mail", "mail_sent", "", 0, "{\"recipient\":\"a\"}");
	ck_assert_str_eq(open_orders(memory_model_mails), "1600000000000-7");
}
END_TEST

/* However a log is cut into runs, the model is the same. */
START_TEST(runs_of_any_length_give_the_same)
{
	enum { EVENTS = 200 };
	char ids[EVENTS][8], entries[EVENTS][32], data[EVENTS][64];
	struct projection_event events[EVENTS];
	struct memory_model *whole = memory_model_create();
	unsigned versions[8] = { 0 }, seed = 7;
	bool there[8] = { false };
	for (size_t i = 0; i < EVENTS; i++) {
		size_t which = (seed = seed * 1103515245 + 12345) >> 16 & 7;
		bool drop = there[which] && (seed >> 20 & 3) == 0;
		snprintf(ids[i], sizeof(ids[i]), "p%zu", which);
		snprintf(entries[i], sizeof(entries[i]), "1600000000000-%zu", i);
		snprintf(data[i], sizeof(data[i]), "{\"entity_id\":\"p%zu\",\"price\":%zu}", which,
		         i);
		events[i] = (struct projection_event){
			"product",
			entries[i],
			"e",
			drop           ? "entity_deleted"
			: there[which] ? "entity_updated"
			               : "entity_created",
			data[i],
			ids[i],
			++versions[which],
		};
		there[which] = !drop;
		memory_model_apply(model, &events[i], 1);
	}
	memory_model_apply(whole, events, EVENTS);
	char single[4096];
	snprintf(single, sizeof(single), "%s", listed("product", NULL, NULL));
	struct memory_model *other = model;
	model = whole;
	ck_assert_str_eq(listed("product", NULL, NULL), single);
	model = other;
	memory_model_destroy(whole);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory_model");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, an_entity_is_its_last_state);
	tcase_add_test(all, lists_are_in_the_order_of_creation);
	tcase_add_test(all, orders_are_open_until_billed_shipped_or_cancelled);
	tcase_add_test(all, runs_of_any_length_give_the_same);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
