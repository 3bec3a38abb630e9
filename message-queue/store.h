/* store.h - what the queue keeps in Redis: names of keys, and one function per atomic move.
 *
 * All keys of one queue carry the hash tag {queue:<service>/<function>}, so they share a slot of a
 * cluster. ("/" cannot be part of a name, so that no two queues share keys.) The functions, and what
 * they return, are described in functions/<move>.lua. Every answer goes to `done` on the loop; an
 * error reply of Redis comes as an error, so `value` is what the function returns. */
#ifndef MESSAGE_QUEUE_STORE_H
#define MESSAGE_QUEUE_STORE_H

#include "base/redis.h"

struct store;
struct store_queue; /* the names of one queue's keys */

struct store *store_create(void);
/* Before the first move. */
void store_connect(struct store *store, struct redis *redis);
void store_destroy(struct store *store); /* NULL is fine */
/* The library to give to redis_create. */
struct redis_library store_library(void);

/* `name` is "service/function". */
struct store_queue *store_queue_create(const char *name);
void store_queue_destroy(struct store_queue *queue);

enum {
	STORE_BATCH_MAX = 1000,    /* messages in one call: bounded by the stack of Lua */
	STORE_KEEP_OUTCOME_S = 600 /* at least */
};

struct store_run { /* `count` places for deliveries with this lease */
	uint32_t count;
	uint32_t lease_ms;
};
struct store_special { /* the item of this index has a priority or a delay of its own */
	size_t index;
	uint32_t priority; /* as in the proto */
	uint32_t delay_ms;
};
struct store_item { /* a message id and its record or outcome */
	const char *id;
	const void *bytes;
	size_t len;
};
struct store_failure {
	const char *id;
	uint32_t delay_ms;
	uint32_t max_attempts;
	const char *reason;
};

/* 1 to STORE_BATCH_MAX items; at most STORE_BATCH_MAX places. */
void store_push(struct store *store, const struct store_queue *queue, uint64_t max_pending,
                const struct store_run *runs, size_t run_count,
                const struct store_special *specials, size_t special_count,
                const struct store_item *items, size_t count, redis_done *done, void *arg);
void store_reserve(struct store *store, const struct store_queue *queue,
                   const struct store_run *runs, size_t run_count, redis_done *done, void *arg);
void store_settle(struct store *store, const struct store_queue *queue,
                  const struct store_item *items, size_t count, redis_done *done, void *arg);
void store_record(struct store *store, const struct store_queue *queue,
                  const struct store_item *items, size_t count, redis_done *done, void *arg);
/* `lease_ms` from now. */
void store_adopt(struct store *store, const struct store_queue *queue, uint32_t lease_ms,
                 const struct store_item *items, size_t count, redis_done *done, void *arg);
void store_retry(struct store *store, const struct store_queue *queue,
                 const struct store_failure *failures, size_t count, redis_done *done, void *arg);
void store_release(struct store *store, const struct store_queue *queue, const char *const *ids,
                   size_t count, redis_done *done, void *arg);
/* `lease_ms` from now. */
void store_extend(struct store *store, const struct store_queue *queue, const char *id,
                  uint32_t lease_ms, redis_done *done, void *arg);
/* `cursor`: where to look on, as the last answer said; "0" at first. "all": every lease returns,
 * ended or not. */
void store_expire(struct store *store, const struct store_queue *queue, size_t limit,
                  uint32_t max_attempts, const char *cursor, redis_done *done, void *arg);
void store_outcome(struct store *store, const struct store_queue *queue, const char *const *ids,
                   size_t count, redis_done *done, void *arg);
void store_info(struct store *store, const struct store_queue *queue, redis_done *done, void *arg);
void store_ack(struct store *store, const struct store_queue *queue, const char *id,
               redis_done *done, void *arg);
void store_respond(struct store *store, const struct store_queue *queue,
                   const struct store_item *item, redis_done *done, void *arg);
void store_forget(struct store *store, const struct store_queue *queue,
                  const struct store_item *item, redis_done *done, void *arg);

/* `after`: the place of the last one before; "0" at first. A page is full with `bytes`. */
void store_dead(struct store *store, const struct store_queue *queue, const char *after,
                size_t limit, size_t bytes, redis_done *done, void *arg);
/* `move`: "requeue" or "drop". */
void store_unpark(struct store *store, const struct store_queue *queue, const char *move,
                  const char *const *ids, size_t count, redis_done *done, void *arg);
/* STORE_BATCH_MAX of those after the place `after`, up to the place `last`; "": the last one of now. */
void store_unpark_all(struct store *store, const struct store_queue *queue, const char *move,
                      const char *after, const char *last, redis_done *done, void *arg);
void store_purge(struct store *store, const struct store_queue *queue, const char *outcome,
                 size_t len, redis_done *done, void *arg);

/* The registry of queues: a set of names. */
void store_register(struct store *store, const char *name, redis_done *done, void *arg);
void store_registered(struct store *store, redis_done *done, void *arg);

/* How many messages queues may hold: name, number, ... of those for which it was set. 0 unsets it. */
void store_set_limit(struct store *store, const char *name, uint64_t limit, redis_done *done,
                     void *arg);
void store_limits(struct store *store, redis_done *done, void *arg);

/* Instances of the queue that share this Redis tell each other that they live. The answer to
 * store_instances is the list of names seen since `since_ms` (wall clock). */
void store_beat(struct store *store, const char *instance, uint64_t now_ms, redis_done *done,
                void *arg);
void store_instances(struct store *store, uint64_t since_ms, redis_done *done, void *arg);
void store_leave(struct store *store, const char *instance, redis_done *done, void *arg);

#endif
