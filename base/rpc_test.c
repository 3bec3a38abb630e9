/* Calls that go well, calls that do not, and what is in between. */
#include "base/rpc_fixture.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rpc_stream *open_stream(const char *method, struct outcome *outcome)
{
	return rpc_stream_open(fixture.channel, STORE, method, &outcome_events, outcome);
}

static void send_read(struct rpc_stream *stream, uint64_t limit)
{
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	request.limit = limit;
	rpc_stream_send(stream, &request.base);
	rpc_stream_end_sends(stream);
}

static void send_items(struct rpc_stream *stream, uint64_t tag)
{
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT, *items = &item;
	Es__ReadEntityStreamRequest request = ES__READ_ENTITY_STREAM_REQUEST__INIT;
	item.tag = tag;
	request.n_items = 1;
	request.items = &items;
	rpc_stream_send(stream, &request.base);
}

static void send_ack(struct rpc_stream *stream)
{
	const char *ack = "1700000000000-0";
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	request.n_acks = 1;
	request.acks = &ack;
	rpc_stream_send(stream, &request.base);
}

/* ---- unary ---- */

static void check_topics(struct rpc_channel *channel)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *answer;
	struct error err;
	for (int i = 0; i < 100; i++) {
		arena_reset(fixture.arena);
		ck_assert(rpc_unary_wait(channel, STORE, "Topics", &request.base, WAIT_MS,
		                         fixture.arena, &answer, &err));
		const Es__TopicsResponse *topics = (const Es__TopicsResponse *)answer;
		ck_assert_uint_eq(topics->n_topics, 1);
		ck_assert_str_eq(topics->topics[0]->topic, "order");
		ck_assert_uint_eq(topics->topics[0]->length, 7);
	}
}

START_TEST(unary_over_unix_socket_and_tcp)
{
	check_topics(fixture.channel);
	ck_assert_int_eq(strncmp(fixture.peer, "unix:", 5), 0);
	struct rpc_channel *tcp = rpc_channel_create(fixture.loop, fixture.tcp_address);
	check_topics(tcp);
	ck_assert_int_eq(strncmp(fixture.peer, "ipv4:127.0.0.1:", 15), 0);
	rpc_channel_destroy(tcp);
}
END_TEST

START_TEST(many_unary_calls_at_once)
{
	enum { CALLS = 1000 };
	static struct outcome outcomes[CALLS];
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	for (int i = 0; i < CALLS; i++)
		rpc_unary(fixture.channel, STORE, "Topics", &request.base, WAIT_MS, outcome_unary,
		          &outcomes[i]);
	fixture_wait(&fixture.ended, CALLS);
	for (int i = 0; i < CALLS; i++)
		fixture_wait(&outcomes[i].messages, 1);
}
END_TEST

START_TEST(errors_arrive_with_code_and_words)
{
	struct outcome outcome;
	char expected[256];
	for (int code = ERR_NONE + 1; code < ERR_CODES; code++) {
		const char *name = error_name((enum error_code)code);
		ask_entity(name, WAIT_MS, &outcome);
		ck_assert_int_eq(outcome.err.code, code);
		snprintf(expected, sizeof(expected), "as asked: ä %% \n %s", name);
		ck_assert_str_eq(outcome.err.message, expected);
		ck_assert_uint_eq(outcome.messages, 0);
	}
}
END_TEST

START_TEST(a_deadline_ends_both_sides)
{
	struct outcome outcome;
	uint64_t start_us = clock_monotonic_us();
	ask_entity("never", 500, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_DEADLINE);
	ck_assert_uint_lt(clock_monotonic_us() - start_us, 5000000);
	fixture_wait(&fixture.ended, 1);
	ck_assert_uint_gt(fixture.time_left_ms, 10);
	ck_assert_uint_le(fixture.time_left_ms, 500);
	ask_entity("", 0, &outcome);
	ck_assert_uint_eq(fixture.time_left_ms, UINT64_MAX);
}
END_TEST

