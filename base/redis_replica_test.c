/* What waits for replicas, and what a server that cannot write for now says. */
#include "tests/support/redis_words.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_fixture server;

static void setup(void)
{
	redis_fixture_start(&server, REDIS_FIXTURE_MEMORY);
}

static void teardown(void)
{
	redis_fixture_destroy(&server);
}

START_TEST(too_few_replicas)
{
	char url[128];
	struct error err;
	struct redis *redis;
	const struct redis_value *value;
	snprintf(url, sizeof(url), "%s?replicas=1", server.url);
	ck_assert(redis_create(NULL, url, NULL, 0, 5000, &redis, &err));
	ck_assert(!words_run(redis, "SET a 1", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, "0 of 1 replicas"));
	redis_destroy(redis);
	redis = words_connect(&server, NULL, 1000);
	words_expect_integer(redis, "GET a", 1);
	redis_destroy(redis);
}
END_TEST

struct blocked_read {
	struct loop *loop;
	struct redis_fixture replica;
	struct loop_timer timer;
	struct error err;
	bool written;
};

/* The read waits, and the replica has told that it has all that was before: which it does each second. */
static bool is_blocked(void)
{
	static const char *const info[] = { "INFO", "everything" };
	char *text = redis_fixture_command(&server, info, ARRAY_LEN(info));
	const char *replica = strstr(text, ",offset="), *all = strstr(text, "master_repl_offset:");
	ck_assert(replica != NULL && all != NULL);
	bool blocked = strstr(text, "blocked_clients:1") != NULL &&
	               strtoll(replica + strlen(",offset="), NULL, 10) ==
	                   strtoll(all + strlen("master_repl_offset:"), NULL, 10);
	free(text);
	return blocked;
}

/* From then on the replica gets nothing, and the event comes. */
static void write_when_blocked(void *arg)
{
	struct blocked_read *read = arg;
	static const char *const add[] = { "XADD", "log", "*", "a", "1" };
	if (!is_blocked()) {
		loop_timer_start(read->loop, &read->timer, 5, write_when_blocked, read);
	} else {
		redis_fixture_freeze(&read->replica);
		free(redis_fixture_command(&server, add, ARRAY_LEN(add)));
		read->written = true;
	}
}

static void read_ended(void *arg, const struct redis_value *value, const struct error *err)
{
	struct blocked_read *read = arg;
	ck_assert_ptr_null(value);
	read->err = *err;
	loop_stop(read->loop);
}

START_TEST(what_ends_a_blocking_read_is_replicated)
{
	struct blocked_read read = { .loop = loop_create() };
	char url[128];
	struct error err;
	struct redis *redis;
	struct redis_command command;
	const struct redis_value *value;
	redis_fixture_start_replica(&read.replica, &server);
	snprintf(url, sizeof(url), "%s?replicas=1", server.url);
	ck_assert(redis_create(read.loop, url, NULL, 0, 20000, &redis, &err));
	ck_assert_msg(words_run(redis, "SET a 1", &value, &err), "%s", err.message);
	words_put(&command, "XREAD BLOCK 20000 STREAMS log $");
	redis_queue(redis, &command, read_ended, &read);
	redis_command_free(&command);
	loop_timer_start(read.loop, &read.timer, 5, write_when_blocked, &read);
	loop_run(read.loop);
	ck_assert(read.written);
	ck_assert_int_eq(read.err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(read.err.message, "0 of 1 replicas"));
	redis_destroy(redis);
	loop_destroy(read.loop);
	redis_fixture_thaw(&read.replica);
	redis_fixture_destroy(&read.replica);
}
END_TEST

START_TEST(refusals_for_now_are_no_values)
{
	struct redis *redis = words_connect(&server, NULL, 2000);
	struct error err;
	const struct redis_value *value;
	words_expect_text(redis, "CONFIG SET min-replicas-to-write 1", "OK");
	ck_assert(!words_run(redis, "SET a 1", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, "NOREPLICAS"));
	words_expect_text(redis, "CONFIG SET min-replicas-to-write 0", "OK");
	/* a master that becomes a replica is left, and so is one at the start */
	words_expect_text(redis, "REPLICAOF 127.0.0.1 1", "OK");
	ck_assert(!words_run(redis, "SET a 1", &value, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, "is a replica"));
	redis_destroy(redis);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis replica");
	TCase *tcase = tcase_create("replica");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, too_few_replicas);
	tcase_add_test(tcase, what_ends_a_blocking_read_is_replicated);
	tcase_add_test(tcase, refusals_for_now_are_no_values);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
