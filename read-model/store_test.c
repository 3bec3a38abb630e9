/* The model in a real Redis. What a run writes must not depend on how the log was cut into runs. */
#include "read-model/store_fixture.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything of a generation, without its number. */
static char *dump(uint64_t generation)
{
	static const char script[] =
	    "local out = {} "
	    "local keys = redis.call('KEYS', ARGV[1] .. '*') table.sort(keys) "
	    "for _, key in ipairs(keys) do "
	    "local name, type = string.sub(key, #ARGV[1] + 1), redis.call('TYPE', key).ok "
	    "local items "
	    "if type == 'hash' then "
	    "  local all = redis.call('HGETALL', key) items = {} "
	    "  for i = 1, #all, 2 do items[#items + 1] = all[i] .. '=' .. all[i + 1] end "
	    "  table.sort(items) "
	    "elseif type == 'zset' then items = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') "
	    "else items = { tostring(redis.call('XLEN', key)) } end "
	    "out[#out + 1] = name .. ': ' .. table.concat(items, ' ') end "
	    "return table.concat(out, '\\n')";
	char prefix[40];
	snprintf(prefix, sizeof(prefix), "{model:%lu}", (unsigned long)generation);
	const char *argv[] = { "EVAL", script, "0", prefix };
	return redis_fixture_command(&server, argv, 4);
}

#define ORDER(id, status)                                                                          \
	"{\"entity_id\":\"" id "\",\"cart_id\":\"c\",\"customer_id\":\"u\",\"status\":\"" status   \
	"\"}"

START_TEST(keys_of_a_shop)
{
	static const struct step steps[] = {
		{ "order", "entity_created", "o1", 1, ORDER("o1", "CREATED") },
		{ "order", "entity_created", "o2", 1, ORDER("o2", "CREATED") },
		{ "order", "entity_updated", "o1", 2, ORDER("o1", "IN_STOCK") },
		{ "billing", "entity_created", "b1", 1,
		  "{\"entity_id\":\"b1\",\"order_id\":\"o1\"}" },
		{ "shipping", "entity_created", "s1", 1,
		  "{\"entity_id\":\"s1\",\"order_id\":\"o1\"}" },
		{ "shipping", "entity_updated", "s1", 2,
		  "{\"entity_id\":\"s1\",\"order_id\":\"o1\",\"delivered\":1600000000}" },
		{ "billing", "entity_deleted", "b1", 2, "{\"entity_id\":\"b1\"}" },
		{ "order", "entity_updated", "o2", 2, ORDER("o2", "CANCELLED") },
		{ "order", "entity_deleted", "o2", 3, "{\"entity_id\":\"o2\"}" },
	};
	struct folder folder = folder_create(1);
	fold(&folder, steps, 0, 3);
	expect_command("ZRANGE {model:1}unbilled_order_ids 0 -1", "o1\no2");
	expect_command("ZRANGE {model:1}order_ids:status:IN_STOCK 0 -1", "o1");
	expect_command("ZRANGE {model:1}order_ids:status:CREATED 0 -1", "o2");
	expect_command("ZRANGE {model:1}customer_orders:u 0 -1", "o1\no2");
	fold(&folder, steps, 3, 4);
	expect_command("ZRANGE {model:1}unbilled_order_ids 0 -1", "o2");
	expect_command("ZRANGE {model:1}unshipped_order_ids 0 -1", "o1\no2");
	fold(&folder, steps, 4, 6);
	expect_command("ZRANGE {model:1}unshipped_order_ids 0 -1", "o2");
	expect_command("ZRANGE {model:1}delivered_shipping_ids 0 -1", "s1");
	fold(&folder, steps, 6, 7);
	expect_command("ZRANGE {model:1}unbilled_order_ids 0 -1", "o1\no2");
	expect_command("EXISTS {model:1}order_billings:o1", "0");
	fold(&folder, steps, 7, 8);
	expect_command("ZRANGE {model:1}unbilled_order_ids 0 -1", "o1");
	fold(&folder, steps, 8, 9);
	expect_command("EXISTS {model:1}order_entity:o2", "0");
	expect_command("ZRANGE {model:1}order_ids 0 -1", "o1");
	expect_command("HGET {model:1}checkpoint events", "9");
	folder_destroy(&folder);
}
END_TEST

