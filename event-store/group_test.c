/* Persistent groups: what a member can say of a delivery, parked events, and who serves a group. */
#include "event-store/group.h"
#include "event-store/testing.h"

#include "base/clock.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_nack(struct received *consumer, size_t index, Es__NackAction action,
                      uint32_t delay_ms)
{
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	Es__Nack nack = ES__NACK__INIT, *nacks = &nack;
	nack.entry_id = consumer->ids[index];
	nack.reason = "bad number";
	nack.action = action;
	nack.delay_ms = delay_ms;
	request.n_nacks = 1;
	request.nacks = &nacks;
	rpc_stream_send(consumer->stream, &request.base);
}

static void extend(struct received *consumer, size_t index, uint32_t lease_ms)
{
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	Es__LeaseExtension extension = ES__LEASE_EXTENSION__INIT, *extensions = &extension;
	extension.entry_id = consumer->ids[index];
	extension.lease_ms = lease_ms;
	request.n_extensions = 1;
	request.extensions = &extensions;
	rpc_stream_send(consumer->stream, &request.base);
}

static const Es__ListParkedResponse *list(const char *topic, const char *page, uint32_t limit)
{
	Es__ListParkedRequest request = ES__LIST_PARKED_REQUEST__INIT;
	request.topic = topic;
	request.group = "g";
	request.page = page;
	request.limit = limit;
	return testing_call("ListParked", &request.base, NULL);
}

static uint64_t replay(const char *topic, const char *id)
{
	Es__ReplayParkedRequest request = ES__REPLAY_PARKED_REQUEST__INIT;
	request.topic = topic;
	request.group = "g";
	request.all = id == NULL;
	request.n_entry_ids = id != NULL;
	request.entry_ids = &id;
	return ((const Es__ReplayParkedResponse *)testing_call("ReplayParked", &request.base, NULL))
	    ->replayed;
}

static uint64_t drop(const char *topic, const char *id)
{
	Es__DropParkedRequest request = ES__DROP_PARKED_REQUEST__INIT;
	request.topic = topic;
	request.group = "g";
	request.all = id == NULL;
	request.n_entry_ids = id != NULL;
	request.entry_ids = &id;
	return ((const Es__DropParkedResponse *)testing_call("DropParked", &request.base, NULL))
	    ->dropped;
}

/* Of the group g. */
static const Es__GroupInfo *info(const char *name)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const Es__TopicsResponse *topics = testing_call("Topics", &request.base, NULL);
	for (size_t i = 0; i < topics->n_topics; i++) {
		if (strcmp(topics->topics[i]->topic, name) == 0) {
			ck_assert_uint_eq(topics->topics[i]->n_groups, 1);
			return topics->topics[i]->groups[0];
		}
	}
	ck_abort_msg("no topic %s", name);
}

/* Until the group's checkpoint is this id. */
static void wait_for_checkpoint(const char *topic, const char *id)
{
	for (int i = 0; i < 400; i++) {
		if (strcmp(testing_redis_text("HGET groups:{%s} g", topic), id) == 0)
			return;
		testing_pause(25);
	}
	ck_abort_msg("the checkpoint of %s is not %s", topic, id);
}

static void append_numbers(const char *topic, int count)
{
	for (int i = 0; i < count; i++) {
		char data[32], entity[32];
		snprintf(data, sizeof(data), "{\"n\":%d}", i);
		snprintf(entity, sizeof(entity), "e%d", i);
		testing_append(topic, entity, data);
	}
}

START_TEST(nack_retries_parks_or_skips)
{
	append_numbers("nack", 3);
	struct received *got = testing_consume_for("nack", "g", 0);
	testing_until(&got->count, 3);
	uint64_t before = clock_monotonic_ms();
	send_nack(got, 0, ES__NACK_ACTION__NACK_RETRY, 700);
	send_nack(got, 1, ES__NACK_ACTION__NACK_PARK, 0);
	send_nack(got, 2, ES__NACK_ACTION__NACK_SKIP, 0);
	testing_until(&got->count, 4);
	ck_assert_uint_ge(clock_monotonic_ms() - before, 700);
	ck_assert_str_eq(got->ids[3], got->ids[0]);
	ck_assert_uint_eq(got->attempts[3], 2);
	testing_ack(got, 3, 1);
	wait_for_checkpoint("nack", got->ids[2]);
	ck_assert_uint_eq(list("nack", "", 0)->total, 1);
	ck_assert_uint_eq(got->count, 4);
	testing_end(got);
}
END_TEST

