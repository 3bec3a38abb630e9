/* What an append may ask for before it is answered, and retries after a loss. */
#include "event-store/testing.h"

#include "base/clock.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Es__AppendRequest *request_for(const char *topic, int durability, uint32_t replicas)
{
	Es__AppendRequest *request = testing_request(topic, "a", "{}", ES__EXPECT__EXPECT_ANY, 0);
	request->durability = (Es__Durability)durability;
	request->replicas = replicas;
	return request;
}

START_TEST(durability_is_checked)
{
	static const struct {
		int durability;
		uint32_t replicas;
		const char *says;
	} rows[] = {
		{ 4, 0, "durability: must be 0 to 3, is 4" },
		{ ES__DURABILITY__DURABILITY_REPLICATED, 0,
		  "replicas: must be 1 to 16 with this durability, is 0" },
		{ ES__DURABILITY__DURABILITY_REPLICATED, 17,
		  "replicas: must be 1 to 16 with this durability, is 17" },
		{ ES__DURABILITY__DURABILITY_DEFAULT, 1,
		  "replicas: must be 0 to 0 with this durability, is 1" },
	};
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_ptr_null(
		    testing_send(request_for("check", rows[i].durability, rows[i].replicas), &err));
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_str_eq(err.message, rows[i].says);
	}
}
END_TEST

/* Until the store has seen a change of the configuration. */
static bool wait_for_fsync(bool wanted, struct error *err)
{
	for (int i = 0; i < 100; i++) {
		err->code = ERR_NONE;
		bool ok = testing_send(request_for("disk", ES__DURABILITY__DURABILITY_FSYNC, 0),
		                       err) != NULL;
		if (ok == wanted)
			return true;
		testing_pause(50);
	}
	return false;
}

START_TEST(fsync_is_refused_where_redis_does_not)
{
	struct error err;
	ck_assert(wait_for_fsync(true, &err));
	testing_redis("CONFIG SET appendfsync everysec");
	ck_assert(wait_for_fsync(false, &err));
	ck_assert_int_eq(err.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(err.message, "appendfsync always"));
	ck_assert_ptr_nonnull(
	    testing_send(request_for("disk", ES__DURABILITY__DURABILITY_DEFAULT, 0), &err));
	ck_assert_ptr_nonnull(
	    testing_send(request_for("disk", ES__DURABILITY__DURABILITY_MEMORY, 0), &err));
	testing_redis("CONFIG SET appendfsync always");
	ck_assert(wait_for_fsync(true, &err));
}
END_TEST

