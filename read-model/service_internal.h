/* service_internal.h - shared by service.c, methods.c, stream.c and functions.c. */
#ifndef READ_MODEL_SERVICE_INTERNAL_H
#define READ_MODEL_SERVICE_INTERNAL_H

#include "base/rpc_server.h"
#include "read-model/builder.h"
#include "read-model/projector.h"
#include "read-model/query.h"
#include "read-model/service.h"

#include "proto/readmodel_v1.pb-c.h"

enum { MODEL_TOPICS_TIMEOUT_MS = 5000, MODEL_WAIT_MS = 5000, MODEL_WAIT_MAX_MS = 60000 };

/* ---- generation.c: one generation, who fills and follows it, and who reads it ---- */
struct generation {
	struct read_model *model;
	struct model_store *store;
	struct builder *builder;     /* fills it; NULL: it is full, or retired */
	struct projector *projector; /* follows the log; NULL: it is being filled, or retired */
	/* Until then its keys are surely there: after another one has become live they go, but not
	 * before GENERATION_GRACE_MS. */
	uint64_t valid_until_us;
	/* Of connections to Redis, when its checkpoint was last seen to be where it should, or known not to be. */
	uint64_t losses;
	uint64_t rewinds; /* of its projector, when that is gone */
	unsigned users;
	bool retired; /* freed at the end of the turn in which nothing of it is in use any more */
	struct loop_task unused;
	struct generation *next; /* of the retired ones */
};
struct generation *generation_create(struct read_model *model, uint64_t number);
void generation_free(struct generation *generation); /* at the end of the process, used or not */
uint64_t generation_number(const struct generation *generation);
const struct model_position *generation_position(const struct generation *generation);
uint64_t generation_events(const struct generation *generation);
uint64_t generation_lease_end(uint64_t from_us);
/* It is not freed until it is released. */
struct generation *generation_hold(struct generation *generation);
void generation_release(struct generation *generation); /* NULL is fine */
/* A query reads a generation, from its first command to its answer, and holds it. */
struct reading {
	struct generation *from; /* NULL: not yet, or no more */
	uint64_t rewinds;        /* of its projector, at the first command */
};
void reading_begin(struct reading *reading, struct generation *from);
/* ERR_UNAVAILABLE: what was read may have been half deleted, or be older than what was read before. True if
 * nothing was read. */
MUST_USE bool reading_valid(const struct reading *reading, struct error *err);
void reading_end(struct reading *reading); /* twice is fine */
/* Fills and follows no more. `done` is called, maybe at once, when nothing of that is under way. */
void generation_stop(struct generation *generation, void (*done)(void *arg), void *arg);
/* Answers no new queries; those under way may end. */
void generation_retire(struct generation *generation);

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
	struct moments *moments;
	struct functions *functions;
	char process[128]; /* "<name>#<its life>", the name equal after a restart */
	int port;
	bool stopping;
	unsigned to_stop; /* what has not stopped yet */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- generations.c: which generation answers, is built, is deleted ----
 *
 *   BUILDING --filled--> FOLLOWING --caught up, go_live--> LIVE --a newer one is live--> RETIRED
 *      |                                                                                   |
 *      '-- its builder failed, or died: another one is begun --> keys deleted <---grace----'
 *
 * Redis (model:live) knows the state of each; every process looks there each second, and changes over
 * when another one has. One process alone builds a generation. */
enum { GENERATION_LEASE_MS = 4000, GENERATION_GRACE_MS = 5000 };
struct generations *generations_create(struct read_model *model,
                                       const struct model_generations *found, bool rebuild);
void generations_stop(struct generations *generations); /* changes nothing any more */
/* After redis_destroy. */
void generations_destroy(struct generations *generations);
/* Builds a new generation unless one is being built already, and tells which. */
typedef void generations_rebuilding(void *arg, uint64_t generation, const struct error *err);
void generations_rebuild(struct generations *generations, generations_rebuilding *done, void *arg);
/* Looks soon. */
void generations_look(struct generations *generations);
uint64_t generations_highest(const struct generations *generations); /* number known to be used */
/* It answers no new queries; freed when those under way have ended. */
void generations_retire(struct generation *old);
/* A retired one is about to be freed. */
void generations_forget(struct generations *generations, struct generation *old);

/* ---- moments.c: the model as it was at moments of the past ----
 *
 *   asked for --> FILLING, up to the moment --> ANSWERS --not asked for, or others are--> keys deleted
 *
 * Each is a generation of this process alone, that never becomes live. */
struct moments;
struct moments *moments_create(struct read_model *model);
void moments_stop(struct moments *moments);    /* who waits is told */
void moments_destroy(struct moments *moments); /* after redis_destroy */
/* `generation` is NULL when `err` is not. */
typedef void moments_given(void *arg, struct generation *generation, const struct error *err);
/* The generation as of `text`, at once if there is one; else NULL, and `done` is called later, also with an error:
 * ERR_INVALID for what is no moment of the past, ERR_DEADLINE when it takes longer than `wait_ms`, ERR_EXHAUSTED when
 * too many are being built. */
struct generation *moments_ask(struct moments *moments, const char *text, unsigned wait_ms,
                               moments_given *done, void *arg);
/* What Redis knows of them, as answered to a question that was sent then. */
void moments_look(struct moments *moments, const struct model_generations *found,
                  uint64_t look_sent_us);
/* The log may have other events now, also in the past: what was read of it is given up. */
void moments_clear(struct moments *moments);

/* ---- doomed.c: generations whose keys are to be deleted ---- */
struct doomed_list;
struct doomed_list *doomed_list_create(struct read_model *model);
void doomed_list_destroy(struct doomed_list *list); /* after redis_destroy */
/* Redis marks these; each is deleted GENERATION_GRACE_MS after it was seen here first. */
void doomed_list_note(struct doomed_list *list, const struct model_generations *found);

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
/* Reads what a query says; no tokens: *position is before everything. */
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
