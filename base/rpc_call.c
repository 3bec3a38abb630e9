#include "base/rpc_server_internal.h"

#include "base/clock.h"

#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static void on_received(struct loop_tag *tag, bool ok);
static void on_sent(struct loop_tag *tag, bool ok);
static void on_closed(struct loop_tag *tag, bool ok);
static void on_flush(struct loop_task *task);

struct rpc_call *rpc_call_create(struct rpc_server *server)
{
	struct rpc_call *call = calloc(1, sizeof(*call));
	ASSERT(call != NULL);
	call->server = server;
	call->received.done = on_received;
	call->sent.done = on_sent;
	call->closed.done = on_closed;
	call->flush.fn = on_flush;
	grpc_call_details_init(&call->details);
	grpc_metadata_array_init(&call->metadata);
	return call;
}

void rpc_call_destroy(struct rpc_call *call)
{
	grpc_call_details_destroy(&call->details);
	grpc_metadata_array_destroy(&call->metadata);
	arena_destroy(call->arena);
	free(call);
}

static enum rpc_kind kind_of(const struct rpc_call *call)
{
	return call->bound->method->kind;
}

/* ---- the end ---- */

static void end(struct rpc_call *call)
{
	struct rpc_server *server = call->server;
	const struct rpc_bound *bound = call->bound;
	if (bound != NULL && bound->method->ended != NULL)
		bound->method->ended(bound->ctx, call);
	loop_task_stop(server->loop, &call->flush);
	rpc_outbox_clear(&call->outbox);
	grpc_call_unref(call->call);
	grpc_call_details_destroy(&call->details);
	gpr_free(call->peer);
	free(call->status_text);
	if (call->request != NULL)
		protobuf_c_message_free_unpacked(call->request, NULL);
	DL_DELETE(server->live, call);
	server->live_count--;

	struct rpc_call clean = { .server = server,
		                  .metadata = call->metadata,
		                  .accepted = call->accepted,
		                  .received = call->received,
		                  .sent = call->sent,
		                  .closed = call->closed,
		                  .flush = { .fn = on_flush },
		                  .arena = call->arena };
	*call = clean;
	call->metadata.count = 0;
	grpc_call_details_init(&call->details);
	if (call->arena != NULL)
		arena_reset(call->arena);
	rpc_server_recycle(server, call);
}

/* Every completion ends with this. */
static void batch_done(struct rpc_call *call)
{
	if (--call->batches == 0 && call->over)
		end(call);
}

static void on_closed(struct loop_tag *tag, bool ok)
{
	struct rpc_call *call = OWNER(struct rpc_call, closed, tag);
	(void)ok;
	call->over = true;
	rpc_outbox_clear(&call->outbox);
	batch_done(call);
}

/* Sends the metadata before there is a message, so that the client knows that its stream is served. */
static void announce(struct rpc_call *call)
{
	call->announce = true;
	loop_task_start(call->server->loop, &call->flush);
}

/* ---- reading ---- */

static void read_next(struct rpc_call *call)
{
	if (call->reading || call->paused || call->over || call->finishing)
		return;
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };
	op.data.recv_message.recv_message = &call->incoming;
	call->reading = true;
	call->batches++;
	rpc_start_batch(call->call, &op, 1, &call->received);
}

static void finish_with(struct rpc_call *call, enum error_code code, const char *message)
{
	struct error err;
	error_set(&err, code, "%s", message);
	rpc_finish(call, &err);
}

static void half_close(struct rpc_call *call)
{
	const struct rpc_bound *bound = call->bound;
	if (kind_of(call) != RPC_BIDI_STREAM)
		finish_with(call, ERR_INVALID, "the call ended without its request");
	else if (bound->method->half_close != NULL)
		bound->method->half_close(bound->ctx, call);
}

static ProtobufCMessage *unpack(struct rpc_call *call)
{
	ProtobufCAllocator *allocator = NULL;
	if (kind_of(call) == RPC_UNARY)
		allocator = arena_allocator(rpc_call_arena(call));
	else if (kind_of(call) == RPC_BIDI_STREAM)
		allocator = arena_allocator(call->server->scratch);
	return rpc_unpack(call->bound->input, call->incoming, allocator);
}

/* Finishes the call unless the message is sound. */
static bool check_request(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct error err;
	const char *type = call->bound->input->name;
	const ProtobufCFieldDescriptor *bad = NULL;
	if (request == NULL)
		error_set(&err, ERR_INVALID, "the bytes are no %s", type);
	else if ((bad = rpc_find_bad_text(request)) != NULL)
		error_set(&err, ERR_INVALID, "%s in %s is not valid UTF-8", bad->name, type);
	else
		return true;
	rpc_finish(call, &err);
	return false;
}

static void deliver(struct rpc_call *call)
{
	const struct rpc_bound *bound = call->bound;
	if (grpc_byte_buffer_length(call->incoming) > RPC_MESSAGE_MAX) {
		finish_with(call, ERR_EXHAUSTED, "the message is larger than 8 MiB");
		return;
	}
	if (call->incoming->data.raw.compression != GRPC_COMPRESS_NONE) {
		finish_with(call, ERR_UNIMPLEMENTED, "compression is not supported");
		return;
	}
	ProtobufCMessage *request = unpack(call);
	if (request != NULL && kind_of(call) == RPC_SERVER_STREAM)
		call->request = request;
	if (!check_request(call, request))
		return;
	call->got_message = true;
	if (bound->method->message != NULL)
		bound->method->message(bound->ctx, call, request);
	if (kind_of(call) == RPC_SERVER_STREAM)
		announce(call);
	if (kind_of(call) == RPC_BIDI_STREAM)
		arena_reset(call->server->scratch);
}

