/* Dead letters, purge and limits. */
#include "base/clock.h"
#include "message-queue/store.h"
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

static bool all_are_dead(void *arg)
{
	return fixture_info(&fixture)->dead == *(unsigned *)arg;
}

/* Sends the messages 1 to count, and fails each once, which is once too often. */
static void park(unsigned count, Mq__Priority priority)
{
	static struct worker worker;
	worker_start(&worker, &fixture, "work", "do", 1, 0, 1);
	for (unsigned i = 1; i <= count; i++) {
		fixture_send_special(&fixture, fixture_id(i), priority, 0);
		worker_wait(&worker, i);
		char reason[32];
		snprintf(reason, sizeof(reason), "broken %u", i);
		worker_fail(&worker, "do", fixture_id(i), reason);
	}
	fixture_run(&fixture, all_are_dead, &count, 5000);
	worker_vanish(&worker);
}

static const Mq__DeadLettersResponse *page(uint32_t limit, const char *after)
{
	Mq__DeadLettersRequest request = MQ__DEAD_LETTERS_REQUEST__INIT;
	struct error err;
	request.service = "work";
	request.function = "do";
	request.limit = limit;
	request.after = after;
	const ProtobufCMessage *response =
	    fixture_call(&fixture, NATIVE, "DeadLetters", &request.base, 5000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return (const Mq__DeadLettersResponse *)response;
}

/* number 0: all */
static uint64_t move_dead(const char *method, unsigned number)
{
	Mq__DeadSelection request = MQ__DEAD_SELECTION__INIT;
	const char *id = fixture_id(number);
	struct error err;
	request.service = "work";
	request.function = "do";
	request.all = number == 0;
	if (number > 0) {
		request.message_ids = &id;
		request.n_message_ids = 1;
	}
	const ProtobufCMessage *response =
	    fixture_call(&fixture, NATIVE, method, &request.base, 5000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return ((const Mq__DeadCount *)response)->count;
}

static uint64_t purge(void)
{
	Mq__PurgeRequest request = MQ__PURGE_REQUEST__INIT;
	struct error err;
	request.service = "work";
	request.function = "do";
	const ProtobufCMessage *response =
	    fixture_call(&fixture, NATIVE, "Purge", &request.base, 5000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return ((const Mq__PurgeResponse *)response)->purged;
}

static void check_letter(const Mq__DeadLetter *letter, unsigned number, uint64_t before_ms)
{
	char reason[32];
	snprintf(reason, sizeof(reason), "broken %u", number);
	ck_assert_str_eq(letter->message->message_id, fixture_id(number));
	ck_assert_str_eq(letter->message->payload, "1");
	ck_assert_str_eq(letter->reason, reason);
	ck_assert_uint_eq(letter->attempts, 1);
	ck_assert_uint_ge(letter->queued_at_ms, before_ms);
	ck_assert_uint_ge(letter->parked_at_ms, letter->queued_at_ms);
}

START_TEST(dead_letters_come_in_pages)
{
	uint64_t before_ms = clock_wall_us() / 1000;
	park(7, MQ__PRIORITY__NORMAL);
	const Mq__DeadLettersResponse *letters = page(0, "");
	ck_assert_uint_eq(letters->n_letters, 7);
	ck_assert_str_eq(letters->next, "");
	char next[64] = "";
	unsigned seen = 0;
	do {
		letters = page(3, next);
		for (size_t i = 0; i < letters->n_letters; i++)
			check_letter(letters->letters[i], ++seen, before_ms);
		snprintf(next, sizeof(next), "%s", letters->next);
		if (seen == 3) /* the next page goes on after it all the same */
			ck_assert_uint_eq(move_dead("DropDead", 3), 1);
	} while (next[0] != '\0');
	ck_assert_uint_eq(seen, 7);
}
END_TEST

START_TEST(a_requeued_one_runs_as_if_new)
{
	static struct worker worker;
	struct pending call;
	park(2, MQ__PRIORITY__LOW);
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &call);
	fixture_run(&fixture, pending_done, &call, 5000);
	ck_assert_ptr_nonnull(strstr(call.err.message, "broken 1"));
	ck_assert_uint_eq(move_dead("RequeueDead", 1), 1);
	ck_assert_uint_eq(move_dead("RequeueDead", 1), 0); /* it is not parked any more */
	fixture_send(&fixture, fixture_id(5), "1");
	fixture_begin_call(&fixture, fixture_id(1), "1", 5000, &call);
	worker_start(&worker, &fixture, "work", "do", 10, 0, 2);
	worker_wait(&worker, 2);
	ck_assert_str_eq(worker.got[0].id, fixture_id(5)); /* its priority is as before */
	ck_assert_str_eq(worker.got[1].id, fixture_id(1));
	ck_assert_uint_eq(worker.got[1].attempt, 1);
	ck_assert(worker.got[1].redelivered);
	worker_fail(&worker, "do", fixture_id(1), "once more");
	worker_wait(&worker, 3);
	ck_assert_uint_eq(worker.got[2].attempt, 2);
	worker_settle(&worker, "do", fixture_id(1), "\"mended\"");
	fixture_expect(&fixture, &call, "\"mended\"");
	ck_assert_uint_eq(page(0, "")->n_letters, 1);
	worker_vanish(&worker);
}
END_TEST

START_TEST(all_are_requeued_once)
{
	static struct worker worker = { .echo = true };
	park(20, MQ__PRIORITY__NORMAL);
	worker_start(&worker, &fixture, "work", "do", 100, 0, 0);
	ck_assert_uint_eq(move_dead("RequeueDead", 0), 20);
	worker_wait(&worker, 20);
	for (unsigned i = 1; i <= 20; i++)
		ck_assert_str_eq(worker.got[i - 1].id, fixture_id(i));
	ck_assert_uint_eq(fixture_info(&fixture)->dead, 0);
	ck_assert_uint_eq(move_dead("RequeueDead", 0), 0);
	worker_vanish(&worker);
}
END_TEST

/* As nothing of ours leaves them: they are shown, hold up nobody, and can be dropped. */
START_TEST(damaged_ones_can_be_dropped)
{
	park(5, MQ__PRIORITY__NORMAL);
	const char *const damages[] = { "", "x", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f" };
	for (unsigned i = 0; i < ARRAY_LEN(damages); i++) {
		char id[64];
		snprintf(id, sizeof(id), "%s", fixture_id(i + 1));
		const char *const words[] = { "HSET", "{queue:work/do}:dead", id, damages[i] };
		free(redis_fixture_command(&fixture.redis, words, 4));
	}
	const Mq__DeadLettersResponse *letters = page(0, "");
	ck_assert_uint_eq(letters->n_letters, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_str_eq(letters->letters[i]->message->message_id, fixture_id(i + 1));
	ck_assert_str_eq(letters->letters[0]->reason, "its entry in Redis is damaged");
	ck_assert_uint_eq(move_dead("RequeueDead", 1), 0);
	ck_assert_uint_eq(move_dead("RequeueDead", 0), 2);
	ck_assert_uint_eq(fixture_info(&fixture)->dead, 3);
	ck_assert_uint_eq(fixture_info(&fixture)->depth, 2);
	ck_assert_uint_eq(move_dead("DropDead", 1), 1);
	ck_assert_uint_eq(move_dead("DropDead", 0), 2);
	ck_assert_uint_eq(fixture_info(&fixture)->dead, 0);
}
END_TEST

/* Several calls of damaged ones alone, each of which looks at so many and no more. */
START_TEST(many_damaged_ones_hold_up_none)
{
	enum { DAMAGED = 2 * STORE_BATCH_MAX + 10, WORDS = 2 + 2 * DAMAGED };
	static const char *dead[WORDS] = { "HSET", "{queue:work/do}:dead" };
	static const char *parked[WORDS] = { "ZADD", "{queue:work/do}:parked" };
	static char ids[DAMAGED][16], places[DAMAGED][16];
	park(2, MQ__PRIORITY__NORMAL);
	for (unsigned i = 0; i < DAMAGED; i++) {
		snprintf(ids[i], sizeof(ids[i]), "damaged-%u", i);
		snprintf(places[i], sizeof(places[i]), "%u", i + 1);
		dead[2 + 2 * i] = parked[3 + 2 * i] = ids[i];
		dead[3 + 2 * i] = "x";
		parked[2 + 2 * i] = places[i];
	}
	free(redis_fixture_command(&fixture.redis, dead, WORDS));
	free(redis_fixture_command(&fixture.redis, parked, WORDS));
	ck_assert_uint_eq(move_dead("RequeueDead", 0), 2);
	ck_assert_uint_eq(fixture_info(&fixture)->dead, DAMAGED);
	ck_assert_uint_eq(move_dead("DropDead", 0), DAMAGED);
	ck_assert_uint_eq(fixture_info(&fixture)->dead, 0);
}
END_TEST

START_TEST(a_dropped_one_is_forgotten)
{
	park(3, MQ__PRIORITY__HIGH);
	ck_assert_uint_eq(move_dead("DropDead", 2), 1);
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(2))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__UNKNOWN);
	ck_assert_uint_eq(move_dead("DropDead", 0), 2);
	char *left =
	    redis_fixture_command(&fixture.redis, (const char *[]){ "KEYS", "{queue:*" }, 2);
	ck_assert_str_eq(left, "");
	free(left);
	fixture_send(&fixture, fixture_id(2), "1");
	ck_assert_int_eq(fixture_outcome(&fixture, fixture_id(2))->state,
	                 MQ__OUTCOME_RESPONSE__STATE__READY);
}
END_TEST

START_TEST(a_purge_answers_who_waits)
{
	static struct worker worker;
	struct pending call, again;
	worker_start(&worker, &fixture, "work", "do", 1, 60000, 0);
	fixture_send(&fixture, fixture_id(1), "1");
	worker_wait(&worker, 1); /* in flight: stays */
	fixture_begin_call(&fixture, fixture_id(2), "1", 5000, &call);
	fixture_send_special(&fixture, fixture_id(3), MQ__PRIORITY__HIGH, 0);
	fixture_send_special(&fixture, fixture_id(4), MQ__PRIORITY__LOW, 60000);
	fixture_send(&fixture, fixture_id(5), "1");
	ck_assert_uint_eq(fixture_info(&fixture)->depth, 4);
	ck_assert_uint_eq(fixture_info(&fixture)->delayed, 1);
	ck_assert_uint_eq(purge(), 4);
	fixture_run(&fixture, pending_done, &call, 1000);
	ck_assert_int_eq(call.error_code, 1);
	fixture_begin_call(&fixture, fixture_id(4), "1", 5000, &again);
	fixture_run(&fixture, pending_done, &again, 1000);
	ck_assert_ptr_nonnull(strstr(again.text, "purged"));
	ck_assert_uint_eq(fixture_info(&fixture)->depth, 0);
	ck_assert_uint_eq(fixture_info(&fixture)->in_flight, 1);
	worker_settle(&worker, "do", fixture_id(1), "1");
	fixture_send(&fixture, fixture_id(6), "1");
	worker_wait(&worker, 2);
	ck_assert_str_eq(worker.got[1].id, fixture_id(6));
	ck_assert_uint_eq(purge(), 0);
	worker_vanish(&worker);
}
END_TEST

START_TEST(a_large_queue_is_purged_in_steps)
{
	static struct pending calls[2500];
	for (unsigned i = 0; i < ARRAY_LEN(calls); i++)
		fixture_begin_call(&fixture, fixture_id(i), "1", 30000, &calls[i]);
	while (fixture_info(&fixture)->depth < ARRAY_LEN(calls))
		fixture_sleep(&fixture, 10);
	ck_assert_uint_eq(purge(), ARRAY_LEN(calls));
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		fixture_run(&fixture, pending_done, &calls[i], 5000);
		ck_assert_int_eq(calls[i].error_code, 1);
	}
}
END_TEST

static void configure(uint64_t max_messages, struct error *err)
{
	Mq__ConfigureRequest request = MQ__CONFIGURE_REQUEST__INIT;
	request.service = "work";
	request.function = "do";
	request.max_messages = max_messages;
	*err = (struct error){ 0 };
	(void)fixture_call(&fixture, NATIVE, "Configure", &request.base, 5000, err);
}

static void begin_send(unsigned number, struct pending *pending)
{
	Mq__SendRequest request = MQ__SEND_REQUEST__INIT;
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.message_id = fixture_id(number);
	message.payload = "1";
	request.message = &message;
	fixture_begin(&fixture, NATIVE, "Send", &request.base, 5000, pending);
}

static bool limit_is(void *arg)
{
	return fixture_info(&fixture)->max_messages == *(uint64_t *)arg;
}

START_TEST(a_queue_has_its_own_limit)
{
	struct error err;
	struct pending sent;
	uint64_t limit = 2;
	configure(1000001, &err);
	ck_assert_int_eq(err.code, ERR_INVALID);
	configure(2, &err);
	ck_assert_msg(err.code == ERR_NONE, "%s", err.message);
	fixture_send(&fixture, fixture_id(1), "1");
	fixture_send_special(&fixture, fixture_id(2), MQ__PRIORITY__HIGH, 60000);
	begin_send(3, &sent);
	fixture_run(&fixture, pending_done, &sent, 2000);
	ck_assert_int_eq(sent.err.code, ERR_EXHAUSTED);
	ck_assert_ptr_nonnull(strstr(sent.err.message, "work/do is full, its limit is 2"));
	fixture_kill_service(&fixture);
	fixture_serve(&fixture);
	fixture_run(&fixture, limit_is, &limit, 5000);
	begin_send(3, &sent);
	fixture_run(&fixture, pending_done, &sent, 2000);
	ck_assert_int_eq(sent.err.code, ERR_EXHAUSTED);
	configure(0, &err);
	limit = 1000000;
	fixture_run(&fixture, limit_is, &limit, 5000);
	begin_send(3, &sent);
	fixture_run(&fixture, pending_done, &sent, 2000);
	ck_assert_int_eq(sent.err.code, ERR_NONE);
}
END_TEST

static void check_refused(const char *method, const ProtobufCMessage *request, enum error_code code,
                          const char *words)
{
	struct error err = { 0 };
	ck_assert_ptr_null(fixture_call(&fixture, NATIVE, method, request, 2000, &err));
	ck_assert_msg(err.code == code, "%s", err.message);
	ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" in \"%s\"", words, err.message);
}

