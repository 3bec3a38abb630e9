/* Import: a history with its own ids, whole or not at all. */
#include "event-store/testing.h"

#include "base/clock.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One call of Import. */
struct importing {
	struct rpc_stream *stream;
	size_t answers, ended;
	uint64_t events, skipped;
	uint64_t standing[2]; /* events of the first topics, as told last */
	bool finished;        /* all of them */
	struct error err;
};

static void answered(void *arg, const ProtobufCMessage *message)
{
	struct importing *call = arg;
	const Es__ImportResponse *response = (const Es__ImportResponse *)message;
	call->answers++;
	call->events = response->events;
	call->skipped = response->skipped;
	for (size_t i = 0; i < response->n_topics; i++) {
		if (i < 2)
			call->standing[i] = response->topics[i]->events;
		call->finished = (i == 0 || call->finished) && response->topics[i]->finished;
	}
}

static void closed(void *arg, const struct error *err)
{
	struct importing *call = arg;
	call->err = err != NULL ? *err : (struct error){ 0 };
	call->ended = 1;
}

static const struct rpc_stream_events events_of_import = { .message = answered, .closed = closed };

static struct importing *open_call(void)
{
	struct importing *call = arena_zalloc(testing.arena, sizeof(*call));
	call->stream = rpc_stream_open(testing.channel, &es__event_store__descriptor, "Import",
	                               &events_of_import, call);
	return call;
}

static struct importing *begin(const char *id, const char *topic, const char *second)
{
	struct importing *call = open_call();
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	Es__ImportStart start = ES__IMPORT_START__INIT;
	const char *topics[] = { topic, second };
	start.import_id = id;
	start.topics = topics;
	start.n_topics = second != NULL ? 2 : 1;
	request.start = &start;
	rpc_stream_send(call->stream, &request.base);
	return call;
}

/* Runs until the call has an answer more, or is over. */
static void until_answer(struct importing *call)
{
	size_t before = call->answers;
	for (int i = 0; i < 2000 && call->answers == before && !call->ended; i++)
		testing_pause(10);
	ck_assert(call->answers > before || call->ended);
}

static struct importing *begun(const char *id, const char *topic, const char *second)
{
	struct importing *call = begin(id, topic, second);
	until_answer(call);
	ck_assert_msg(!call->ended, "%s", call->err.message);
	return call;
}

/* Event number `n` of a history: 2017, one a minute, of four entities. */
static Es__Event *event_of(const char *topic, unsigned n)
{
	Es__Event *event = arena_alloc(testing.arena, sizeof(*event));
	char id[UUID_SIZE];
	es__event__init(event);
	uuid_v5(id, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", topic,
	        arena_printf(testing.arena, "%u", n));
	event->topic = topic;
	event->entry_id =
	    arena_printf(testing.arena, "%llu-%u", 1500000000000ULL + n * 60000, n % 7);
	event->event_id = arena_strdup(testing.arena, id);
	event->event_action = n < 4 ? "entity_created" : "entity_updated";
	event->event_data = arena_printf(testing.arena, "{\"n\":%u}", n);
	event->event_type = "Imported";
	event->entity_id = arena_printf(testing.arena, "e%u", n % 4);
	event->entity_version = n / 4 + 1;
	event->metadata = "{\"actor\":\"history\"}";
	return event;
}

static void send_events(struct importing *call, Es__Event **events, size_t count)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	request.events = events;
	request.n_events = count;
	rpc_stream_send(call->stream, &request.base);
}

static void send_history(struct importing *call, const char *topic, unsigned first, unsigned end)
{
	Es__Event *events[100];
	while (first < end) {
		size_t count = 0;
		while (first < end && count < ARRAY_LEN(events))
			events[count++] = event_of(topic, first++);
		send_events(call, events, count);
	}
}

static void until_events(struct importing *call, uint64_t events)
{
	while (call->events < events && !call->ended)
		until_answer(call);
	ck_assert_msg(!call->ended, "%s", call->err.message);
}

static void finish_with(struct importing *call, Es__GroupCheckpoint **groups, size_t count)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	Es__ImportFinish finish = ES__IMPORT_FINISH__INIT;
	finish.groups = groups;
	finish.n_groups = count;
	request.finish = &finish;
	rpc_stream_send(call->stream, &request.base);
	testing_until(&call->ended, 1);
}

