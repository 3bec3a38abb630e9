#include "domain/runtime_fixture.h"

#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(commands_of_one_entity_are_pipelined)
{
	stock(1000);
	for (int i = 0; i < 1000; i++)
		begin(&take_function, NULL, NULL);
	loop_run(loop);
	uint64_t version;
	ck_assert_uint_eq(ok_count, 1000);
	ck_assert_int_eq(stock_left(&version), 0);
	ck_assert_uint_eq(version, 1001);
	ck_assert_uint_eq(fake_store_conflicts(fake), 0);
	ck_assert_str_eq(run_one(&take_function, NULL, NULL)->error.message, "only 0 are left");
}
END_TEST

/* Somebody else writes every now and then; nothing is lost, nothing is sold twice. */
static void write_between(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	uint64_t version;
	if (strcmp(topic, "inventory") == 0 && append % 50 == 7 && stock_left(&version) > 0)
		stock((int)stock_left(&version) - 1);
}

START_TEST(a_conflict_is_loaded_and_decided_again)
{
	stock(500);
	fake_store_before_append(fake, write_between, NULL);
	size_t commands = 0;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 40; i++, commands++)
			begin(&take_function, NULL, NULL);
		loop_run(loop);
	}
	uint64_t version;
	ck_assert_uint_eq(done_count, commands);
	int64_t left = stock_left(&version);
	/* Each version but the first took one, be it ours or the other's. */
	ck_assert_int_eq(left, 500 - (int64_t)(version - 1));
	ck_assert_int_ge(left, 0);
	ck_assert_uint_gt(fake_store_conflicts(fake), 0);
}
END_TEST

START_TEST(a_refusal_does_not_rest_on_the_cache)
{
	stock(1);
	ck_assert_ptr_nonnull(run_one(&take_function, NULL, NULL)->result);
	ck_assert_int_eq(run_one(&take_function, NULL, NULL)->error.code, ERR_PRECONDITION);
	stock(1); /* by another instance: the cache does not know */
	ck_assert_ptr_nonnull(run_one(&take_function, NULL, NULL)->result);
}
END_TEST

static void sell_out(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	(void)append;
	if (strcmp(topic, "inventory") == 0)
		stock(0);
}

START_TEST(an_earlier_batch_is_undone_when_a_later_one_fails)
{
	uint64_t version;
	stock(1);
	mark_cart("");
	const char *cart = arena_strdup(arena, fake_store_data(fake, "cart", cart_id, &version));
	fake_store_before_append(fake, sell_out, NULL);
	const struct outcome *outcome = run_one(&mark_function, NULL, NULL);
	ck_assert_int_eq(outcome->error.code, ERR_PRECONDITION);
	ck_assert_str_eq(fake_store_data(fake, "cart", cart_id, &version), cart);
	ck_assert_uint_eq(version, 3);

	fake_store_before_append(fake, NULL, NULL);
	stock(1);
	outcome = run_one(&mark_function, NULL, NULL);
	ck_assert_str_eq(outcome->result, "true");
	ck_assert_uint_eq(outcome->token_count, 2);
	fake_store_data(fake, "cart", cart_id, &version);
	ck_assert_uint_eq(version, 4);
}
END_TEST

/* Somebody is always faster. */
static void change_stock(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	(void)append;
	if (strcmp(topic, "inventory") == 0)
		stock(1);
}

START_TEST(after_a_conflict_nothing_is_undone_if_the_message_comes_again)
{
	uint64_t version;
	for (int again = 0; again < 2; again++) {
		stock(1);
		mark_cart("");
		const char *cart =
		    arena_strdup(arena, fake_store_data(fake, "cart", cart_id, &version));
		fake_store_before_append(fake, change_stock, NULL);
		comes_again = again == 1;
		ck_assert_int_eq(run_one(&mark_function, NULL, NULL)->error.code, ERR_CONFLICT);
		bool marked = strcmp(fake_store_data(fake, "cart", cart_id, &version), cart) != 0;
		ck_assert_int_eq(marked, comes_again);
		fake_store_before_append(fake, NULL, NULL);
	}
}
END_TEST

START_TEST(what_should_be_new_is_not_loaded_unless_it_is_not)
{
	char params[256];
	uint64_t version;
	ck_assert_ptr_nonnull(run_one(&make_function, NULL, "{\"amount\":3}")->result);
	ck_assert_uint_eq(fake_store_loads(fake), 0);
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\"}", stock_id);
	stock(7);
	ck_assert_int_eq(run_one(&make_function, NULL, params)->error.code, ERR_EXISTS);
	fake_store_write(fake, "inventory", stock_id, ENTITY_DELETED, "{}");
	ck_assert_ptr_nonnull(run_one(&make_function, NULL, params)->result);
	ck_assert_int_eq(stock_left(&version), 0);
	ck_assert_uint_eq(version, 3);
}
END_TEST

START_TEST(what_is_refused_for_now_is_decided_again_for_a_while)
{
	impatience = 4;
	ck_assert_ptr_nonnull(run_one(&wait_function, NULL, NULL)->result);
	impatience = 1000;
	ck_assert_int_eq(run_one(&wait_function, NULL, NULL)->error.code, ERR_PRECONDITION);
	ck_assert_int_gt(impatience, 900);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runtime");
	TCase *tests = tcase_create("runtime");
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, runtime_setup, runtime_teardown);
	tcase_add_test(tests, commands_of_one_entity_are_pipelined);
	tcase_add_test(tests, a_conflict_is_loaded_and_decided_again);
	tcase_add_test(tests, a_refusal_does_not_rest_on_the_cache);
	tcase_add_test(tests, an_earlier_batch_is_undone_when_a_later_one_fails);
	tcase_add_test(tests, after_a_conflict_nothing_is_undone_if_the_message_comes_again);
	tcase_add_test(tests, what_should_be_new_is_not_loaded_unless_it_is_not);
	tcase_add_test(tests, what_is_refused_for_now_is_decided_again_for_a_while);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