START_TEST(nack_of_unknown_action_or_delay_is_refused)
{
	static const struct {
		int action;
		uint32_t delay_ms;
		const char *says;
	} rows[] = {
		{ 3, 0, "nacks[0]: action: must be NACK_RETRY, NACK_PARK or NACK_SKIP, is 3" },
		{ 0, 3600001, "nacks[0]: delay_ms: must be at most 3600000, is 3600001" },
	};
	append_numbers("wrong", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct received *got = testing_consume_for("wrong", "g", 0);
		testing_until(&got->count, 1);
		send_nack(got, 0, (Es__NackAction)rows[i].action, rows[i].delay_ms);
		testing_until(&got->ended, 1);
		ck_assert_int_eq(got->err.code, ERR_INVALID);
		ck_assert_str_eq(got->err.message, rows[i].says);
		testing_end(got);
	}
	struct received *got = testing_consume_for("wrong", "g", 99);
	testing_until(&got->ended, 1);
	ck_assert_str_eq(got->err.message, "start.lease_ms: must be 0 or 100 to 3600000, is 99");
	testing_end(got);
}
END_TEST

/* A member that works on one event for long keeps it, as long as it says so; the rest comes again. */
START_TEST(lease_ends_unless_extended)
{
	append_numbers("lease", 2);
	struct received *got = testing_consume_for("lease", "g", 400);
	testing_until(&got->count, 2);
	extend(got, 0, 3600000);
	testing_until(&got->count, 4);
	ck_assert_str_eq(got->ids[2], got->ids[1]);
	ck_assert_str_eq(got->ids[3], got->ids[1]);
	ck_assert_uint_eq(got->attempts[3], 3);
	extend(got, 0, 100); /* shorter is as good */
	testing_until(&got->count, 5);
	while (strcmp(got->ids[got->count - 1], got->ids[0]) != 0)
		testing_until(&got->count, got->count + 1);
	testing_ack(got, 0, 2);
	wait_for_checkpoint("lease", got->ids[1]);
	testing_end(got);
}
END_TEST

