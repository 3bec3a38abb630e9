/* store.h - the model in Redis: the only file that knows its keys.
 *
 * All keys of one generation carry one hash tag, so that they share a slot of a cluster and a run
 * of events commits in one function call with its checkpoint:
 *
 *   {model:G}checkpoint              hash: entry_id, topic, events
 *   {model:G}<kind>_entity:<id>      hash: a field per field of the entity but entity_id; _version,
 *                                    _more (members that the kind does not have)
 *   {model:G}<kind>_ids              sorted set of ids by creation (microseconds)
 *   {model:G}<index set>[<value>]    the same, of some (kinds.c)
 *   {model:G}unbilled_order_ids, {model:G}unshipped_order_ids
 *   {model:G}mails                   stream: event_id, json; ids are those of the events
 *   model:live                       hash: which generation is what (functions/generations.lua)
 *
 * Callbacks never come before the call that leads to them has returned. `err` is NULL for success. */
#ifndef READ_MODEL_STORE_H
#define READ_MODEL_STORE_H

#include "base/redis.h"
#include "read-model/projection.h"

/* Of the code: another value leads to a rebuild into a new generation. */
enum { MODEL_VERSION = 2 };

struct model_store;

struct model_store *model_store_create(struct redis *redis, uint64_t generation);
void model_store_destroy(struct model_store *store); /* the connection stays; no call may be open */
uint64_t model_store_generation(const struct model_store *store);
uint64_t model_store_losses(const struct model_store *store); /* redis_losses of its connection */

/* A place in the merged order; both empty: before everything. */
enum { STORE_ENTRY_SIZE = 48, STORE_TOPIC_SIZE = 72 };
struct model_position {
	char entry_id[STORE_ENTRY_SIZE];
	char topic[STORE_TOPIC_SIZE];
};
void model_position_set(struct model_position *position, const char *entry_id, const char *topic);
/* By entry id, then topic: <0, 0, >0. Positions that cannot be read come first. */
int model_position_compare(const struct model_position *a, const struct model_position *b);

typedef void model_store_checkpoint_done(void *arg, const struct model_position *position,
                                         uint64_t events, const struct error *err);
void model_store_checkpoint(struct model_store *store, model_store_checkpoint_done *done,
                            void *arg);

/* ERR_CONFLICT: the checkpoint is not `from`, nothing was written. */
typedef void model_store_apply_done(void *arg, const struct error *err);
void model_store_apply(struct model_store *store, const struct model_position *from,
                       const struct model_position *to, struct projection *run,
                       model_store_apply_done *done, void *arg);

/* ---- filling a generation that nobody reads and nobody else writes ----
 *
 * Without a checkpoint until it is full, so one that was not filled to its end is known as such. */
typedef void model_store_done(void *arg, const struct error *err);
/* Writes a window of the log: each event once, in order, one window at a time; the window must stay as
 * it is until `done`. After an error the generation is of no use: what was written of it is not known. */
void model_store_fill(struct model_store *store, struct projection *window, model_store_done *done,
                      void *arg);
/* It is full: from now on it can be followed from here. */
void model_store_filled(struct model_store *store, const struct model_position *position,
                        uint64_t events, model_store_done *done, void *arg);

/* One entity as it stands in the model. Lives during the callback. */
struct model_store_entity;
typedef void model_store_entity_done(void *arg, const struct model_store_entity *entity,
                                     const struct error *err);
/* `entity` is NULL when there is none. */
void model_store_get(struct model_store *store, const char *name, const char *id,
                     model_store_entity_done *done, void *arg);
uint64_t model_store_entity_version(const struct model_store_entity *entity);
const char *model_store_entity_id(const struct model_store_entity *entity);
/* NULL: no such field. */
const char *model_store_entity_field(const struct model_store_entity *entity, const char *name);
void model_store_entity_json(const struct model_store_entity *entity, struct buffer *out);

