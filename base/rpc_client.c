#include "base/rpc_client_internal.h"
#include "base/rpc_server.h"

#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { IDLE_UNARY_MAX = 256 };

struct rpc_unary {
	struct rpc_channel *channel;
	struct rpc_unary *prev, *next;
	const struct rpc_target *target;
	struct loop_tag tag;
	grpc_call *call;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *response;
	grpc_status_code status;
	grpc_slice details;
	rpc_unary_done *done;
	void *arg;
};

static void on_unary(struct loop_tag *tag, bool ok);

/* ---- channels ---- */

struct rpc_channel *rpc_channel_create(struct loop *loop, const char *target)
{
	grpc_arg args[] = {
		RPC_ARG(GRPC_ARG_MINIMAL_STACK, 1),
		RPC_ARG(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 1),
		RPC_ARG(GRPC_ARG_ENABLE_RETRIES, 0),
		/* A connection of its own, and never through a proxy of the environment. */
		RPC_ARG(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		RPC_ARG(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		RPC_ARG(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50),
		RPC_ARG(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000),
		RPC_ARG(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000),
		/* Finds a dead peer within half a minute; servers take pings every 5 s. */
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIME_MS, 20000),
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
		RPC_ARG(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		RPC_ARG(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
		/* So that a reader that pauses is felt by the server. */
		RPC_ARG(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		RPC_ARG(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_MAX),
	};
	grpc_channel_args all = { .num_args = ARRAY_LEN(args), .args = args };
	struct rpc_channel *channel = calloc(1, sizeof(*channel));
	ASSERT(channel != NULL);
	channel->loop = loop;
	grpc_channel_credentials *plain = grpc_insecure_credentials_create();
	channel->channel = grpc_channel_create(target, plain, &all);
	grpc_channel_credentials_release(plain);
	return channel;
}

static void unary_free(struct rpc_unary *unary)
{
	grpc_metadata_array_destroy(&unary->initial);
	grpc_metadata_array_destroy(&unary->trailing);
	free(unary);
}

void rpc_channel_call_gone(struct rpc_channel *channel)
{
	if (channel->closing && channel->unary == NULL && channel->streams == NULL)
		channel->closed = true;
}

void rpc_channel_destroy(struct rpc_channel *channel)
{
	if (channel == NULL)
		return;
	channel->closing = true;
	struct rpc_unary *unary, *next_unary;
	DL_FOREACH(channel->unary, unary)
	{
		grpc_call_cancel(unary->call, NULL);
	}
	struct rpc_stream *stream = channel->streams, *next_stream;
	for (; stream != NULL; stream = next_stream) {
		next_stream = rpc_stream_next(stream);
		rpc_stream_cancel(stream);
	}
	rpc_channel_call_gone(channel);
	loop_drain_until(channel->loop, &channel->closed);
	DL_FOREACH_SAFE(channel->idle, unary, next_unary)
	{
		unary_free(unary);
	}
	grpc_channel_destroy(channel->channel);
	struct rpc_target *target, *next_target;
	DL_FOREACH_SAFE(channel->targets, target, next_target)
	{
		free(target->path);
		free(target);
	}
	arena_destroy(channel->scratch);
	free(channel);
}

static struct rpc_target *target_add(struct rpc_channel *channel,
                                     const ProtobufCServiceDescriptor *service, const char *name)
{
	for (unsigned i = 0; i < service->n_methods; i++) {
		const ProtobufCMethodDescriptor *method = &service->methods[i];
		if (strcmp(method->name, name) != 0)
			continue;
		struct rpc_target *target = calloc(1, sizeof(*target));
		ASSERT(target != NULL);
		target->service = service;
		target->method = method->name;
		target->input = method->input;
		target->output = method->output;
		target->path = rpc_method_path(service, method->name);
		target->registered =
		    grpc_channel_register_call(channel->channel, target->path, NULL, NULL);
		DL_APPEND(channel->targets, target);
		return target;
	}
	return NULL;
}

const struct rpc_target *rpc_target_find(struct rpc_channel *channel,
                                         const ProtobufCServiceDescriptor *service,
                                         const char *method)
{
	struct rpc_target *target;
	DL_FOREACH(channel->targets, target)
	{
		if (target->service == service && strcmp(target->method, method) == 0)
			return target;
	}
	target = target_add(channel, service, method);
	ASSERT(target != NULL);
	return target;
}

grpc_call *rpc_target_call(struct rpc_channel *channel, const struct rpc_target *target,
                           gpr_timespec deadline)
{
	return grpc_channel_create_registered_call(channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
	                                           loop_queue(channel->loop), target->registered,
	                                           deadline, NULL);
}

struct arena *rpc_scratch_take(struct rpc_channel *channel)
{
	struct arena *arena = channel->scratch;
	channel->scratch = NULL;
	return arena != NULL ? arena : arena_create();
}

void rpc_scratch_give(struct rpc_channel *channel, struct arena *arena)
{
	if (channel->scratch != NULL) {
		arena_destroy(arena);
		return;
	}
	arena_reset(arena);
	channel->scratch = arena;
}

/* Of "failed to connect to all addresses; last error: UNKNOWN: unix:/x: No such file" only the end
 * says something. */
static const char *skip_connect_words(const char *text, size_t *len)
{
	static const char words[] = "failed to connect to all addresses; last error: ";
	const size_t words_len = sizeof(words) - 1;
	if (*len < words_len || memcmp(text, words, words_len) != 0)
		return text;
	const char *code_end = memchr(text + words_len, ' ', *len - words_len);
	if (code_end == NULL)
		return text;
	*len -= (size_t)(code_end + 1 - text);
	return code_end + 1;
}

bool rpc_status_error(grpc_status_code status, grpc_slice details, struct error *err)
{
	const char *text = (const char *)GRPC_SLICE_START_PTR(details);
	size_t len = GRPC_SLICE_LENGTH(details);
	const char *rest = skip_connect_words(text, &len);
	if (status != GRPC_STATUS_OK)
		error_set(err, error_from_grpc(status), "%s%.*s",
		          rest == text ? "" : RPC_NO_CONNECTION, (int)len, rest);
	grpc_slice_unref(details);
	return status != GRPC_STATUS_OK;
}

const ProtobufCMessage *rpc_response_unpack(const struct rpc_target *target,
                                            grpc_byte_buffer *bytes, struct arena *arena,
                                            struct error *err)
{
	if (bytes == NULL) {
		error_set(err, ERR_INTERNAL, "the answer of %s is missing", target->path);
		return NULL;
	}
	if (grpc_byte_buffer_length(bytes) > RPC_MESSAGE_MAX) {
		error_set(err, ERR_EXHAUSTED, "the answer of %s is larger than 8 MiB",
		          target->path);
		return NULL;
	}
	const ProtobufCMessage *message = rpc_unpack(target->output, bytes, arena_allocator(arena));
	if (message == NULL)
		error_set(err, ERR_INTERNAL, "the answer of %s is no %s", target->path,
		          target->output->name);
	return message;
}

/* ---- unary calls ---- */

static struct rpc_unary *unary_take(struct rpc_channel *channel)
{
	struct rpc_unary *unary = channel->idle;
	if (unary != NULL) {
		DL_DELETE(channel->idle, unary);
		channel->idle_count--;
	} else {
		unary = calloc(1, sizeof(*unary));
		ASSERT(unary != NULL);
		unary->channel = channel;
		unary->tag.done = on_unary;
		grpc_metadata_array_init(&unary->initial);
		grpc_metadata_array_init(&unary->trailing);
	}
	DL_APPEND(channel->unary, unary);
	return unary;
}

static void unary_give(struct rpc_unary *unary)
{
	struct rpc_channel *channel = unary->channel;
	DL_DELETE(channel->unary, unary);
	if (channel->idle_count == IDLE_UNARY_MAX) {
		unary_free(unary);
	} else {
		unary->initial.count = 0;
		unary->trailing.count = 0;
		DL_PREPEND(channel->idle, unary);
		channel->idle_count++;
	}
	rpc_channel_call_gone(channel);
}

void rpc_unary(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
               const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
               rpc_unary_done *done, void *arg)
{
	struct rpc_unary *unary = unary_take(channel);
	unary->target = rpc_target_find(channel, service, method);
	unary->done = done;
	unary->arg = arg;
	unary->response = NULL;
	unary->status = GRPC_STATUS_OK;
	unary->details = grpc_empty_slice();
	gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	if (timeout_ms > 0)
		deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
		                        gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
	unary->call = rpc_target_call(channel, unary->target, deadline);

	grpc_slice slice = rpc_slice_pack(request);
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	grpc_op ops[6];
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = bytes;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &unary->initial;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &unary->response;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &unary->trailing;
	ops[5].data.recv_status_on_client.status = &unary->status;
	ops[5].data.recv_status_on_client.status_details = &unary->details;
	rpc_start_batch(unary->call, ops, ARRAY_LEN(ops), &unary->tag);
	grpc_byte_buffer_destroy(bytes);
}

static void on_unary(struct loop_tag *tag, bool ok)
{
	struct rpc_unary *unary = OWNER(struct rpc_unary, tag, tag);
	struct rpc_channel *channel = unary->channel;
	struct error err;
	(void)ok;
	if (rpc_status_error(unary->status, unary->details, &err)) {
		unary->done(unary->arg, NULL, &err);
	} else {
		struct arena *arena = rpc_scratch_take(channel);
		const ProtobufCMessage *response =
		    rpc_response_unpack(unary->target, unary->response, arena, &err);
		unary->done(unary->arg, response, response == NULL ? &err : NULL);
		rpc_scratch_give(channel, arena);
	}
	if (unary->response != NULL)
		grpc_byte_buffer_destroy(unary->response);
	grpc_call_unref(unary->call);
	unary_give(unary);
}

/* ---- waiting ---- */

struct wait {
	struct loop *loop;
	struct arena *arena;
	const ProtobufCMessage *response;
	struct error *err;
	bool finished;
};

/* Out of the scratch memory into the arena of the one who waits. */
static const ProtobufCMessage *copy_message(const ProtobufCMessage *message, struct arena *arena)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_alloc(arena, size + 1);
	protobuf_c_message_pack(message, bytes);
	return protobuf_c_message_unpack(message->descriptor, arena_allocator(arena), size, bytes);
}

static void on_waited(void *arg, const ProtobufCMessage *response, const struct error *err)
{
	struct wait *wait = arg;
	if (response != NULL)
		wait->response = copy_message(response, wait->arena);
	else
		*wait->err = *err;
	wait->finished = true;
	loop_stop(wait->loop);
}

bool rpc_unary_wait(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
                    struct arena *arena, const ProtobufCMessage **response, struct error *err)
{
	struct wait wait = { .loop = channel->loop, .arena = arena, .err = err };
	rpc_unary(channel, service, method, request, timeout_ms, on_waited, &wait);
	struct rpc_unary *unary = channel->unary->prev; /* the last one */
	loop_run(channel->loop);
	if (!wait.finished) { /* somebody else stopped the loop */
		grpc_call_cancel(unary->call, NULL);
		loop_drain_until(channel->loop, &wait.finished);
		return error_set(err, ERR_CANCELLED, "stopped while waiting for the answer");
	}
	if (wait.response == NULL)
		return false;
	*response = wait.response;
	return true;
}
