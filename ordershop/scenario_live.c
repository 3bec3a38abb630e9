#include "ordershop/scenario_live.h"

#include "base/array.h"
#include "domain/decide.h"
#include "domain/metadata.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct own {
	char *id;
	UT_hash_handle hh;
};

void live_own(struct live *live, const char *id)
{
	if (id[0] == '\0' || live_owns(live, id))
		return;
	struct own *own = arena_zalloc(live->arena, sizeof(*own));
	own->id = arena_strdup(live->arena, id);
	HASH_ADD_KEYPTR(hh, live->own, own->id, strlen(own->id), own);
}

bool live_owns(const struct live *live, const char *id)
{
	struct own *own;
	HASH_FIND_STR(live->own, id, own);
	return own != NULL;
}

/* ---- The log ----------------------------------------------------------------------------- */

static bool caused_by_us(const struct live *live, const Es__Event *event)
{
	return live_owns(live, metadata_text(live->arena, event->metadata, "correlation_id"));
}

static void keep_event(struct live *live, const Es__Event *event)
{
	struct arena *arena = live->arena;
	live->events = array_grown(live->events, live->event_count, sizeof(*live->events));
	live->events[live->event_count++] = (struct shop_event){
		.topic = arena_strdup(arena, event->topic),
		.entry_id = arena_strdup(arena, event->entry_id),
		.event_id = arena_strdup(arena, event->event_id),
		.type = arena_strdup(arena, event->event_type),
		.action = arena_strdup(arena, event->event_action),
		.entity_id = arena_strdup(arena, event->entity_id),
		.version = event->entity_version,
		.data = arena_strdup(arena, event->event_data),
		.metadata = arena_strdup(arena, event->metadata),
	};
	live_own(live, event->entity_id[0] != '\0' ? event->entity_id : event->entry_id);
}

static void got_events(void *arg, const ProtobufCMessage *response)
{
	struct live *live = arg;
	const Es__ReadResponse *read = (const Es__ReadResponse *)response;
	for (size_t i = 0; i < read->n_events; i++) {
		const Es__Event *event = read->events[i];
		if (caused_by_us(live, event))
			keep_event(live, event);
		snprintf(live->entry_id, sizeof(live->entry_id), "%s", event->entry_id);
		snprintf(live->topic, sizeof(live->topic), "%s", event->topic);
	}
}

static void read_closed(void *arg, const struct error *err)
{
	struct live *live = arg;
	live->read_failed = err != NULL;
	if (err != NULL)
		live->read_error = *err;
	loop_stop(live->client->loop);
}

bool live_read(struct live *live, struct error *err)
{
	static const struct rpc_stream_events events = { .message = got_events,
		                                         .closed = read_closed };
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	Es__Position after = ES__POSITION__INIT;
	after.entry_id = live->entry_id;
	after.topic = live->topic;
	if (live->entry_id[0] != '\0')
		request.after = &after;
	struct rpc_stream *stream =
	    rpc_stream_open(live->client->channels[TARGET_EVENT_STORE],
	                    client_service(TARGET_EVENT_STORE), "Read", &events, live);
	rpc_stream_send(stream, &request.base);
	rpc_stream_end_sends(stream);
	loop_run(live->client->loop);
	if (!live->read_failed)
		return true;
	*err = live->read_error;
	return client_wrap(live->client, TARGET_EVENT_STORE, err);
}

/* The log before this run is none of its business. */
static bool start_at_end(struct live *live, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	struct entry_id last = { 0 }, id;
	request.brief = true;
	if (!client_call(live->client, TARGET_EVENT_STORE, "Topics", &request.base, &response, err))
		return false;
	const Es__TopicsResponse *topics = (const Es__TopicsResponse *)response;
	for (size_t i = 0; i < topics->n_topics; i++) {
		const Es__TopicInfo *topic = topics->topics[i];
		if (!entry_id_parse(topic->last_id, &id, err))
			continue;
		int order = entry_id_compare(id, last);
		if (order < 0 || (order == 0 && strcmp(topic->topic, live->topic) < 0))
			continue;
		last = id;
		snprintf(live->entry_id, sizeof(live->entry_id), "%s", topic->last_id);
		snprintf(live->topic, sizeof(live->topic), "%s", topic->topic);
	}
	return true;
}

static bool live_events(void *shop, struct shop_events *events, struct error *err)
{
	struct live *live = shop;
	if (!live_read(live, err))
		return false;
	*events = (struct shop_events){ live->event_count, live->events };
	return true;
}

