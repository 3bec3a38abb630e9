#include "message-queue/test_fixture.h"
#include "tests/support/suite.h"

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

static void teardown(void)
{
	fixture_end(&fixture);
}

START_TEST(call_and_outcome)
{
	static struct worker worker = { .echo = true };
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	fixture_begin_call(&fixture, fixture_id(1), "{\"params\":1}", 5000, &pending);
	fixture_expect(&fixture, &pending, "{\"params\":1}");
	ck_assert_str_eq(pending.id, fixture_id(1));
	const Mq__OutcomeResponse *outcome = fixture_outcome(&fixture, fixture_id(1));
	ck_assert_int_eq(outcome->state, MQ__OUTCOME_RESPONSE__STATE__DONE);
	ck_assert_str_eq(outcome->result->result, "{\"params\":1}");
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(2))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__UNKNOWN);
	ck_assert_uint_eq(worker.got[0].attempt, 1);
	worker_vanish(&worker);
}
END_TEST

START_TEST(asking_makes_no_queue)
{
	const ProtobufCServiceDescriptor *native = &mq__message_queue__descriptor;
	struct error err;
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__UNKNOWN);
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;
	const Mq__QueuesResponse *all = (const Mq__QueuesResponse *)fixture_call(
	    &fixture, native, "Queues", &request.base, 5000, &err);
	ck_assert_msg(all != NULL, "%s", err.message);
	ck_assert_uint_eq(all->n_queues, 0);
}
END_TEST

START_TEST(states_and_counts)
{
	static struct worker worker;
	fixture_send(&fixture, fixture_id(1), "1");
	fixture_send(&fixture, fixture_id(2), "2");
	fixture_sleep(&fixture, 20);
	const Mq__QueueInfo *info = fixture_info(&fixture);
	ck_assert_uint_eq(info->depth, 2);
	ck_assert_uint_ge(info->oldest_age_ms, 20);
	ck_assert_uint_eq(info->consumers, 0);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__READY);
	worker_start(&worker, &fixture, "work", "do", 1, 0, 0);
	worker_wait(&worker, 1);
	info = fixture_info(&fixture);
	ck_assert_uint_eq(info->depth, 1);
	ck_assert_uint_eq(info->in_flight, 1);
	ck_assert_uint_eq(info->consumers, 1);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT);
	worker_settle(&worker, "do", fixture_id(1), "true");
	worker_wait(&worker, 2);
	ck_assert_str_eq(worker.got[1].payload, "2");
	worker_settle(&worker, "do", fixture_id(2), "");
	fixture_sleep(&fixture, 50);
	ck_assert_str_eq(fixture_outcome(&fixture, fixture_id(2))->result->result, "null");
	worker_vanish(&worker);
}
END_TEST

START_TEST(same_id_runs_once)
{
	static struct worker worker;
	struct pending first, second, third;
	fixture_send(&fixture, fixture_id(1), "1");
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &first);
	fixture_sleep(&fixture, 30);
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&worker, 1);
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &second);
	fixture_sleep(&fixture, 30);
	worker_settle(&worker, "do", fixture_id(1), "\"once\"");
	fixture_expect(&fixture, &first, "\"once\"");
	fixture_expect(&fixture, &second, "\"once\"");
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &third);
	fixture_expect(&fixture, &third, "\"once\"");
	ck_assert_uint_eq(worker.count, 1);
	worker_vanish(&worker);
}
END_TEST

START_TEST(failing_message_is_parked)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 3);
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &pending);
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		worker_wait(&worker, attempt);
		ck_assert_uint_eq(worker.got[attempt - 1].attempt, attempt);
		worker_fail(&worker, "do", fixture_id(1), "the printer is on fire");
	}
	fixture_run(&fixture, pending_done, &pending, 5000);
	ck_assert_int_eq(pending.err.code, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(pending.err.message, "the printer is on fire"));
	const Mq__OutcomeResponse *outcome = fixture_outcome(&fixture, fixture_id(1));
	ck_assert_int_eq(outcome->state, MQ__OUTCOME_RESPONSE__STATE__DEAD);
	ck_assert_str_eq(outcome->reason, "the printer is on fire");
	const Mq__QueueInfo *info = fixture_info(&fixture);
	ck_assert_uint_eq(info->dead, 1);
	ck_assert_uint_eq(info->depth + info->in_flight, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &pending);
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
		fixture_send(&fixture, fixture_id(i), "1");
	worker_wait(&first, 2);
	worker_vanish(&first);
	worker_start(&second, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&second, 4);
	for (unsigned i = 1; i <= 4; i++) {
		ck_assert_str_eq(second.got[i - 1].id, fixture_id(i));
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
	fixture_begin_call(&fixture, fixture_id(1), "1", 10000, &pending);
	worker_wait(&worker, 2);
	ck_assert_uint_eq(worker.got[1].attempt, 2);
	worker_settle(&worker, "do", fixture_id(1), "2");
	fixture_expect(&fixture, &pending, "2");
	worker_vanish(&worker);
}
END_TEST