START_TEST(an_unknown_method_is_unimplemented)
{
	/* A service of the same name with a method that the server does not have. */
	static const ProtobufCMethodDescriptor other[] = {
		{ "Forget", &es__topics_request__descriptor, &es__topics_response__descriptor },
	};
	ProtobufCServiceDescriptor service = es__event_store__descriptor;
	struct outcome outcome = { 0 };
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	service.n_methods = 1;
	service.methods = other;
	rpc_unary(fixture.channel, &service, "Forget", &request.base, WAIT_MS, outcome_unary,
	          &outcome);
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_UNIMPLEMENTED);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_unavailable_at_once)
{
	struct outcome outcome;
	rpc_server_destroy(fixture.server);
	fixture.server = NULL;
	uint64_t start_us = clock_monotonic_us();
	ask_entity("", WAIT_MS, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_UNAVAILABLE);
	ck_assert_uint_lt(clock_monotonic_us() - start_us, 1000000);
	fixture_serve();
	fixture_run_ms(1500); /* longer than the backoff */
	ask_entity("", WAIT_MS, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
}
END_TEST

/* ---- bad messages ---- */

START_TEST(bytes_that_are_no_message_are_invalid)
{
	static const char *const of_each_kind[] = { "Read", "ReadEntityStream" };
	for (size_t i = 0; i < ARRAY_LEN(of_each_kind); i++) {
		struct outcome outcome = { 0 };
		struct rpc_stream *stream = open_stream(of_each_kind[i], &outcome);
		rpc_stream_send_bytes(stream, "\x0a\xff\xff", 3);
		fixture_wait(&outcome.closed, 1);
		ck_assert_int_eq(outcome.err.code, ERR_INVALID);
		ck_assert_ptr_nonnull(strstr(outcome.err.message, "Request"));
	}
	ck_assert_uint_eq(fixture.messages, 0);
}
END_TEST

START_TEST(text_that_is_not_utf8_is_invalid)
{
	static const struct {
		const char *text;
		bool valid;
	} texts[] = {
		{ "plain, and longer than eight bytes", true },
		{ "K\xc3\xa4se", true },
		{ "sixteen bytes ..\xf0\x9f\x9b\x92", true },
		{ "\xff", false },
		{ "sixteen bytes ..\xc3", false },
		{ "\xed\xa0\x80", false }, /* half of a surrogate pair */
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct outcome unary, stream = { 0 };
		Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT, *items = &item;
		Es__ReadEntityStreamRequest request = ES__READ_ENTITY_STREAM_REQUEST__INIT;
		ask_entity(texts[i].text, WAIT_MS, &unary);
		item.entity_id = texts[i].text; /* deeper in the message */
		request.n_items = 1;
		request.items = &items;
		struct rpc_stream *call = open_stream("ReadEntityStream", &stream);
		rpc_stream_send(call, &request.base);
		rpc_stream_end_sends(call);
		fixture_wait(&stream.closed, 1);
		enum error_code expected = texts[i].valid ? ERR_NONE : ERR_INVALID;
		ck_assert_int_eq(unary.err.code, expected);
		ck_assert_int_eq(stream.err.code, expected);
		if (!texts[i].valid)
			ck_assert_ptr_nonnull(strstr(stream.err.message, "entity_id"));
	}
}
END_TEST

START_TEST(a_message_above_the_limit_is_refused)
{
	char *text = malloc(RPC_MESSAGE_MAX + 1);
	struct outcome outcome;
	memset(text, 'x', RPC_MESSAGE_MAX);
	text[RPC_MESSAGE_MAX] = '\0';
	ask_entity(text, WAIT_MS, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_EXHAUSTED);
	ck_assert_uint_eq(fixture.messages, 0);
	text[RPC_MESSAGE_MAX - 100] = '\0';
	ask_entity(text, WAIT_MS, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
	free(text);
}
END_TEST

START_TEST(a_call_without_its_request_is_invalid)
{
	struct outcome outcome = { 0 };
	rpc_stream_end_sends(open_stream("Read", &outcome));
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_INVALID);
}
END_TEST

/* ---- streams ---- */

START_TEST(a_server_stream_comes_complete_and_in_order)
{
	static const uint64_t limits[] = { 0, 1, 2, 5000 };
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct outcome outcome = { 0 };
		send_read(open_stream("Read", &outcome), limits[i]);
		fixture_wait(&outcome.closed, 1);
		ck_assert_int_eq(outcome.err.code, ERR_NONE);
		ck_assert_uint_eq(outcome.messages, limits[i]);
	}
}
END_TEST

START_TEST(a_bidirectional_stream_answers_everything)
{
	enum { MESSAGES = 3000 };
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_stream("ReadEntityStream", &outcome);
	for (unsigned i = 0; i < MESSAGES / 2; i++)
		send_items(stream, i);
	fixture_wait(&outcome.messages, MESSAGES / 2);
	for (unsigned i = 0; i < MESSAGES / 2; i++)
		send_items(stream, i);
	rpc_stream_end_sends(stream);
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
	ck_assert_uint_eq(outcome.messages, MESSAGES);
	ck_assert_uint_eq(fixture.half_closed, 1);
	fixture_wait(&fixture.ended, 1);
}
END_TEST

START_TEST(a_cancelled_stream_ends_on_both_sides)
{
	static const char *const methods[] = { "Consume", "Subscribe" };
	for (unsigned i = 0; i < ARRAY_LEN(methods); i++) {
		struct outcome outcome = { 0 };
		struct rpc_stream *stream = open_stream(methods[i], &outcome);
		rpc_stream_send_bytes(stream, "", 0);
		fixture_wait(&fixture.messages, i + 1);
		rpc_stream_cancel(stream);
		fixture_wait(&outcome.closed, 1);
		ck_assert_int_eq(outcome.err.code, ERR_CANCELLED);
		fixture_wait(&fixture.ended, i + 1);
	}
}
END_TEST

START_TEST(a_stream_is_cancelled_before_it_is_open)
{
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_stream("Consume", &outcome);
	send_ack(stream);
	rpc_stream_cancel(stream);
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_CANCELLED);
}
END_TEST

