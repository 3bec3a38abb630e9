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
	/* Until then its keys are surely there: after another one has become live they go, but not
	 * before GENERATION_GRACE_MS. */
	uint64_t valid_until_us;
	struct generation *next; /* of the retired ones */
};

struct functions;
struct generations;

struct read_model {
	struct loop *loop;
	struct redis *redis;
	struct rpc_channel *event_store;
	struct rpc_channel *message_queue;
	struct rpc_server *server;
	struct generation *live; /* answers queries; NULL: none yet */
	struct generation *next; /* being built, to become live; NULL: none */
	struct generations *generations;
	struct functions *functions;
	int port;
	bool stopping;
	unsigned to_stop; /* what has not stopped yet */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- generations.c: which generation answers, is built, is deleted ----
 *
 *   BUILDING --caught up, go_live--> LIVE --a newer one is live--> RETIRED --grace--> keys deleted
 *
 * Redis (model:live) knows the state of each; every process looks there each second, and changes over
 * when another one has. */
enum { GENERATION_LEASE_MS = 4000, GENERATION_GRACE_MS = 5000 };
struct generations *generations_create(struct read_model *model,
                                       const struct model_generations *found, bool rebuild);
void generations_stop(struct generations *generations); /* changes nothing any more */
/* After redis_destroy. */
void generations_destroy(struct generations *generations);
/* Builds a new generation unless one is being built already, and tells which. */
void generations_rebuild(struct generations *generations, model_generation_begun *done, void *arg);
/* ERR_UNAVAILABLE: what was read from it just now may have been half deleted. */
MUST_USE bool generation_valid(const struct generation *generation, struct error *err);

/* ---- log_check.c: whether the log still has what the model was made of ---- */
struct log_check;
/* `differs` is called each time when it surely has not. */
struct log_check *log_check_create(struct read_model *model, void (*differs)(void *arg), void *arg);
void log_check_destroy(struct log_check *check); /* after the channel to the event store */
void log_check_look(struct log_check *check);

/* Where the log ends, all topics merged, and how many events it has. */
struct log_end {
	struct model_position position;
	uint64_t events;
};
/* `response` is an Es__TopicsResponse. */
struct log_end log_end_of(const ProtobufCMessage *response);

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
