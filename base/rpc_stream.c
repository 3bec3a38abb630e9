#include "base/rpc_client_internal.h"

#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct rpc_stream {
	struct rpc_channel *channel;
	struct rpc_stream *prev, *next;
	const struct rpc_target *target;
	const struct rpc_stream_events *events; /* NULL: abandoned */
	struct rpc_stream_hooks hooks;
	void *arg;
	grpc_call *call;
	struct loop_tag opened, received, sent, closed;
	struct loop_task flush;
	unsigned batches; /* that have not completed; the stream lives as long as there are any */

	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *incoming;
	struct rpc_outbox outbox;
	grpc_status_code status;
	grpc_slice details;
	bool reading, sending, paused;
	bool no_more; /* messages from the server */
	bool ending, end_sent;
	bool over;    /* the status is there */
	bool refused; /* a response was unreadable: `err` counts, not the status */
	struct error err;
};

static void finish(struct rpc_stream *stream)
{
	struct rpc_channel *channel = stream->channel;
	struct error err;
	bool failed = rpc_status_error(stream->status, stream->details, &err);
	loop_task_stop(channel->loop, &stream->flush);
	rpc_outbox_clear(&stream->outbox);
	if (stream->refused) {
		failed = true;
		err = stream->err;
	}
	if (stream->events != NULL && stream->events->closed != NULL)
		stream->events->closed(stream->arg, failed ? &err : NULL);
	DL_DELETE(channel->streams, stream);
	grpc_call_unref(stream->call);
	grpc_metadata_array_destroy(&stream->initial);
	grpc_metadata_array_destroy(&stream->trailing);
	free(stream);
	rpc_channel_call_gone(channel);
}

static void batch_done(struct rpc_stream *stream)
{
	if (--stream->batches == 0 && stream->over)
		finish(stream);
}

static void on_opened(struct loop_tag *tag, bool ok)
{
	struct rpc_stream *stream = OWNER(struct rpc_stream, opened, tag);
	if (ok && !stream->over && stream->hooks.opened != NULL)
		stream->hooks.opened(stream->arg);
	batch_done(stream);
}

static void on_closed(struct loop_tag *tag, bool ok)
{
	struct rpc_stream *stream = OWNER(struct rpc_stream, closed, tag);
	(void)ok;
	stream->over = true;
	rpc_outbox_clear(&stream->outbox);
	batch_done(stream);
}

/* ---- reading ---- */

static void read_next(struct rpc_stream *stream)
{
	if (stream->reading || stream->paused || stream->no_more)
		return;
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };
	op.data.recv_message.recv_message = &stream->incoming;
	stream->reading = true;
	stream->batches++;
	rpc_start_batch(stream->call, &op, 1, &stream->received);
}

static void deliver(struct rpc_stream *stream)
{
	struct rpc_channel *channel = stream->channel;
	struct arena *arena = rpc_scratch_take(channel);
	const ProtobufCMessage *response =
	    rpc_response_unpack(stream->target, stream->incoming, arena, &stream->err);
	if (response == NULL) {
		stream->refused = true;
		grpc_call_cancel(stream->call, NULL);
	} else if (stream->events->message != NULL) {
		stream->events->message(stream->arg, response);
	}
	rpc_scratch_give(channel, arena);
}

static void on_received(struct loop_tag *tag, bool ok)
{
	struct rpc_stream *stream = OWNER(struct rpc_stream, received, tag);
	(void)ok;
	if (stream->incoming == NULL) {
		stream->no_more = true;
	} else {
		if (stream->events != NULL && !stream->refused)
			deliver(stream);
		grpc_byte_buffer_destroy(stream->incoming);
		stream->incoming = NULL;
	}
	stream->reading = false;
	read_next(stream);
	batch_done(stream);
}

/* ---- writing ---- */