static bool live_state(void *shop, const char *topic, const char *id, const char **json,
                       struct error *err)
{
	struct live *live = shop;
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	const ProtobufCMessage *response;
	request.topic = topic;
	request.entity_id = id;
	if (!client_call(live->client, TARGET_EVENT_STORE, "ReadEntity", &request.base, &response,
	                 err))
		return false;
	const Es__ReadEntityResponse *read = (const Es__ReadEntityResponse *)response;
	const Es__Event *last = read->n_events > 0 ? read->events[read->n_events - 1] : NULL;
	bool there = last != NULL && strcmp(last->event_action, ENTITY_DELETED) != 0;
	*json = there ? arena_strdup(live->arena, last->event_data) : NULL;
	return true;
}

/* ---- What a scenario does ---------------------------------------------------------------- */

static void take_result(struct live *live, const Mq__Result *result, struct shop_answer *answer)
{
	if (result != NULL && result->error != NULL)
		error_set(&answer->error, error_from_grpc((int)result->error->code), "%s",
		          result->error->message);
	else
		answer->result =
		    arena_strdup(live->arena, result == NULL ? "null" : result->result);
}

static bool live_command(void *shop, const struct shop_command *command, struct shop_answer *answer,
                         struct error *err)
{
	struct live *live = shop;
	bool handled = false;
	live_own(live, command->message_id);
	if (live->rest != NULL) {
		if (!live_rest_command(live, command, answer, &handled, err))
			return false;
		if (handled)
			return true;
	}
	Mq__Message message = MQ__MESSAGE__INIT;
	const ProtobufCMessage *response;
	message.service = arena_printf(live->arena, "%s-service", command->service);
	message.function = command->function;
	message.message_id = command->message_id;
	message.payload = arena_printf(live->arena, "{\"params\":%s}", command->params);
	message.metadata = shop_metadata(live->arena, command->message_id, command->actor);
	Mq__CallRequest call = MQ__CALL_REQUEST__INIT;
	Mq__SendRequest send = MQ__SEND_REQUEST__INIT;
	call.message = send.message = &message;
	if (!command->wait)
		return client_call(live->client, TARGET_MESSAGE_QUEUE, "Send", &send.base,
		                   &response, err);
	if (!client_call(live->client, TARGET_MESSAGE_QUEUE, "Call", &call.base, &response, err))
		return false;
	take_result(live, ((const Mq__CallResponse *)response)->result, answer);
	return true;
}

static bool live_given(void *shop, const struct shop_event *event, struct error *err)
{
	struct live *live = shop;
	Es__NewEvent new_event = ES__NEW_EVENT__INIT, *list[] = { &new_event };
	Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
	const ProtobufCMessage *response;
	live_own(live, event->event_id);
	new_event.event_id = event->event_id;
	new_event.event_action = event->action;
	new_event.event_data = event->data;
	new_event.event_type = event->type;
	new_event.entity_id = event->entity_id;
	new_event.metadata = shop_metadata(live->arena, event->event_id, NULL);
	request.topic = event->topic;
	request.n_events = 1;
	request.events = list;
	return client_call(live->client, TARGET_EVENT_STORE, "Append", &request.base, &response,
	                   err);
}

/* Time and faults are not ours to make. */
static bool live_move(void *shop, const struct scenario_at *at, struct error *err)
{
	(void)shop;
	(void)at;
	(void)err;
	return true;
}

static bool live_work(void *shop, int64_t steps, struct error *err)
{
	(void)shop;
	(void)steps;
	return error_set(err, ERR_UNIMPLEMENTED, "work: only in process");
}

static bool live_trouble(void *shop, const struct scenario_trouble *trouble, struct error *err)
{
	(void)shop;
	(void)trouble;
	return error_set(err, ERR_UNIMPLEMENTED, "fault: only in process");
}

static bool live_check(void *shop, struct error *err)
{
	(void)shop;
	(void)err;
	return true;
}

static void live_close(void *shop)
{
	struct live *live = shop;
	HASH_CLEAR(hh, live->own);
	free(live->events);
	arena_destroy(live->arena);
	free(live);
}

bool scenario_live_open(struct client *client, const struct http_target *rest, struct shop *shop,
                        struct error *err)
{
	static const struct shop_methods methods = {
		.command = live_command,
		.given = live_given,
		.rest = live_rest,
		.move = live_move,
		.work = live_work,
		.trouble = live_trouble,
		.state = live_state,
		.events = live_events,
		.ask = live_ask,
		.parked = live_parked,
		.check = live_check,
		.close = live_close,
	};
	struct live *live = calloc(1, sizeof(*live));
	ASSERT(live != NULL);
	live->client = client;
	live->rest = rest;
	live->arena = arena_create();
	uuid_v4(live->run_id);
	if ((rest != NULL && !live_rest_same_shop(live, err)) || !start_at_end(live, err) ||
	    !live_parked(live, &live->parked_before, err)) {
		live_close(live);
		return false;
	}
	*shop = (struct shop){ &methods, live, live->run_id };
	return true;
}
