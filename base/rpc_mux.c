#include "base/rpc_client_internal.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/rpc_mux.h"
#include "base/rpc_server.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* One message carries at most so much, unless one item alone is larger. */
enum { MESSAGE_BYTES = 256 * 1024 };
enum { ITEM_BYTES_MAX = RPC_MESSAGE_MAX - 16 };
/* An ended request gives its memory back when it has more than this. */
enum { KEPT_BYTES = 1024 };
enum { SENDING_FIELD = 15, SENT_FIRST = 1, SENT_AGAIN = 2 };

/* idle -> waiting (not sent, then sent) -> idle, answered or too late. */
struct request {
	struct request *prev, *next;
	uint64_t
	    tag; /* index into `requests`, plus a multiple of max_waiting: never twice the same */
	rpc_mux_done *done;
	void *arg;
	uint64_t deadline_us;
	uint8_t *bytes; /* the item as it stands in the stream's message */
	size_t len;
	size_t capacity;
	bool waiting;
	bool first; /* its last byte says that it is sent for the first time */
};

/* A request that there was no room for; it ends in the next turn. */
struct refusal {
	struct refusal *prev, *next;
	rpc_mux_done *done;
	void *arg;
	struct error err;
};

struct rpc_mux {
	struct loop *loop;
	struct rpc_channel *channel;
	const ProtobufCServiceDescriptor *service;
	const char *method;
	/* Where a response keeps its items, and where the items of both directions keep their tag. */
	unsigned items_offset, items_count_offset, response_tag_offset, request_tag_offset;
	/* Where a request's item keeps what sending it is; NULL: it does not. */
	const ProtobufCFieldDescriptor *sending;

	struct rpc_stream *stream;
	bool connected;
	bool writing; /* a message is on its way: what comes meanwhile collects */
	struct loop_task flush;
	struct loop_timer reopen;
	struct backoff backoff;
	struct loop_timer expiry;
	uint64_t expiry_us; /* no request's deadline is before; UINT64_MAX: none */

	struct request **requests; /* by tag % max_waiting; made when first needed */
	size_t request_count;
	size_t max_waiting;
	struct request *idle;
	struct request *waiting; /* in the order of their making */
	struct request *unsent;  /* the first of `waiting` that this stream has not taken */
	size_t waiting_count;
	struct refusal *refused;
	struct loop_timer refusing;
	bool closing;
};

static void open_stream(void *arg);
static void on_flush(struct loop_task *task);

/* ---- requests ---- */

static struct request *request_take(struct rpc_mux *mux)
{
	struct request *request = mux->idle;
	if (request != NULL) {
		LL_DELETE(mux->idle, request);
		request->tag += mux->max_waiting;
		return request;
	}
	if (mux->request_count == mux->max_waiting)
		return NULL;
	request = calloc(1, sizeof(*request));
	ASSERT(request != NULL);
	request->tag = mux->request_count;
	mux->requests[mux->request_count++] = request;
	return request;
}

static void request_give(struct rpc_mux *mux, struct request *request)
{
	if (request->capacity > KEPT_BYTES) {
		free(request->bytes);
		request->bytes = NULL;
		request->capacity = 0;
	}
	LL_PREPEND(mux->idle, request);
}

static void waiting_remove(struct rpc_mux *mux, struct request *request)
{
	if (mux->unsent == request)
		mux->unsent = request->next;
	DL_DELETE(mux->waiting, request);
	request->waiting = false;
	mux->waiting_count--;
}

/* The callback may make a new request, which may take the memory of this one. */
static void request_end(struct rpc_mux *mux, struct request *request, const ProtobufCMessage *item,
                        const struct error *err)
{
	rpc_mux_done *done = request->done;
	void *arg = request->arg;
	waiting_remove(mux, request);
	request_give(mux, request);
	done(arg, item, err);
}

