#include "base/id.h"
#include "message-queue/test_fixture.h"
#include "proto/health.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE (&mq__message_queue__descriptor)

static struct fixture fixture;

static void setup(void)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture.legacy_lease_ms = 300;
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

/* Deterministic ids: number in the last digits. */
static const char *id_of(unsigned number)
{
	static char ids[16][UUID_SIZE];
	static unsigned next;
	char *id = ids[next++ % 16];
	snprintf(id, UUID_SIZE, "11111111-2222-4333-8444-%012u", number);
	return id;
}

static void expect(struct pending *pending, const char *text)
{
	fixture_run(&fixture, pending_done, pending, 5000);
	ck_assert_msg(pending->err.code == ERR_NONE, "%s", pending->err.message);
	ck_assert_str_eq(pending->text, text);
}

START_TEST(call_and_outcome)
{
	static struct worker worker = { .echo = true };
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	fixture_begin_call(&fixture, id_of(1), "{\"params\":1}", 5000, &pending);
	expect(&pending, "{\"params\":1}");
	ck_assert_str_eq(pending.id, id_of(1));
	const Mq__OutcomeResponse *outcome = fixture_outcome(&fixture, id_of(1));
	ck_assert_int_eq(outcome->state, MQ__OUTCOME_RESPONSE__STATE__DONE);
	ck_assert_str_eq(outcome->result->result, "{\"params\":1}");
	ck_assert_int_eq(fixture_outcome(&fixture, id_of(2))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__UNKNOWN);
	ck_assert_uint_eq(worker.got[0].attempt, 1);
	worker_vanish(&worker);
}
END_TEST

START_TEST(states_and_counts)
{
	static struct worker worker;
	fixture_send(&fixture, id_of(1), "1");
	fixture_send(&fixture, id_of(2), "2");
	fixture_sleep(&fixture, 20);
	const Mq__QueueInfo *info = fixture_info(&fixture);
	ck_assert_uint_eq(info->depth, 2);
	ck_assert_uint_ge(info->oldest_age_ms, 20);
	ck_assert_uint_eq(info->consumers, 0);
	ck_assert_int_eq(fixture_outcome(&fixture, id_of(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__READY);
	worker_start(&worker, &fixture, "work", "do", 1, 0, 0);
	worker_wait(&worker, 1);
	info = fixture_info(&fixture);
	ck_assert_uint_eq(info->depth, 1);
	ck_assert_uint_eq(info->in_flight, 1);
	ck_assert_uint_eq(info->consumers, 1);
	ck_assert_int_eq(fixture_outcome(&fixture, id_of(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT);
	worker_settle(&worker, "do", id_of(1), "true");
	worker_wait(&worker, 2);
	ck_assert_str_eq(worker.got[1].payload, "2");
	worker_settle(&worker, "do", id_of(2), "");
	fixture_sleep(&fixture, 50);
	ck_assert_str_eq(fixture_outcome(&fixture, id_of(2))->result->result, "null");
	worker_vanish(&worker);
}
END_TEST

START_TEST(same_id_runs_once)
{
	static struct worker worker;
	struct pending first, second, third;
	fixture_send(&fixture, id_of(1), "1");
	fixture_begin_call(&fixture, id_of(1), "1", 5000, &first);
	fixture_sleep(&fixture, 30);
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&worker, 1);
	fixture_begin_call(&fixture, id_of(1), "1", 5000, &second);
	fixture_sleep(&fixture, 30);
	worker_settle(&worker, "do", id_of(1), "\"once\"");
	expect(&first, "\"once\"");
	expect(&second, "\"once\"");
	fixture_begin_call(&fixture, id_of(1), "1", 5000, &third);
	expect(&third, "\"once\"");
	ck_assert_uint_eq(worker.count, 1);
	worker_vanish(&worker);
}
END_TEST

START_TEST(failing_message_is_parked)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 3);
	fixture_begin_call(&fixture, id_of(1), "1", 5000, &pending);
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		worker_wait(&worker, attempt);
		ck_assert_uint_eq(worker.got[attempt - 1].attempt, attempt);
		worker_fail(&worker, "do", id_of(1), "the printer is on fire");
	}
	fixture_run(&fixture, pending_done, &pending, 5000);
	ck_assert_int_eq(pending.err.code, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(pending.err.message, "the printer is on fire"));
	const Mq__OutcomeResponse *outcome = fixture_outcome(&fixture, id_of(1));
	ck_assert_int_eq(outcome->state, MQ__OUTCOME_RESPONSE__STATE__DEAD);
	ck_assert_str_eq(outcome->reason, "the printer is on fire");
	const Mq__QueueInfo *info = fixture_info(&fixture);
	ck_assert_uint_eq(info->dead, 1);
	ck_assert_uint_eq(info->depth + info->in_flight, 0);
	fixture_begin_call(&fixture, id_of(1), "1", 5000, &pending);
	fixture_run(&fixture, pending_done, &pending, 5000);
	ck_assert_int_eq(pending.err.code, ERR_INTERNAL);
	ck_assert_uint_eq(worker.count, 3);
	worker_vanish(&worker);
}
END_TEST

