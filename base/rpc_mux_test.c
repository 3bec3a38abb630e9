#include "base/rpc_fixture.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rpc_mux *mux;

static void setup(void)
{
	fixture_setup();
	mux = rpc_mux_create(fixture.loop, fixture.channel, STORE, "ReadEntityStream", 4096);
}

static void teardown(void)
{
	rpc_mux_destroy(mux);
	fixture_teardown();
}

static unsigned answered;

struct question {
	char entity_id[32];
	struct outcome outcome;
};

static void on_answer(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct question *question = arg;
	ck_assert((item == NULL) == (err != NULL));
	ck_assert_uint_eq(question->outcome.closed, 0);
	question->outcome.closed++;
	answered++;
	if (err != NULL)
		question->outcome.err = *err;
	else
		ck_assert_str_eq(((const Es__ReadEntityResult *)item)->event->entity_id,
		                 question->entity_id);
}

static void ask(struct question *question, unsigned number, unsigned timeout_ms)
{
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	*question = (struct question){ 0 };
	snprintf(question->entity_id, sizeof(question->entity_id), "entity %u", number);
	item.entity_id = question->entity_id;
	rpc_mux_request(mux, &item.base, timeout_ms, on_answer, question);
	ck_assert_uint_eq(question->outcome.closed, 0);
}

enum { QUESTIONS = 3000 };
static struct question questions[QUESTIONS];

static void check_all_answered(void)
{
	fixture_wait(&answered, QUESTIONS);
	ck_assert_uint_eq(answered, QUESTIONS);
	ck_assert_uint_eq(rpc_mux_waiting(mux), 0);
	for (unsigned i = 0; i < QUESTIONS; i++)
		ck_assert_int_eq(questions[i].outcome.err.code, ERR_NONE);
}

START_TEST(requests_of_a_turn_share_a_message)
{
	for (int round = 0; round < 3; round++) {
		answered = 0;
		fixture.messages = 0;
		for (unsigned i = 0; i < QUESTIONS; i++)
			ask(&questions[i], i, WAIT_MS);
		check_all_answered();
		ck_assert_uint_eq(fixture.messages, 1);
		ck_assert(rpc_mux_connected(mux));
	}
}
END_TEST

START_TEST(what_is_unanswered_is_sent_again_after_a_restart)
{
	fixture.mute = true;
	for (unsigned i = 0; i < QUESTIONS / 2; i++)
		ask(&questions[i], i, WAIT_MS);
	fixture_wait(&fixture.messages, 1);
	rpc_server_destroy(fixture.server);
	fixture_run_ms(50);
	ck_assert(!rpc_mux_connected(mux));
	for (unsigned i = QUESTIONS / 2; i < QUESTIONS; i++)
		ask(&questions[i], i, WAIT_MS);
	fixture_run_ms(300);
	ck_assert_uint_eq(answered, 0);
	fixture.mute = false;
	fixture_serve();
	check_all_answered();
	ck_assert(rpc_mux_connected(mux));
}
END_TEST

START_TEST(a_server_that_comes_late_gets_what_waits)
{
	rpc_server_destroy(fixture.server);
	fixture.server = NULL;
	for (unsigned i = 0; i < QUESTIONS; i++)
		ask(&questions[i], i, WAIT_MS);
	fixture_run_ms(300);
	fixture_serve();
	check_all_answered();
}
END_TEST

START_TEST(a_deadline_ends_a_request_and_its_late_answer_is_dropped)
{
	static struct question late[10], after;
	fixture.mute = true;
	for (unsigned i = 0; i < 10; i++)
		ask(&late[i], i, 20 + 10 * i);
	fixture_wait(&answered, 10);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(late[i].outcome.err.code, ERR_DEADLINE);
	ck_assert_uint_eq(rpc_mux_waiting(mux), 0);
	/* An answer to an old tag while its place is taken by a new request. */
	ask(&after, 11, WAIT_MS);
	fixture_run_ms(20);
	Es__ReadEntityResult result = ES__READ_ENTITY_RESULT__INIT, *results = &result;
	Es__ReadEntityStreamResponse response = ES__READ_ENTITY_STREAM_RESPONSE__INIT;
	response.n_items = 1;
	response.items = &results;
	for (uint64_t tag = 0; tag < 20; tag++) {
		result.tag = tag;
		rpc_send(fixture.last_call, &response.base);
	}
	fixture_run_ms(50);
	ck_assert_uint_eq(after.outcome.closed, 0);
}
END_TEST

