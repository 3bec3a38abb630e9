/* How servers and channels end, and who may listen where. */
#include "base/rpc_fixture.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned ended;

static void on_ended(void *arg)
{
	(void)arg;
	ended++;
}

static struct rpc_stream *open_consume(struct outcome *outcome)
{
	struct rpc_stream *stream =
	    rpc_stream_open(fixture.channel, STORE, "Consume", &outcome_events, outcome);
	rpc_stream_send_bytes(stream, "", 0);
	return stream;
}

START_TEST(shutdown_without_calls_is_immediate)
{
	struct outcome outcome;
	ask_entity("", WAIT_MS, &outcome);
	uint64_t start_us = clock_monotonic_us();
	rpc_server_shutdown(fixture.server, 5000, on_ended, NULL);
	fixture_wait(&ended, 1);
	ck_assert_uint_lt(clock_monotonic_us() - start_us, 1000000);
	fixture_run_ms(50);
	ck_assert_uint_eq(ended, 1);
}
END_TEST

static void on_ended_destroy(void *arg)
{
	(void)arg;
	rpc_server_destroy(fixture.server);
	fixture.server = NULL;
	ended++;
}

START_TEST(a_server_may_be_destroyed_when_its_shutdown_is_done)
{
	static struct outcome outcome;
	open_consume(&outcome);
	fixture_wait(&fixture.messages, 1);
	rpc_server_shutdown(fixture.server, 10, on_ended_destroy, NULL);
	fixture_wait(&ended, 1);
	ck_assert_uint_eq(ended, 1);
	fixture_wait(&outcome.closed, 1);
}
END_TEST

START_TEST(shutdown_waits_for_calls_that_end_in_time)
{
	struct outcome outcome = { 0 };
	struct rpc_stream *stream = open_consume(&outcome);
	fixture_wait(&fixture.messages, 1);
	rpc_server_shutdown(fixture.server, 5000, on_ended, NULL);
	fixture_run_ms(100);
	ck_assert_uint_eq(ended, 0);
	rpc_stream_send_bytes(stream, "", 0); /* still served */
	fixture_wait(&fixture.messages, 2);
	rpc_stream_end_sends(stream);
	fixture_wait(&ended, 1);
	fixture_wait(&outcome.closed, 1);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
	ask_entity("", WAIT_MS, &outcome); /* no new calls */
	ck_assert_int_eq(outcome.err.code, ERR_UNAVAILABLE);
}
END_TEST

START_TEST(shutdown_cancels_what_is_left)
{
	enum { STREAMS = 20 };
	static struct outcome outcomes[STREAMS];
	for (unsigned i = 0; i < STREAMS; i++)
		open_consume(&outcomes[i]);
	fixture_wait(&fixture.messages, STREAMS);
	rpc_server_shutdown(fixture.server, 100, on_ended, NULL);
	fixture_wait(&ended, 1);
	ck_assert_uint_eq(fixture.ended, STREAMS);
	for (unsigned i = 0; i < STREAMS; i++) {
		fixture_wait(&outcomes[i].closed, 1);
		ck_assert_int_ne(outcomes[i].err.code, ERR_NONE);
	}
}
END_TEST

START_TEST(destroying_a_server_ends_its_calls)
{
	struct outcome outcomes[3] = { 0 };
	for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++)
		open_consume(&outcomes[i]);
	fixture_wait(&fixture.messages, 3);
	rpc_server_destroy(fixture.server);
	fixture.server = NULL;
	ck_assert_uint_eq(fixture.ended, 3);
	for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++)
		fixture_wait(&outcomes[i].closed, 1);
}
END_TEST

START_TEST(a_server_that_never_started_can_be_destroyed)
{
	struct error err;
	struct rpc_server *server = rpc_server_create(fixture.loop);
	ck_assert(rpc_server_listen(server, "127.0.0.1:0", NULL, &err));
	rpc_server_destroy(server);
}
END_TEST

START_TEST(destroying_a_channel_ends_its_calls)
{
	struct outcome stream = { 0 }, unary = { 0 };
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	open_consume(&stream);
	request.topic = "never";
	rpc_unary(fixture.channel, STORE, "ReadEntity", &request.base, WAIT_MS, outcome_unary,
	          &unary);
	fixture_wait(&fixture.messages, 2);
	rpc_channel_destroy(fixture.channel);
	fixture.channel = NULL;
	ck_assert_uint_eq(stream.closed, 1);
	ck_assert_uint_eq(unary.closed, 1);
	ck_assert_int_eq(unary.err.code, ERR_CANCELLED);
	fixture_wait(&fixture.ended, 2);
}
END_TEST