static void flush(struct rpc_stream *stream)
{
	grpc_op ops[2];
	memset(ops, 0, sizeof(ops));
	size_t count = 0;
	if (stream->sending || stream->over || stream->end_sent)
		return;
	if (stream->outbox.first != NULL)
		rpc_outbox_take(&stream->outbox, &ops[count++]);
	if (stream->ending && stream->outbox.first == NULL) {
		stream->end_sent = true;
		ops[count++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	}
	if (count == 0)
		return;
	stream->sending = true;
	stream->batches++;
	rpc_start_batch(stream->call, ops, count, &stream->sent);
	rpc_outbox_started(&stream->outbox);
}

static void on_flush(struct loop_task *task)
{
	flush(OWNER(struct rpc_stream, flush, task));
}

static void on_sent(struct loop_tag *tag, bool ok)
{
	struct rpc_stream *stream = OWNER(struct rpc_stream, sent, tag);
	stream->sending = false;
	rpc_outbox_done(&stream->outbox);
	if (!ok)
		rpc_outbox_clear(&stream->outbox); /* closed follows */
	else if (stream->outbox.first != NULL || stream->ending)
		flush(stream);
	else if (stream->hooks.drained != NULL && !stream->over)
		stream->hooks.drained(stream->arg);
	batch_done(stream);
}

/* ---- what users call ---- */

struct rpc_stream *rpc_stream_open(struct rpc_channel *channel,
                                   const ProtobufCServiceDescriptor *service, const char *method,
                                   const struct rpc_stream_events *events, void *arg)
{
	struct rpc_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->channel = channel;
	stream->target = rpc_target_find(channel, service, method);
	stream->events = events;
	stream->arg = arg;
	stream->opened.done = on_opened;
	stream->received.done = on_received;
	stream->sent.done = on_sent;
	stream->closed.done = on_closed;
	stream->flush.fn = on_flush;
	stream->details = grpc_empty_slice();
	grpc_metadata_array_init(&stream->initial);
	grpc_metadata_array_init(&stream->trailing);
	DL_APPEND(channel->streams, stream);
	stream->call =
	    rpc_target_call(channel, stream->target, gpr_inf_future(GPR_CLOCK_MONOTONIC));

	grpc_op ops[2];
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[1].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
	stream->batches++;
	rpc_start_batch(stream->call, ops, 2, &stream->opened);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[0].data.recv_status_on_client.trailing_metadata = &stream->trailing;
	ops[0].data.recv_status_on_client.status = &stream->status;
	ops[0].data.recv_status_on_client.status_details = &stream->details;
	stream->batches++;
	rpc_start_batch(stream->call, ops, 1, &stream->closed);
	read_next(stream);
	return stream;
}

void rpc_stream_set_hooks(struct rpc_stream *stream, const struct rpc_stream_hooks *hooks)
{
	stream->hooks = *hooks;
}

void rpc_stream_send_slice(struct rpc_stream *stream, grpc_slice slice)
{
	if (stream->over || stream->ending) {
		grpc_slice_unref(slice);
		return;
	}
	rpc_outbox_put(&stream->outbox, slice);
	if (!stream->sending)
		loop_task_start(stream->channel->loop, &stream->flush);
}

void rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *request)
{
	rpc_stream_send_slice(stream, rpc_slice_pack(request));
}

void rpc_stream_send_bytes(struct rpc_stream *stream, const void *bytes, size_t len)
{
	rpc_stream_send_slice(stream, grpc_slice_from_copied_buffer(bytes, len));
}

size_t rpc_stream_queued_bytes(struct rpc_stream *stream)
{
	return stream->outbox.bytes;
}

void rpc_stream_end_sends(struct rpc_stream *stream)
{
	stream->ending = true;
	if (!stream->sending)
		loop_task_start(stream->channel->loop, &stream->flush);
}

void rpc_stream_cancel(struct rpc_stream *stream)
{
	rpc_stream_resume(stream); /* what is left must be read before the status comes */
	grpc_call_cancel(stream->call, NULL);
}

void rpc_stream_abandon(struct rpc_stream *stream)
{
	stream->events = NULL;
	stream->hooks = (struct rpc_stream_hooks){ NULL, NULL };
	rpc_stream_cancel(stream);
}

void rpc_stream_pause(struct rpc_stream *stream)
{
	stream->paused = true;
}

void rpc_stream_resume(struct rpc_stream *stream)
{
	stream->paused = false;
	read_next(stream);
}

struct rpc_stream *rpc_stream_next(struct rpc_stream *stream)
{
	return stream->next;
}