static void finish(struct importing *call)
{
	finish_with(call, NULL, 0);
	ck_assert_msg(call->err.code == ERR_NONE, "%s", call->err.message);
	ck_assert(call->finished);
}

static void leave(struct importing *call)
{
	rpc_stream_cancel(call->stream);
	testing_until(&call->ended, 1);
}

static void abandon(struct importing *call)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	request.abandon = true;
	rpc_stream_send(call->stream, &request.base);
	testing_until(&call->ended, 1);
}

static size_t events_in(const char *topic)
{
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	request.topics = &topic;
	request.n_topics = 1;
	struct received *read = testing_read(&request);
	size_t count = read->count;
	for (size_t i = 0; i < count; i++)
		ck_assert_str_eq(read->ids[i], event_of(topic, (unsigned)i)->entry_id);
	testing_end(read);
	return count;
}

static void append_fails(const char *topic, const char *says)
{
	struct error err;
	ck_assert_ptr_null(
	    testing_send(testing_request(topic, "e0", "{}", ES__EXPECT__EXPECT_ANY, 0), &err));
	ck_assert_int_eq(err.code, ERR_PRECONDITION);
	ck_assert_msg(strstr(err.message, says) != NULL, "%s", err.message);
}

START_TEST(appears_as_a_whole)
{
	struct importing *call = begun("whole", "one", "two");
	ck_assert_uint_eq(call->standing[0], 0);
	for (unsigned i = 0; i < 300; i++) {
		Es__Event *events[] = { event_of("one", i), event_of("two", i) };
		send_events(call, events, 2);
	}
	until_events(call, 600);
	ck_assert_uint_eq(call->skipped, 0);
	ck_assert_uint_eq(events_in("one"), 0);
	append_fails("one", "locked by the import whole until that is finished");
	finish(call);
	ck_assert_uint_eq(call->standing[0], 300);
	ck_assert_uint_eq(call->standing[1], 300);
	ck_assert_uint_eq(events_in("one"), 300);
	ck_assert_uint_eq(events_in("two"), 300);

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
			struct importing *call = begun("wrong", "wrong", NULL);
			Es__Event *events[6];
			for (unsigned n = 0; n < 6; n++)
				events[n] = event_of("wrong", n);
			spoil(events[5], rows[i].field, rows[i].value);
			if (own == 1)
				send_events(call, events, 5);
			send_events(call, own == 1 ? &events[5] : events, own == 1 ? 1 : 6);
			testing_until(&call->ended, 1);
			ck_assert_int_eq(call->err.code, ERR_INVALID);
			ck_assert_msg(strstr(call->err.message, "event 5 (topic ") != NULL &&
			                  strstr(call->err.message, rows[i].says) != NULL,
			              "row %zu: %s", i, call->err.message);
			abandon(begun("wrong", "wrong", NULL));
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
	leave(begun("mine", "locked", NULL));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct importing *call = begin(rows[i].id, rows[i].first, rows[i].second);
		testing_until(&call->ended, 1);
		ck_assert(call->err.code == ERR_INVALID || call->err.code == ERR_PRECONDITION);
		ck_assert_msg(strstr(call->err.message, rows[i].says) != NULL, "row %zu: %s", i,
		              call->err.message);
		ck_assert_str_eq(testing_redis_text("KEYS *{a}*"), "");
	}
	struct importing *call = open_call();
	Es__Event *event = event_of("a", 0);
	send_events(call, &event, 1);
	testing_until(&call->ended, 1);
	ck_assert_str_eq(call->err.message, "start: is needed in the first message");
	append_fails("locked", "locked by the import mine");
	abandon(begun("mine", "locked", NULL));
	testing_append("locked", "a", "{}");
}
END_TEST

