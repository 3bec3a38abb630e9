#include "base/redis_internal.h"

#include "base/clock.h"
#include "tests/support/redis_words.h"
#include "tests/support/suite.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct redis_fixture server;

static void setup(void)
{
	redis_fixture_start(&server, REDIS_FIXTURE_MEMORY);
}

static void teardown(void)
{
	redis_fixture_destroy(&server);
}

START_TEST(values_of_every_kind)
{
	struct redis *redis = words_connect(&server, NULL, 2000);
	struct error err;
	const struct redis_value *value;
	size_t len;
	words_expect_text(redis, "SET a 42", "OK");
	words_expect_integer(redis, "GET a", 42);
	words_expect_integer(redis, "INCRBY a -50", -8);
	ck_assert(words_run(redis, "GET nothing", &value, &err));
	ck_assert_int_eq(redis_value_kind(value), REDIS_NIL);
	ck_assert(words_run(redis, "RPUSH l x y z", &value, &err));
	ck_assert(words_run(redis, "LRANGE l 0 -1", &value, &err));
	ck_assert_int_eq(redis_value_kind(value), REDIS_ARRAY);
	ck_assert_uint_eq(redis_value_count(value), 3);
	ck_assert_str_eq(redis_value_string(redis_value_at(value, 2), &len), "z");
	ck_assert_ptr_null(redis_value_at(value, 3));
	ck_assert(words_run(redis, "XADD s 1-2 f v", &value, &err));
	ck_assert(words_run(redis, "XREAD STREAMS s 0", &value, &err));
	const struct redis_value *entry =
	    redis_value_at(redis_value_at(redis_value_at(redis_value_at(value, 0), 1), 0), 0);
	ck_assert_str_eq(redis_value_string(entry, &len), "1-2");
	ck_assert(!words_run(redis, "INCR l", &value, &err));
	ck_assert_int_eq(err.code, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(err.message, "WRONGTYPE"));
	words_expect_text(redis, "PING", "PONG");
	redis_destroy(redis);
}
END_TEST

START_TEST(bytes_and_sizes)
{
	struct redis *redis = words_connect(&server, NULL, 2000);
	struct error err;
	const struct redis_value *value;
	size_t len, size = 3 * 1024 * 1024;
	char *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7);
	struct redis_command command;
	redis_command_init(&command);
	redis_arg(&command, "SET");
	redis_arg_bytes(&command, "", 0);
	redis_arg_bytes(&command, bytes, size);
	ck_assert(redis_wait(redis, &command, 0, &value, &err));
	redis_command_clear(&command);
	redis_arg(&command, "GET");
	redis_arg_bytes(&command, "", 0);
	ck_assert(redis_wait(redis, &command, 0, &value, &err));
	const char *read = redis_value_string(value, &len);
	ck_assert_uint_eq(len, size);
	ck_assert(memcmp(read, bytes, size) == 0);
	redis_command_free(&command);
	free(bytes);
	redis_destroy(redis);
}
END_TEST

START_TEST(functions_are_loaded_and_loaded_again)
{
	struct redis *redis = words_connect(&server, NULL, 2000);
	words_expect_integer(redis, "FCALL redistest_double 0 21", 42);
	words_expect_text(redis, "FUNCTION FLUSH", "OK");
	words_expect_integer(redis, "FCALL redistest_double 0 4", 8);
	struct error err;
	const struct redis_value *value;
	ck_assert(!words_run(redis, "FCALL unknown 0", &value, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "Function not found"));
	/* another version of the library is replaced by the next connection */
	const struct redis_library newer = {
		"redistest", "redis.register_function('redistest_double', function() return 7 end)"
	};
	struct redis *other;
	ck_assert(redis_create(NULL, server.url, &newer, 1, 2000, &other, &err));
	words_expect_integer(other, "FCALL redistest_double 0 4", 7);
	redis_destroy(other);
	redis_destroy(redis);
}
END_TEST

START_TEST(library_that_does_not_compile_is_named)
{
	const struct redis_library broken = { "broken", "this is not Lua" };
	struct error err;
	struct redis *redis;
	const struct redis_value *value;
	ck_assert(redis_create(NULL, server.url, &broken, 1, 2000, &redis, &err));
	ck_assert(!words_run(redis, "PING", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, "refused"));
	redis_destroy(redis);
}
END_TEST