START_TEST(vanished_consumer_returns_all)
{
	static struct worker first, second;
	worker_start(&first, &fixture, "work", "do", 2, 0, 0);
	for (unsigned i = 1; i <= 4; i++)
		fixture_send(&fixture, id_of(i), "1");
	worker_wait(&first, 2);
	worker_vanish(&first);
	worker_start(&second, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&second, 4);
	for (unsigned i = 1; i <= 4; i++) {
		ck_assert_str_eq(second.got[i - 1].id, id_of(i));
		ck_assert_uint_eq(second.got[i - 1].attempt, i <= 2 ? 2 : 1);
	}
	worker_vanish(&second);
}
END_TEST

START_TEST(lease_ends)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 1, 100, 0);
	fixture_begin_call(&fixture, id_of(1), "1", 10000, &pending);
	worker_wait(&worker, 2);
	ck_assert_uint_eq(worker.got[1].attempt, 2);
	worker_settle(&worker, "do", id_of(1), "2");
	expect(&pending, "2");
	worker_vanish(&worker);
}
END_TEST

START_TEST(late_outcome_counts)
{
	static struct worker slow;
	struct pending pending;
	worker_start(&slow, &fixture, "work", "do", 1, 100, 0);
	fixture_begin_call(&fixture, id_of(1), "1", 10000, &pending);
	worker_wait(&slow, 1);
	worker_vanish(&slow);
	worker_start(&slow, &fixture, "work", "other", 1, 100, 0);
	static struct worker again;
	worker_start(&again, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&again, 1);
	worker_vanish(&again); /* it waits again: no lease */
	static struct worker third;
	fixture_send(&fixture, id_of(2), "1");
	worker_start(&third, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&third, 1);
	ck_assert_uint_eq(third.got[0].attempt, 3);
	worker_settle(&third, "do", id_of(2), "\"ready\""); /* never delivered to it */
	worker_settle(&third, "do", id_of(1), "\"late\"");
	expect(&pending, "\"late\"");
	fixture_sleep(&fixture, 50);
	ck_assert_str_eq(fixture_outcome(&fixture, id_of(2))->result->result, "\"ready\"");
	worker_vanish(&third);
	worker_vanish(&slow);
}
END_TEST

START_TEST(round_robin_and_credits)
{
	static struct worker a, b;
	worker_start(&a, &fixture, "work", "do", 3, 0, 0);
	worker_start(&b, &fixture, "work", "do", 5, 0, 0);
	fixture_sleep(&fixture, 50);
	for (unsigned i = 1; i <= 6; i++)
		fixture_send(&fixture, id_of(i), "1");
	fixture_sleep(&fixture, 50);
	ck_assert_uint_eq(a.count, 3);
	ck_assert_uint_eq(b.count, 3);
	for (unsigned i = 7; i <= 12; i++)
		fixture_send(&fixture, id_of(i), "1");
	fixture_sleep(&fixture, 50);
	ck_assert_uint_eq(a.count, 3);
	ck_assert_uint_eq(b.count, 5);
	worker_settle(&a, "do", a.got[0].id, "1");
	worker_wait(&a, 4);
	ck_assert_str_eq(a.got[3].id, id_of(9));
	worker_vanish(&a);
	worker_vanish(&b);
}
END_TEST

