/* rpc_client_internal.h - what the files of the client share.
 *
 *   rpc_client.c   channels and unary calls
 *   rpc_stream.c   streams
 *   rpc_mux.c      requests on a stream */
#ifndef BASE_RPC_CLIENT_INTERNAL_H
#define BASE_RPC_CLIENT_INTERNAL_H

#include "base/rpc_client.h"
#include "base/rpc_wire.h"

/* What a channel remembers of a method it has called. */
struct rpc_target {
	const ProtobufCServiceDescriptor *service;
	const char *method; /* of the descriptor */
	const ProtobufCMessageDescriptor *input, *output;
	char *path;
	void *registered; /* gRPC's handle */
	struct rpc_target *prev, *next;
};

struct rpc_channel {
	struct loop *loop;
	grpc_channel *channel;
	struct rpc_target *targets;
	struct rpc_unary *unary; /* in flight */
	struct rpc_unary *idle;  /* kept for the next */
	size_t idle_count;
	struct rpc_stream *streams;
	struct arena *scratch; /* of one response; NULL while in use */
	bool closing;
	bool closed; /* closing, and no call is left */
};

const struct rpc_target *rpc_target_find(struct rpc_channel *channel,
                                         const ProtobufCServiceDescriptor *service,
                                         const char *method);
grpc_call *rpc_target_call(struct rpc_channel *channel, const struct rpc_target *target,
                           gpr_timespec deadline);
/* Callbacks may make calls and, in commands, run the loop: so an arena is taken and given back. */
struct arena *rpc_scratch_take(struct rpc_channel *channel);
void rpc_scratch_give(struct rpc_channel *channel, struct arena *arena);
/* After the end of each call. */
void rpc_channel_call_gone(struct rpc_channel *channel);
/* The status of a call as an error. Consumes `details`. False when it is OK. */
bool rpc_status_error(grpc_status_code status, grpc_slice details, struct error *err);
/* NULL with *err set when the bytes are no such message or too many. */
const ProtobufCMessage *rpc_response_unpack(const struct rpc_target *target,
                                            grpc_byte_buffer *bytes, struct arena *arena,
                                            struct error *err);

/* More of streams, for the mux. */
struct rpc_stream_hooks {
	void (*opened)(void *arg);  /* the server serves it */
	void (*drained)(void *arg); /* all that was sent is written */
};
void rpc_stream_set_hooks(struct rpc_stream *stream, const struct rpc_stream_hooks *hooks);
/* Takes over the slice. */
void rpc_stream_send_slice(struct rpc_stream *stream, grpc_slice slice);
/* The next of its channel. */
struct rpc_stream *rpc_stream_next(struct rpc_stream *stream);
/* Cancels; no callback comes any more. */
void rpc_stream_abandon(struct rpc_stream *stream);

#endif
