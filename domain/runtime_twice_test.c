/* What is delivered twice, to one instance after the other or to two at once. */
#include "domain/runtime_fixture.h"

#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_message_that_comes_again_is_applied_once)
{
	const char *message_id = "00000000-0000-4000-8000-00000000000a";
	uint64_t version;
	stock(1);
	const struct outcome *first = run_one(&take_function, message_id, NULL);
	ck_assert_str_eq(first->result, "true");
	/* Now nothing is left, and still the answer is that of the first time. */
	const struct outcome *second = run_one(&take_function, message_id, NULL);
	ck_assert_str_eq(second->result, "true");
	ck_assert_uint_eq(second->token_count, 1);
	ck_assert_str_eq(first->tokens[0].entry_id, second->tokens[0].entry_id);
	ck_assert_int_eq(stock_left(&version), 0);
	stock(5);
	ck_assert_str_eq(run_one(&take_function, message_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 5);
	/* What was predicted for the repeated event is forgotten. */
	ck_assert_str_eq(run_one(&take_function, NULL, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 4);
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

static const char shared_id[] = "00000000-0000-4000-8000-00000000000b";

/* And then the cart went away. */
static void let_another_instance_apply(void *arg, const char *topic, uint64_t append)
{
	char event_id[UUID_SIZE];
	(void)arg;
	(void)topic;
	if (append > 1)
		return;
	fake_store_write(fake, "cart", cart_id, ENTITY_DELETED, "{}");
	applied_event_id(shared_id, "inventory", event_id);
	fake_store_know(fake, "inventory", event_id);
}

START_TEST(what_another_instance_applied_meanwhile_is_not_refused)
{
	stock(1);
	mark_cart("");
	fake_store_before_append(fake, let_another_instance_apply, NULL);
	struct command_run *run = begin(&mark_function, shared_id, NULL);
	loop_run(loop);
	ck_assert_str_eq(run->outcome->result, "true");
}
END_TEST

/* Its lease ended, another instance was faster, and there is no conflict that would tell. */
START_TEST(a_first_delivery_that_decides_last_is_not_refused)
{
	char event_id[UUID_SIZE];
	stock(1);
	applied_event_id(shared_id, "inventory", event_id);
	fake_store_know(fake, "inventory", event_id);
	ck_assert_str_eq(run_one(&mark_function, shared_id, NULL)->result, "true");
}
END_TEST

START_TEST(what_was_refused_stays_refused)
{
	uint64_t version;
	stock(0);
	ck_assert_int_eq(run_one(&take_function, shared_id, NULL)->error.code, ERR_PRECONDITION);
	stock(5);
	const struct outcome *late = run_one(&take_function, shared_id, NULL);
	ck_assert_int_eq(late->error.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(late->error.message, "another delivery of this message"));
	ck_assert_int_eq(stock_left(&version), 5);
	ck_assert_str_eq(run_one(&take_function, NULL, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 4);
}
END_TEST

static void refuse_elsewhere(void *arg, const char *topic, uint64_t append)
{
	char event_id[UUID_SIZE];
	(void)arg;
	(void)append;
	if (strcmp(topic, "inventory") != 0)
		return;
	applied_event_id(shared_id, "inventory", event_id);
	fake_store_give_up(fake, "inventory", event_id);
}

/* An import has the topic: another instance may still append, afterwards. */
START_TEST(nothing_is_refused_that_could_not_be_given_up)
{
	uint64_t version;
	stock(0);
	fake_store_import(fake, true);
	const struct outcome *locked = run_one(&take_function, shared_id, NULL);
	ck_assert(error_transient(&locked->error));
	fake_store_import(fake, false);
	stock(1);
	ck_assert_str_eq(run_one(&take_function, shared_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 0);
}
END_TEST

/* Crowded out is not done either; if the message comes again it still may be. */
START_TEST(what_others_crowded_out_for_good_is_not_done_later)
{
	uint64_t version;
	for (int again = 0; again < 2; again++) {
		char id[UUID_SIZE];
		uuid_v4(id);
		stock(1);
		mark_cart("");
		comes_again = again == 1;
		fake_store_before_append(fake, change_stock, NULL);
		ck_assert_int_eq(run_one(&mark_function, id, NULL)->error.code, ERR_CONFLICT);
		fake_store_before_append(fake, NULL, NULL);
		const struct outcome *late = run_one(&mark_function, id, NULL);
		ck_assert_int_eq(late->error.code, again ? ERR_NONE : ERR_PRECONDITION);
		ck_assert_int_eq(stock_left(&version), again ? 0 : 1);
	}
}
END_TEST

/* It stood still longer than its lease, between its two appends. */
START_TEST(what_another_instance_refused_meanwhile_is_undone)
{
	uint64_t version;
	stock(1);
	mark_cart("");
	const char *cart = arena_strdup(arena, fake_store_data(fake, "cart", cart_id, &version));
	fake_store_before_append(fake, refuse_elsewhere, NULL);
	comes_again = true;
	ck_assert_int_eq(run_one(&mark_function, shared_id, NULL)->error.code, ERR_PRECONDITION);
	ck_assert_int_eq(stock_left(&version), 1);
	ck_assert_str_eq(fake_store_data(fake, "cart", cart_id, &version), cart);
	ck_assert_uint_eq(version, 3);
}
END_TEST

/* Before the first part is given up it comes, from another instance, and so do goods. */
static void mark_elsewhere(void *arg, const char *topic, uint64_t append)
{
	char event_id[UUID_SIZE];
	(void)arg;
	if (append > 1)
		return;
	ck_assert_str_eq(topic, "cart");
	applied_event_id(shared_id, "cart", event_id);
	fake_store_know(fake, "cart", event_id);
	mark_cart(shared_id);
	stock(1);
}

START_TEST(a_half_that_another_instance_did_meanwhile_is_completed)
{
	uint64_t version;
	stock(0);
	mark_cart("");
	fake_store_before_append(fake, mark_elsewhere, NULL);
	ck_assert_str_eq(run_one(&mark_function, shared_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 0);
	ck_assert_str_eq(run_one(&mark_function, shared_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 0);
}
END_TEST

static void deliver_goods(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	if (append == 1)
		stock(1);
	ck_assert_str_eq(topic, "inventory");
}

START_TEST(what_is_refused_for_now_is_not_given_up)
{
	stock(0);
	fake_store_before_append(fake, deliver_goods, NULL);
	ck_assert_str_eq(run_one(&take_patiently_function, NULL, NULL)->result, "true");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runtime_twice");
	TCase *tests = tcase_create("runtime_twice");
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, runtime_setup, runtime_teardown);
	tcase_add_test(tests, a_message_that_comes_again_is_applied_once);
	tcase_add_test(tests, what_another_instance_applied_meanwhile_is_not_refused);
	tcase_add_test(tests, a_first_delivery_that_decides_last_is_not_refused);
	tcase_add_test(tests, what_was_refused_stays_refused);
	tcase_add_test(tests, nothing_is_refused_that_could_not_be_given_up);
	tcase_add_test(tests, what_others_crowded_out_for_good_is_not_done_later);
	tcase_add_test(tests, what_another_instance_refused_meanwhile_is_undone);
	tcase_add_test(tests, a_half_that_another_instance_did_meanwhile_is_completed);
	tcase_add_test(tests, what_is_refused_for_now_is_not_given_up);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
