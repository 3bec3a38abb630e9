/* Import: a history with its own ids, whole or not at all. */
#include "event-store/testing_import.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

START_TEST(appears_as_a_whole)
{
	struct importing *call = importing_begun("whole", "one", "two");
	ck_assert_uint_eq(call->standing[0], 0);
	for (unsigned i = 0; i < 300; i++) {
		Es__Event *events[] = { importing_event("one", i), importing_event("two", i) };
		importing_send(call, events, 2);
	}
	importing_until(call, 600);
	ck_assert_uint_eq(call->skipped, 0);
	ck_assert_uint_eq(importing_events_in("one"), 0);
	importing_refuses_append("one", "locked by the import whole until that is finished");
	importing_finish(call);
	ck_assert_uint_eq(call->standing[0], 300);
	ck_assert_uint_eq(call->standing[1], 300);
	ck_assert_uint_eq(importing_events_in("one"), 300);
	ck_assert_uint_eq(importing_events_in("two"), 300);

	/* the topic goes on as any other */
	struct error err;
	Es__AppendRequest *next = testing_request("one", "e3", "{}", ES__EXPECT__EXPECT_EXACT, 75);
	const Es__AppendResponse *response = testing_send(next, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert_uint_eq(response->events[0]->version, 76);
	ck_assert_str_eq(testing_redis_text("KEYS import_*"), "");
	ck_assert_str_eq(testing_redis_text("HGET import:{one} count"), "300");
}
END_TEST

/* A wrong event: what is changed of number 5, and what the error says. */
static void spoil(Es__Event *event, const char *field, const char *value)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "topic", offsetof(Es__Event, topic) },
		{ "entry_id", offsetof(Es__Event, entry_id) },
		{ "event_id", offsetof(Es__Event, event_id) },
		{ "event_action", offsetof(Es__Event, event_action) },
		{ "event_data", offsetof(Es__Event, event_data) },
		{ "event_type", offsetof(Es__Event, event_type) },
		{ "entity_id", offsetof(Es__Event, entity_id) },
		{ "metadata", offsetof(Es__Event, metadata) },
	};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(fields[i].name, field) == 0)
			*(const char **)(void *)((char *)event + fields[i].offset) = value;
	}
	if (strcmp(field, "version") == 0)
		event->entity_version = strtoull(value, NULL, 10);
}

