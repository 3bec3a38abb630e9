/* rpc_client.h - calls to gRPC services with protobuf-c messages. All callbacks on the loop. */
#ifndef BASE_RPC_CLIENT_H
#define BASE_RPC_CLIENT_H

#include "base/arena.h"
#include "base/loop.h"

struct rpc_channel;

/* `target`: "127.0.0.1:50051", "host:port" or "unix:/path". Connects when first used, and again
 * after a loss with a backoff of at most 1 s. Each channel has a connection of its own. */
struct rpc_channel *rpc_channel_create(struct loop *loop, const char *target);
/* Cancels the calls that are left: their callbacks come before it returns. Not from one of them. */
void rpc_channel_destroy(struct rpc_channel *channel);

/* `response` is NULL when `err` is not; it lives during the callback. */
typedef void rpc_unary_done(void *arg, const ProtobufCMessage *response, const struct error *err);
/* How the message begins when it was not the server that answered ERR_UNAVAILABLE. */
#define RPC_NO_CONNECTION "no connection to "
/* `service` and `method` must be of a generated descriptor. A call to a server that cannot be
 * reached fails at once with ERR_UNAVAILABLE. */
void rpc_unary(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
               const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
               rpc_unary_done *done, void *arg);

/* The same, waiting: runs the loop until the answer is there. For commands and tests, not for
 * callbacks. The response lives in `arena`. */
MUST_USE bool rpc_unary_wait(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                             const char *method, const ProtobufCMessage *request,
                             unsigned timeout_ms, struct arena *arena,
                             const ProtobufCMessage **response, struct error *err);

/* A stream of responses to one request, or to many. */
struct rpc_stream;
struct rpc_stream_events {
	void (*message)(void *arg,
	                const ProtobufCMessage *response); /* lives during the callback */
	/* Always the last callback; `err` is NULL for OK. The stream is gone after it. */
	void (*closed)(void *arg, const struct error *err);
};
struct rpc_stream *rpc_stream_open(struct rpc_channel *channel,
                                   const ProtobufCServiceDescriptor *service, const char *method,
                                   const struct rpc_stream_events *events, void *arg);
/* Packs at once and queues. */
void rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *request);
/* The same for bytes that are packed already; they are copied. */
void rpc_stream_send_bytes(struct rpc_stream *stream, const void *bytes, size_t len);
size_t rpc_stream_queued_bytes(struct rpc_stream *stream);
void rpc_stream_end_sends(struct rpc_stream *stream); /* half-close */
void rpc_stream_cancel(struct rpc_stream *stream);    /* `closed` still comes */
/* Stops reading responses, so that flow control reaches the server. */
void rpc_stream_pause(struct rpc_stream *stream);
void rpc_stream_resume(struct rpc_stream *stream);

#endif