START_TEST(an_order_keeps_its_place)
{
	static const struct step steps[] = {
		{ "order", "entity_created", "o1", 1, ORDER("o1", "CREATED") },
		{ "order", "entity_created", "o2", 1, ORDER("o2", "CREATED") },
		{ "billing", "entity_created", "b1", 1,
		  "{\"entity_id\":\"b1\",\"order_id\":\"o1\"}" },
		{ "order", "entity_updated", "o1", 2, ORDER("o1", "CREATED") },
		{ "billing", "entity_deleted", "b1", 2, "{\"entity_id\":\"b1\"}" },
	};
	struct folder folder = folder_create(1);
	fold(&folder, steps, 0, 3);
	expect_command("ZRANGE {model:1}unbilled_order_ids 0 -1", "o2");
	fold(&folder, steps, 3, 5); /* nothing of the order moves, but it is unbilled again */
	expect_command("ZRANGE {model:1}unbilled_order_ids 0 -1", "o1\no2");
	folder_destroy(&folder);
}
END_TEST

START_TEST(a_run_from_another_checkpoint_is_refused)
{
	static const struct step steps[] = {
		{ "product", "entity_created", "p", 1, "{\"entity_id\":\"p\"}" },
		{ "product", "entity_updated", "p", 2, "{\"entity_id\":\"p\",\"name\":\"x\"}" },
	};
	struct folder folder = folder_create(1), other = folder_create(1);
	fold(&folder, steps, 0, 1);
	struct projection_event event = { "product", "5-0", "e", "entity_deleted", "{}", "p", 2 };
	struct model_position to = { "5-0", "product" };
	projection_add(other.run, &event);
	model_store_apply(other.store, &other.at, &to, other.run, applied, &other);
	settle();
	ck_assert_int_eq(other.err.code, ERR_CONFLICT);
	expect_command("HGET {model:1}product_entity:p _version", "1");
	fold(&folder, steps, 1, 2);
	expect_command("HGET {model:1}product_entity:p name", "x");
	folder_destroy(&folder);
	folder_destroy(&other);
}
END_TEST

/* ---- cut anywhere ---- */

enum { ENTITIES = 6, STEPS = 400 };
static const char *const statuses[] = { "CREATED", "IN_STOCK", "CLEARED", "CANCELLED", "SHIPPED" };
static const char *const kinds_used[] = { "order", "billing", "shipping", "parcel", "customer" };

static void describe(struct step *step, unsigned seed)
{
	unsigned other = seed / 7 % ENTITIES;
	if (strcmp(step->topic, "order") == 0)
		snprintf(step->data, sizeof(step->data),
		         "{\"entity_id\":\"%s\",\"status\":\"%s\",\"customer_id\":\"u%u\"%s}",
		         step->id, statuses[seed % ARRAY_LEN(statuses)], other,
		         seed % 3 == 0 ? ",\"extra\":[1]" : "");
	else if (strcmp(step->topic, "parcel") == 0)
		snprintf(step->data, sizeof(step->data), "{\"seed\":%u}", seed);
	else if (strcmp(step->topic, "customer") == 0)
		snprintf(step->data, sizeof(step->data), "{\"email\":\"%u@x\"}", seed % 4);
	else
		snprintf(step->data, sizeof(step->data), "{\"order_id\":\"%u\",\"delivered\":%u}",
		         other, seed % 2);
}

static void invent(struct step *steps)
{
	static const char *const ids[ENTITIES] = { "0", "1", "2", "3", "4", "5" };
	uint64_t versions[ARRAY_LEN(kinds_used)][ENTITIES] = { 0 };
	bool there[ARRAY_LEN(kinds_used)][ENTITIES] = { 0 };
	for (size_t i = 0; i < STEPS; i++) {
		size_t k = (size_t)rand() % ARRAY_LEN(kinds_used), e = (size_t)rand() % ENTITIES;
		struct step *step = &steps[i];
		step->topic = kinds_used[k];
		step->id = ids[e];
		step->version = ++versions[k][e];
		bool end = there[k][e] && rand() % 4 == 0;
		step->action = !there[k][e] ? "entity_created"
		               : end        ? "entity_deleted"
		                            : "entity_updated";
		there[k][e] = !end;
		describe(step, (unsigned)rand() % 10000);
	}
}

