/* service_internal.h - shared by service.c, methods.c, stream.c and functions.c. */
#ifndef READ_MODEL_SERVICE_INTERNAL_H
#define READ_MODEL_SERVICE_INTERNAL_H

#include "base/rpc_server.h"
#include "read-model/projector.h"
#include "read-model/query.h"
#include "read-model/service.h"

#include "proto/readmodel_v1.pb-c.h"

enum { MODEL_TOPICS_TIMEOUT_MS = 5000, MODEL_WAIT_MS = 5000, MODEL_WAIT_MAX_MS = 60000 };

/* One generation and who builds it. */
struct generation {
	struct read_model *model;
	struct model_store *store;
	struct projector *projector; /* NULL: retired; the store lives on for queries under way */
	struct generation *next;     /* of the retired ones */
};

struct functions;

struct read_model {
	struct loop *loop;
	struct redis *redis;
	struct rpc_channel *event_store;
	struct rpc_channel *message_queue;
	struct rpc_server *server;
	struct generation *live; /* answers queries; NULL: none yet */
	struct generation *next; /* being built, to become live; NULL: none */
	struct generation *retired;
	struct functions *functions;
	int port;
	unsigned to_stop; /* what has not stopped yet */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ERR_UNAVAILABLE while there is no live generation. */
MUST_USE bool model_ready(const struct read_model *model, struct error *err);
/* Reads the tokens of a query; none: *position is before everything. */
MUST_USE bool model_consistency(const Rm__Consistency *consistency, struct model_position *position,
                                unsigned *wait_ms, struct error *err);

extern const struct rpc_method model_methods[];
extern const size_t model_method_count;
/* GetStream. */
void model_stream_open(void *ctx, struct rpc_call *call);
void model_stream_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void model_stream_half_close(void *ctx, struct rpc_call *call);
void model_stream_drained(void *ctx, struct rpc_call *call);
void model_stream_ended(void *ctx, struct rpc_call *call);

/* The functions of the queue `read-model`. */
struct functions *functions_create(struct read_model *model);
void functions_stop(struct functions *functions); /* takes no more */
void functions_destroy(struct functions *functions);

#endif