START_TEST(late_outcome_counts)
{
	static struct worker slow;
	struct pending pending;
	worker_start(&slow, &fixture, "work", "do", 1, 100, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 10000, &pending);
	worker_wait(&slow, 1);
	worker_vanish(&slow);
	worker_start(&slow, &fixture, "work", "other", 1, 100, 0);
	static struct worker again;
	worker_start(&again, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&again, 1);
	worker_vanish(&again); /* it waits again: no lease */
	static struct worker third;
	fixture_send(&fixture, fixture_id(2), "1");
	worker_start(&third, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&third, 1);
	ck_assert_uint_eq(third.got[0].attempt, 3);
	worker_settle(&third, "do", fixture_id(2), "\"ready\""); /* never delivered to it */
	worker_settle(&third, "do", fixture_id(1), "\"late\"");
	fixture_expect(&fixture, &pending, "\"late\"");
	fixture_sleep(&fixture, 50);
	ck_assert_str_eq(fixture_outcome(&fixture, fixture_id(2))->result->result, "\"ready\"");
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
		fixture_send(&fixture, fixture_id(i), "1");
	fixture_sleep(&fixture, 50);
	ck_assert_uint_eq(a.count, 3);
	ck_assert_uint_eq(b.count, 3);
	for (unsigned i = 7; i <= 12; i++)
		fixture_send(&fixture, fixture_id(i), "1");
	fixture_sleep(&fixture, 50);
	ck_assert_uint_eq(a.count, 3);
	ck_assert_uint_eq(b.count, 5);
	worker_settle(&a, "do", a.got[0].id, "1");
	worker_wait(&a, 4);
	ck_assert_str_eq(a.got[3].id, fixture_id(9));
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
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &pending);
	worker_wait(&worker, 1);
	worker_settle(&worker, "do", fixture_id(1), "{no json");
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
		fixture_send(&fixture, fixture_id(i), "1");
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.payload = "1";
	call_refused(&message, ERR_EXHAUSTED, "its limit is 3");
	fixture_send(&fixture, fixture_id(2), "1"); /* known: not one more */
}
END_TEST

START_TEST(callers_are_bounded)
{
	fixture_kill_service(&fixture);
	fixture.max_callers = 1;
	fixture_serve(&fixture);
	struct pending first, second;
	fixture_begin_call(&fixture, fixture_id(1), "1", 400, &first);
	fixture_sleep(&fixture, 30);
	fixture_begin_call(&fixture, fixture_id(2), "1", 400, &second);
	fixture_run(&fixture, pending_done, &second, 1000);
	ck_assert_int_eq(second.err.code, ERR_EXHAUSTED);
	fixture_run(&fixture, pending_done, &first, 1000);
	ck_assert_int_eq(first.err.code, ERR_DEADLINE);
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
		fixture_begin_call(&fixture, fixture_id(i), payload, 10000, &pending[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(pending); i++) {
		char payload[32];
		snprintf(payload, sizeof(payload), "%u", i);
		fixture_expect(&fixture, &pending[i], payload);
	}
	/* Each is a call of its own, so nothing says in which order they arrive. */
	ck_assert_uint_eq(worker.count, ARRAY_LEN(pending));
	worker_vanish(&worker);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("queue");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, call_and_outcome);
	tcase_add_test(tcase, asking_makes_no_queue);
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
	tcase_add_test(tcase, many_at_once);
	Suite *suite = suite_create("queue");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