/* Ids of one set after (score, id), oldest first; score 0: from the start. `full`: there may be more. */
struct model_store_member {
	const char *id;
	uint64_t score;
};
typedef void model_store_members_done(void *arg, const struct model_store_member *members,
                                      size_t count, bool full, const struct error *err);
void model_store_members(struct model_store *store, const char *set, const char *value,
                         uint64_t after_score, const char *after_id, size_t limit,
                         model_store_members_done *done, void *arg);
/* How many there are in the set. */
typedef void model_store_count_done(void *arg, uint64_t count, const struct error *err);
void model_store_count(struct model_store *store, const char *set, const char *value,
                       model_store_count_done *done, void *arg);

struct model_store_mail {
	const char *entry_id, *event_id, *json;
};
typedef void model_store_mails_done(void *arg, const struct model_store_mail *mails, size_t count,
                                    const struct error *err);
/* `after` empty: from the start. */
void model_store_mails(struct model_store *store, const char *after, size_t limit,
                       model_store_mails_done *done, void *arg);

/* ---- generations ---- */

enum { GENERATIONS_DROPPED_MAX = 16, GENERATIONS_MOMENTS_MAX = 64 };
struct model_generations {
	bool none;         /* Redis knows of no generation at all, nor of any before */
	uint64_t live;     /* answers queries; 0: none, or one that another version of code wrote */
	uint64_t building; /* beside it, by this version of code; 0: none */
	uint64_t highest;  /* number used last */
	uint64_t dropped[GENERATIONS_DROPPED_MAX]; /* to be deleted */
	size_t dropped_count;
	uint64_t moments[GENERATIONS_MOMENTS_MAX]; /* of all processes */
	size_t moment_count;
};
/* For the start: waits. */
MUST_USE bool model_generations_read(struct redis *redis, struct model_generations *generations,
                                     struct error *err);
typedef void model_generations_done(void *arg, const struct model_generations *generations,
                                    const struct error *err);
void model_generations_ask(struct redis *redis, model_generations_done *done, void *arg);

/* A new generation to build beside the live one, above `floor`. `process` is "<name>#<its life>": the name
 * is equal after a restart, and different from that of other processes. `mine` false: another process is building
 * this one. */
typedef void model_generation_begun(void *arg, uint64_t generation, bool mine,
                                    const struct error *err);
void model_generation_begin(struct redis *redis, uint64_t floor, const char *process,
                            model_generation_begun *done, void *arg);
/* The process still builds it: to be said every second, for after five others may begin anew.
 * ERR_CONFLICT: one has. */
void model_generation_seen(struct redis *redis, uint64_t generation, const char *process,
                           model_store_done *done, void *arg);

/* Makes this generation, which was begun, the live one, and the live one a dropped one. ERR_CONFLICT:
 * another one is being built, nothing changed. */
void model_generation_go_live(struct redis *redis, uint64_t generation, model_store_done *done,
                              void *arg);
/* Deletes all keys of a generation, a little at a time, then its mark as dropped. */
void model_generation_drop(struct redis *redis, uint64_t generation, model_store_done *done,
                           void *arg);

/* A new generation for the model as of a moment of the past, above `floor`; the process keeps it. */
void model_generation_moment(struct redis *redis, uint64_t floor, const char *process,
                             model_generation_begun *done, void *arg);
/* The process lives: to be said every second while it keeps moments. Marks those as dropped that other processes
 * left when they died, and its own former lives; and those of its own that are not among `kept`, unless kept_count
 * is 0: then it does not know which it keeps. */
void model_generation_alive(struct redis *redis, const char *process, bool keeps_moments,
                            const uint64_t *kept, size_t kept_count, model_store_done *done,
                            void *arg);
/* Marks a moment as dropped. */
void model_generation_forget(struct redis *redis, uint64_t generation, model_store_done *done,
                             void *arg);

enum { MODEL_STORE_LIBRARIES = 2 };
extern const struct redis_library model_store_libraries[MODEL_STORE_LIBRARIES];

#endif
