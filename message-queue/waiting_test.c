/* What decides when a message is delivered: priority, delay, the end of a lease. */
#include "base/clock.h"
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
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_end(&fixture);
}

static bool is_idle(void *arg)
{
	(void)arg;
	const Mq__QueueInfo *info = fixture_info(&fixture);
	return info->depth + info->in_flight == 0;
}

/* Takes and settles one after the other; they must come in this order. */
static void check_order(struct worker *worker, const unsigned *numbers, size_t count)
{
	size_t before = worker->count;
	worker_wait(worker, before + 1);
	for (size_t i = 0; i < count; i++) {
		worker_wait(worker, before + i + 1);
		ck_assert_str_eq(worker->got[before + i].id, fixture_id(numbers[i]));
		worker_settle(worker, "do", worker->got[before + i].id, "1");
	}
}

START_TEST(priorities_go_first_and_keep_their_order)
{
	static struct worker worker;
	static const unsigned order[] = { 3, 6, 1, 4, 2, 5 };
	static const Mq__Priority priorities[] = { MQ__PRIORITY__NORMAL, MQ__PRIORITY__LOW,
		                                   MQ__PRIORITY__HIGH };
	for (unsigned i = 1; i <= 6; i++)
		fixture_send_special(&fixture, fixture_id(i), priorities[(i - 1) % 3], 0);
	ck_assert_uint_eq(fixture_info(&fixture)->depth, 6);
	worker_start(&worker, &fixture, "work", "do", 1, 0, 0);
	check_order(&worker, order, ARRAY_LEN(order));
	fixture_run(&fixture, is_idle, NULL, 5000);
	worker_vanish(&worker);
	char *left = redis_fixture_command(&fixture.redis,
	                                   (const char *[]){ "KEYS", "{queue:*}:[ahlp]*" }, 2);
	ck_assert_str_eq(left, ""); /* their ends leave nothing */
	free(left);
}
END_TEST

START_TEST(a_batch_takes_from_all_priorities)
{
	static struct worker worker;
	static const unsigned order[] = { 3, 1, 2 };
	fixture_send_special(&fixture, fixture_id(1), MQ__PRIORITY__NORMAL, 0);
	fixture_send_special(&fixture, fixture_id(2), MQ__PRIORITY__LOW, 0);
	fixture_send_special(&fixture, fixture_id(3), MQ__PRIORITY__HIGH, 0);
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&worker, 3);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		ck_assert_str_eq(worker.got[i].id, fixture_id(order[i]));
	/* A waiting consumer gets them as they come. */
	fixture_send_special(&fixture, fixture_id(4), MQ__PRIORITY__LOW, 0);
	fixture_send_special(&fixture, fixture_id(5), MQ__PRIORITY__HIGH, 0);
	worker_wait(&worker, 5);
	ck_assert_str_eq(worker.got[3].id, fixture_id(4));
	worker_vanish(&worker);
}
END_TEST

START_TEST(a_failed_one_keeps_its_priority)
{
	static struct worker first, second;
	fixture_send_special(&fixture, fixture_id(1), MQ__PRIORITY__LOW, 0);
	fixture_send_special(&fixture, fixture_id(2), MQ__PRIORITY__LOW, 0);
	worker_start(&first, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&first, 1);
	fixture_send_special(&fixture, fixture_id(3), MQ__PRIORITY__NORMAL, 0);
	worker_vanish(&first); /* the first of the low ones is again the first of the low ones */
	worker_start(&second, &fixture, "work", "do", 1, 60000, 0);
	check_order(&second, (const unsigned[]){ 3, 1, 2 }, 3);
	ck_assert_uint_eq(second.got[1].attempt, 2);
	ck_assert_uint_eq(second.got[2].attempt, 1);
	worker_vanish(&second);
}
END_TEST

START_TEST(a_delayed_message_comes_in_its_time)
{
	static struct worker worker;
	worker_start(&worker, &fixture, "work", "do", 10, 60000, 0);
	uint64_t sent_ms = clock_monotonic_ms();
	fixture_send_special(&fixture, fixture_id(1), MQ__PRIORITY__NORMAL, 400);
	fixture_send_special(&fixture, fixture_id(2), MQ__PRIORITY__NORMAL, 200);
	fixture_send_special(&fixture, fixture_id(3), MQ__PRIORITY__NORMAL, 0);
	worker_wait(&worker, 1);
	ck_assert_str_eq(worker.got[0].id, fixture_id(3));
	worker_wait(&worker, 2);
	ck_assert_uint_ge(clock_monotonic_ms() - sent_ms, 199);
	ck_assert_str_eq(worker.got[1].id, fixture_id(2));
	worker_wait(&worker, 3);
	ck_assert_uint_ge(clock_monotonic_ms() - sent_ms, 399);
	ck_assert_str_eq(worker.got[2].id, fixture_id(1));
	ck_assert_uint_eq(worker.got[2].attempt, 1);
	ck_assert(!worker.got[2].redelivered);
	worker_vanish(&worker);
}
END_TEST