static void request_pack(struct request *request, const ProtobufCMessage *item)
{
	enum { HEAD_MAX = 11 }; /* key and length */
	size_t size = protobuf_c_message_get_packed_size(item);
	if (request->capacity < size + HEAD_MAX) {
		free(request->bytes);
		request->capacity = size + HEAD_MAX;
		request->bytes = malloc(request->capacity);
		ASSERT(request->bytes != NULL);
	}
	uint8_t *at = request->bytes;
	*at++ = 1 << 3 | 2; /* field 1, bytes */
	size_t rest = size;
	for (; rest >= 0x80; rest >>= 7)
		*at++ = (uint8_t)(rest | 0x80);
	*at++ = (uint8_t)rest;
	at += protobuf_c_message_pack(item, at);
	request->len = (size_t)(at - request->bytes);
}

/* ---- deadlines ---- */

/* Requests mostly have the same long timeout and are answered long before: one timer at the
 * earliest deadline, which then looks for the next, costs them nothing. */
static void expiry_at(struct rpc_mux *mux, uint64_t deadline_us);

static void on_expiry(void *arg)
{
	struct rpc_mux *mux = arg;
	uint64_t now_us = clock_monotonic_us(), next_us = UINT64_MAX;
	struct request *request, *next, *late = NULL;
	DL_FOREACH_SAFE(mux->waiting, request, next)
	{
		if (request->deadline_us <= now_us) {
			waiting_remove(mux, request);
			DL_APPEND(late, request);
		} else if (request->deadline_us < next_us) {
			next_us = request->deadline_us;
		}
	}
	mux->expiry_us = UINT64_MAX;
	if (next_us != UINT64_MAX)
		expiry_at(mux, next_us);
	struct error err;
	error_set(&err, ERR_DEADLINE, "%s has not answered in time", mux->service->name);
	DL_FOREACH_SAFE(late, request, next)
	{
		rpc_mux_done *done = request->done;
		void *done_arg = request->arg;
		request_give(mux, request);
		done(done_arg, NULL, &err);
	}
}

static void expiry_at(struct rpc_mux *mux, uint64_t deadline_us)
{
	if (deadline_us >= mux->expiry_us)
		return;
	uint64_t now_us = clock_monotonic_us();
	uint64_t delay_us = deadline_us > now_us ? deadline_us - now_us : 0;
	mux->expiry_us = deadline_us;
	loop_timer_start(mux->loop, &mux->expiry, (delay_us + 999) / 1000, on_expiry, mux);
}

/* ---- the stream ---- */

static void on_message(void *arg, const ProtobufCMessage *response)
{
	struct rpc_mux *mux = arg;
	const char *bytes = (const char *)response;
	size_t count = *(const size_t *)(bytes + mux->items_count_offset);
	ProtobufCMessage **items = *(ProtobufCMessage * *const *)(bytes + mux->items_offset);
	for (size_t i = 0; i < count; i++) {
		uint64_t tag =
		    *(const uint64_t *)((const char *)items[i] + mux->response_tag_offset);
		size_t index = tag % mux->max_waiting;
		if (index >= mux->request_count)
			continue;
		struct request *request = mux->requests[index];
		if (request->waiting && request->tag == tag) /* else it came too late */
			request_end(mux, request, items[i], NULL);
	}
}

/* What this stream has taken may have reached the server. */
static void mark_sent(struct rpc_mux *mux)
{
	for (struct request *request = mux->waiting; request != mux->unsent;
	     request = request->next) {
		if (request->first)
			request->bytes[request->len - 1] = SENT_AGAIN;
		request->first = false;
	}
}

static void on_closed(void *arg, const struct error *err)
{
	struct rpc_mux *mux = arg;
	(void)
	    err; /* whatever it was: the requests wait for the next stream until their deadlines */
	mux->stream = NULL;
	mux->connected = false;
	mux->writing = false;
	mark_sent(mux);
	mux->unsent = mux->waiting;
	loop_timer_start(mux->loop, &mux->reopen, backoff_ms(&mux->backoff), open_stream, mux);
}