START_TEST(refuses_wrong_events)
{
	static const struct {
		const char *field, *value, *says;
	} rows[] = {
		{ "topic", "other", "topic: is not among the topics of the start" },
		{ "entry_id", "", "entry_id" },
		{ "entry_id", "1500000300000", "entry_id" },
		{ "entry_id", "1500000300000-1000", "entry_id: must be milliseconds" },
		{ "entry_id", "0-0", "entry_id: must be milliseconds" },
		{ "entry_id", "1500000240000-4", "entry_id: must be above the one before it" },
		{ "entry_id", "99999999999999-0", "entry_id: is in the future" },
		{ "event_id", "x", "event_id: must be a UUID" },
		{ "event_action", "", "event_action: must have 1 to 64 bytes" },
		{ "event_data", "[]", "event_data: must be a JSON object" },
		{ "event_data", "", "event_data: must be a JSON object" },
		{ "metadata", "{", "metadata: must be a JSON object" },
		{ "entity_id", "", "entity_version: must be 0 for an event without entity_id" },
		{ "version", "0", "entity_version: must be 1 to" },
		{ "version", "1", "entity_version: must be 2, is 1, of entity \"e1\"" },
		{ "version", "3", "entity_version: must be 2, is 3, of entity \"e1\"" },
		{ "entity_id", "e9", "entity_version: must be 1, is 2, of entity \"e9\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		/* in the same message as the events before it, and in one of its own */
		for (size_t own = 0; own < 2; own++) {
			struct importing *call = importing_begun("wrong", "wrong", NULL);
			Es__Event *events[6];
			for (unsigned n = 0; n < 6; n++)
				events[n] = importing_event("wrong", n);
			spoil(events[5], rows[i].field, rows[i].value);
			if (own == 1)
				importing_send(call, events, 5);
			importing_send(call, own == 1 ? &events[5] : events, own == 1 ? 1 : 6);
			testing_until(&call->ended, 1);
			ck_assert_int_eq(call->err.code, ERR_INVALID);
			ck_assert_msg(strstr(call->err.message, "event 5 (topic ") != NULL &&
			                  strstr(call->err.message, rows[i].says) != NULL,
			              "row %zu: %s", i, call->err.message);
			importing_abandon(importing_begun("wrong", "wrong", NULL));
		}
	}
	ck_assert_str_eq(testing_redis_text("KEYS *{wrong}*"), "");
}
END_TEST

START_TEST(refuses_wrong_starts)
{
	static const struct {
		const char *id, *first, *second, *says;
	} rows[] = {
		{ "", "a", NULL, "start.import_id" },
		{ "not a name", "a", NULL, "start.import_id" },
		{ "i", "not a topic", NULL, "start.topics" },
		{ "i", "a", "a", "start.topics: \"a\" is there twice" },
		{ "i", "a", "taken", "start.topics: taken has events that this import did not" },
		{ "i", "taken", "a", "start.topics: taken has events that this import did not" },
		{ "i", "a", "locked", "start.topics: locked is locked by the import mine; finish" },
	};
	testing_append("taken", "a", "{}");
	importing_leave(importing_begun("mine", "locked", NULL));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct importing *call = importing_begin(rows[i].id, rows[i].first, rows[i].second);
		testing_until(&call->ended, 1);
		ck_assert(call->err.code == ERR_INVALID || call->err.code == ERR_PRECONDITION);
		ck_assert_msg(strstr(call->err.message, rows[i].says) != NULL, "row %zu: %s", i,
		              call->err.message);
		ck_assert_str_eq(testing_redis_text("KEYS *{a}*"), "");
	}
	struct importing *call = importing_open();
	Es__Event *event = importing_event("a", 0);
	importing_send(call, &event, 1);
	testing_until(&call->ended, 1);
	ck_assert_str_eq(call->err.message, "start: is needed in the first message");
	importing_refuses_append("locked", "locked by the import mine");
	importing_abandon(importing_begun("mine", "locked", NULL));
	testing_append("locked", "a", "{}");
}
END_TEST

START_TEST(goes_on_where_it_stood)
{
	struct importing *call = importing_begun("long", "long", NULL);
	importing_send_history(call, "long", 0, 500);
	importing_until(call, 500);
	importing_leave(call);
	call = importing_begun("long", "long", NULL);
	ck_assert_uint_eq(call->standing[0], 500);
	importing_send_history(call, "long", 0, 1000);
	importing_until(call, 1000);
	ck_assert_uint_eq(call->skipped, 500);
	rpc_stream_end_sends(call->stream);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_NONE);
	ck_assert_uint_eq(importing_events_in("long"), 0);

	/* also after a loss of the store, or of Redis; what was not noted is taken back */
	testing_restart_store();
	redis_fixture_kill(&testing.redis);
	redis_fixture_restart(&testing.redis);
	for (call = NULL; call == NULL || call->ended; testing_pause(50)) {
		call = importing_begin("long", "long", NULL);
		importing_until_answer(call); /* an error while the store has not found Redis */
	}
	importing_leave(call);
	char *staged = testing_redis_text("KEYS import_events*");
	testing_redis("XADD %s 1600000000000-0 a b", staged);
	testing_redis("XADD %s 1600000000000-1 a b", staged);
	call = importing_begun("long", "long", NULL);
	ck_assert_uint_eq(call->standing[0], 1000);
	char *facts =
	    testing_redis_text("XINFO STREAM %s", testing_redis_text("KEYS import_events*"));
	ck_assert_ptr_nonnull(strstr(facts, importing_event("long", 999)->entry_id));
	ck_assert_ptr_null(strstr(facts, "1600000000000-1"));
	importing_send_history(call, "long", 1000, 1100);
	importing_finish(call);
	ck_assert_uint_eq(call->standing[0], 1100);
	ck_assert_uint_eq(importing_events_in("long"), 1100);

	/* once more as a whole: nothing happens, also when the topic went on */
	struct error err;
	ck_assert_ptr_nonnull(
	    testing_send(testing_request("long", "e0", "{}", ES__EXPECT__EXPECT_EXACT, 275), &err));
	call = importing_begun("long", "long", NULL);
	ck_assert(call->finished);
	importing_send_history(call, "long", 0, 1100);
	importing_until(call, 1100);
	ck_assert_uint_eq(call->skipped, 1100);
	importing_finish(call);
	ck_assert_str_eq(testing_redis_text("XLEN events:{long}"), "1101");

	/* but nothing can be added */
	call = importing_begun("long", "long", NULL);
	importing_send_history(call, "long", 1100, 1101);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(call->err.message, "the import was being finished, or is"));
}
END_TEST

