/* service_internal.h - what service.c (sending, life), ask.c, tend.c (unary methods), submit.c,
 * consume.c (streams) and compat.c (the original interface) share. */
#ifndef MESSAGE_QUEUE_SERVICE_INTERNAL_H
#define MESSAGE_QUEUE_SERVICE_INTERNAL_H

#include "base/rpc_server.h"
#include "message-queue/message.h"
#include "message-queue/outcome.h"
#include "message-queue/queue.h"
#include "message-queue/service.h"

enum {
	CALL_TIMEOUT_MS = 30000, /* of a call that names none */
	CALL_TIMEOUT_MAX_MS = 600000,
	STREAM_MESSAGE_MAX = 1024 * 1024 /* a response is sent when it has grown to this */
};

/* A stream that stays open until the client or the service ends it. */
struct open_stream {
	struct rpc_call *call;
	struct open_stream *prev, *next;
};

struct message_queue {
	struct loop *loop;
	struct redis *redis;
	struct store *store;
	struct queues *queues;
	struct rpc_server *server;
	struct redis_library library;
	struct open_stream *streams;
	uint32_t legacy_lease_ms;
	int port;
	bool stopping;
	struct loop_timer drain;
	unsigned drain_looks;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* Checks the message, finds its queue and sends it; false: refused, with the reason. */
MUST_USE bool service_submit(struct message_queue *service, Mq__Message *message,
                             Mq__Sending sending, bool wait, uint64_t timeout_ms,
                             struct submitter *submitter, uint64_t tag, char id[UUID_SIZE],
                             struct error *err);
/* What a caller gets for an answer that is not ANSWER_STORED; in `arena`. */
Mq__Result *service_result(const struct answer *answer, struct arena *arena);

/* ask.c */
void outcome_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void queues_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void question_ended(void *ctx, struct rpc_call *call);

/* tend.c */
void dead_letters_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void requeue_dead_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void drop_dead_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void purge_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void configure_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void tending_ended(void *ctx, struct rpc_call *call);

/* submit.c */
void submit_stream_open(void *ctx, struct rpc_call *call);
void submit_stream_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void submit_stream_half_close(void *ctx, struct rpc_call *call);
void submit_stream_drained(void *ctx, struct rpc_call *call);
void submit_stream_ended(void *ctx, struct rpc_call *call);

/* consume.c */
void consume_open(void *ctx, struct rpc_call *call);
void consume_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void consume_half_close(void *ctx, struct rpc_call *call);
void consume_ended(void *ctx, struct rpc_call *call);

/* compat.c */
void compat_add(struct message_queue *service);

#endif