static void on_received(struct loop_tag *tag, bool ok)
{
	struct rpc_call *call = OWNER(struct rpc_call, received, tag);
	(void)ok;
	bool again = false;
	bool broken = grpc_call_failed_before_recv_message(call->call) != 0;
	if (call->over || call->finishing) {
		/* nobody waits for it */
	} else if (call->incoming != NULL) {
		deliver(call);
		again = kind_of(call) == RPC_BIDI_STREAM;
	} else if (!broken && call->paused) {
		call->half_close_waits = true;
	} else if (!broken) {
		half_close(call);
	}
	if (call->incoming != NULL)
		grpc_byte_buffer_destroy(call->incoming);
	call->incoming = NULL;
	call->reading = false;
	if (again)
		read_next(call);
	batch_done(call);
}

void rpc_pause(struct rpc_call *call)
{
	call->paused = true;
}

void rpc_resume(struct rpc_call *call)
{
	call->paused = false;
	if (!call->half_close_waits) {
		read_next(call);
	} else if (!rpc_ended(call)) {
		call->half_close_waits = false;
		half_close(call);
	}
}

/* ---- writing ---- */

static void add_hint(grpc_metadata *hints, size_t *count, const char *key, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	hints[(*count)++] = (grpc_metadata){ .key = grpc_slice_from_static_string(key),
		                             .value = grpc_slice_from_copied_string(text) };
}

static void start_send(struct rpc_call *call)
{
	grpc_op ops[3];
	memset(ops, 0, sizeof(ops));
	size_t count = 0;
	if (!call->metadata_sent) {
		call->metadata_sent = true;
		ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
	}
	if (call->outbox.first != NULL) {
		rpc_outbox_take(&call->outbox, &ops[count]);
		call->writing_since_ms = clock_monotonic_ms();
		/* gRPC would keep the metadata back as well, and never end this batch. */
		if (count > 0)
			ops[count].flags = 0;
		count++;
	}
	grpc_slice text = grpc_empty_slice();
	grpc_metadata hints[2];
	size_t hint_count = 0;
	if (call->finishing && call->outbox.first == NULL) {
		call->status_sent = true;
		if (call->status_text != NULL)
			text = grpc_slice_from_copied_string(call->status_text);
		grpc_op *op = &ops[count++];
		op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
		op->data.send_status_from_server.status = (grpc_status_code)call->status;
		op->data.send_status_from_server.status_details = &text;
		if (call->retry_after_ms > 0)
			add_hint(hints, &hint_count, "grpc-retry-pushback-ms",
			         call->retry_after_ms);
		if (call->trailer != NULL)
			add_hint(hints, &hint_count, call->trailer, call->trailer_number);
		op->data.send_status_from_server.trailing_metadata_count = hint_count;
		op->data.send_status_from_server.trailing_metadata = hints;
	}
	call->sending = true;
	call->batches++;
	rpc_start_batch(call->call, ops, count, &call->sent);
	grpc_slice_unref(text);
	for (size_t i = 0; i < hint_count; i++)
		grpc_slice_unref(hints[i].value);
	rpc_outbox_started(&call->outbox);
}

static void flush(struct rpc_call *call)
{
	if (call->sending || call->over || call->status_sent)
		return;
	if (call->outbox.first != NULL || call->finishing ||
	    (call->announce && !call->metadata_sent))
		start_send(call);
}

static void on_flush(struct loop_task *task)
{
	flush(OWNER(struct rpc_call, flush, task));
}

static void on_sent(struct loop_tag *tag, bool ok)
{
	struct rpc_call *call = OWNER(struct rpc_call, sent, tag);
	bool wrote = call->outbox.writing > 0;
	call->sending = false;
	rpc_outbox_done(&call->outbox);
	if (!ok)
		rpc_outbox_clear(&call->outbox); /* closed follows */
	else if (call->outbox.first != NULL || call->finishing)
		flush(call);
	else if (wrote && !call->over && call->bound->method->drained != NULL)
		call->bound->method->drained(call->bound->ctx, call);
	batch_done(call);
}

/* ---- the beginning ---- */

void rpc_call_begin(struct rpc_call *call)
{
	const struct rpc_bound *bound = call->bound;
	grpc_op op = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER };
	op.data.recv_close_on_server.cancelled = &call->cancelled;
	call->batches++;
	rpc_start_batch(call->call, &op, 1, &call->closed);
	if (bound == NULL) {
		finish_with(call, ERR_UNIMPLEMENTED, "there is no such method");
		return;
	}
	if (rpc_time_left_ms(call) == 0) {
		finish_with(call, ERR_DEADLINE, "the deadline had passed on arrival");
		return;
	}
	if (bound->method->open != NULL)
		bound->method->open(bound->ctx, call);
	if (bound->method->kind == RPC_BIDI_STREAM)
		announce(call);
	read_next(call);
}