static void on_opened(void *arg)
{
	struct rpc_mux *mux = arg;
	mux->connected = true;
	backoff_reset(&mux->backoff);
}

static void on_drained(void *arg)
{
	struct rpc_mux *mux = arg;
	mux->writing = false;
	if (mux->unsent != NULL)
		loop_task_start(mux->loop, &mux->flush);
}

static void open_stream(void *arg)
{
	static const struct rpc_stream_events events = { on_message, on_closed };
	static const struct rpc_stream_hooks hooks = { on_opened, on_drained };
	struct rpc_mux *mux = arg;
	mux->stream = rpc_stream_open(mux->channel, mux->service, mux->method, &events, mux);
	rpc_stream_set_hooks(mux->stream, &hooks);
	if (mux->unsent != NULL)
		loop_task_start(mux->loop, &mux->flush);
}

static void send_unsent(struct rpc_mux *mux)
{
	size_t len = 0;
	struct request *request = mux->unsent, *end;
	for (end = request; end != NULL; end = end->next) {
		if (len > 0 && len + end->len > MESSAGE_BYTES)
			break;
		len += end->len;
	}
	grpc_slice slice = grpc_slice_malloc(len);
	uint8_t *at = GRPC_SLICE_START_PTR(slice);
	for (; request != end; request = request->next) {
		memcpy(at, request->bytes, request->len);
		at += request->len;
	}
	mux->unsent = end;
	mux->writing = true;
	rpc_stream_send_slice(mux->stream, slice);
}

static void end_refused(void *arg)
{
	struct rpc_mux *mux = arg;
	while (mux->refused != NULL) {
		struct refusal *refusal = mux->refused;
		DL_DELETE(mux->refused, refusal);
		refusal->done(refusal->arg, NULL, &refusal->err);
		free(refusal);
	}
}

static void on_flush(struct loop_task *task)
{
	struct rpc_mux *mux = OWNER(struct rpc_mux, flush, task);
	if (mux->unsent != NULL && mux->stream != NULL && !mux->writing)
		send_unsent(mux);
}

/* ---- what users call ---- */

static const ProtobufCFieldDescriptor *items_field(const ProtobufCMessageDescriptor *message)
{
	const ProtobufCFieldDescriptor *items = protobuf_c_message_descriptor_get_field(message, 1);
	ASSERT(items != NULL && items->label == PROTOBUF_C_LABEL_REPEATED &&
	       items->type == PROTOBUF_C_TYPE_MESSAGE);
	return items;
}

static unsigned tag_offset(const ProtobufCFieldDescriptor *items)
{
	const ProtobufCFieldDescriptor *tag =
	    protobuf_c_message_descriptor_get_field(items->descriptor, 1);
	ASSERT(tag != NULL && tag->type == PROTOBUF_C_TYPE_UINT64);
	return tag->offset;
}

/* As the field with the highest number it is packed last, in one byte. */
static const ProtobufCFieldDescriptor *sending_field(const ProtobufCFieldDescriptor *items)
{
	const ProtobufCMessageDescriptor *item = items->descriptor;
	const ProtobufCFieldDescriptor *sending =
	    protobuf_c_message_descriptor_get_field(item, SENDING_FIELD);
	ASSERT(sending == NULL || (sending->type == PROTOBUF_C_TYPE_ENUM &&
	                           item->fields[item->n_fields - 1].id == SENDING_FIELD));
	return sending;
}

