/* What happens when processes die, stop, or come twice. */
#include "message-queue/test_fixture.h"
#include "proto/health.pb-c.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE (&mq__message_queue__descriptor)

static struct fixture fixture;

static void setup(void)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture_start(&fixture);
}

static void setup_disk(void)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture.disk = REDIS_FIXTURE_ALWAYS;
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_end(&fixture);
}

struct mux_answer {
	bool done;
	char text[256];
};

static void on_mux(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct mux_answer *answer = arg;
	const Mq__SubmitResult *result = (const Mq__SubmitResult *)item;
	answer->done = true;
	snprintf(answer->text, sizeof(answer->text), "%s",
	         err != NULL                     ? err->message
	         : result->result == NULL        ? "stored"
	         : result->result->error != NULL ? result->result->error->message
	                                         : result->result->result);
}

static bool mux_done(void *arg)
{
	return ((struct mux_answer *)arg)->done;
}

static void mux_send(struct rpc_mux *mux, const char *id, bool send_only, struct mux_answer *answer)
{
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.message_id = id;
	message.payload = "1";
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	item.send_only = send_only;
	memset(answer, 0, sizeof(*answer));
	rpc_mux_request(mux, &item.base, 10000, on_mux, answer);
}

START_TEST(all_goes_on_after_a_restart)
{
	static struct worker before, after;
	struct mux_answer waiting, sent;
	struct rpc_mux *mux =
	    rpc_mux_create(fixture.loop, fixture.channel, NATIVE, "SubmitStream", 100);
	mux_send(mux, fixture_id(1), false, &waiting);
	mux_send(mux, fixture_id(2), true, &sent);
	fixture_run(&fixture, mux_done, &sent, 2000);
	ck_assert_str_eq(sent.text, "stored");
	worker_start(&before, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&before, 1);
	fixture_kill_service(&fixture);
	fixture_sleep(&fixture, 50);
	ck_assert(before.closed);
	fixture_serve(&fixture);
	worker_start(&after, &fixture, "work", "do", 10, 60000, 0);
	worker_wait(&after, 2);
	ck_assert_str_eq(after.got[0].id, fixture_id(1));
	ck_assert_uint_eq(after.got[0].attempt, 2);
	ck_assert_str_eq(after.got[1].id, fixture_id(2));
	worker_settle(&after, "do", fixture_id(1), "\"survived\"");
	fixture_run(&fixture, mux_done, &waiting, 5000);
	ck_assert_str_eq(waiting.text, "\"survived\"");
	worker_vanish(&after);
	rpc_mux_destroy(mux);
}
END_TEST

START_TEST(redis_goes_and_comes)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 20000, &pending);
	worker_wait(&worker, 1);
	redis_fixture_freeze(&fixture.redis);
	worker_settle(&worker, "do", fixture_id(1), "\"patient\"");
	fixture_sleep(&fixture, 200);
	ck_assert(!pending.done);
	redis_fixture_thaw(&fixture.redis);
	fixture_expect(&fixture, &pending, "\"patient\"");
	worker_vanish(&worker);
}
END_TEST

/* As after an end of delivery that Redis could not take, and another of the next delivery. */
START_TEST(an_id_twice_in_one_batch_settles_once)
{
	static struct worker worker;
	static const char keys[][40] = { "pending", "high",      "low",        "messages",
		                         "leases",  "delayed",   "attempts",   "dead",
		                         "parked",  "done:test", "done:before" };
	char names[ARRAY_LEN(keys)][80];
	const char *argv[3 + ARRAY_LEN(keys) + 7] = { "FCALL", "queue_settle", "11" };
	fixture_send(&fixture, fixture_id(1), "1");
	fixture_send(&fixture, fixture_id(2), "2");
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&worker, 1);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		snprintf(names[i], sizeof(names[i]), "{queue:work/do}:%s", keys[i]);
		argv[3 + i] = names[i];
	}
	char leased[80], ready[80];
	snprintf(leased, sizeof(leased), "%s", fixture_id(1));
	snprintf(ready, sizeof(ready), "%s", fixture_id(2));
	const char *const args[] = { "60", leased, "first", leased, "second" };
	int argc = 3 + ARRAY_LEN(keys);
	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		argv[argc++] = args[i];
	char *states = redis_fixture_command(&fixture.redis, argv, argc);
	ck_assert_str_eq(states, "SU");
	free(states);
	const char *kept[] = { "HGET", names[9], leased };
	char *outcome = redis_fixture_command(&fixture.redis, kept, 3);
	ck_assert_str_eq(outcome, "first");
	free(outcome);
	argv[argc - 2] = argv[argc - 4] = ready;
	states = redis_fixture_command(&fixture.redis, argv, argc);
	ck_assert_str_eq(states, "SU");
	free(states);
	worker_vanish(&worker);
}
END_TEST

