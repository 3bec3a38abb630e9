/* Messages that their senders send for the first time, and again (Sending in the proto). */
#include "message-queue/test_fixture.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE (&mq__message_queue__descriptor)

static struct fixture fixture;
static struct rpc_mux *mux;

static void setup(void)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture_start(&fixture);
	mux = rpc_mux_create(fixture.loop, fixture.channel, NATIVE, "SubmitStream", 1000);
}

static void teardown(void)
{
	rpc_mux_destroy(mux);
	fixture_end(&fixture);
}

static void answered(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct pending *pending = arg;
	const Mq__SubmitResult *answer = (const Mq__SubmitResult *)item;
	pending->done = true;
	if (err != NULL) {
		pending->err = *err;
		return;
	}
	if (answer->result == NULL)
		return;
	const Mq__Error *error = answer->result->error;
	pending->error_code = error != NULL ? (int)error->code : 0;
	snprintf(pending->text, sizeof(pending->text), "%s",
	         error != NULL ? error->message : answer->result->result);
}

static void submit(const char *id, Mq__Sending sending, bool send_only, struct pending *pending)
{
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.message_id = id;
	message.payload = "1";
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	item.send_only = send_only;
	item.sending = sending;
	memset(pending, 0, sizeof(*pending));
	rpc_mux_request(mux, &item.base, 20000, answered, pending);
}

/* How many messages Redis has of the queue. */
static char *stored(void)
{
	const char *argv[] = { "HLEN", "{queue:work/do}:messages" };
	return redis_fixture_command(&fixture.redis, argv, 2);
}

static void check_stored(const char *count)
{
	char *text = stored();
	ck_assert_str_eq(text, count);
	free(text);
}

static void wait_connected(struct worker *worker)
{
	struct pending first;
	submit(fixture_id(99), MQ__SENDING__ANY, false, &first);
	worker_wait(worker, 1);
	worker_settle(worker, "do", fixture_id(99), "0");
	fixture_run(&fixture, pending_done, &first, 5000);
}

START_TEST(only_the_outcome_is_kept)
{
	static struct worker worker;
	struct pending call, other, later;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	wait_connected(&worker);
	submit(fixture_id(1), MQ__SENDING__FIRST, false, &call);
	worker_wait(&worker, 2);
	check_stored("0");
	ck_assert_uint_eq(worker.got[1].attempt, 1);
	ck_assert(!worker.got[1].redelivered);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(1))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT);
	ck_assert_uint_eq(fixture_info(&fixture)->in_flight, 1);
	submit(fixture_id(1), MQ__SENDING__ANY, false, &other); /* waits for the same */
	worker_settle(&worker, "do", fixture_id(1), "\"once\"");
	fixture_expect(&fixture, &call, "\"once\"");
	fixture_expect(&fixture, &other, "\"once\"");
	check_stored("0");
	submit(fixture_id(1), MQ__SENDING__AGAIN, false, &later);
	fixture_expect(&fixture, &later, "\"once\"");
	ck_assert_uint_eq(worker.count, 2);
	ck_assert_uint_eq(fixture_info(&fixture)->in_flight, 0);
	worker_vanish(&worker);
}
END_TEST

START_TEST(one_id_in_one_turn_runs_once)
{
	static struct worker worker;
	struct pending calls[4];
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	wait_connected(&worker);
	submit(fixture_id(1), MQ__SENDING__FIRST, false, &calls[0]);
	submit(fixture_id(1), MQ__SENDING__FIRST, false, &calls[1]);
	submit(fixture_id(1), MQ__SENDING__ANY, true, &calls[2]);
	submit(fixture_id(1), MQ__SENDING__AGAIN, false, &calls[3]);
	worker_wait(&worker, 2);
	worker_settle(&worker, "do", fixture_id(1), "\"once\"");
	fixture_expect(&fixture, &calls[0], "\"once\"");
	fixture_expect(&fixture, &calls[1], "\"once\"");
	fixture_expect(&fixture, &calls[3], "\"once\"");
	fixture_run(&fixture, pending_done, &calls[2], 1000);
	ck_assert_uint_eq(worker.count, 2);
	check_stored("0");
	worker_vanish(&worker);
}
END_TEST

START_TEST(what_takes_longer_is_stored)
{
	static struct worker worker, second;
	struct pending sent, call;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	wait_connected(&worker);
	submit(fixture_id(1), MQ__SENDING__FIRST, true, &sent);
	submit(fixture_id(2), MQ__SENDING__FIRST, false, &call);
	worker_wait(&worker, 3);
	ck_assert(!sent.done);
	fixture_run(&fixture, pending_done, &sent, 1000); /* on disk is enough for it */
	ck_assert_int_eq(sent.err.code, ERR_NONE);
	check_stored("2");
	ck_assert(!call.done);
	ck_assert_uint_eq(fixture_info(&fixture)->in_flight, 2);
	fixture_kill_service(&fixture);
	fixture_serve(&fixture);
	worker_start(&second, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&second, 2);
	ck_assert(second.got[0].redelivered && second.got[1].redelivered);
	worker_settle(&second, "do", fixture_id(1), "1");
	worker_settle(&second, "do", fixture_id(2), "2");
	fixture_expect(&fixture, &call, "2");
	worker_vanish(&second);
}
END_TEST

/* As if the message `id` had been sent again to another instance, and done there like `other`. */
static void end_elsewhere(const char *id, const char *other)
{
	static const char copy[] = "for _, key in ipairs(redis.call('KEYS', '*:done:*')) do"
	                           " local outcome = redis.call('HGET', key, ARGV[1])"
	                           " if outcome then redis.call('HSET', key, ARGV[2], outcome) end "
	                           "end";
	const char *argv[] = { "EVAL", copy, "0", other, id };
	free(redis_fixture_command(&fixture.redis, argv, ARRAY_LEN(argv)));
}

