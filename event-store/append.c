/* The methods Append and AppendStream. */
#include "event-store/service_internal.h"

#include <stdlib.h>
#include <utlist.h>

enum {
	UNANSWERED_BYTES = 8 * 1024 * 1024, /* of one stream; then it is read no more */
	UNREAD_BYTES = 4 * 1024 * 1024      /* answers that the client has not taken */
};

static void appended(void *arg, const struct log_outcome *outcome)
{
	struct rpc_call *call = arg;
	if (outcome->err != NULL) {
		if (outcome->err->code == ERR_CONFLICT)
			rpc_set_trailer(call, "current-version", outcome->current_version);
		rpc_finish(call, outcome->err);
	} else {
		Es__AppendResponse response = ES__APPEND_RESPONSE__INIT;
		response.n_events = outcome->count;
		response.events = (Es__Appended **)outcome->events;
		rpc_reply(call, &response.base);
	}
}

/* A call that the log will answer must not end before. */
struct unary {
	struct rpc_call *call; /* NULL: ended */
	bool answered;
};

static void unary_done(void *arg, const struct log_outcome *outcome)
{
	struct unary *unary = arg;
	unary->answered = true;
	if (unary->call != NULL)
		appended(unary->call, outcome);
	else
		free(unary);
}

void append_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct event_store *store = ctx;
	struct error err;
	size_t bytes;
	struct unary *unary = calloc(1, sizeof(*unary));
	ASSERT(unary != NULL);
	unary->call = call;
	rpc_set_data(call, unary);
	if (!log_append(store->log, (const Es__AppendRequest *)request, &bytes, unary_done, unary,
	                &err)) {
		unary->answered = true;
		rpc_finish(call, &err);
	}
}

void append_ended(void *ctx, struct rpc_call *call)
{
	struct unary *unary = rpc_data(call);
	(void)ctx;
	if (unary == NULL)
		return;
	unary->call = NULL;
	if (unary->answered)
		free(unary);
}

/* The stream outlives its call until all of its requests are answered. */
struct append_stream {
	struct event_store *store;
	struct rpc_call *call; /* NULL: ended */
	size_t unanswered, unanswered_bytes;
	bool half_closed, paused;
	bool dirty;          /* in store->unsent */
	struct arena *arena; /* of the answers */
	Es__AppendResult **results;
	size_t count, capacity;
	struct append_stream *prev, *next;
};

struct append_item {
	struct append_stream *stream;
	uint64_t tag;
	size_t bytes;
};

void append_stream_open(void *ctx, struct rpc_call *call)
{
	struct append_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->store = ctx;
	stream->call = call;
	stream->arena = arena_create();
	rpc_set_data(call, stream);
}

static void stream_free(struct append_stream *stream)
{
	if (stream->dirty)
		DL_DELETE(stream->store->unsent, stream);
	arena_destroy(stream->arena);
	free(stream->results);
	free(stream);
}

static Es__AppendResult *add_result(struct append_stream *stream, uint64_t tag)
{
	if (stream->count == stream->capacity) {
		stream->capacity = stream->capacity == 0 ? 64 : stream->capacity * 2;
		stream->results =
		    realloc(stream->results, stream->capacity * sizeof(*stream->results));
		ASSERT(stream->results != NULL);
	}
	Es__AppendResult *result = arena_alloc(stream->arena, sizeof(*result));
	es__append_result__init(result);
	result->tag = tag;
	stream->results[stream->count++] = result;
	if (!stream->dirty) {
		stream->dirty = true;
		DL_APPEND(stream->store->unsent, stream);
	}
	return result;
}

static void add_error(struct append_stream *stream, uint64_t tag, const struct error *err,
                      uint64_t current_version)
{
	Es__AppendResult *result = add_result(stream, tag);
	result->error = arena_alloc(stream->arena, sizeof(*result->error));
	es__error__init(result->error);
	result->error->code = (uint32_t)error_grpc_status(err->code);
	result->error->message = arena_strdup(stream->arena, err->message);
	result->error->current_version = current_version;
}

static void add_events(struct append_stream *stream, uint64_t tag,
                       const struct log_outcome *outcome)
{
	Es__AppendResult *result = add_result(stream, tag);
	result->n_events = outcome->count;
	result->events = arena_alloc(stream->arena, outcome->count * sizeof(*result->events));
	Es__Appended *copies = arena_alloc(stream->arena, outcome->count * sizeof(*copies));
	for (size_t i = 0; i < outcome->count; i++) {
		copies[i] = *outcome->events[i];
		copies[i].entry_id = arena_strdup(stream->arena, copies[i].entry_id);
		result->events[i] = &copies[i];
	}
}

static void item_done(void *arg, const struct log_outcome *outcome)
{
	struct append_item *item = arg;
	struct append_stream *stream = item->stream;
	stream->unanswered--;
	stream->unanswered_bytes -= item->bytes;
	if (stream->call == NULL) {
		if (stream->unanswered == 0)
			stream_free(stream);
	} else if (outcome->err != NULL) {
		add_error(stream, item->tag, outcome->err, outcome->current_version);
	} else {
		add_events(stream, item->tag, outcome);
	}
	free(item);
}

static void regulate(struct append_stream *stream)
{
	bool full = stream->unanswered_bytes > UNANSWERED_BYTES ||
	            rpc_queued_bytes(stream->call) > UNREAD_BYTES;
	if (full == stream->paused)
		return;
	stream->paused = full;
	if (full)
		rpc_pause(stream->call);
	else
		rpc_resume(stream->call);
}

static void send_results(struct append_stream *stream)
{
	DL_DELETE(stream->store->unsent, stream);
	stream->dirty = false;
	Es__AppendStreamResponse response = ES__APPEND_STREAM_RESPONSE__INIT;
	response.n_items = stream->count;
	response.items = stream->results;
	rpc_send(stream->call, &response.base);
	stream->count = 0;
	arena_reset(stream->arena);
	if (stream->half_closed && stream->unanswered == 0)
		rpc_finish(stream->call, NULL);
	else
		regulate(stream);
}

void append_settled(void *ctx)
{
	struct event_store *store = ctx;
	while (store->unsent != NULL)
		send_results(store->unsent);
}

void append_stream_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct event_store *store = ctx;
	struct append_stream *stream = rpc_data(call);
	const Es__AppendStreamRequest *message = (const Es__AppendStreamRequest *)request;
	for (size_t i = 0; i < message->n_items; i++) {
		struct append_item *item = malloc(sizeof(*item));
		ASSERT(item != NULL);
		struct error err;
		*item = (struct append_item){ .stream = stream, .tag = message->items[i]->tag };
		if (log_append(store->log, message->items[i]->request, &item->bytes, item_done,
		               item, &err)) {
			stream->unanswered++;
			stream->unanswered_bytes += item->bytes;
		} else {
			add_error(stream, item->tag, &err, 0);
			free(item);
		}
	}
	if (stream->dirty)
		send_results(stream);
	else
		regulate(stream);
}

void append_stream_half_close(void *ctx, struct rpc_call *call)
{
	struct append_stream *stream = rpc_data(call);
	(void)ctx;
	stream->half_closed = true;
	if (stream->unanswered == 0)
		rpc_finish(call, NULL);
}

void append_stream_drained(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	regulate(rpc_data(call));
}

void append_stream_ended(void *ctx, struct rpc_call *call)
{
	struct append_stream *stream = rpc_data(call);
	(void)ctx;
	stream->call = NULL;
	if (stream->dirty) {
		DL_DELETE(stream->store->unsent, stream);
		stream->dirty = false;
	}
	if (stream->unanswered == 0)
		stream_free(stream);
}