struct rpc_mux *rpc_mux_create(struct loop *loop, struct rpc_channel *channel,
                               const ProtobufCServiceDescriptor *service, const char *method,
                               size_t max_waiting)
{
	ASSERT(max_waiting > 0);
	const struct rpc_target *target = rpc_target_find(channel, service, method);
	const ProtobufCFieldDescriptor *requests = items_field(target->input);
	const ProtobufCFieldDescriptor *responses = items_field(target->output);
	struct rpc_mux *mux = calloc(1, sizeof(*mux));
	ASSERT(mux != NULL);
	mux->requests = calloc(max_waiting, sizeof(struct request *));
	ASSERT(mux->requests != NULL);
	mux->loop = loop;
	mux->channel = channel;
	mux->service = service;
	mux->method = method;
	mux->items_offset = responses->offset;
	mux->items_count_offset = responses->quantifier_offset;
	mux->response_tag_offset = tag_offset(responses);
	mux->request_tag_offset = tag_offset(requests);
	mux->sending = sending_field(requests);
	mux->max_waiting = max_waiting;
	mux->expiry_us = UINT64_MAX;
	mux->flush.fn = on_flush;
	open_stream(mux);
	return mux;
}

void rpc_mux_destroy(struct rpc_mux *mux)
{
	if (mux == NULL)
		return;
	struct error err;
	error_set(&err, ERR_CANCELLED, "the connection to %s was given up", mux->service->name);
	mux->closing = true;
	while (mux->waiting != NULL)
		request_end(mux, mux->waiting, NULL, &err);
	end_refused(mux);
	if (mux->stream != NULL)
		rpc_stream_abandon(mux->stream);
	loop_task_stop(mux->loop, &mux->flush);
	loop_timer_stop(mux->loop, &mux->refusing);
	loop_timer_stop(mux->loop, &mux->reopen);
	loop_timer_stop(mux->loop, &mux->expiry);
	for (size_t i = 0; i < mux->request_count; i++) {
		free(mux->requests[i]->bytes);
		free(mux->requests[i]);
	}
	free(mux->requests);
	free(mux);
}

/* The answer may not come before rpc_mux_request has returned. */
static void refuse(struct rpc_mux *mux, rpc_mux_done *done, void *arg, enum error_code code,
                   const char *why)
{
	struct refusal *refusal = calloc(1, sizeof(*refusal));
	ASSERT(refusal != NULL);
	refusal->done = done;
	refusal->arg = arg;
	error_set(&refusal->err, code, "%s: %s", mux->service->name, why);
	DL_APPEND(mux->refused, refusal);
	loop_timer_start(mux->loop, &mux->refusing, 0, end_refused, mux);
}

void rpc_mux_request(struct rpc_mux *mux, ProtobufCMessage *item, unsigned timeout_ms,
                     rpc_mux_done *done, void *arg)
{
	if (mux->closing) {
		refuse(mux, done, arg, ERR_CANCELLED, "the connection was given up");
		return;
	}
	/* The server would end the stream for it, again and again, and with it all other requests. */
	if (rpc_find_bad_text(item) != NULL) {
		refuse(mux, done, arg, ERR_INVALID, "the text of the request is not valid UTF-8");
		return;
	}
	struct request *request = request_take(mux);
	if (request == NULL) {
		refuse(mux, done, arg, ERR_EXHAUSTED, "too many requests are waiting");
		return;
	}
	*(uint64_t *)((char *)item + mux->request_tag_offset) = request->tag;
	request_pack(request, item);
	request->first = mux->sending != NULL &&
	                 *(const int *)((const char *)item + mux->sending->offset) == SENT_FIRST;
	if (request->len > ITEM_BYTES_MAX) {
		request_give(mux, request);
		refuse(mux, done, arg, ERR_EXHAUSTED, "the request is larger than 8 MiB");
		return;
	}
	request->done = done;
	request->arg = arg;
	request->deadline_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
	request->waiting = true;
	DL_APPEND(mux->waiting, request);
	mux->waiting_count++;
	if (mux->unsent == NULL)
		mux->unsent = request;
	expiry_at(mux, request->deadline_us);
	if (!mux->writing)
		loop_task_start(mux->loop, &mux->flush);
}

size_t rpc_mux_waiting(const struct rpc_mux *mux)
{
	return mux->waiting_count;
}

bool rpc_mux_connected(const struct rpc_mux *mux)
{
	return mux->connected;
}
