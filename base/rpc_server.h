/* rpc_server.h - gRPC services of protobuf-c messages.
 *
 * The life of one call, as its method sees it:
 *
 *   open -> message, message, ... -> half_close -> ended
 *
 * `open` and `half_close` may be NULL. A unary or server-stream call gets exactly one message.
 * `ended` is always the last callback: after the status was sent, the client cancelled, its
 * deadline passed or its connection broke. Until `ended` returns the call may be used: sends to a
 * call that is over are dropped.
 *
 * Sends are queued and written in order, one write for all messages of a loop turn where gRPC
 * allows it. rpc_queued_bytes tells what the client has not taken; a method that streams must
 * stop at a bound of its own and go on in `drained`.
 *
 * Unknown methods are answered UNIMPLEMENTED; a message that does not parse, or whose text is not
 * UTF-8, INVALID_ARGUMENT; one above the limit, RESOURCE_EXHAUSTED; a compressed one, UNIMPLEMENTED.
 * Health (grpc.health.v1) and reflection are always served. */
#ifndef BASE_RPC_SERVER_H
#define BASE_RPC_SERVER_H

#include "base/arena.h"
#include "base/loop.h"

enum { RPC_MESSAGE_MAX = 8 * 1024 * 1024 };

enum rpc_kind { RPC_UNARY, RPC_SERVER_STREAM, RPC_BIDI_STREAM };

struct rpc_server;
struct rpc_call;

struct rpc_method {
	const char *name; /* as in the service's descriptor */
	enum rpc_kind kind;
	void (*open)(void *ctx, struct rpc_call *call);
	/* `request` lives in rpc_call_arena until `ended` for unary and server-stream calls; for
	 * bidirectional ones it is gone when this returns. */
	void (*message)(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
	void (*half_close)(void *ctx, struct rpc_call *call);
	void (*drained)(void *ctx, struct rpc_call *call);
	void (*ended)(void *ctx, struct rpc_call *call);
};

struct rpc_server *rpc_server_create(struct loop *loop);
/* Ends what is left and frees; the loop must not be running, or be in `done` of the shutdown. */
void rpc_server_destroy(struct rpc_server *server);
/* `methods` and `ctx` must outlive the server. Before start. Methods of `service` that are not among them
 * are answered UNIMPLEMENTED: a fake names what it knows. */
void rpc_server_add(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
                    const struct rpc_method *methods, size_t method_count, void *ctx);
/* `address`: "127.0.0.1:50051" (port 0: any free one) or "unix:/path". May be called several times
 * before start. *port (may be NULL) is the port taken. ERR_EXISTS when the address is in use,
 * ERR_INVALID when it is none. */
MUST_USE bool rpc_server_listen(struct rpc_server *server, const char *address, int *port,
                                struct error *err);
void rpc_server_start(struct rpc_server *server);
/* What health answers for the whole server ("") and for each service. Starts as not serving. */
void rpc_server_set_healthy(struct rpc_server *server, bool healthy);
/* Takes no new calls, reports NOT_SERVING, lets calls end for up to grace_ms, then cancels them;
 * `done` is called when all have ended. */
void rpc_server_shutdown(struct rpc_server *server, unsigned grace_ms, void (*done)(void *arg),
                         void *arg);

struct arena *rpc_call_arena(struct rpc_call *call);
void rpc_set_data(struct rpc_call *call, void *data);
void *rpc_data(struct rpc_call *call);
/* "ipv4:127.0.0.1:4711": equal for all calls of one connection. Lives in the call's arena. */
const char *rpc_peer(struct rpc_call *call);
/* Milliseconds that the client still waits; UINT64_MAX without a deadline. */
uint64_t rpc_time_left_ms(struct rpc_call *call);
bool rpc_ended(struct rpc_call *call); /* cancelled, or the status is on its way */

/* Packs at once; `message` may go after the call. */
void rpc_send(struct rpc_call *call, const ProtobufCMessage *message);
/* The end, after what was sent before. `err` NULL: OK. UNAVAILABLE and RESOURCE_EXHAUSTED carry
 * grpc-retry-pushback-ms in the trailing metadata: when to try again, for clients with a retry policy. */
void rpc_finish(struct rpc_call *call, const struct error *err);
/* Goes with the status, as trailing metadata: `key` is a literal in lower case. Before rpc_finish. */
void rpc_set_trailer(struct rpc_call *call, const char *key, uint64_t number);
/* The end at once, for a client that takes nothing: what waits is dropped, and the status overtakes what it has not
 * read. A status of rpc_finish that waits there goes instead of this one. */
void rpc_abort(struct rpc_call *call, const struct error *err);
/* rpc_send and rpc_finish(OK): the answer of a unary call. */
void rpc_reply(struct rpc_call *call, const ProtobufCMessage *message);
size_t rpc_queued_bytes(struct rpc_call *call);
/* For how long the client has not taken the message that is its next; 0: nothing waits for it. */
uint64_t rpc_stuck_ms(struct rpc_call *call);
/* Stops reading further messages of a bidirectional call, until resumed. */
void rpc_pause(struct rpc_call *call);
void rpc_resume(struct rpc_call *call);

/* A message packed once and sent to many calls. Reference counted. */
struct rpc_packed;
struct rpc_packed *rpc_pack(const ProtobufCMessage *message);
struct rpc_packed *rpc_packed_ref(struct rpc_packed *packed);
void rpc_packed_unref(struct rpc_packed *packed);
void rpc_send_packed(struct rpc_call *call, struct rpc_packed *packed);

#endif
