/* The methods ReadEntity and ReadEntityStream: the head says where the latest event stands. */
#include "event-store/service_internal.h"

#include "event-store/check.h"
#include "event-store/reader.h"

#include <stdlib.h>
#include <string.h>

enum { HISTORY_BYTES = 6 * 1024 * 1024 };

/* Entities of one topic that are looked up together. */
struct lookup_item {
	struct lookup *lookup;
	uint64_t tag;
	const char *entity_id;
	struct event_batch *batch; /* its latest event; NULL: none */
	struct error err;          /* ERR_NONE: found out */
};
struct lookup {
	struct event_store *store;
	struct rpc_call *call;        /* NULL: ended */
	struct entity_stream *stream; /* NULL: unary */
	struct arena *arena;
	const char *topic;
	struct lookup_item *items;
	size_t count;
	size_t asked;
};

/* A ReadEntityStream lives until its lookups are done. */
struct entity_stream {
	struct rpc_call *call; /* NULL: ended */
	size_t lookups;
	bool half_closed;
};

static void stream_settle(struct entity_stream *stream)
{
	if (stream->lookups > 0)
		return;
	if (stream->call == NULL)
		free(stream);
	else if (stream->half_closed)
		rpc_finish(stream->call, NULL);
}

static Es__Event *event_of(const struct lookup_item *item)
{
	return item->batch != NULL && item->batch->count > 0 ? &item->batch->events[0]->message
	                                                     : NULL;
}

static void answer_stream(struct lookup *lookup)
{
	struct rpc_call *call = lookup->stream->call;
	Es__ReadEntityStreamResponse response = ES__READ_ENTITY_STREAM_RESPONSE__INIT;
	response.n_items = lookup->count;
	response.items = arena_alloc(lookup->arena, lookup->count * sizeof(*response.items));
	for (size_t i = 0; i < lookup->count; i++) {
		struct lookup_item *item = &lookup->items[i];
		Es__ReadEntityResult *result = arena_alloc(lookup->arena, sizeof(*result));
		es__read_entity_result__init(result);
		result->tag = item->tag;
		result->event = event_of(item);
		if (item->err.code != ERR_NONE) {
			result->error = arena_alloc(lookup->arena, sizeof(*result->error));
			es__error__init(result->error);
			result->error->code = (uint32_t)error_grpc_status(item->err.code);
			result->error->message = item->err.message;
		}
		response.items[i] = result;
	}
	if (call != NULL)
		rpc_send(call, &response.base);
}

static void answer_unary(struct lookup *lookup)
{
	struct lookup_item *item = &lookup->items[0];
	Es__Event *event = event_of(item);
	Es__ReadEntityResponse response = ES__READ_ENTITY_RESPONSE__INIT;
	response.n_events = event != NULL;
	response.events = &event;
	if (lookup->call == NULL)
		return;
	rpc_set_data(lookup->call, NULL);
	if (item->err.code != ERR_NONE)
		rpc_finish(lookup->call, &item->err);
	else
		rpc_reply(lookup->call, &response.base);
}

static void lookup_done(struct lookup *lookup)
{
	if (lookup->stream != NULL) {
		answer_stream(lookup);
		lookup->stream->lookups--;
		stream_settle(lookup->stream);
	} else {
		answer_unary(lookup);
	}
	for (size_t i = 0; i < lookup->count; i++)
		event_batch_unref(lookup->items[i].batch);
	arena_destroy(lookup->arena);
	free(lookup);
}

static void got_event(void *arg, const struct redis_value *value, const struct error *err)
{
	struct lookup_item *item = arg;
	struct lookup *lookup = item->lookup;
	if (redis_check(value, "[(sa)]", err, &item->err)) {
		item->batch = event_batch_create();
		event_batch_add(item->batch, lookup->topic, value);
	}
	if (--lookup->asked == 0)
		lookup_done(lookup);
}

static void got_heads(void *arg, const struct redis_value *value, const struct error *err)
{
	struct lookup *lookup = arg;
	struct error failure;
	bool ok = redis_check(value, "[?s]", err, &failure);
	for (size_t i = 0; i < lookup->count; i++) {
		struct lookup_item *item = &lookup->items[i];
		const struct redis_value *head = redis_value_at(value, i);
		struct store_range range = { .count = 1 };
		uint64_t version;
		size_t len;
		if (item->err.code != ERR_NONE)
			continue;
		if (!ok) {
			item->err = failure;
			continue;
		}
		if (redis_value_kind(head) != REDIS_STRING ||
		    !store_head_parse(redis_value_string(head, &len), &version, &range.from))
			continue;
		range.to = range.from;
		lookup->asked++;
		store_read(lookup->store->store, lookup->topic, &range, got_event, item);
	}
	if (--lookup->asked == 0)
		lookup_done(lookup);
}

static struct lookup *lookup_create(struct event_store *store, const char *topic, size_t count)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	ASSERT(lookup != NULL);
	lookup->store = store;
	lookup->arena = arena_create();
	lookup->topic = arena_strdup(lookup->arena, topic);
	lookup->items = arena_zalloc(lookup->arena, count * sizeof(*lookup->items));
	return lookup;
}