START_TEST(what_ended_elsewhere_is_not_stored)
{
	static struct worker worker;
	struct pending call, sent;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	wait_connected(&worker);
	end_elsewhere(fixture_id(1), fixture_id(99));
	submit(fixture_id(1), MQ__SENDING__FIRST, false, &call);
	submit(fixture_id(2), MQ__SENDING__FIRST, true, &sent);
	worker_wait(&worker, 3);
	fixture_run(&fixture, pending_done, &sent, 1000);
	check_stored("1"); /* the second alone */
	worker_settle(&worker, "do", fixture_id(1), "\"late\"");
	fixture_expect(&fixture, &call, "0"); /* the first outcome counts */
	worker_vanish(&worker);
}
END_TEST

START_TEST(it_is_sent_again_to_a_new_process)
{
	static struct worker worker, second;
	struct pending call;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	wait_connected(&worker);
	submit(fixture_id(1), MQ__SENDING__FIRST, false, &call);
	worker_wait(&worker, 2);
	fixture_kill_service(&fixture);
	check_stored("0"); /* the sender alone has it */
	fixture_serve(&fixture);
	worker_start(&second, &fixture, "work", "do", 10, 0, 0);
	worker_wait(&second, 1);
	ck_assert_str_eq(second.got[0].id, fixture_id(1));
	ck_assert(second.got[0].redelivered);
	worker_settle(&second, "do", fixture_id(1), "\"again\"");
	fixture_expect(&fixture, &call, "\"again\"");
	worker_vanish(&second);
}
END_TEST

START_TEST(a_consumer_that_goes_or_fails_gives_it_back)
{
	static struct worker first, second;
	struct pending call;
	worker_start(&first, &fixture, "work", "do", 10, 0, 0);
	wait_connected(&first);
	submit(fixture_id(1), MQ__SENDING__FIRST, false, &call);
	worker_wait(&first, 2);
	worker_vanish(&first);
	worker_start(&second, &fixture, "work", "do", 10, 0, 3);
	worker_wait(&second, 1);
	ck_assert_uint_eq(second.got[0].attempt, 2);
	worker_fail(&second, "do", fixture_id(1), "the printer is on fire");
	worker_wait(&second, 2);
	ck_assert_uint_eq(second.got[1].attempt, 3);
	worker_settle(&second, "do", fixture_id(1), "\"at last\"");
	fixture_expect(&fixture, &call, "\"at last\"");
	check_stored("0");
	submit(fixture_id(2), MQ__SENDING__FIRST, false, &call);
	for (size_t attempt = 1; attempt <= 3; attempt++) {
		worker_wait(&second, 2 + attempt);
		ck_assert_uint_eq(second.got[1 + attempt].attempt, attempt);
		worker_fail(&second, "do", fixture_id(2), "no paper");
	}
	fixture_run(&fixture, pending_done, &call, 5000);
	ck_assert_int_eq(call.error_code, 13);
	ck_assert_ptr_nonnull(strstr(call.text, "no paper"));
	worker_vanish(&second);
}
END_TEST

START_TEST(without_a_free_consumer_it_is_stored)
{
	static struct worker worker;
	struct pending first, second, third;
	submit(fixture_id(1), MQ__SENDING__FIRST, true, &first);
	fixture_run(&fixture, pending_done, &first, 1000);
	check_stored("1");
	worker_start(&worker, &fixture, "work", "do", 1, 0, 0);
	worker_wait(&worker, 1);
	submit(fixture_id(2), MQ__SENDING__FIRST, true, &second);
	fixture_run(&fixture, pending_done, &second, 1000);
	submit(fixture_id(3), MQ__SENDING__FIRST, false, &third);
	for (unsigned i = 1; i <= 3; i++) { /* in the order of their sending */
		worker_wait(&worker, i);
		ck_assert_str_eq(worker.got[i - 1].id, fixture_id(i));
		ck_assert(!worker.got[i - 1].redelivered);
		worker_settle(&worker, "do", fixture_id(i), "1");
	}
	fixture_expect(&fixture, &third, "1");
	check_stored("0");
	worker_vanish(&worker);
}
END_TEST

START_TEST(again_says_so)
{
	static struct worker worker;
	struct pending call, wrong;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	submit(fixture_id(1), MQ__SENDING__AGAIN, false, &call);
	worker_wait(&worker, 1);
	ck_assert(worker.got[0].redelivered);
	ck_assert_uint_eq(worker.got[0].attempt, 1);
	worker_settle(&worker, "do", fixture_id(1), "1");
	fixture_expect(&fixture, &call, "1");
	submit(fixture_id(2), (Mq__Sending)7, false, &wrong);
	fixture_run(&fixture, pending_done, &wrong, 1000);
	ck_assert_int_eq(wrong.error_code, 3);
	ck_assert_ptr_nonnull(strstr(wrong.text, "sending: 7"));
	worker_vanish(&worker);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("sending");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, only_the_outcome_is_kept);
	tcase_add_test(tcase, one_id_in_one_turn_runs_once);
	tcase_add_test(tcase, what_takes_longer_is_stored);
	tcase_add_test(tcase, what_ended_elsewhere_is_not_stored);
	tcase_add_test(tcase, it_is_sent_again_to_a_new_process);
	tcase_add_test(tcase, a_consumer_that_goes_or_fails_gives_it_back);
	tcase_add_test(tcase, without_a_free_consumer_it_is_stored);
	tcase_add_test(tcase, again_says_so);
	Suite *suite = suite_create("queue");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