START_TEST(the_server_finishes_while_the_client_sends)
{
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_stream("Consume", &outcome);
	send_ack(stream);
	fixture_wait(&fixture.messages, 1);
	struct error err;
	error_set(&err, ERR_CONFLICT, "enough");
	rpc_finish(fixture.last_call, &err);
	for (unsigned i = 0; i < 1000; i++)
		send_ack(stream);
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_CONFLICT);
	fixture_wait(&fixture.ended, 1);
}
END_TEST

/* ---- flow control ---- */

START_TEST(a_reader_that_pauses_holds_the_server_back)
{
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_stream("Subscribe", &outcome);
	rpc_stream_send_bytes(stream, "", 0);
	rpc_stream_end_sends(stream);
	fixture_wait(&outcome.messages, 10);
	rpc_stream_pause(stream);
	fixture_run_ms(200);
	unsigned seen = outcome.messages;
	ck_assert_uint_gt(rpc_queued_bytes(fixture.last_call), SUBSCRIBE_BOUND / 2);
	ck_assert_uint_lt(rpc_queued_bytes(fixture.last_call), SUBSCRIBE_BOUND * 2);
	fixture_run_ms(100);
	ck_assert_uint_le(outcome.messages, seen + 1);
	rpc_stream_resume(stream);
	fixture_wait(&outcome.messages, seen + 5000);
	rpc_stream_cancel(stream);
	fixture_wait(&outcome.closed, 1);
}
END_TEST

START_TEST(a_method_that_pauses_holds_the_client_back)
{
	enum { MESSAGES = 20000 };
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_stream("Consume", &outcome);
	send_ack(stream);
	fixture_wait(&fixture.messages, 1);
	rpc_pause(fixture.last_call);
	for (unsigned i = 1; i < MESSAGES; i++)
		send_ack(stream);
	rpc_stream_end_sends(stream);
	fixture_run_ms(200);
	ck_assert_uint_le(fixture.messages, 2);
	ck_assert_uint_gt(rpc_stream_queued_bytes(stream), 10000);
	rpc_resume(fixture.last_call);
	fixture_wait(&outcome.closed, 1);
	ck_assert_uint_eq(fixture.messages, MESSAGES);
	ck_assert_uint_eq(fixture.half_closed, 1);
}
END_TEST

START_TEST(half_close_waits_while_paused)
{
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_stream("Consume", &outcome);
	send_ack(stream);
	fixture_wait(&fixture.messages, 1);
	rpc_pause(fixture.last_call);
	rpc_stream_end_sends(stream);
	fixture_run_ms(100);
	ck_assert_uint_eq(fixture.half_closed, 0);
	rpc_resume(fixture.last_call);
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
}
END_TEST

START_TEST(one_packed_message_goes_to_many)
{
	enum { STREAMS = 50 };
	static struct outcome outcomes[STREAMS];
	struct rpc_call *calls[STREAMS];
	for (unsigned i = 0; i < STREAMS; i++) {
		send_ack(open_stream("Consume", &outcomes[i]));
		fixture_wait(&fixture.messages, i + 1);
		calls[i] = fixture.last_call;
	}
	Es__ConsumeResponse response = ES__CONSUME_RESPONSE__INIT;
	struct rpc_packed *packed = rpc_pack(&response.base);
	for (unsigned i = 0; i < STREAMS; i++) {
		rpc_send_packed(calls[i], packed);
		struct rpc_packed *again = rpc_packed_ref(packed);
		rpc_send_packed(calls[i], again);
		rpc_packed_unref(again);
	}
	rpc_packed_unref(packed);
	for (unsigned i = 0; i < STREAMS; i++)
		fixture_wait(&outcomes[i].messages, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rpc");
	TCase *all = tcase_create("all");
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, fixture_setup, fixture_teardown);
	tcase_add_test(all, unary_over_unix_socket_and_tcp);
	tcase_add_test(all, many_unary_calls_at_once);
	tcase_add_test(all, errors_arrive_with_code_and_words);
	tcase_add_test(all, a_deadline_ends_both_sides);
	tcase_add_test(all, an_unknown_method_is_unimplemented);
	tcase_add_test(all, a_server_that_is_not_there_is_unavailable_at_once);
	tcase_add_test(all, bytes_that_are_no_message_are_invalid);
	tcase_add_test(all, text_that_is_not_utf8_is_invalid);
	tcase_add_test(all, a_message_above_the_limit_is_refused);
	tcase_add_test(all, a_call_without_its_request_is_invalid);
	tcase_add_test(all, a_server_stream_comes_complete_and_in_order);
	tcase_add_test(all, a_bidirectional_stream_answers_everything);
	tcase_add_test(all, a_cancelled_stream_ends_on_both_sides);
	tcase_add_test(all, a_stream_is_cancelled_before_it_is_open);
	tcase_add_test(all, the_server_finishes_while_the_client_sends);
	tcase_add_test(all, a_reader_that_pauses_holds_the_server_back);
	tcase_add_test(all, a_method_that_pauses_holds_the_client_back);
	tcase_add_test(all, half_close_waits_while_paused);
	tcase_add_test(all, one_packed_message_goes_to_many);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