START_TEST(goes_on_where_it_stood)
{
	struct importing *call = begun("long", "long", NULL);
	send_history(call, "long", 0, 500);
	until_events(call, 500);
	leave(call);
	call = begun("long", "long", NULL);
	ck_assert_uint_eq(call->standing[0], 500);
	send_history(call, "long", 0, 1000);
	until_events(call, 1000);
	ck_assert_uint_eq(call->skipped, 500);
	rpc_stream_end_sends(call->stream);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_NONE);
	ck_assert_uint_eq(events_in("long"), 0);

	/* also after a loss of the store, or of Redis; what was not noted is taken back */
	testing_restart_store();
	redis_fixture_kill(&testing.redis);
	redis_fixture_restart(&testing.redis);
	for (call = NULL; call == NULL || call->ended; testing_pause(50)) {
		call = begin("long", "long", NULL);
		until_answer(call); /* an error while the store has not found Redis */
	}
	leave(call);
	char *staged = testing_redis_text("KEYS import_events*");
	testing_redis("XADD %s 1600000000000-0 a b", staged);
	testing_redis("XADD %s 1600000000000-1 a b", staged);
	call = begun("long", "long", NULL);
	ck_assert_uint_eq(call->standing[0], 1000);
	char *facts =
	    testing_redis_text("XINFO STREAM %s", testing_redis_text("KEYS import_events*"));
	ck_assert_ptr_nonnull(strstr(facts, event_of("long", 999)->entry_id));
	ck_assert_ptr_null(strstr(facts, "1600000000000-1"));
	send_history(call, "long", 1000, 1100);
	finish(call);
	ck_assert_uint_eq(call->standing[0], 1100);
	ck_assert_uint_eq(events_in("long"), 1100);

	/* once more as a whole: nothing happens, also when the topic went on */
	struct error err;
	ck_assert_ptr_nonnull(
	    testing_send(testing_request("long", "e0", "{}", ES__EXPECT__EXPECT_EXACT, 275), &err));
	call = begun("long", "long", NULL);
	ck_assert(call->finished);
	send_history(call, "long", 0, 1100);
	until_events(call, 1100);
	ck_assert_uint_eq(call->skipped, 1100);
	finish(call);
	ck_assert_str_eq(testing_redis_text("XLEN events:{long}"), "1101");

	/* but nothing can be added */
	call = begun("long", "long", NULL);
	send_history(call, "long", 1100, 1101);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(call->err.message, "the import was being finished, or is"));
}
END_TEST

START_TEST(the_later_call_goes_on)
{
	struct importing *first = begun("both", "both", NULL);
	send_history(first, "both", 0, 100);
	until_events(first, 100);
	struct importing *second = begun("both", "both", NULL);
	ck_assert_uint_eq(second->standing[0], 100);
	send_history(first, "both", 100, 200);
	testing_until(&first->ended, 1);
	ck_assert_int_eq(first->err.code, ERR_CONFLICT);
	ck_assert_str_eq(first->err.message, "import_id: another call goes on with this import");
	send_history(second, "both", 100, 150);
	finish(second);
	ck_assert_uint_eq(events_in("both"), 150);
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
	struct importing *call = begun("groups", "history", NULL);
	send_history(call, "history", 0, 50);
	Es__GroupCheckpoint made = ES__GROUP_CHECKPOINT__INIT, waits = made, late = made;
	made.topic = waits.topic = late.topic = "history";
	made.group = "made";
	made.checkpoint = event_of("history", 44)->entry_id;
	waits.group = "waiting";
	waits.checkpoint = event_of("history", 47)->entry_id;
	late.group = "late";
	Es__GroupCheckpoint *groups[] = { &made, &waits, &late };
	finish_with(call, groups, 3);
	ck_assert_msg(call->err.code == ERR_NONE, "%s", call->err.message);

	struct received *consumer =
	    testing_consume("history", "made", ES__START__START_BEGINNING, 10);
	testing_until(&consumer->count, 5);
	ck_assert_str_eq(consumer->ids[0], event_of("history", 45)->entry_id);
	testing_until(&waiting->count, 2);
	ck_assert_str_eq(waiting->ids[0], event_of("history", 48)->entry_id);
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
		struct importing *call = begun("places", "places", NULL);
		send_history(call, "places", 0, 10);
		Es__GroupCheckpoint group = ES__GROUP_CHECKPOINT__INIT, *groups = &group;
		group.topic = rows[i].topic;
		group.group = rows[i].group;
		group.checkpoint = rows[i].checkpoint;
		finish_with(call, &groups, 1);
		ck_assert_int_eq(call->err.code, ERR_INVALID);
		ck_assert_msg(strstr(call->err.message, rows[i].says) != NULL, "row %zu: %s", i,
		              call->err.message);
	}
	abandon(begun("places", "places", NULL));
}
END_TEST

