#include "message-queue/message.h"
#include "message-queue/outcome.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena;

static void setup(void)
{
	arena = arena_create();
}

static void teardown(void)
{
	arena_destroy(arena);
}

static char *response_of(const char *outcome, size_t len)
{
	struct buffer out;
	buffer_init(&out, 100000);
	outcome_response(&out, outcome, len);
	char *text = arena_strdup(arena, out.bytes);
	buffer_free(&out);
	return text;
}

START_TEST(results_survive)
{
	Mq__Result result = MQ__RESULT__INIT;
	Mq__Token token = MQ__TOKEN__INIT, *tokens[] = { &token };
	token.topic = "order";
	token.entry_id = "5-0";
	result.result = "[1]";
	result.tokens = tokens;
	result.n_tokens = 1;
	size_t len;
	char *outcome = outcome_from_result(&result, &len);
	Mq__Result *back = outcome_result(outcome, len, arena);
	ck_assert_str_eq(back->result, "[1]");
	ck_assert_str_eq(back->tokens[0]->entry_id, "5-0");
	ck_assert_str_eq(response_of(outcome, len), "{\"result\": [1]}");
	free(outcome);
}
END_TEST

START_TEST(errors_read_in_both_worlds)
{
	Mq__Result result = MQ__RESULT__INIT;
	Mq__Error error = MQ__ERROR__INIT;
	error.code = 5;
	error.message = "no \"x\"";
	result.error = &error;
	size_t len;
	char *outcome = outcome_from_result(&result, &len);
	ck_assert_str_eq(response_of(outcome, len), "{\"error\": \"no \\\"x\\\"\"}");
	free(outcome);
	outcome = outcome_from_response("{\"error\": {\"a\": 1}}", 19, &len);
	ck_assert_str_eq(outcome_result(outcome, len, arena)->error->message, "{\"a\":1}");
	ck_assert_str_eq(response_of(outcome, len), "{\"error\": {\"a\": 1}}");
	free(outcome);
}
END_TEST

START_TEST(garbage_is_an_error)
{
	ck_assert_int_eq(outcome_result("", 0, arena)->error->code, 13);
	ck_assert_int_eq(outcome_result("R\xff\xff", 3, arena)->error->code, 13);
	ck_assert_int_eq(outcome_result("?x", 2, arena)->error->code, 13);
	ck_assert_ptr_null(record_message("short", 5, arena));
	ck_assert_ptr_null(record_message("12345678\xff\xff", 10, arena));
	ck_assert_uint_eq(record_time_ms("short", 5), 0);
}
END_TEST

START_TEST(large_results_are_refused)
{
	Mq__Result result = MQ__RESULT__INIT;
	char *large = malloc(OUTCOME_RESULT_MAX + 2);
	memset(large, '1', OUTCOME_RESULT_MAX + 1);
	large[OUTCOME_RESULT_MAX + 1] = '\0';
	result.result = large;
	size_t len;
	char *outcome = outcome_from_result(&result, &len);
	ck_assert_int_eq(outcome_result(outcome, len, arena)->error->code, 11);
	ck_assert_uint_lt(len, 1000);
	free(outcome);
	free(large);
}
END_TEST

START_TEST(records_survive)
{
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.message_id = "11111111-2222-4333-8444-000000000001";
	message.payload = "{}";
	size_t len;
	char *record = record_create(&message, 1234567890123, true, &len);
	ck_assert_uint_eq(record_time_ms(record, len), 1234567890123);
	ck_assert(record_again(record, len));
	ck_assert_str_eq(record_message(record, len, arena)->payload, "{}");
	free(record);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("outcome");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, results_survive);
	tcase_add_test(tcase, errors_read_in_both_worlds);
	tcase_add_test(tcase, garbage_is_an_error);
	tcase_add_test(tcase, large_results_are_refused);
	tcase_add_test(tcase, records_survive);
	Suite *suite = suite_create("outcome");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