START_TEST(parked_events_are_listed_in_pages)
{
	enum { COUNT = 25, PAGE = 10 };
	append_numbers("pages", COUNT);
	struct received *got = testing_consume_for("pages", "g", 0);
	testing_until(&got->count, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		send_nack(got, COUNT - 1 - i, ES__NACK_ACTION__NACK_PARK, 0);
	wait_for_checkpoint("pages", got->ids[COUNT - 1]);
	size_t seen = 0, pages = 0;
	for (const char *page = ""; pages == 0 || page[0] != '\0'; pages++) {
		const Es__ListParkedResponse *response = list("pages", page, PAGE);
		ck_assert_uint_eq(response->total, COUNT);
		for (size_t i = 0; i < response->n_events; i++, seen++) {
			const Es__ParkedEvent *parked = response->events[i];
			ck_assert_str_eq(parked->event->entry_id, got->ids[seen]);
			ck_assert_str_eq(parked->event->event_data, got->data[seen]);
			ck_assert_str_eq(parked->event->topic, "pages");
			ck_assert_str_eq(parked->reason, "bad number");
			ck_assert_uint_eq(parked->attempts, 1);
			ck_assert_uint_le(parked->parked_at_ms, clock_wall_us() / 1000);
			ck_assert_uint_gt(parked->parked_at_ms, clock_wall_us() / 1000 - 60000);
		}
		page = response->next;
	}
	ck_assert_uint_eq(seen, COUNT);
	ck_assert_uint_eq(pages, 3);
	testing_redis("XDEL events:{pages} %s", got->ids[0]);
	const Es__ParkedEvent *gone = list("pages", "", 1)->events[0];
	ck_assert_str_eq(gone->event->entry_id, got->ids[0]);
	ck_assert_str_eq(gone->event->event_data, "");
	ck_assert_uint_eq(drop("pages", got->ids[3]), 1);
	ck_assert_uint_eq(drop("pages", got->ids[3]), 0);
	ck_assert_uint_eq(drop("pages", NULL), COUNT - 1);
	ck_assert_uint_eq(list("pages", "", 0)->total, 0);
	testing_end(got);
}
END_TEST

START_TEST(parked_events_come_again)
{
	append_numbers("again", 3);
	struct received *got = testing_consume_for("again", "g", 0);
	testing_until(&got->count, 3);
	for (size_t i = 0; i < 3; i++)
		send_nack(got, i, ES__NACK_ACTION__NACK_PARK, 0);
	wait_for_checkpoint("again", got->ids[2]);
	ck_assert_uint_eq(replay("again", got->ids[1]), 1);
	testing_until(&got->count, 4);
	ck_assert_str_eq(got->ids[3], got->ids[1]);
	ck_assert_str_eq(got->data[3], "{\"n\":1}");
	ck_assert_uint_eq(got->attempts[3], 1);
	ck_assert(!got->redelivered[1] && got->redelivered[3]);
	ck_assert_uint_eq(list("again", "", 0)->total, 2);
	/* parked once more, then all at once */
	send_nack(got, 3, ES__NACK_ACTION__NACK_PARK, 0);
	for (int i = 0; i < 400 && list("again", "", 0)->total < 3; i++)
		testing_pause(10);
	ck_assert_uint_eq(replay("again", NULL), 3);
	testing_until(&got->count, 7);
	ck_assert_uint_eq(list("again", "", 0)->total, 0);
	ck_assert_uint_eq(info("again")->replaying, 3);
	testing_ack(got, 4, 2);
	for (int i = 0; i < 400 && info("again")->replaying > 1; i++)
		testing_pause(10);
	testing_end(got);
	/* what was not acknowledged is not lost, also not when the store starts again */
	testing_restart_store();
	got = testing_consume_for("again", "g", 0);
	testing_until(&got->count, 1);
	ck_assert_str_eq(got->data[0], "{\"n\":2}");
	testing_ack(got, 0, 1);
	for (int i = 0; i < 400 && info("again")->replaying > 0; i++)
		testing_pause(10);
	ck_assert_uint_eq(info("again")->replaying, 0);
	ck_assert_uint_eq(got->count, 1);
	testing_end(got);
}
END_TEST

/* More than are held in memory at a time. */
START_TEST(many_parked_events_come_again_once)
{
	enum { COUNT = 600 };
	append_numbers("many", COUNT);
	struct received *got = testing_consume_for("many", "g", 0);
	size_t settled = 0;
	while (settled < COUNT) {
		testing_until(&got->count, settled + 1);
		for (; settled < got->count; settled++)
			send_nack(got, settled, ES__NACK_ACTION__NACK_PARK, 0);
	}
	wait_for_checkpoint("many", got->ids[COUNT - 1]);
	ck_assert_uint_eq(replay("many", NULL), COUNT);
	while (settled < 2 * COUNT) {
		testing_until(&got->count, settled + 1);
		testing_ack(got, settled, got->count - settled);
		settled = got->count;
	}
	for (int i = 0; i < 400 && info("many")->replaying > 0; i++)
		testing_pause(10);
	ck_assert_uint_eq(info("many")->replaying, 0);
	ck_assert_uint_eq(got->count, 2 * COUNT);
	for (size_t i = 0; i < COUNT; i++)
		ck_assert_str_eq(got->ids[i], got->ids[COUNT + i]);
	testing_end(got);
}
END_TEST

START_TEST(topics_tell_of_groups)
{
	append_numbers("told", 3);
	struct received *got = testing_consume_for("told", "g", 0);
	testing_until(&got->count, 3);
	testing_pause(20); /* so that the age is more than a guess */
	const Es__GroupInfo *group = info("told");
	ck_assert_str_eq(group->checkpoint, "0-0");
	ck_assert_uint_eq(group->lag, 3);
	ck_assert_uint_eq(group->in_flight, 3);
	ck_assert_uint_eq(group->members, 1);
	ck_assert_uint_ge(group->oldest_age_ms, 20);
	ck_assert_uint_lt(group->oldest_age_ms, 60000);
	ck_assert_ptr_nonnull(strstr(group->owner, "/127.0.0.1:"));
	testing_ack(got, 0, 3);
	wait_for_checkpoint("told", got->ids[2]);
	group = info("told");
	ck_assert_uint_eq(group->lag, 0);
	ck_assert_uint_eq(group->oldest_age_ms, 0);
	ck_assert_uint_eq(group->in_flight, 0);
	testing_end(got);
	testing_pause(50);
	group = info("told");
	ck_assert_str_eq(group->owner, "");
	ck_assert_uint_eq(group->members, 0);
}
END_TEST

static void set_owner(const char *topic, const char *owner, int lease_ms)
{
	testing_redis("EVAL %s 1 owners:{%s} g %s %d",
	              "local\tt=redis.call('TIME');redis.call('HSET',KEYS[1],ARGV[1],"
	              "ARGV[2]..'\\32'..string.format('%d',t[1]*1000+t[2]/1000+ARGV[3]))",
	              topic, owner, lease_ms);
}

START_TEST(group_of_another_store_is_waited_for)
{
	append_numbers("other", 1);
	set_owner("other", "elsewhere/x#1", 1000);
	uint64_t before = clock_monotonic_ms();
	struct received *got = testing_consume_for("other", "g", 0);
	testing_until(&got->count, 1);
	ck_assert_uint_ge(clock_monotonic_ms() - before, 900);
	ck_assert_uint_lt(clock_monotonic_ms() - before, 6000);
	testing_end(got);
}
END_TEST

/* A store that was stopped for long and comes back: another has taken the group over meanwhile. */
START_TEST(store_that_lost_a_group_changes_nothing)
{
	append_numbers("lost", 3);
	struct received *got = testing_consume_for("lost", "g", 0);
	testing_until(&got->count, 3);
	testing_ack(got, 0, 1);
	wait_for_checkpoint("lost", got->ids[0]);
	set_owner("lost", "elsewhere/x#1", 60000);
	testing_ack(got, 1, 1);
	send_nack(got, 2, ES__NACK_ACTION__NACK_PARK, 0);
	while (info("lost")->in_flight > 0)
		testing_pause(20);
	/* it has noticed: nothing is saved or parked any more, nothing new is delivered */
	testing_append("lost", "new", "{}");
	testing_pause(300);
	ck_assert_uint_eq(got->count, 3);
	ck_assert_str_eq(testing_redis_text("HGET groups:{lost} g"), got->ids[0]);
	ck_assert_uint_eq(list("lost", "", 0)->total, 0);
	set_owner("lost", "elsewhere/x#1", 0);
	testing_until(&got->count, 6);
	ck_assert_str_eq(got->ids[3], got->ids[1]);
	ck_assert(got->redelivered[3] && got->redelivered[4]);
	ck_assert_str_eq(got->ids[4], got->ids[2]);
	testing_ack(got, 3, 3);
	wait_for_checkpoint("lost", got->ids[5]);
	testing_end(got);
}
END_TEST

START_TEST(parked_requests_are_checked)
{
	struct error err;
	const char *ids[1001];
	Es__ListParkedRequest listing = ES__LIST_PARKED_REQUEST__INIT;
	Es__ReplayParkedRequest request = ES__REPLAY_PARKED_REQUEST__INIT;
	listing.topic = "a";
	listing.group = "b c";
	ck_assert_ptr_null(testing_call("ListParked", &listing.base, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "group"));
	listing.group = "b";
	listing.limit = 1001;
	ck_assert_ptr_null(testing_call("ListParked", &listing.base, &err));
	ck_assert_str_eq(err.message, "limit: must be at most 1000, is 1001");
	listing.limit = 0;
	listing.page = "x";
	ck_assert_ptr_null(testing_call("ListParked", &listing.base, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "page: "));
	request.topic = "a";
	request.group = "b";
	ck_assert_ptr_null(testing_call("ReplayParked", &request.base, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "entry_ids: must be 1 to 1000, are 0"));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = "1-1";
	request.entry_ids = ids;
	request.n_entry_ids = ARRAY_LEN(ids);
	ck_assert_ptr_null(testing_call("ReplayParked", &request.base, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "entry_ids: must be 1 to 1000, are 1001"));
	request.n_entry_ids = 1;
	request.all = true;
	ck_assert_ptr_null(testing_call("ReplayParked", &request.base, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
	request.all = false;
	ids[0] = "nonsense";
	ck_assert_ptr_null(testing_call("DropParked", &request.base, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "entry_ids[0]"));
}
END_TEST

/* Its only member goes before Redis has answered: the group is free at once. */
START_TEST(a_member_that_leaves_while_the_group_opens)
{
	testing_append("brief", "a", "{}");
	redis_fixture_freeze(&testing.redis);
	struct received *member = testing_consume("brief", "g", ES__START__START_BEGINNING, 10);
	testing_pause(100);
	testing_end(member);
	testing_pause(100);
	redis_fixture_thaw(&testing.redis);
	const char *owner = "";
	for (int i = 0; i < 100 && (owner[0] == '\0' || strcmp(strrchr(owner, ' '), " 0") != 0);
	     i++) {
		testing_pause(20);
		owner = testing_redis_text("HGET owners:{brief} g");
	}
	ck_assert_msg(owner[0] != '\0' && strcmp(strrchr(owner, ' '), " 0") == 0, "%s", owner);
	ck_assert_str_eq(testing_redis_text("HGET groups:{brief} g"), "0-0");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group");
	TCase *tests = tcase_create("groups");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, nack_retries_parks_or_skips);
	tcase_add_test(tests, nack_of_unknown_action_or_delay_is_refused);
	tcase_add_test(tests, lease_ends_unless_extended);
	tcase_add_test(tests, parked_events_are_listed_in_pages);
	tcase_add_test(tests, parked_events_come_again);
	tcase_add_test(tests, many_parked_events_come_again_once);
	tcase_add_test(tests, topics_tell_of_groups);
	tcase_add_test(tests, group_of_another_store_is_waited_for);
	tcase_add_test(tests, store_that_lost_a_group_changes_nothing);
	tcase_add_test(tests, parked_requests_are_checked);
	tcase_add_test(tests, a_member_that_leaves_while_the_group_opens);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