START_TEST(the_later_call_goes_on)
{
	struct importing *first = importing_begun("both", "both", NULL);
	importing_send_history(first, "both", 0, 100);
	importing_until(first, 100);
	struct importing *second = importing_begun("both", "both", NULL);
	ck_assert_uint_eq(second->standing[0], 100);
	importing_send_history(first, "both", 100, 200);
	testing_until(&first->ended, 1);
	ck_assert_int_eq(first->err.code, ERR_CONFLICT);
	ck_assert_str_eq(first->err.message, "import_id: another call goes on with this import");
	importing_send_history(second, "both", 100, 150);
	importing_finish(second);
	ck_assert_uint_eq(importing_events_in("both"), 150);
	ck_assert_str_eq(testing_redis_text("KEYS import_*"), "");
}
END_TEST

START_TEST(groups_stand_where_they_are_told)
{
	/* one is there and waits, one is made, one is not named */
	struct received *waiting =
	    testing_consume("history", "waiting", ES__START__START_BEGINNING, 10);
	struct received *other =
	    testing_consume("history", "other", ES__START__START_BEGINNING, 1000);
	while (strcmp(testing_redis_text("HLEN groups:{history}"), "2") != 0)
		testing_pause(10);
	struct importing *call = importing_begun("groups", "history", NULL);
	importing_send_history(call, "history", 0, 50);
	Es__GroupCheckpoint made = ES__GROUP_CHECKPOINT__INIT, waits = made, late = made;
	made.topic = waits.topic = late.topic = "history";
	made.group = "made";
	made.checkpoint = importing_event("history", 44)->entry_id;
	waits.group = "waiting";
	waits.checkpoint = importing_event("history", 47)->entry_id;
	late.group = "late";
	Es__GroupCheckpoint *groups[] = { &made, &waits, &late };
	importing_finish_with(call, groups, 3);
	ck_assert_msg(call->err.code == ERR_NONE, "%s", call->err.message);

	struct received *consumer =
	    testing_consume("history", "made", ES__START__START_BEGINNING, 10);
	testing_until(&consumer->count, 5);
	ck_assert_str_eq(consumer->ids[0], importing_event("history", 45)->entry_id);
	testing_until(&waiting->count, 2);
	ck_assert_str_eq(waiting->ids[0], importing_event("history", 48)->entry_id);
	const Es__Appended *next = testing_append("history", "e0", "{}");
	testing_until(&other->count, 1);
	ck_assert_str_eq(other->ids[0], next->entry_id);
	testing_until(&waiting->count, 3);
	testing_until(&consumer->count, 6);
	testing_end(waiting);
	testing_end(other);
	testing_end(consumer);
}
END_TEST