/* Shows the first line that differs. */
static void expect_same(const char *a, const char *b)
{
	size_t line = 0, i = 0;
	for (; a[i] != '\0' && a[i] == b[i]; i++)
		line = a[i] == '\n' ? i + 1 : line;
	ck_assert_msg(a[i] == b[i], "\n%.300s\n---\n%.300s", a + line, b + line);
}

/* By windows of up to `most` events. */
static void fill(struct folder *folder, const struct step *steps, size_t most)
{
	for (size_t i = 0, to; i < STEPS; i = to) {
		to = i + 1 + (size_t)rand() % most;
		for (size_t k = i; k < to && k < STEPS; k++)
			add_step(folder->run, &steps[k], k, &folder->at);
		model_store_fill(folder->store, folder->run, applied, folder);
		settle();
		ck_assert_msg(folder->err.code == ERR_NONE, "%s", folder->err.message);
		projection_clear(folder->run);
	}
	model_store_filled(folder->store, &folder->at, STEPS, applied, folder);
	settle();
	model_store_fill(folder->store, folder->run, applied, folder);
	settle();
	ck_assert_int_eq(folder->err.code, ERR_CONFLICT); /* it may have readers now */
}

START_TEST(runs_may_be_cut_anywhere)
{
	struct step *steps = calloc(STEPS, sizeof(*steps));
	srand((unsigned)_i + 1);
	invent(steps);
	struct folder single = folder_create(1), mixed = folder_create(2), whole = folder_create(3);
	struct folder filled = folder_create(4), refilled = folder_create(5);
	for (size_t i = 0; i < STEPS; i++)
		fold(&single, steps, i, i + 1);
	for (size_t i = 0, to; i < STEPS; i = to) {
		to = i + 1 + (size_t)rand() % 40;
		to = to > STEPS ? STEPS : to;
		fold(&mixed, steps, i, to);
	}
	fold(&whole, steps, 0, STEPS);
	fill(&filled, steps, 30);
	fill(&refilled, steps, 1 + STEPS);
	char *dumps[] = { dump(1), dump(2), dump(3), dump(4), dump(5) };
	ck_assert_ptr_nonnull(strstr(dumps[0], "order_ids"));
	for (size_t i = 1; i < ARRAY_LEN(dumps); i++)
		expect_same(dumps[0], dumps[i]);
	for (size_t i = 0; i < ARRAY_LEN(dumps); i++)
		free(dumps[i]);
	folder_destroy(&single);
	folder_destroy(&mixed);
	folder_destroy(&whole);
	folder_destroy(&filled);
	folder_destroy(&refilled);
	free(steps);
}
END_TEST

/* ---- generations ---- */

static void keep_entity_error(void *arg, const struct model_store_entity *entity,
                              const struct error *err)
{
	(void)entity;
	keep_error(arg, err);
}

START_TEST(a_redis_that_is_away_or_full_is_unavailable)
{
	static const struct step step = { "product", "entity_created", "p", 1, "{}" };
	struct error err, lost;
	struct folder one = folder_create(1);
	expect_command("SET {model:1}product_entity:bad x", "OK");
	model_store_get(one.store, "product", "bad", keep_entity_error, &err);
	settle();
	ck_assert_int_eq(err.code, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(err.message, "WRONGTYPE"));
	expect_command("CONFIG SET maxmemory 1", "OK");
	model_generation_go_live(redis, 1, keep_error, &err);
	settle();
	ck_assert_msg(err.code == ERR_UNAVAILABLE, "%s", err.message);
	try_fold(&one, &step, 0, 1);
	ck_assert_msg(one.err.code == ERR_UNAVAILABLE, "%s", one.err.message);
	redis_fixture_kill(&server);
	err = (struct error){ 0 };
	model_store_get(one.store, "product", "p", keep_entity_error, &err);
	struct model_generations generations;
	ck_assert(!model_generations_read(redis, &generations, &lost));
	ck_assert_msg(err.code == ERR_UNAVAILABLE, "%s", err.message);
	ck_assert_msg(lost.code == ERR_UNAVAILABLE, "%s", lost.message);
	folder_destroy(&one);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("read-model store");
	TCase *tcase = tcase_create("redis");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, keys_of_a_shop);
	tcase_add_test(tcase, an_order_keeps_its_place);
	tcase_add_test(tcase, a_run_from_another_checkpoint_is_refused);
	tcase_add_loop_test(tcase, runs_may_be_cut_anywhere, 0, 4);
	tcase_add_test(tcase, a_redis_that_is_away_or_full_is_unavailable);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