static void call_refused(Mq__Message *message, enum error_code code, const char *words)
{
	Mq__CallRequest request = MQ__CALL_REQUEST__INIT;
	struct error err = { 0 };
	request.message = message;
	ck_assert_ptr_null(fixture_call(&fixture, NATIVE, "Call", &request.base, 2000, &err));
	ck_assert_msg(err.code == code, "%s", err.message);
	ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" in \"%s\"", words, err.message);
}

START_TEST(wrong_messages_are_refused)
{
	static const struct {
		const char *service, *function, *id, *payload, *metadata, *words;
	} wrong[] = {
		{ "", "do", "", "1", "", "service" },
		{ "a:b", "do", "", "1", "", "service" },
		{ "work", "d o", "", "1", "", "function" },
		{ "work", "do", "no-uuid", "1", "", "message_id" },
		{ "work", "do", "", "", "", "payload" },
		{ "work", "do", "", "{\"a\":", "", "payload" },
		{ "work", "do", "", "1", "[1]", "metadata" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		Mq__Message message = MQ__MESSAGE__INIT;
		message.service = wrong[i].service;
		message.function = wrong[i].function;
		message.message_id = wrong[i].id;
		message.payload = wrong[i].payload;
		message.metadata = wrong[i].metadata;
		call_refused(&message, ERR_INVALID, wrong[i].words);
	}
	call_refused(NULL, ERR_INVALID, "message");
	char *large = calloc(1, 1024 * 1024 + 8);
	memset(large, ' ', 1024 * 1024 + 4);
	large[0] = '1';
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.payload = large;
	call_refused(&message, ERR_INVALID, "payload");
	free(large);
}
END_TEST

START_TEST(wrong_starts_are_refused)
{
	static struct worker worker;
	worker_start(&worker, &fixture, "work", "do", 0, 0, 0);
	fixture_sleep(&fixture, 50);
	ck_assert(worker.closed);
	ck_assert_int_eq(worker.err.code, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(worker.err.message, "credits"));
	worker_start(&worker, &fixture, "work", "do", 1, 50, 0);
	fixture_sleep(&fixture, 50);
	ck_assert_int_eq(worker.err.code, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(worker.err.message, "lease_ms"));
}
END_TEST

START_TEST(bad_result_becomes_an_error)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 1, 0, 0);
	fixture_begin_call(&fixture, id_of(1), "1", 5000, &pending);
	worker_wait(&worker, 1);
	worker_settle(&worker, "do", id_of(1), "{no json");
	fixture_run(&fixture, pending_done, &pending, 5000);
	ck_assert_int_eq(pending.error_code, 13);
	worker_vanish(&worker);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
	fixture_kill_service(&fixture);
	fixture.max_pending = 3;
	fixture_serve(&fixture);
	for (unsigned i = 1; i <= 3; i++)
		fixture_send(&fixture, id_of(i), "1");
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.payload = "1";
	call_refused(&message, ERR_EXHAUSTED, "3 messages");
	fixture_send(&fixture, id_of(2), "1"); /* known: not one more */
}
END_TEST

