/* queue.h - the queues of this process: who sends, who waits, who works.
 *
 *   submitter --push--> [queue in Redis] --reserve--> consumer
 *       ^                                                |
 *       '---------- answer <--- settle (durable) --------'
 *
 * Redis holds every message and its state; this process holds the callers that wait for an outcome
 * and the consumers that wait for work, both only as long as they are connected. What happens in
 * one turn of the loop for one queue leaves as one call per kind of move; a push carries the places
 * of waiting consumers, so that an idle queue delivers with one round trip. A message that its sender
 * still has, and sends again if it must, is delivered with none (unstored.c).
 *
 * Everything is called on the loop's thread. Callbacks never come before the call that leads to
 * them has returned. */
#ifndef MESSAGE_QUEUE_QUEUE_H
#define MESSAGE_QUEUE_QUEUE_H

#include "base/loop.h"
#include "message-queue/store.h"

struct queues;
struct queue;

enum { MESSAGE_ID_SIZE = 65 }; /* a UUID; clients of the original interface may use other words */

struct queues_options {
	uint64_t
	    max_pending; /* messages per queue that are not done; queues may have lower limits */
	size_t max_queues;
	size_t max_callers;   /* that wait at a time */
	const char *instance; /* the name of this process, the same after a restart */
};

struct queues *queues_create(struct loop *loop, struct store *store,
                             const struct queues_options *options);
/* Before the store goes. Callers that are left are forgotten. */
void queues_destroy(struct queues *queues);
/* Reads the registry, returns what a former life of this instance left in flight if no other
 * instance lives, then sweeps in the background. `healthy` is told every change. */
void queues_start(struct queues *queues, void (*healthy)(void *arg, bool healthy), void *arg);
/* Hands out nothing more and gives up the place among the instances. */
void queues_stop(struct queues *queues);
bool queues_busy(const struct queues *queues); /* there is something for the end of this turn */

enum { QUEUE_NAME_SIZE = 2 * 64 + 2 };
/* Checks the names. `name` becomes "service/function"; *out NULL: this process does not know it, though
 * another may. */
MUST_USE bool queues_look_up(struct queues *queues, const char *service, const char *function,
                             char name[QUEUE_NAME_SIZE], struct queue **out, struct error *err);
/* Checks the names; makes the queue when it is new. ERR_EXHAUSTED above max_queues. */
MUST_USE bool queues_get(struct queues *queues, const char *service, const char *function,
                         struct queue **out, struct error *err);
/* One that was used or is consumed. ERR_NOT_FOUND if there is none of these names. */
MUST_USE bool queues_find(struct queues *queues, const char *service, const char *function,
                          struct queue **out, struct error *err);
/* In order of their making; NULL ends. */
struct queue *queues_first(struct queues *queues);
struct queue *queue_after(struct queue *queue);
const char *queue_service(const struct queue *queue);
const char *queue_function(const struct queue *queue);
const char *queue_name(const struct queue *queue); /* "service/function" */
size_t queue_consumers(const struct queue *queue);
/* Messages that it may hold: what was set for it, or the option max_pending. */
uint64_t queue_limit(const struct queue *queue);
uint64_t queues_limit_max(const struct queues *queues);
/* 1 to queues_limit_max; 0: that. Keeps it for all instances; this one takes it when `done` calls queue_take_limit. */
void queue_set_limit(struct queue *queue, uint64_t limit, redis_done *done, void *arg);
void queue_take_limit(struct queue *queue, uint64_t limit);
/* Messages may wait in Redis that no push of this process told of. */
void queue_wake(struct queue *queue);
/* Messages may have ended without this process being told: the next sweep asks for those that somebody
 * waits for. */
void queue_recheck(struct queue *queue);

/* ---- Sending ---- */

enum answer_kind {
	ANSWER_STORED,  /* it or its outcome is on disk; not for those who wait for the outcome */
	ANSWER_OUTCOME, /* done, see outcome.h */
	ANSWER_DEAD,    /* parked; `err` tells why */
	ANSWER_FAILED
};
struct answer { /* lives during the callback */
	enum answer_kind kind;
	bool duplicate; /* of STORED */
	const char *message_id;
	const char *outcome;
	size_t outcome_len;
	struct error err;
};

/* One who sends or waits: a call or a stream. Zeroed, then `answer` and `ctx` set by its owner. */
struct submitter {
	void (*answer)(void *ctx, uint64_t tag, const struct answer *answer);
	void *ctx;
	struct submission *unanswered; /* owned by queue.c */
	size_t unanswered_count;
};

struct sending {
	const char *id;
	char *record; /* malloc'ed, taken over */
	size_t len;
	uint32_t priority, delay_ms; /* as in the proto */
	bool at_once; /* nobody has sent the id before: it may be delivered before it is on disk */
	bool wait;    /* for the outcome, within timeout_ms, else ERR_DEADLINE */
	uint64_t timeout_ms;
};
/* Without `wait` the answer comes when the message, or its outcome, is on disk. A known id attaches to
 * the message that has it. */
void queue_submit(struct queue *queue, const struct sending *sending, struct submitter *submitter,
                  uint64_t tag);
/* It is with a consumer of this process, and Redis does not know of it. */
bool queue_in_flight_here(const struct queue *queue, const char *id);
size_t queue_unstored(const struct queue *queue); /* how many such there are */
/* Waits for the outcome of a message that was, or will be, sent by somebody. timeout_ms 0: for ever. */
void queue_await(struct queue *queue, const char *id, uint64_t timeout_ms,
                 struct submitter *submitter, uint64_t tag);
/* The submitter has gone: none of its answers comes any more. */
void submitter_end(struct submitter *submitter);
/* An outcome that became durable outside of the consumers: answers those who wait for it. */
void queue_answer_outcome(struct queue *queue, const char *id, const char *outcome, size_t len);

/* ---- Working ---- */

struct consumer;
struct consumer_options {
	uint32_t credits; /* deliveries at a time */
	uint32_t lease_ms;
	uint32_t max_attempts;
	/* Takes one delivery, after which it is of no more use; what it got is not returned with it. */
	bool once;
	/* False: it cannot take it, and the message returns as if untouched. The record lives during
	 * the callback. */
	bool (*deliver)(void *ctx, const char *id, const char *record, size_t len,
	                uint32_t attempt);
	/* An extension came too late; may come within it. NULL for who extends nothing. */
	void (*lease_ended)(void *ctx, const struct queue *queue, const char *id);
	void *ctx;
};
struct consumer *consumer_create(struct queues *queues, const struct consumer_options *options,
                                 struct queue *const *from, size_t count);
/* What it holds returns at once. */
void consumer_end(struct consumer *consumer);
/* Ends of deliveries. Of one whose lease has ended, `done` still counts, `failed` does not. */
void consumer_done(struct consumer *consumer, struct queue *queue, const char *id, char *outcome,
                   size_t len); /* outcome: malloc'ed, taken over */
/* delay_ms 0: as delivery_backoff_ms says. */
void consumer_failed(struct consumer *consumer, struct queue *queue, const char *id,
                     const char *reason, uint32_t delay_ms);
/* The lease ends lease_ms from now (0: as in the options), if it has not ended. */
void consumer_extend(struct consumer *consumer, struct queue *queue, const char *id,
                     uint32_t lease_ms);

/* For moves of the store outside of these: the key names of a queue. */
const struct store_queue *queue_keys(const struct queue *queue);

#endif