START_TEST(a_delayed_message_survives_a_restart_and_runs_once)
{
	static struct worker worker;
	fixture_send_special(&fixture, fixture_id(1), MQ__PRIORITY__HIGH, 300);
	fixture_send_special(&fixture, fixture_id(1), MQ__PRIORITY__NORMAL, 0); /* the same */
	fixture_send(&fixture, fixture_id(2), "1");
	fixture_kill_service(&fixture);
	fixture_serve(&fixture);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__READY);
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	worker_wait(&worker, 1);
	ck_assert_str_eq(worker.got[0].id, fixture_id(2));
	fixture_sleep(&fixture, 350);
	fixture_send(&fixture, fixture_id(3), "1");
	worker_settle(&worker, "do", fixture_id(2), "1");
	check_order(&worker, (const unsigned[]){ 1, 3 }, 2);
	fixture_sleep(&fixture, 50);
	ck_assert_uint_eq(worker.count, 3);
	worker_vanish(&worker);
}
END_TEST

START_TEST(the_consumer_chooses_the_delay)
{
	static struct worker worker;
	worker_start(&worker, &fixture, "work", "do", 10, 60000, 0);
	fixture_send(&fixture, fixture_id(1), "1");
	worker_wait(&worker, 1);
	uint64_t failed_ms = clock_monotonic_ms();
	worker_fail_for(&worker, "do", fixture_id(1), "not yet", 600);
	fixture_send(&fixture, fixture_id(2), "1"); /* it holds up nobody */
	worker_wait(&worker, 2);
	ck_assert_str_eq(worker.got[1].id, fixture_id(2));
	worker_wait(&worker, 3);
	ck_assert_uint_ge(clock_monotonic_ms() - failed_ms, 599);
	ck_assert_uint_eq(worker.got[2].attempt, 2);
	worker_vanish(&worker);
}
END_TEST

START_TEST(an_extended_lease_holds)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 1, 400, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 20000, &pending);
	worker_wait(&worker, 1);
	worker_extend(&worker, "do", fixture_id(1), 60000);
	fixture_sleep(&fixture, 1500); /* three leases, and looks at their ends */
	ck_assert_uint_eq(worker.count, 1);
	ck_assert_uint_eq(worker.ended, 0);
	worker_settle(&worker, "do", fixture_id(1), "\"slow\"");
	fixture_expect(&fixture, &pending, "\"slow\"");
	worker_vanish(&worker);
}
END_TEST

static bool was_told(void *arg)
{
	return ((struct worker *)arg)->ended > 0;
}

START_TEST(a_late_extension_says_so)
{
	static struct worker worker;
	struct pending pending;
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 20000, &pending);
	worker_wait(&worker, 1);
	/* As if another instance had seen its end. */
	const char *end[] = { "HDEL", "{queue:work/do}:leases", fixture_id(1) };
	free(redis_fixture_command(&fixture.redis, end, 3));
	worker_extend(&worker, "do", fixture_id(1), 60000);
	fixture_run(&fixture, was_told, &worker, 2000);
	ck_assert_str_eq(worker.last_ended, fixture_id(1));
	worker.ended = 0;
	worker_extend(&worker, "do", fixture_id(7), 0); /* it never had that */
	fixture_run(&fixture, was_told, &worker, 2000);
	ck_assert_str_eq(worker.last_ended, fixture_id(7));
	worker_settle(&worker, "do", fixture_id(1), "\"late\""); /* still counts */
	fixture_expect(&fixture, &pending, "\"late\"");
	worker_vanish(&worker);
}
END_TEST