/* What is younger than the dedupe window is known to Append. */
START_TEST(young_events_are_known)
{
	struct error err;
	uint64_t now = clock_wall_us() / 1000;
	const uint64_t ages_ms[] = { 40 * 3600000, 20 * 3600000, 5 * 3600000, 1000 };
	Es__Event *events[ARRAY_LEN(ages_ms)];
	struct importing *call = begun("young", "young", NULL);
	for (unsigned i = 0; i < ARRAY_LEN(ages_ms); i++) {
		events[i] = event_of("young", i);
		events[i]->entry_id =
		    arena_printf(testing.arena, "%llu-0", (unsigned long long)(now - ages_ms[i]));
	}
	send_events(call, events, ARRAY_LEN(ages_ms));
	finish(call);
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
	call = begun("twice", "twice", NULL);
	send_events(call, events + 2, 1);
	testing_until(&call->ended, 1);
	call = begun("twice", "twice", NULL);
	for (unsigned i = 2; i < 4; i++) {
		events[i]->topic = "twice";
		events[i]->event_id = events[2]->event_id;
		events[i]->entity_version = 1;
		send_events(call, &events[i], 1);
	}
	testing_until(&call->ended, 1);
	ck_assert_msg(strstr(call->err.message, "is there twice") != NULL, "%s", call->err.message);
	abandon(begun("twice", "twice", NULL));
}
END_TEST

static struct received *subscribe_to(const char *first, const char *second, Es__Start start)
{
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	const char *topics[] = { first, second };
	request.topics = topics;
	request.n_topics = 2;
	request.start = start;
	struct received *got = testing_subscribe_to(&request);
	testing_until(&got->lives, 1);
	return got;
}

static void send_pairs(struct importing *call, const char *first, const char *second,
                       unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		Es__Event *events[] = { event_of(first, i), event_of(second, i) };
		send_events(call, events, 2);
	}
}

/* Who reads already: the history comes, or the subscription ends with the reason. */
START_TEST(live_readers)
{
	enum { PAIRS = 1500 };
	testing_append("now", "a", "{}");
	struct received *single = testing_subscribe("past", ES__START__START_BEGINNING, NULL, NULL);
	struct received *before = subscribe_to("past", "older", ES__START__START_BEGINNING);
	struct received *passed = subscribe_to("past", "now", ES__START__START_BEGINNING);
	struct received *live = subscribe_to("past", "now", ES__START__START_LIVE);
	struct received *others = subscribe_to("now", "elsewhere", ES__START__START_BEGINNING);
	testing_until(&single->lives, 1);

	struct importing *call = begun("readers", "past", "older");
	send_pairs(call, "older", "past", PAIRS);
	finish(call);
	testing_until(&single->count, PAIRS);
	testing_until(&before->count, 2 * PAIRS);
	testing_until(&passed->ended, 1);
	ck_assert_int_eq(passed->err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(passed->err.message, "a history was imported before"));
	ck_assert_uint_eq(passed->count, 1);
	for (unsigned i = 0; i < PAIRS; i++) {
		ck_assert_str_eq(single->ids[i], event_of("past", i)->entry_id);
		ck_assert_str_eq(before->ids[2 * i], single->ids[i]);
		ck_assert_str_eq(before->ids[2 * i + 1], single->ids[i]);
		ck_assert_str_eq(before->topics[2 * i], "older");
		ck_assert_str_eq(before->topics[2 * i + 1], "past");
	}

	/* the others go on */
	testing_append("past", "e0", "{}");
	testing_append("now", "a", "{}");
	testing_until(&single->count, PAIRS + 1);
	testing_until(&before->count, 2 * PAIRS + 1);
	testing_until(&live->count, 2);
	testing_until(&others->count, 2);
	struct received *again = subscribe_to("past", "now", ES__START__START_BEGINNING);
	testing_until(&again->count, PAIRS + 3);
	struct received *readers[] = { single, before, passed, live, others, again };
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		testing_end(readers[i]);
}
END_TEST

/* As a store that dies before it comes to the others. */
static void publish_by_hand(const char *topic)
{
	char *token = testing_redis_text("HGET import:{%s} token", topic);
	testing_redis("FCALL eventstore_import_publish 6 import:{%s} import_events:{%s}:%s "
	              "import_entities:{%s} events:{%s} entities:{%s} groups:{%s} %s",
	              topic, topic, token, topic, topic, topic, topic, token);
}