START_TEST(an_address_in_use_is_refused)
{
	struct error err;
	struct rpc_server *second = rpc_server_create(fixture.loop);
	ck_assert(!rpc_server_listen(second, fixture.tcp_address, NULL, &err));
	ck_assert_int_eq(err.code, ERR_EXISTS);
	ck_assert_ptr_nonnull(strstr(err.message, fixture.tcp_address));
	ck_assert(!rpc_server_listen(second, fixture.unix_address, NULL, &err));
	ck_assert_int_eq(err.code, ERR_EXISTS);
	rpc_server_destroy(second);
	struct outcome outcome; /* the first one has kept its socket */
	ask_entity("", WAIT_MS, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
}
END_TEST

START_TEST(a_socket_path_that_is_too_long_is_refused)
{
	struct error err;
	char address[200] = "unix:/tmp/";
	memset(address + strlen(address), 'x', 150);
	struct rpc_server *second = rpc_server_create(fixture.loop);
	ck_assert(!rpc_server_listen(second, address, NULL, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
	rpc_server_destroy(second);
}
END_TEST

START_TEST(an_address_must_have_a_port)
{
	static const char *const wrong[] = { "",       "nonsense", "127.0.0.1", "127.0.0.1:",
		                             ":50051", "h:99999",  "h:-1",      "h:1x",
		                             "h:1:",   "h: 1" };
	struct rpc_server *second = rpc_server_create(fixture.loop);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct error err;
		ck_assert_msg(!rpc_server_listen(second, wrong[i], NULL, &err), "%s", wrong[i]);
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_ptr_nonnull(strstr(err.message, "host:port"));
	}
	rpc_server_destroy(second);
}
END_TEST

START_TEST(a_socket_file_left_by_a_dead_server_is_no_hindrance)
{
	char again[512];
	const char *path = fixture.unix_address + strlen("unix:");
	struct outcome outcome;
	snprintf(again, sizeof(again), "%s.kept", path);
	ck_assert_int_eq(link(path, again), 0);
	rpc_server_destroy(fixture.server);
	ck_assert_int_eq(rename(again, path), 0); /* as after kill -9 */
	fixture_serve();
	ask_entity("", WAIT_MS, &outcome);
	ck_assert_int_eq(outcome.err.code, ERR_NONE);
}
END_TEST

static void stop(void *arg)
{
	(void)arg;
	loop_stop(fixture.loop);
}

START_TEST(waiting_for_an_answer_can_be_interrupted)
{
	struct loop_timer timer = { 0 };
	const ProtobufCMessage *answer;
	struct error err;
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	request.topic = "never";
	loop_timer_start(fixture.loop, &timer, 50, stop, NULL);
	ck_assert(!rpc_unary_wait(fixture.channel, STORE, "ReadEntity", &request.base, WAIT_MS,
	                          fixture.arena, &answer, &err));
	ck_assert_int_eq(err.code, ERR_CANCELLED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rpc ends");
	TCase *all = tcase_create("all");
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, fixture_setup, fixture_teardown);
	tcase_add_test(all, shutdown_without_calls_is_immediate);
	tcase_add_test(all, a_server_may_be_destroyed_when_its_shutdown_is_done);
	tcase_add_test(all, shutdown_waits_for_calls_that_end_in_time);
	tcase_add_test(all, shutdown_cancels_what_is_left);
	tcase_add_test(all, destroying_a_server_ends_its_calls);
	tcase_add_test(all, a_server_that_never_started_can_be_destroyed);
	tcase_add_test(all, destroying_a_channel_ends_its_calls);
	tcase_add_test(all, an_address_in_use_is_refused);
	tcase_add_test(all, a_socket_path_that_is_too_long_is_refused);
	tcase_add_test(all, an_address_must_have_a_port);
	tcase_add_test(all, a_socket_file_left_by_a_dead_server_is_no_hindrance);
	tcase_add_test(all, waiting_for_an_answer_can_be_interrupted);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
