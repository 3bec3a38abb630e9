#include "event-store/testing_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct importing *importing_open(void)
{
	struct importing *call = arena_zalloc(testing.arena, sizeof(*call));
	call->stream = rpc_stream_open(testing.channel, &es__event_store__descriptor, "Import",
	                               &events_of_import, call);
	return call;
}

struct importing *importing_begin(const char *id, const char *topic, const char *second)
{
	struct importing *call = importing_open();
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

void importing_until_answer(struct importing *call)
{
	size_t before = call->answers;
	for (int i = 0; i < 2000 && call->answers == before && !call->ended; i++)
		testing_pause(10);
	ck_assert(call->answers > before || call->ended);
}

struct importing *importing_begun(const char *id, const char *topic, const char *second)
{
	struct importing *call = importing_begin(id, topic, second);
	importing_until_answer(call);
	ck_assert_msg(!call->ended, "%s", call->err.message);
	return call;
}

Es__Event *importing_event(const char *topic, unsigned n)
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

void importing_send(struct importing *call, Es__Event **events, size_t count)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	request.events = events;
	request.n_events = count;
	rpc_stream_send(call->stream, &request.base);
}

void importing_send_history(struct importing *call, const char *topic, unsigned first, unsigned end)
{
	Es__Event *events[100];
	while (first < end) {
		size_t count = 0;
		while (first < end && count < ARRAY_LEN(events))
			events[count++] = importing_event(topic, first++);
		importing_send(call, events, count);
	}
}

void importing_until(struct importing *call, uint64_t events)
{
	while (call->events < events && !call->ended)
		importing_until_answer(call);
	ck_assert_msg(!call->ended, "%s", call->err.message);
}

void importing_finish_with(struct importing *call, Es__GroupCheckpoint **groups, size_t count)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	Es__ImportFinish finish = ES__IMPORT_FINISH__INIT;
	finish.groups = groups;
	finish.n_groups = count;
	request.finish = &finish;
	rpc_stream_send(call->stream, &request.base);
	testing_until(&call->ended, 1);
}

void importing_finish(struct importing *call)
{
	importing_finish_with(call, NULL, 0);
	ck_assert_msg(call->err.code == ERR_NONE, "%s", call->err.message);
	ck_assert(call->finished);
}

void importing_leave(struct importing *call)
{
	rpc_stream_cancel(call->stream);
	testing_until(&call->ended, 1);
}

void importing_abandon(struct importing *call)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	request.abandon = true;
	rpc_stream_send(call->stream, &request.base);
	testing_until(&call->ended, 1);
}

size_t importing_events_in(const char *topic)
{
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	request.topics = &topic;
	request.n_topics = 1;
	struct received *read = testing_read(&request);
	size_t count = read->count;
	for (size_t i = 0; i < count; i++)
		ck_assert_str_eq(read->ids[i], importing_event(topic, (unsigned)i)->entry_id);
	testing_end(read);
	return count;
}

void importing_refuses_append(const char *topic, const char *says)
{
	struct error err;
	ck_assert_ptr_null(
	    testing_send(testing_request(topic, "e0", "{}", ES__EXPECT__EXPECT_ANY, 0), &err));
	ck_assert_int_eq(err.code, ERR_PRECONDITION);
	ck_assert_msg(strstr(err.message, says) != NULL, "%s", err.message);
}

void importing_send_pairs(struct importing *call, const char *first, const char *second,
                          unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		Es__Event *events[] = { importing_event(first, i), importing_event(second, i) };
		importing_send(call, events, 2);
	}
}

void importing_publish(const char *topic)
{
	char *token = testing_redis_text("HGET import:{%s} token", topic);
	testing_redis("FCALL eventstore_import_publish 6 import:{%s} import_events:{%s}:%s "
	              "import_entities:{%s} events:{%s} entities:{%s} groups:{%s} %s",
	              topic, topic, token, topic, topic, topic, topic, token);
}