/* A topic that is in the registry already: its history is there before the registry tells of it. */
START_TEST(a_history_is_no_live_event)
{
	enum { PAIRS = 50 };
	struct importing *call = begun("early", "ahead", "behind");
	send_pairs(call, "ahead", "behind", PAIRS);
	until_events(call, 2 * PAIRS);
	append_fails("ahead", "locked by the import early");
	append_fails("behind", "locked by the import early");
	struct received *both = subscribe_to("ahead", "behind", ES__START__START_BEGINNING);
	struct received *other = testing_subscribe("else", ES__START__START_BEGINNING, NULL, NULL);
	testing_until(&other->lives, 1);
	publish_by_hand("behind");
	for (size_t i = 1; i <= 10; i++) {
		testing_append("else", "a", "{}");
		testing_until(&other->count, i);
	}
	ck_assert_uint_eq(both->count, 0);
	finish(call);
	testing_append("behind", "e0", "{}");
	testing_until(&both->count, 2 * PAIRS + 1);
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		ck_assert_str_eq(both->topics[i], i % 2 == 0 ? "ahead" : "behind");
	testing_end(both);
	testing_end(other);
}
END_TEST

START_TEST(half_published_it_can_only_be_finished)
{
	struct importing *call = begun("half", "left", "right");
	send_pairs(call, "left", "right", 10);
	until_events(call, 20);
	leave(call);
	publish_by_hand("left");

	call = begun("half", "left", "right");
	abandon(call);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);
	ck_assert_str_eq(call->err.message, "abandon: the import was being finished; finish it");
	call = begun("half", "left", "right");
	send_history(call, "right", 10, 11);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(call->err.message, "event 0 (topic right"));
	ck_assert_uint_eq(events_in("right"), 0);
	finish(begun("half", "left", "right"));
	ck_assert_uint_eq(events_in("left"), 10);
	ck_assert_uint_eq(events_in("right"), 10);
}
END_TEST

/* One of the topics got nothing, was unlocked, and went on before the others were. */
START_TEST(an_empty_topic_goes_on)
{
	struct importing *call = begun("some", "full", "empty");
	send_history(call, "full", 0, 10);
	finish(call);
	testing_append("empty", "a", "{}");
	finish(begun("some", "full", "empty"));
	call = begin("other", "empty", NULL);
	testing_until(&call->ended, 1);
	ck_assert_int_eq(call->err.code, ERR_PRECONDITION);

	/* and as long as it is empty another import may come */
	finish(begun("none", "free", NULL));
	call = begun("another", "free", NULL);
	send_history(call, "free", 0, 10);
	finish(call);
	ck_assert_uint_eq(events_in("free"), 10);
}
END_TEST

/* Who repeats the finish tells nobody once more: one that failed and began anew has it all. */
START_TEST(readers_are_told_once)
{
	testing_append("today", "a", "{}");
	struct importing *call = begun("once", "once", NULL);
	send_history(call, "once", 0, 10);
	finish(call);
	struct received *reader = subscribe_to("once", "today", ES__START__START_BEGINNING);
	testing_until(&reader->count, 11);
	char *before = testing_redis_text("XRANGE topics - +");
	testing_redis("HSET import:{once} state published");
	testing_redis("HSET entities:{once} %s !once", "");
	finish(begun("once", "once", NULL));
	ck_assert_str_eq(testing_redis_text("XRANGE topics - +"), before);
	testing_append("once", "e0", "{}");
	testing_until(&reader->count, 12);
	testing_end(reader);
}
END_TEST

/* All topics, in a store that has something already. */
START_TEST(readers_of_all_topics)
{
	struct received *all = testing_subscribe(NULL, ES__START__START_BEGINNING, NULL, NULL);
	testing_append("present", "a", "{}");
	testing_until(&all->lives, 1);
	struct importing *call = begun("all", "unseen", NULL);
	send_history(call, "unseen", 0, 10);
	finish(call);
	testing_until(&all->ended, 1);
	ck_assert_int_eq(all->err.code, ERR_CONFLICT);
	testing_end(all);
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
	tcase_add_test(tests, live_readers);
	tcase_add_test(tests, readers_of_all_topics);
	tcase_add_test(tests, a_history_is_no_live_event);
	tcase_add_test(tests, half_published_it_can_only_be_finished);
	tcase_add_test(tests, an_empty_topic_goes_on);
	tcase_add_test(tests, readers_are_told_once);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