START_TEST(replicated_waits_for_replicas)
{
	struct error err;
	struct redis_fixture replica;
	Es__AppendRequest *request =
	    request_for("copies", ES__DURABILITY__DURABILITY_REPLICATED, 1);
	uint64_t before = clock_monotonic_ms();
	ck_assert_ptr_null(testing_send(request, &err));
	ck_assert_uint_ge(clock_monotonic_ms() - before, 900);
	ck_assert_int_eq(err.code, ERR_DEADLINE);
	ck_assert_ptr_nonnull(strstr(err.message, "replicas: 0 of 1 have the events"));
	ck_assert_str_eq(testing_redis_text("XLEN events:{copies}"), "1");

	redis_fixture_start_replica(&replica, &testing.redis);
	const Es__AppendResponse *response = testing_send(request, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert(response->events[0]->duplicate);
	ck_assert_uint_eq(response->events[0]->version, 1);
	const char *length[] = { "XLEN", "events:{copies}" };
	for (int i = 2; i < 20; i++) {
		/* what was answered is there, also if this server were gone now */
		char expected[16];
		snprintf(expected, sizeof(expected), "%d", i);
		ck_assert_ptr_nonnull(testing_send(
		    request_for("copies", ES__DURABILITY__DURABILITY_REPLICATED, 1), &err));
		char *text = redis_fixture_command(&replica, length, 2);
		ck_assert_str_eq(text, expected);
		free(text);
	}
	/* a conflict is one whatever the replicas have */
	request = request_for("copies", ES__DURABILITY__DURABILITY_REPLICATED, 1);
	request->events[0]->expect = ES__EXPECT__EXPECT_NONE;
	ck_assert_ptr_null(testing_send(request, &err));
	ck_assert_int_eq(err.code, ERR_CONFLICT);

	/* a replica that is stuck holds up nobody who does not wait for it */
	redis_fixture_freeze(&replica);
	ck_assert_ptr_null(
	    testing_send(request_for("copies", ES__DURABILITY__DURABILITY_REPLICATED, 1), &err));
	ck_assert_int_eq(err.code, ERR_DEADLINE);
	testing_append("copies", "a", "{}");
	redis_fixture_thaw(&replica);
	redis_fixture_destroy(&replica);
	testing_redis("CONFIG SET port 0");
}
END_TEST

/* A request whose answer was lost: repeated after a restart of Redis and of the store, with other
 * events in between, it answers as the first time, whatever it expected then. */
START_TEST(repeated_after_losses_answers_the_same)
{
	struct error err;
	enum { REQUESTS = 20 };
	Es__AppendRequest *requests[REQUESTS];
	const Es__AppendResponse *first[REQUESTS];
	for (size_t i = 0; i < REQUESTS; i++) {
		char entity[16];
		snprintf(entity, sizeof(entity), "e%zu", i % 4);
		requests[i] =
		    testing_request("repeat", entity, "{}", ES__EXPECT__EXPECT_EXACT, i / 4);
		first[i] = testing_send(requests[i], &err);
		ck_assert_msg(first[i] != NULL, "%s", err.message);
	}
	for (int round = 0; round < 3; round++) {
		if (round == 1) {
			redis_fixture_kill(&testing.redis);
			ck_assert_ptr_null(testing_send(requests[0], &err));
			ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
			redis_fixture_restart(&testing.redis);
			for (int i = 0; i < 100 && testing_send(requests[0], &err) == NULL; i++)
				testing_pause(50);
		} else if (round == 2) {
			testing_restart_store();
		}
		testing_append("repeat", "e0", "{}");
		testing_append("repeat", "e1", "{}");
		for (size_t i = 0; i < REQUESTS; i++) {
			const Es__AppendResponse *again = testing_send(requests[i], &err);
			ck_assert_msg(again != NULL, "round %d, %zu: %s", round, i, err.message);
			ck_assert(again->events[0]->duplicate);
			ck_assert_str_eq(again->events[0]->entry_id, first[i]->events[0]->entry_id);
			ck_assert_uint_eq(again->events[0]->version, first[i]->events[0]->version);
		}
	}
	ck_assert_str_eq(testing_redis_text("XLEN events:{repeat}"), "26");
}
END_TEST

/* The clock was set back: the stream's last id is ahead of it. Ids go on from there. */
START_TEST(clock_behind_the_log)
{
	struct entry_id last, id;
	struct error err;
	uint64_t ahead = clock_wall_us() / 1000 + 3600000;
	testing_append("future", "a", "{}");
	testing_redis("XADD events:{future} %llu-998 event_id x event_action a event_data {}",
	              (unsigned long long)ahead);
	testing_redis("EVAL return\tredis.call('HDEL',KEYS[1],'') 1 entities:{future}");
	last = (struct entry_id){ ahead, 998 };
	struct received *got = testing_subscribe("future", ES__START__START_BEGINNING, NULL, NULL);
	testing_until(&got->count, 2);
	for (int i = 0; i < 5; i++) {
		const Es__Appended *appended = testing_append("future", "b", "{}");
		ck_assert(entry_id_parse(appended->entry_id, &id, &err));
		ck_assert_int_gt(entry_id_compare(id, last), 0);
		ck_assert_uint_eq(id.us, i == 0 ? 999 : (uint64_t)i - 1);
		ck_assert_uint_eq(id.ms, i == 0 ? ahead : ahead + 1);
		ck_assert_uint_eq(appended->version, (uint64_t)i + 1);
		last = id;
	}
	testing_until(&got->count, 7);
	testing_end(got);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("durability");
	TCase *tests = tcase_create("appends");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, durability_is_checked);
	tcase_add_test(tests, fsync_is_refused_where_redis_does_not);
	tcase_add_test(tests, replicated_waits_for_replicas);
	tcase_add_test(tests, repeated_after_losses_answers_the_same);
	tcase_add_test(tests, clock_behind_the_log);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
