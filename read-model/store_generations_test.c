/* How generations follow each other in a real Redis. */
#include "read-model/store_fixture.h"
#include "tests/support/suite.h"

#include <check.h>

static void keep_number(void *arg, uint64_t generation, bool mine, const struct error *err)
{
	ck_assert_ptr_null(err);
	*(int64_t *)arg = mine ? (int64_t)generation : -(int64_t)generation;
}

/* Negative: another process builds it. */
static int64_t begin_as(const char *process, uint64_t floor)
{
	int64_t number = 0;
	model_generation_begin(redis, floor, process, keep_number, &number);
	settle();
	return number;
}

static int64_t begin(uint64_t floor)
{
	return begin_as("a#1", floor);
}

static struct model_generations look(void)
{
	struct error err;
	struct model_generations generations;
	ck_assert(model_generations_read(redis, &generations, &err));
	return generations;
}

START_TEST(generations_change_over)
{
	static const struct step step = { "product", "entity_created", "p", 1, "{}" };
	struct folder one = folder_create(1), two = folder_create(2);
	struct error err;
	int count = 0;
	ck_assert(look().none);
	ck_assert_int_eq(begin(0), 1);
	ck_assert_uint_eq(look().live, 0);
	ck_assert_uint_eq(look().building, 1);
	model_generation_go_live(redis, 1, done, &count);
	fold(&one, &step, 0, 1);
	ck_assert_int_eq(begin(0), 2);
	ck_assert_uint_eq(look().live, 1);
	fold(&two, &step, 0, 1);
	model_generation_go_live(redis, 3, keep_error, &err);
	settle();
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	ck_assert_uint_eq(look().live, 1);
	model_generation_go_live(redis, 2, done, &count);
	model_generation_go_live(redis, 2, done, &count); /* an answer was lost */
	settle();
	ck_assert_int_eq(count, 3);
	struct model_generations generations = look();
	ck_assert_uint_eq(generations.live, 2);
	ck_assert_uint_eq(generations.building, 0);
	ck_assert_uint_eq(generations.highest, 2);
	ck_assert_uint_eq(generations.dropped_count, 1);
	ck_assert_uint_eq(generations.dropped[0], 1);
	folder_destroy(&one);
	folder_destroy(&two);
}
END_TEST

START_TEST(a_process_of_a_former_version_may_begin)
{
	ck_assert_int_eq(begin(0), 1);
	expect_command("HSET model:live builder_seen 1", "0");
	expect_command("FCALL readmodel_begin 1 model:live 2 0", "2");
	ck_assert_int_eq(begin_as("b#1", 0), -2);
}
END_TEST

START_TEST(one_process_builds_a_generation)
{
	struct error err;
	ck_assert_int_eq(begin_as("a#1", 0), 1);
	ck_assert_int_eq(begin_as("b#1", 0), -1);
	model_generation_seen(redis, 1, "a#1", keep_error, &err);
	settle();
	ck_assert_int_eq(err.code, ERR_NONE);
	/* what was written by a former life, or before a failure, is of no use */
	ck_assert_int_eq(begin_as("a#1", 0), 2);
	ck_assert_int_eq(begin_as("a#2", 0), 3);
	ck_assert_uint_eq(look().dropped_count, 2);
	/* one that is silent for long has lost it, and what it wrote since goes too */
	expect_command("HSET model:live builder_seen 1", "0");
	ck_assert_int_eq(begin_as("b#1", 0), 4);
	expect_command("HDEL model:live drop:3", "1");
	model_generation_seen(redis, 3, "a#2", keep_error, &err);
	settle();
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	ck_assert_uint_eq(look().dropped_count, 3);
	ck_assert_uint_eq(look().building, 4);
	model_generation_go_live(redis, 4, keep_error, &err);
	model_generation_seen(redis, 4, "b#1", keep_error, &err);
	settle();
	ck_assert_int_eq(err.code, ERR_NONE);
	expect_command("HEXISTS model:live builder", "0");
}
END_TEST

START_TEST(a_dropped_generation_leaves_nothing)
{
	static const struct step step = { "product", "entity_created", "p", 1, "{}" };
	struct folder one = folder_create(1), two = folder_create(2);
	int count = 0;
	fold(&one, &step, 0, 1);
	fold(&two, &step, 0, 1);
	expect_command("HSET model:live generation 2 version 1 highest 2 drop:1 1", "4");
	model_generation_drop(redis, 1, done, &count);
	settle();
	ck_assert_int_eq(count, 1);
	ck_assert_uint_eq(look().dropped_count, 0);
	expect_command("KEYS {model:1}*", "");
	expect_command("EXISTS {model:2}product_entity:p", "1");
	folder_destroy(&one);
	folder_destroy(&two);
}
END_TEST

START_TEST(another_version_of_code_builds_its_own)
{
	expect_command("HSET model:live generation 3 version 0 highest 4 building 4 "
	               "building_version 0",
	               "5");
	ck_assert_uint_eq(look().live, 0);
	ck_assert_uint_eq(look().building, 0);
	ck_assert_int_eq(begin(0), 5);
	ck_assert_uint_eq(look().dropped[0], 4);
	ck_assert_uint_eq(look().building, 5);
	expect_command("DEL model:live", "1");
	ck_assert_int_eq(begin(7), 8); /* a number is never used twice */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("read-model generations");
	TCase *tcase = tcase_create("redis");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, generations_change_over);
	tcase_add_test(tcase, one_process_builds_a_generation);
	tcase_add_test(tcase, a_process_of_a_former_version_may_begin);
	tcase_add_test(tcase, a_dropped_generation_leaves_nothing);
	tcase_add_test(tcase, another_version_of_code_builds_its_own);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