START_TEST(callers_are_bounded)
{
	fixture_kill_service(&fixture);
	fixture.max_callers = 1;
	fixture_serve(&fixture);
	struct pending first, second;
	fixture_begin_call(&fixture, id_of(1), "1", 400, &first);
	fixture_sleep(&fixture, 30);
	fixture_begin_call(&fixture, id_of(2), "1", 400, &second);
	fixture_run(&fixture, pending_done, &second, 1000);
	ck_assert_int_eq(second.err.code, ERR_EXHAUSTED);
	fixture_run(&fixture, pending_done, &first, 1000);
	ck_assert_int_eq(first.err.code, ERR_DEADLINE);
}
END_TEST

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
	mux_send(mux, id_of(1), false, &waiting);
	mux_send(mux, id_of(2), true, &sent);
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
	ck_assert_str_eq(after.got[0].id, id_of(1));
	ck_assert_uint_eq(after.got[0].attempt, 2);
	ck_assert_str_eq(after.got[1].id, id_of(2));
	worker_settle(&after, "do", id_of(1), "\"survived\"");
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
	fixture_begin_call(&fixture, id_of(1), "1", 20000, &pending);
	worker_wait(&worker, 1);
	redis_fixture_freeze(&fixture.redis);
	worker_settle(&worker, "do", id_of(1), "\"patient\"");
	fixture_sleep(&fixture, 200);
	ck_assert(!pending.done);
	redis_fixture_thaw(&fixture.redis);
	expect(&pending, "\"patient\"");
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
	fixture_begin_call(&fixture, id_of(1), "1", 20000, &first);
	worker_wait(&worker, 1);
	fixture_begin_call(&fixture, id_of(2), "2", 20000, &second);
	fixture_sleep(&fixture, 100);
	ck_assert_int_eq(health(), HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	redis_fixture_kill(&fixture.redis);
	worker_settle(&worker, "do", id_of(1), "\"kept\"");
	fixture_sleep(&fixture, 1300);
	ck_assert_int_eq(health(), HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
	struct pending refused;
	fixture_begin_call(&fixture, id_of(3), "3", 5000, &refused);
	fixture_run(&fixture, pending_done, &refused, 3000);
	ck_assert_int_eq(refused.err.code, ERR_UNAVAILABLE);
	ck_assert(!first.done && !second.done);
	redis_fixture_restart(&fixture.redis);
	expect(&first, "\"kept\"");
	worker_wait(&worker, 2);
	worker_settle(&worker, "do", id_of(2), "\"too\"");
	expect(&second, "\"too\"");
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
	fixture_send(&fixture, id_of(1), "1");
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&worker, 1);
	message_queue_stop(fixture.service, on_stopped, &stopped);
	fixture_run(&fixture, is_true, &stopped, 3000);
	ck_assert_int_eq(worker.err.code, ERR_UNAVAILABLE);
	fixture_sleep(&fixture, 50);
	fixture_kill_service(&fixture);
	fixture_serve(&fixture);
	ck_assert_int_eq(fixture_outcome(&fixture, id_of(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__READY);
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
	fixture_begin_call(&fixture, id_of(1), "\"far\"", 5000, &pending);
	expect(&pending, "\"far\"");
	worker_vanish(&worker);
	rpc_channel_destroy(other.channel);
	message_queue_destroy(other.service);
	arena_destroy(other.arena);
}
END_TEST

START_TEST(many_at_once)
{
	static struct worker worker = { .echo = true };
	static struct pending pending[300];
	worker_start(&worker, &fixture, "work", "do", 64, 0, 0);
	for (unsigned i = 0; i < ARRAY_LEN(pending); i++) {
		char payload[32];
		snprintf(payload, sizeof(payload), "%u", i);
		fixture_begin_call(&fixture, id_of(i), payload, 10000, &pending[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(pending); i++) {
		char payload[32];
		snprintf(payload, sizeof(payload), "%u", i);
		expect(&pending[i], payload);
	}
	ck_assert_uint_eq(worker.count, ARRAY_LEN(pending));
	for (unsigned i = 1; i < worker.count; i++)
		ck_assert_int_lt(atoi(worker.got[i - 1].payload), atoi(worker.got[i].payload));
	worker_vanish(&worker);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("queue");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, call_and_outcome);
	tcase_add_test(tcase, states_and_counts);
	tcase_add_test(tcase, same_id_runs_once);
	tcase_add_test(tcase, failing_message_is_parked);
	tcase_add_test(tcase, vanished_consumer_returns_all);
	tcase_add_test(tcase, lease_ends);
	tcase_add_test(tcase, late_outcome_counts);
	tcase_add_test(tcase, round_robin_and_credits);
	tcase_add_test(tcase, wrong_messages_are_refused);
	tcase_add_test(tcase, wrong_starts_are_refused);
	tcase_add_test(tcase, bad_result_becomes_an_error);
	tcase_add_test(tcase, a_full_queue_refuses);
	tcase_add_test(tcase, callers_are_bounded);
	tcase_add_test(tcase, all_goes_on_after_a_restart);
	tcase_add_test(tcase, redis_goes_and_comes);
	tcase_add_test(tcase, a_stop_returns_what_is_held);
	tcase_add_test(tcase, a_taken_address_is_an_error);
	tcase_add_test(tcase, two_instances_share);
	tcase_add_test(tcase, many_at_once);
	TCase *disk = tcase_create("disk");
	tcase_add_checked_fixture(disk, setup_disk, teardown);
	tcase_set_timeout(disk, 60);
	tcase_add_test(disk, redis_dies_and_comes_back);
	Suite *suite = suite_create("queue");
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, disk);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
