/* SubmitStream: many calls on one stream, answered by tag. The answers of one turn of the loop leave
 * as one message. */
#include "message-queue/service_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	/* The client is not read while it has this much outstanding, until half of it is answered. */
	UNANSWERED_MAX = 16384,
	UNREAD_MAX = 4 * 1024 * 1024
};

struct submit_stream {
	struct open_stream open;
	struct message_queue *service;
	struct submitter submitter;
	struct arena *arena; /* of the response being collected */
	Mq__SubmitResult **items;
	size_t count, capacity;
	size_t bytes;
	bool half_closed;
	bool paused;
	struct loop_task flush;
};

static void maybe_finish(struct submit_stream *stream)
{
	if (stream->half_closed && stream->submitter.unanswered_count == 0 && stream->count == 0)
		rpc_finish(stream->open.call, NULL);
}

static void flow(struct submit_stream *stream)
{
	size_t unanswered = stream->submitter.unanswered_count;
	size_t unread = rpc_queued_bytes(stream->open.call);
	if (!stream->paused && (unanswered > UNANSWERED_MAX || unread > UNREAD_MAX)) {
		stream->paused = true;
		rpc_pause(stream->open.call);
	} else if (stream->paused && unanswered <= UNANSWERED_MAX / 2 && unread <= UNREAD_MAX / 2) {
		stream->paused = false;
		rpc_resume(stream->open.call);
	}
}

static void send_items(struct submit_stream *stream)
{
	Mq__SubmitStreamResponse response = MQ__SUBMIT_STREAM_RESPONSE__INIT;
	response.items = stream->items;
	response.n_items = stream->count;
	if (stream->count > 0)
		rpc_send(stream->open.call, &response.base);
	stream->count = 0;
	stream->bytes = 0;
	arena_reset(stream->arena);
}

static void on_flush(struct loop_task *task)
{
	struct submit_stream *stream = OWNER(struct submit_stream, flush, task);
	send_items(stream);
	flow(stream);
	maybe_finish(stream);
}

static void add_item(struct submit_stream *stream, uint64_t tag, const char *id, Mq__Result *result)
{
	if (stream->count == stream->capacity) {
		stream->capacity = stream->capacity > 0 ? stream->capacity * 2 : 64;
		stream->items = realloc(stream->items, stream->capacity * sizeof(*stream->items));
		ASSERT(stream->items != NULL);
	}
	Mq__SubmitResult *item = arena_alloc(stream->arena, sizeof(*item));
	*item = (Mq__SubmitResult)MQ__SUBMIT_RESULT__INIT;
	item->tag = tag;
	item->message_id = arena_strdup(stream->arena, id);
	item->result = result;
	stream->items[stream->count++] = item;
	loop_task_start(stream->service->loop, &stream->flush);
}

static void on_answer(void *ctx, uint64_t tag, const struct answer *answer)
{
	struct submit_stream *stream = ctx;
	if (stream->bytes + answer->outcome_len > STREAM_MESSAGE_MAX)
		send_items(stream);
	Mq__Result *result =
	    answer->kind == ANSWER_STORED ? NULL : service_result(answer, stream->arena);
	stream->bytes += answer->outcome_len + 64;
	add_item(stream, tag, answer->message_id, result);
}

void submit_stream_open(void *ctx, struct rpc_call *call)
{
	struct message_queue *service = ctx;
	struct submit_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->open.call = call;
	stream->service = service;
	stream->submitter.answer = on_answer;
	stream->submitter.ctx = stream;
	stream->arena = arena_create();
	stream->flush.fn = on_flush;
	DL_APPEND(service->streams, &stream->open);
	rpc_set_data(call, stream);
}

static void submit(struct submit_stream *stream, Mq__SubmitItem *item)
{
	struct error err;
	char id[UUID_SIZE] = "";
	uint64_t timeout_ms = item->timeout_ms > 0 ? item->timeout_ms : CALL_TIMEOUT_MS;
	bool ok = timeout_ms <= CALL_TIMEOUT_MAX_MS ||
	          error_set(&err, ERR_INVALID, "timeout_ms: %u, at most %d is allowed",
	                    item->timeout_ms, CALL_TIMEOUT_MAX_MS);
	if (ok && item->sending > MQ__SENDING__AGAIN)
		ok = error_set(&err, ERR_INVALID, "sending: %d, must be ANY, FIRST or AGAIN",
		               (int)item->sending);
	if (ok && service_submit(stream->service, item->message, item->sending, !item->send_only,
	                         timeout_ms, &stream->submitter, item->tag, id, &err))
		return;
	add_item(stream, item->tag, id, outcome_error(&err, stream->arena));
}

void submit_stream_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)ctx;
	struct submit_stream *stream = rpc_data(call);
	const Mq__SubmitStreamRequest *submitted = (const Mq__SubmitStreamRequest *)request;
	for (size_t i = 0; i < submitted->n_items; i++)
		submit(stream, submitted->items[i]);
	flow(stream);
}

void submit_stream_half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	struct submit_stream *stream = rpc_data(call);
	stream->half_closed = true;
	maybe_finish(stream);
}

void submit_stream_drained(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	flow(rpc_data(call));
}

void submit_stream_ended(void *ctx, struct rpc_call *call)
{
	struct message_queue *service = ctx;
	struct submit_stream *stream = rpc_data(call);
	submitter_end(&stream->submitter);
	loop_task_stop(service->loop, &stream->flush);
	DL_DELETE(service->streams, &stream->open);
	arena_destroy(stream->arena);
	free(stream->items);
	free(stream);
}