START_TEST(password_and_database)
{
	struct error err;
	struct redis *redis;
	ck_assert(redis_create(NULL, "redis://user:p%40ss@[::1]:1/2", NULL, 0, 100, &redis, &err));
	const struct redis_value *value;
	ck_assert(!words_run(redis, "PING", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	redis_destroy(redis);
	/* a password and a database */
	redis = words_connect(&server, NULL, 1000);
	words_expect_text(redis, "CONFIG SET requirepass secret", "OK");
	redis_destroy(redis);
	redis = words_connect(&server, NULL, 1000);
	ck_assert(!words_run(redis, "PING", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, "NOAUTH"));
	redis_destroy(redis);
}
END_TEST

START_TEST(restart_while_idle_is_not_noticed)
{
	struct redis *redis = words_connect(&server, NULL, 2000);
	words_expect_integer(redis, "FCALL redistest_double 0 1", 2);
	redis_fixture_kill(&server);
	redis_fixture_restart(&server);
	ck_assert_uint_eq(redis_losses(redis), 0);
	words_expect_integer(redis, "FCALL redistest_double 0 2", 4);
	ck_assert_uint_eq(redis_losses(redis), 1);
	redis_fixture_kill(&server);
	struct error err;
	const struct redis_value *value;
	ck_assert(!words_run(redis, "PING", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert(!redis_connected(redis));
	redis_fixture_restart(&server);
	words_expect_text(redis, "PING", "PONG");
	ck_assert(redis_connected(redis));
	ck_assert_uint_eq(redis_losses(redis), 2);
	redis_destroy(redis);
}
END_TEST

START_TEST(frozen_server_times_out)
{
	struct redis *redis = words_connect(&server, NULL, 300);
	words_expect_text(redis, "PING", "PONG");
	redis_fixture_freeze(&server);
	struct error err;
	const struct redis_value *value;
	uint64_t from = clock_monotonic_ms();
	ck_assert(!words_run(redis, "PING", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert(
	    !words_run(redis, "PING", &value, &err)); /* a new connection is not answered either */
	ck_assert_uint_lt(clock_monotonic_ms() - from, 2000);
	redis_fixture_thaw(&server);
	words_expect_text(redis, "PING", "PONG");
	redis_destroy(redis);
}
END_TEST

START_TEST(blocking_command)
{
	struct redis *redis = words_connect(&server, NULL, 200);
	struct error err;
	const struct redis_value *value;
	struct redis_command command;
	words_put(&command, "BLPOP nothing 0.5");
	uint64_t from = clock_monotonic_ms();
	ck_assert_msg(redis_wait(redis, &command, 2000, &value, &err), "%s", err.message);
	ck_assert_int_eq(redis_value_kind(value), REDIS_NIL);
	ck_assert_uint_ge(clock_monotonic_ms() - from, 450);
	redis_command_free(&command);
	redis_destroy(redis);
}
END_TEST

/* ---- with a loop ---- */

struct crowd {
	struct loop *loop;
	struct redis *redis;
	size_t queued, ended, failed, wrong;
	size_t limit;      /* how many to queue */
	size_t in_flight;  /* at a time */
	size_t kill_after; /* answers; 0: never */
	struct loop_timer timer;
};

static void queue_more(struct crowd *crowd);

static void answered(void *arg, const struct redis_value *value, const struct error *err)
{
	struct crowd *crowd = arg;
	size_t expected = ++crowd->ended;
	if (err != NULL) {
		ck_assert_int_eq(err->code, ERR_UNAVAILABLE);
		crowd->failed++;
	} else if (crowd->failed == 0 && redis_value_integer(value) != (int64_t)expected) {
		crowd->wrong++;
	}
	if (crowd->ended == crowd->kill_after)
		kill(server.pid, SIGKILL);
	if (crowd->ended == crowd->limit)
		loop_stop(crowd->loop);
	else if (err == NULL)
		queue_more(crowd);
}

static void queue_more(struct crowd *crowd)
{
	struct redis_command command;
	words_put(&command, "INCR counter");
	while (crowd->queued < crowd->limit && crowd->queued - crowd->ended < crowd->in_flight) {
		crowd->queued++;
		redis_queue(crowd->redis, &command, answered, crowd);
	}
	redis_command_free(&command);
}

static void crowd_run(struct crowd *crowd)
{
	queue_more(crowd);
	loop_run(crowd->loop);
}

START_TEST(answers_come_in_order)
{
	struct crowd crowd = { .loop = loop_create(), .limit = 20000, .in_flight = 100 };
	crowd.redis = words_connect(&server, crowd.loop, 2000);
	crowd_run(&crowd);
	ck_assert_uint_eq(crowd.ended, 20000);
	ck_assert_uint_eq(crowd.failed, 0);
	ck_assert_uint_eq(crowd.wrong, 0);
	ck_assert_uint_eq(redis_waiting(crowd.redis), 0);
	redis_destroy(crowd.redis);
	loop_destroy(crowd.loop);
}
END_TEST

static void more_after_a_while(void *arg)
{
	struct crowd *crowd = arg;
	if (server.pid != 0 && kill(server.pid, 0) == 0 && crowd->failed > 0) {
		redis_fixture_kill(&server); /* takes the exit status */
		redis_fixture_restart(&server);
	}
	queue_more(crowd);
	loop_timer_start(crowd->loop, &crowd->timer, 20, more_after_a_while, crowd);
}

START_TEST(killed_in_flight)
{
	struct crowd crowd = { .limit = 5000, .in_flight = 50, .kill_after = 1000 };
	crowd.loop = loop_create();
	crowd.redis = words_connect(&server, crowd.loop, 2000);
	loop_timer_start(crowd.loop, &crowd.timer, 20, more_after_a_while, &crowd);
	crowd_run(&crowd);
	loop_timer_stop(crowd.loop, &crowd.timer);
	ck_assert_uint_eq(crowd.ended, 5000);
	ck_assert_uint_gt(crowd.failed, 0);
	ck_assert_uint_lt(crowd.failed, 1000);
	redis_destroy(crowd.redis);
	loop_destroy(crowd.loop);
}
END_TEST

struct order {
	struct loop *loop;
	char seen[64];
	size_t left;
};

static void note(void *arg, const struct redis_value *value, const struct error *err)
{
	struct order *order = arg;
	ck_assert_ptr_null(err);
	size_t len = strlen(order->seen);
	snprintf(order->seen + len, sizeof(order->seen) - len, "%lld ",
	         (long long)redis_value_integer(value));
	if (--order->left == 0)
		loop_stop(order->loop);
}

START_TEST(flushed_functions_are_repeated_behind_the_loop)
{
	struct order order = { .loop = loop_create(), .left = 5 };
	struct redis *redis = words_connect(&server, order.loop, 2000);
	words_expect_integer(redis, "FCALL redistest_double 0 1", 2);
	words_expect_text(redis, "FUNCTION FLUSH", "OK");
	static const char *const words[] = { "INCR n", "FCALL redistest_double 0 5", "INCR n",
		                             "FCALL redistest_double 0 6",
		                             "FCALL redistest_double 0 7" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct redis_command command;
		words_put(&command, words[i]);
		redis_queue(redis, &command, note, &order);
		redis_command_free(&command);
	}
	loop_run(order.loop);
	ck_assert_str_eq(order.seen, "1 2 10 12 14 ");
	redis_destroy(redis);
	loop_destroy(order.loop);
}
END_TEST

static void cancelled(void *arg, const struct redis_value *value, const struct error *err)
{
	ck_assert_ptr_null(value);
	ck_assert_int_eq(err->code, ERR_CANCELLED);
	++*(int *)arg;
}

START_TEST(destroy_ends_what_waits)
{
	struct loop *loop = loop_create();
	struct redis *redis = words_connect(&server, loop, 2000);
	struct redis_command command, empty;
	words_put(&command, "PING");
	redis_command_init(&empty);
	int count = 0;
	redis_queue(redis, &command, cancelled, &count);
	redis_queue(redis, &command, cancelled, &count);
	redis_command_free(&command);
	redis_destroy(redis);
	ck_assert_int_eq(count, 2);
	loop_destroy(loop);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis");
	TCase *tcase = tcase_create("server");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, values_of_every_kind);
	tcase_add_test(tcase, bytes_and_sizes);
	tcase_add_test(tcase, functions_are_loaded_and_loaded_again);
	tcase_add_test(tcase, library_that_does_not_compile_is_named);
	tcase_add_test(tcase, password_and_database);
	tcase_add_test(tcase, restart_while_idle_is_not_noticed);
	tcase_add_test(tcase, frozen_server_times_out);
	tcase_add_test(tcase, blocking_command);
	tcase_add_test(tcase, answers_come_in_order);
	tcase_add_test(tcase, killed_in_flight);
	tcase_add_test(tcase, flushed_functions_are_repeated_behind_the_loop);
	tcase_add_test(tcase, destroy_ends_what_waits);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
