#include "tests/fuzz/fake_client.h"

#include "base/rpc_client.h"

#include <stdlib.h>
#include <utlist.h>

struct rpc_channel {
	struct rpc_stream *streams;
	struct rpc_channel *prev, *next;
};

/* Also a unary call: `done` is set instead of `events`. */
struct rpc_stream {
	struct rpc_channel *channel;
	const ProtobufCMessageDescriptor *output;
	const struct rpc_stream_events *events;
	rpc_unary_done *done;
	void *arg;
	bool cancelled, paused;
	struct rpc_stream *prev, *next;
};

static struct rpc_channel *channels;

struct rpc_channel *rpc_channel_create(struct loop *loop, const char *target)
{
	(void)loop;
	(void)target;
	struct rpc_channel *channel = calloc(1, sizeof(*channel));
	ASSERT(channel != NULL);
	DL_APPEND(channels, channel);
	return channel;
}

static void close_stream(struct rpc_stream *stream, const struct error *err)
{
	DL_DELETE(stream->channel->streams, stream);
	if (stream->done != NULL)
		stream->done(stream->arg, NULL, err);
	else
		stream->events->closed(stream->arg, err);
	free(stream);
}

void rpc_channel_destroy(struct rpc_channel *channel)
{
	struct error err;
	error_set(&err, ERR_CANCELLED, "the channel is closed");
	if (channel == NULL)
		return;
	while (channel->streams != NULL)
		close_stream(channel->streams, &err);
	DL_DELETE(channels, channel);
	free(channel);
}

static struct rpc_stream *open_stream(struct rpc_channel *channel,
                                      const ProtobufCServiceDescriptor *service, const char *name,
                                      void *arg)
{
	const ProtobufCMethodDescriptor *method =
	    protobuf_c_service_descriptor_get_method_by_name(service, name);
	struct rpc_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(method != NULL && stream != NULL);
	stream->channel = channel;
	stream->output = method->output;
	stream->arg = arg;
	DL_APPEND(channel->streams, stream);
	return stream;
}

void rpc_unary(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
               const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
               rpc_unary_done *done, void *arg)
{
	(void)request;
	(void)timeout_ms;
	open_stream(channel, service, method, arg)->done = done;
}

bool rpc_unary_wait(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
                    struct arena *arena, const ProtobufCMessage **response, struct error *err)
{
	(void)channel;
	(void)service;
	(void)method;
	(void)request;
	(void)timeout_ms;
	(void)arena;
	(void)response;
	return error_set(err, ERR_UNAVAILABLE, "nobody is there");
}

struct rpc_stream *rpc_stream_open(struct rpc_channel *channel,
                                   const ProtobufCServiceDescriptor *service, const char *method,
                                   const struct rpc_stream_events *events, void *arg)
{
	struct rpc_stream *stream = open_stream(channel, service, method, arg);
	stream->events = events;
	return stream;
}

void rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *request)
{
	(void)stream;
	uint8_t *packed = malloc(protobuf_c_message_get_packed_size(request) + 1);
	ASSERT(packed != NULL);
	protobuf_c_message_pack(request, packed);
	free(packed);
}

void rpc_stream_send_bytes(struct rpc_stream *stream, const void *bytes, size_t len)
{
	(void)stream;
	(void)bytes;
	(void)len;
}

size_t rpc_stream_queued_bytes(struct rpc_stream *stream)
{
	(void)stream;
	return 0;
}

void rpc_stream_end_sends(struct rpc_stream *stream)
{
	(void)stream;
}

void rpc_stream_cancel(struct rpc_stream *stream)
{
	stream->cancelled = true;
}

void rpc_stream_pause(struct rpc_stream *stream)
{
	stream->paused = true;
}

void rpc_stream_resume(struct rpc_stream *stream)
{
	stream->paused = false;
}

static void give(struct rpc_stream *stream, const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_create();
	ProtobufCMessage *message =
	    protobuf_c_message_unpack(stream->output, arena_allocator(arena), len, bytes);
	if (message != NULL && stream->done != NULL) {
		DL_DELETE(stream->channel->streams, stream);
		stream->done(stream->arg, message, NULL);
		free(stream);
	} else if (message != NULL && !stream->paused) {
		stream->events->message(stream->arg, message);
	}
	arena_destroy(arena);
}

static struct rpc_stream *find(unsigned channel_index, unsigned stream_index)
{
	struct rpc_channel *channel = channels;
	for (; channel != NULL && channel_index > 0; channel_index--)
		channel = channel->next;
	struct rpc_stream *stream = channel != NULL ? channel->streams : NULL;
	for (; stream != NULL && stream_index > 0; stream_index--)
		stream = stream->next;
	return stream;
}

void fake_client_step(struct fuzz_input *input)
{
	uint8_t form = fuzz_byte(input);
	struct rpc_stream *stream = find(form >> 2 & 3, form >> 4);
	struct error err;
	size_t len = 0;
	const uint8_t *bytes = form % 4 < 2 ? fuzz_bytes(input, &len) : NULL;
	if (stream == NULL)
		return;
	error_set(&err, stream->cancelled ? ERR_CANCELLED : ERR_UNAVAILABLE, "the stream is over");
	if (stream->cancelled || form % 4 == 2)
		close_stream(stream, &err);
	else if (form % 4 < 2)
		give(stream, bytes, len);
	else
		close_stream(stream, stream->done != NULL ? &err : NULL);
}