static int health(void)
{
	Health__HealthCheckRequest request = HEALTH__HEALTH_CHECK_REQUEST__INIT;
	struct error err;
	const ProtobufCMessage *response =
	    fixture_call(&fixture, &health__health__descriptor, "Check", &request.base, 1000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return (int)((const Health__HealthCheckResponse *)response)->status;
}

START_TEST(redis_dies_and_comes_back)
{
	static struct worker worker;
	struct pending first, second;
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 20000, &first);
	worker_wait(&worker, 1);
	fixture_begin_call(&fixture, fixture_id(2), "2", 20000, &second);
	fixture_sleep(&fixture, 100);
	ck_assert_int_eq(health(), HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	redis_fixture_kill(&fixture.redis);
	worker_settle(&worker, "do", fixture_id(1), "\"kept\"");
	fixture_sleep(&fixture, 1300);
	ck_assert_int_eq(health(), HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
	struct pending refused;
	fixture_begin_call(&fixture, fixture_id(3), "3", 5000, &refused);
	fixture_run(&fixture, pending_done, &refused, 3000);
	ck_assert_int_eq(refused.err.code, ERR_UNAVAILABLE);
	ck_assert(!first.done && !second.done);
	redis_fixture_restart(&fixture.redis);
	fixture_expect(&fixture, &first, "\"kept\"");
	worker_wait(&worker, 2);
	worker_settle(&worker, "do", fixture_id(2), "\"too\"");
	fixture_expect(&fixture, &second, "\"too\"");
	fixture_sleep(&fixture, 600);
	ck_assert_int_eq(health(), HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	worker_vanish(&worker);
}
END_TEST

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static bool is_true(void *arg)
{
	return *(bool *)arg;
}

START_TEST(a_stop_returns_what_is_held)
{
	static struct worker worker;
	bool stopped = false;
	fixture_send(&fixture, fixture_id(1), "1");
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&worker, 1);
	message_queue_stop(fixture.service, on_stopped, &stopped);
	fixture_run(&fixture, is_true, &stopped, 3000);
	ck_assert_int_eq(worker.err.code, ERR_UNAVAILABLE);
	fixture_sleep(&fixture, 50);
	fixture_kill_service(&fixture);
	fixture_serve(&fixture);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__READY);
}
END_TEST

/* How often to try is the consumer's word, also while it is not there. */
START_TEST(a_restart_parks_nothing)
{
	static struct worker worker;
	fixture_send(&fixture, fixture_id(1), "1");
	for (unsigned i = 1; i <= 7; i++) {
		worker_start(&worker, &fixture, "work", "do", 1, 60000, 20);
		worker_wait(&worker, 1);
		ck_assert_uint_eq(worker.got[0].attempt, i);
		if (i < 7)
			worker_vanish(&worker);
	}
	fixture_kill_service(&fixture);
	fixture_serve(&fixture);
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 20);
	worker_wait(&worker, 1);
	ck_assert_uint_eq(worker.got[0].attempt, 8);
	worker_vanish(&worker);
}
END_TEST

START_TEST(a_taken_address_is_an_error)
{
	struct error err = { 0 };
	struct message_queue *second = NULL;
	const char *address = "127.0.0.1:0";
	struct message_queue_options options = { .redis_url = fixture.redis.url,
		                                 .listen = &address,
		                                 .listen_count = 1 };
	ck_assert(message_queue_serve(fixture.loop, &options, &second, &err));
	char taken[32];
	snprintf(taken, sizeof(taken), "127.0.0.1:%d", message_queue_port(second));
	address = taken;
	struct message_queue *third = NULL;
	ck_assert(!message_queue_serve(fixture.loop, &options, &third, &err));
	ck_assert_int_eq(err.code, ERR_EXISTS);
	ck_assert_ptr_null(third);
	message_queue_destroy(second);
}
END_TEST

START_TEST(two_instances_share)
{
	struct fixture other = { .redis = fixture.redis, .loop = fixture.loop };
	other.arena = arena_create();
	snprintf(other.address, sizeof(other.address), "%.70s2", fixture.address);
	other.channel = rpc_channel_create(other.loop, other.address);
	fixture_serve(&other);
	fixture_sleep(&fixture, 1200); /* they know of each other */
	static struct worker worker = { .echo = true };
	struct pending pending;
	worker_start(&worker, &other, "work", "do", 10, 0, 0);
	fixture_begin_call(&fixture, fixture_id(1), "\"far\"", 5000, &pending);
	fixture_expect(&fixture, &pending, "\"far\"");
	worker_vanish(&worker);
	rpc_channel_destroy(other.channel);
	message_queue_destroy(other.service);
	arena_destroy(other.arena);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("failure");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, all_goes_on_after_a_restart);
	tcase_add_test(tcase, redis_goes_and_comes);
	tcase_add_test(tcase, an_id_twice_in_one_batch_settles_once);
	tcase_add_test(tcase, a_stop_returns_what_is_held);
	tcase_add_test(tcase, a_restart_parks_nothing);
	tcase_add_test(tcase, a_taken_address_is_an_error);
	tcase_add_test(tcase, two_instances_share);
	TCase *disk = tcase_create("disk");
	tcase_add_checked_fixture(disk, setup_disk, teardown);
	tcase_set_timeout(disk, 60);
	tcase_add_test(disk, redis_dies_and_comes_back);
	Suite *suite = suite_create("failure");
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, disk);
	return run_suite(suite);
}