START_TEST(what_is_out_of_range_is_refused)
{
	static const struct {
		int priority;
		uint32_t delay_ms;
		const char *words;
	} wrong[] = { { 3, 0, "priority: 3" }, { 0, 2592000001, "delay_ms: 2592000001" } };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		Mq__SendRequest request = MQ__SEND_REQUEST__INIT;
		Mq__Message message = MQ__MESSAGE__INIT;
		struct error err = { 0 };
		message.service = "work";
		message.function = "do";
		message.payload = "1";
		message.priority = (Mq__Priority)wrong[i].priority;
		message.delay_ms = wrong[i].delay_ms;
		request.message = &message;
		ck_assert_ptr_null(
		    fixture_call(&fixture, NATIVE, "Send", &request.base, 2000, &err));
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_ptr_nonnull(strstr(err.message, wrong[i].words));
	}
	static struct worker worker;
	worker_start(&worker, &fixture, "work", "do", 1, 0, 0);
	worker_extend(&worker, "do", fixture_id(1), 50);
	fixture_sleep(&fixture, 50);
	ck_assert_int_eq(worker.err.code, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(worker.err.message, "extensions.lease_ms: 50"));
}
END_TEST

/* The caller has given up; the work has not. */
START_TEST(an_outcome_after_the_deadline_stays)
{
	static struct worker worker;
	struct pending early, late;
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	fixture_begin_call(&fixture, fixture_id(1), "1", 200, &early);
	worker_wait(&worker, 1);
	fixture_run(&fixture, pending_done, &early, 2000);
	ck_assert_int_eq(early.err.code, ERR_DEADLINE);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT);
	worker_settle(&worker, "do", fixture_id(1), "\"in the end\"");
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &late);
	fixture_expect(&fixture, &late, "\"in the end\"");
	ck_assert_str_eq(fixture_outcome(&fixture, fixture_id(1))->result->result,
	                 "\"in the end\"");
	ck_assert_uint_eq(worker.count, 1);
	worker_vanish(&worker);
}
END_TEST

static bool two_are_parked(void *arg)
{
	(void)arg;
	return fixture_info(&fixture)->dead == 2;
}

/* One that fails each time, and one whose lease always ends: the rest goes on, in its order. */
START_TEST(poison_holds_up_nobody)
{
	enum { OTHERS = 20 };
	static struct worker worker;
	static struct pending pending[OTHERS];
	fixture_send(&fixture, fixture_id(1), "\"fails\"");
	fixture_send(&fixture, fixture_id(2), "\"sticks\"");
	for (unsigned i = 0; i < OTHERS; i++)
		fixture_begin_call(&fixture, fixture_id(10 + i), "1", 20000, &pending[i]);
	worker_start(&worker, &fixture, "work", "do", 3, 100, 3);
	unsigned done = 0;
	for (size_t seen = 0; done < OTHERS; seen++) {
		worker_wait(&worker, seen + 1);
		const struct got *got = &worker.got[seen];
		if (strcmp(got->payload, "\"fails\"") == 0) {
			worker_fail(&worker, "do", got->id, "poison");
		} else if (strcmp(got->payload, "1") == 0) {
			ck_assert_str_eq(got->id, fixture_id(10 + done++));
			ck_assert_uint_eq(got->attempt, 1);
			worker_settle(&worker, "do", got->id, "1");
		}
	}
	for (unsigned i = 0; i < OTHERS; i++)
		fixture_expect(&fixture, &pending[i], "1");
	for (size_t i = 0; i < worker.count; i++) {
		if (strcmp(worker.got[i].payload, "\"fails\"") == 0)
			worker_fail(&worker, "do", worker.got[i].id, "poison");
	}
	worker_vanish(&worker);
	/* Consumers that die of them: their attempts end as well. */
	for (unsigned i = 0; i < 3 && !two_are_parked(NULL); i++) {
		worker_start(&worker, &fixture, "work", "do", 3, 100, 3);
		fixture_sleep(&fixture, 600);
		worker_vanish(&worker);
	}
	fixture_run(&fixture, two_are_parked, NULL, 5000);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("waiting");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, priorities_go_first_and_keep_their_order);
	tcase_add_test(tcase, a_batch_takes_from_all_priorities);
	tcase_add_test(tcase, a_failed_one_keeps_its_priority);
	tcase_add_test(tcase, a_delayed_message_comes_in_its_time);
	tcase_add_test(tcase, a_delayed_message_survives_a_restart_and_runs_once);
	tcase_add_test(tcase, the_consumer_chooses_the_delay);
	tcase_add_test(tcase, an_extended_lease_holds);
	tcase_add_test(tcase, a_late_extension_says_so);
	tcase_add_test(tcase, what_is_out_of_range_is_refused);
	tcase_add_test(tcase, an_outcome_after_the_deadline_stays);
	tcase_add_test(tcase, poison_holds_up_nobody);
	Suite *suite = suite_create("waiting");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