START_TEST(too_many_requests_are_refused_later)
{
	static struct question many[4200];
	fixture.mute = true;
	for (unsigned i = 0; i < ARRAY_LEN(many); i++)
		ask(&many[i], i, WAIT_MS);
	ck_assert_uint_eq(answered, 0);
	fixture_wait(&answered, 4200 - 4096);
	for (unsigned i = 0; i < ARRAY_LEN(many); i++) {
		ck_assert_uint_eq(many[i].outcome.closed, i >= 4096);
		if (i >= 4096)
			ck_assert_int_eq(many[i].outcome.err.code, ERR_EXHAUSTED);
	}
	rpc_mux_destroy(mux);
	mux = NULL;
	ck_assert_uint_eq(answered, 4200);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_int_eq(many[i].outcome.err.code, ERR_CANCELLED);
}
END_TEST

START_TEST(large_requests_are_spread_over_messages)
{
	static char text[300001];
	struct question large[20];
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	memset(text, 'x', sizeof(text) - 1);
	item.topic = text;
	for (unsigned i = 0; i < 20; i++) {
		large[i] = (struct question){ .entity_id = "same" };
		item.entity_id = "same";
		rpc_mux_request(mux, &item.base, WAIT_MS, on_answer, &large[i]);
	}
	fixture_wait(&answered, 20);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(large[i].outcome.err.code, ERR_NONE);
	ck_assert_uint_eq(fixture.messages, 20);
}
END_TEST

START_TEST(a_request_above_the_limit_is_refused)
{
	char *text = malloc(RPC_MESSAGE_MAX + 1);
	struct question large = { .entity_id = "large" };
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	memset(text, 'x', RPC_MESSAGE_MAX);
	text[RPC_MESSAGE_MAX] = '\0';
	item.topic = text;
	rpc_mux_request(mux, &item.base, WAIT_MS, on_answer, &large);
	fixture_wait(&answered, 1);
	ck_assert_int_eq(large.outcome.err.code, ERR_EXHAUSTED);
	free(text);
}
END_TEST

START_TEST(text_that_is_not_utf8_harms_nobody_else)
{
	struct question bad = { .entity_id = "\xff" }, good;
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	item.entity_id = bad.entity_id;
	rpc_mux_request(mux, &item.base, WAIT_MS, on_answer, &bad);
	ask(&good, 1, WAIT_MS);
	fixture_wait(&answered, 2);
	ck_assert_int_eq(bad.outcome.err.code, ERR_INVALID);
	ck_assert_int_eq(good.outcome.err.code, ERR_NONE);
}
END_TEST

/* Each answer asks again. */
static unsigned chain_left = 20000;

static void on_chain(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	ck_assert_ptr_null(err);
	ck_assert_ptr_nonnull(item);
	answered++;
	if (chain_left == 0)
		return;
	chain_left--;
	Es__ReadEntityItem again = ES__READ_ENTITY_ITEM__INIT;
	rpc_mux_request(mux, &again.base, WAIT_MS, on_chain, arg);
}

START_TEST(an_answer_may_ask_again)
{
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	for (int i = 0; i < 100; i++)
		rpc_mux_request(mux, &item.base, WAIT_MS, on_chain, NULL);
	fixture_wait(&answered, 20100);
	ck_assert_uint_eq(rpc_mux_waiting(mux), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rpc mux");
	TCase *all = tcase_create("all");
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, requests_of_a_turn_share_a_message);
	tcase_add_test(all, what_is_unanswered_is_sent_again_after_a_restart);
	tcase_add_test(all, a_server_that_comes_late_gets_what_waits);
	tcase_add_test(all, a_deadline_ends_a_request_and_its_late_answer_is_dropped);
	tcase_add_test(all, too_many_requests_are_refused_later);
	tcase_add_test(all, large_requests_are_spread_over_messages);
	tcase_add_test(all, a_request_above_the_limit_is_refused);
	tcase_add_test(all, text_that_is_not_utf8_harms_nobody_else);
	tcase_add_test(all, an_answer_may_ask_again);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