START_TEST(refuses_wrong_groups)
{
	static const struct {
		const char *topic, *group, *checkpoint, *says;
	} rows[] = {
		{ "x", "g", "", "finish.groups[0]: topic: is not among the topics" },
		{ "places", "", "", "finish.groups[0]: group" },
		{ "places", "g", "soon", "finish.groups[0]: checkpoint" },
		{ "places", "g", "1500000600000-0",
		  "finish.groups[0]: checkpoint: is after the last" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct importing *call = importing_begun("places", "places", NULL);
		importing_send_history(call, "places", 0, 10);
		Es__GroupCheckpoint group = ES__GROUP_CHECKPOINT__INIT, *groups = &group;
		group.topic = rows[i].topic;
		group.group = rows[i].group;
		group.checkpoint = rows[i].checkpoint;
		importing_finish_with(call, &groups, 1);
		ck_assert_int_eq(call->err.code, ERR_INVALID);
		ck_assert_msg(strstr(call->err.message, rows[i].says) != NULL, "row %zu: %s", i,
		              call->err.message);
	}
	importing_abandon(importing_begun("places", "places", NULL));
}
END_TEST

/* What is younger than the dedupe window is known to Append. */
START_TEST(young_events_are_known)
{
	struct error err;
	uint64_t now = clock_wall_us() / 1000;
	const uint64_t ages_ms[] = { 40 * 3600000, 20 * 3600000, 5 * 3600000, 1000 };
	Es__Event *events[ARRAY_LEN(ages_ms)];
	struct importing *call = importing_begun("young", "young", NULL);
	for (unsigned i = 0; i < ARRAY_LEN(ages_ms); i++) {
		events[i] = importing_event("young", i);
		events[i]->entry_id =
		    arena_printf(testing.arena, "%llu-0", (unsigned long long)(now - ages_ms[i]));
	}
	importing_send(call, events, ARRAY_LEN(ages_ms));
	importing_finish(call);
	for (size_t i = 0; i < ARRAY_LEN(ages_ms); i++) {
		Es__AppendRequest *request =
		    testing_request("young", events[i]->entity_id, "{}", ES__EXPECT__EXPECT_ANY, 0);
		request->events[0]->event_id = events[i]->event_id;
		const Es__AppendResponse *response = testing_send(request, &err);
		ck_assert_msg(response != NULL, "%s", err.message);
		ck_assert(response->events[0]->duplicate == (i > 0));
		if (i > 0)
			ck_assert_str_eq(response->events[0]->entry_id, events[i]->entry_id);
	}
	/* so one of them cannot be there twice */
	call = importing_begun("twice", "twice", NULL);
	importing_send(call, events + 2, 1);
	testing_until(&call->ended, 1);
	call = importing_begun("twice", "twice", NULL);
	for (unsigned i = 2; i < 4; i++) {
		events[i]->topic = "twice";
		events[i]->event_id = events[2]->event_id;
		events[i]->entity_version = 1;
		importing_send(call, &events[i], 1);
	}
	testing_until(&call->ended, 1);
	ck_assert_msg(strstr(call->err.message, "is there twice") != NULL, "%s", call->err.message);
	importing_abandon(importing_begun("twice", "twice", NULL));
}
END_TEST

START_TEST(half_published_it_can_only_be_finished)
{
	struct importing *call = importing_begun("half", "left", "right");
	importing_send_pairs(call, "left", "right", 10);
	importing_until(call, 20);
	importing_leave(call);
	importing_publish("left");

	call = importing_begun("half", "left", "right");
	importing_abandon(call);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);
	ck_assert_str_eq(call->err.message, "abandon: the import was being finished; finish it");
	call = importing_begun("half", "left", "right");
	importing_send_history(call, "right", 10, 11);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(call->err.message, "event 0 (topic right"));
	ck_assert_uint_eq(importing_events_in("right"), 0);
	importing_finish(importing_begun("half", "left", "right"));
	ck_assert_uint_eq(importing_events_in("left"), 10);
	ck_assert_uint_eq(importing_events_in("right"), 10);
}
END_TEST

/* One of the topics got nothing, was unlocked, and went on before the others were. */
START_TEST(an_empty_topic_goes_on)
{
	struct importing *call = importing_begun("some", "full", "empty");
	importing_send_history(call, "full", 0, 10);
	importing_finish(call);
	testing_append("empty", "a", "{}");
	importing_finish(importing_begun("some", "full", "empty"));
	call = importing_begin("other", "empty", NULL);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);

	/* and as long as it is empty another import may come */
	importing_finish(importing_begun("none", "free", NULL));
	call = importing_begun("another", "free", NULL);
	importing_send_history(call, "free", 0, 10);
	importing_finish(call);
	ck_assert_uint_eq(importing_events_in("free"), 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import");
	TCase *tests = tcase_create("import");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, appears_as_a_whole);
	tcase_add_test(tests, refuses_wrong_events);
	tcase_add_test(tests, refuses_wrong_starts);
	tcase_add_test(tests, goes_on_where_it_stood);
	tcase_add_test(tests, the_later_call_goes_on);
	tcase_add_test(tests, groups_stand_where_they_are_told);
	tcase_add_test(tests, refuses_wrong_groups);
	tcase_add_test(tests, young_events_are_known);
	tcase_add_test(tests, half_published_it_can_only_be_finished);
	tcase_add_test(tests, an_empty_topic_goes_on);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