static void lookup_add(struct lookup *lookup, uint64_t tag, const char *entity_id)
{
	struct lookup_item *item = &lookup->items[lookup->count++];
	item->lookup = lookup;
	item->tag = tag;
	item->entity_id = arena_strdup(lookup->arena, entity_id);
	if (!check_entity(lookup->topic, entity_id, &item->err))
		item->entity_id = "-"; /* keeps its place among the heads */
	else
		item->err.code = ERR_NONE;
}

static void lookup_start(struct lookup *lookup)
{
	const char **ids = arena_alloc(lookup->arena, lookup->count * sizeof(*ids));
	for (size_t i = 0; i < lookup->count; i++)
		ids[i] = lookup->items[i].entity_id;
	struct error ignored;
	lookup->asked++;
	if (!name_check("topic", lookup->topic, &ignored))
		got_heads(lookup, NULL, &ignored);
	else
		store_heads(lookup->store->store, lookup->topic, ids, lookup->count, got_heads,
		            lookup);
}

void read_entities_open(void *ctx, struct rpc_call *call)
{
	struct entity_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	(void)ctx;
	stream->call = call;
	rpc_set_data(call, stream);
}

void read_entities_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReadEntityStreamRequest *request = (const Es__ReadEntityStreamRequest *)message;
	struct entity_stream *stream = rpc_data(call);
	size_t last;
	for (size_t first = 0; first < request->n_items; first = last) {
		const char *topic = request->items[first]->topic;
		for (last = first + 1; last < request->n_items; last++) {
			if (strcmp(request->items[last]->topic, topic) != 0)
				break;
		}
		struct lookup *lookup = lookup_create(ctx, topic, last - first);
		lookup->stream = stream;
		stream->lookups++;
		for (size_t i = first; i < last; i++)
			lookup_add(lookup, request->items[i]->tag, request->items[i]->entity_id);
		lookup_start(lookup);
	}
}

void read_entities_half_close(void *ctx, struct rpc_call *call)
{
	struct entity_stream *stream = rpc_data(call);
	(void)ctx;
	stream->half_closed = true;
	stream_settle(stream);
}

void read_entities_ended(void *ctx, struct rpc_call *call)
{
	struct entity_stream *stream = rpc_data(call);
	(void)ctx;
	stream->call = NULL;
	stream_settle(stream);
}

/* --- the unary method --- */

struct history {
	struct rpc_call *call;
	struct reader *reader;
	struct event_slice *events; /* of the entity */
	const char *entity_id;
};

/* What a ReadEntity call waits for: one of both. */
struct entity_call {
	struct lookup *lookup;
	struct history *history;
};

static void got_history(void *arg, struct event_slice *slice, const struct error *err)
{
	struct history *history = arg;
	struct error large;
	if (err != NULL) {
		rpc_finish(history->call, err);
		return;
	}
	if (slice == NULL) {
		Es__ReadEntityResponse response = ES__READ_ENTITY_RESPONSE__INIT;
		size_t count = history->events->count;
		Es__Event **events = malloc((count + 1) * sizeof(*events));
		ASSERT(events != NULL);
		for (size_t i = 0; i < count; i++)
			events[i] = &history->events->events[i]->message;
		response.n_events = count;
		response.events = events;
		rpc_reply(history->call, &response.base);
		free(events);
		return;
	}
	for (size_t i = 0; i < slice->count; i++) {
		if (strcmp(slice->events[i]->message.entity_id, history->entity_id) == 0)
			event_slice_add(history->events, slice->events[i]);
	}
	event_slice_unref(slice);
	if (history->events->bytes > HISTORY_BYTES) {
		error_set(&large, ERR_EXHAUSTED,
		          "the history has more than %d bytes; use Read and filter", HISTORY_BYTES);
		rpc_finish(history->call, &large);
		return;
	}
	reader_next(history->reader, got_history, history);
}

void read_entity_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReadEntityRequest *request = (const Es__ReadEntityRequest *)message;
	struct event_store *store = ctx;
	struct error err;
	if (!check_entity(request->topic, request->entity_id, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct entity_call *entity = arena_zalloc(rpc_call_arena(call), sizeof(*entity));
	rpc_set_data(call, entity);
	if (!request->history) {
		entity->lookup = lookup_create(store, request->topic, 1);
		entity->lookup->call = call;
		lookup_add(entity->lookup, 0, request->entity_id);
		lookup_start(entity->lookup);
		return;
	}
	struct history *history = arena_zalloc(rpc_call_arena(call), sizeof(*history));
	struct store_range range = { .from = ENTRY_ID_FIRST, .to = ENTRY_ID_LAST };
	entity->history = history;
	history->call = call;
	history->entity_id = request->entity_id;
	history->events = event_slice_create();
	history->reader = reader_create(store->store, false);
	reader_add(history->reader, request->topic, &range);
	reader_next(history->reader, got_history, history);
}

void read_entity_ended(void *ctx, struct rpc_call *call)
{
	struct entity_call *entity = rpc_data(call);
	(void)ctx;
	if (entity == NULL)
		return;
	if (entity->lookup != NULL)
		entity->lookup->call = NULL;
	if (entity->history != NULL) {
		reader_destroy(entity->history->reader);
		event_slice_unref(entity->history->events);
	}
}