START_TEST(wrong_requests_are_refused)
{
	const char *id = "";
	Mq__DeadLettersRequest letters = MQ__DEAD_LETTERS_REQUEST__INIT;
	Mq__DeadSelection selection = MQ__DEAD_SELECTION__INIT;
	Mq__PurgeRequest purged = MQ__PURGE_REQUEST__INIT;
	selection.service = letters.service = purged.service = "work";
	selection.function = letters.function = purged.function = "nothing";
	check_refused("DeadLetters", &letters.base, ERR_NOT_FOUND,
	              "there is no queue work/nothing");
	check_refused("Purge", &purged.base, ERR_NOT_FOUND, "there is no queue work/nothing");
	letters.limit = 1001;
	check_refused("DeadLetters", &letters.base, ERR_INVALID, "limit: 1001");
	letters.limit = 1;
	letters.after = "-inf";
	check_refused("DeadLetters", &letters.base, ERR_INVALID, "after");
	check_refused("DropDead", &selection.base, ERR_INVALID, "message_ids");
	selection.message_ids = &id;
	selection.n_message_ids = 1;
	check_refused("RequeueDead", &selection.base, ERR_INVALID, "message_ids");
	selection.all = true;
	check_refused("RequeueDead", &selection.base, ERR_INVALID, "message_ids");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("tend");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, dead_letters_come_in_pages);
	tcase_add_test(tcase, a_requeued_one_runs_as_if_new);
	tcase_add_test(tcase, all_are_requeued_once);
	tcase_add_test(tcase, damaged_ones_can_be_dropped);
	tcase_add_test(tcase, many_damaged_ones_hold_up_none);
	tcase_add_test(tcase, a_dropped_one_is_forgotten);
	tcase_add_test(tcase, a_purge_answers_who_waits);
	tcase_add_test(tcase, a_large_queue_is_purged_in_steps);
	tcase_add_test(tcase, a_queue_has_its_own_limit);
	tcase_add_test(tcase, wrong_requests_are_refused);
	Suite *suite = suite_create("tend");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
