/* queue_internal.h - what queue.c (the queues), sending.c, dispatch.c (working), settle.c (ends), extend.c (leases),
 * unstored.c (before the disk) and sweep.c (time) share. */
#ifndef MESSAGE_QUEUE_QUEUE_INTERNAL_H
#define MESSAGE_QUEUE_QUEUE_INTERNAL_H

#include "message-queue/delivery.h"
#include "message-queue/queue.h"

#include <uthash.h>
#include <utlist.h>

enum {
	PLACES_MAX = 512, /* deliveries asked for in one call */
	BATCH_BYTES_MAX = 4 * 1024 * 1024,
	/* While no consumer of this process has named a number: those who know it park the message. */
	UNKNOWN_MAX_ATTEMPTS = 100
};

/* One message on its way to Redis, and one who waits for its answer. Freed when it is both pushed
 * and answered. */
struct submission {
	struct queue *queue;
	char id[MESSAGE_ID_SIZE];
	char *record; /* NULL after the push */
	size_t record_len;
	uint32_t priority, delay_ms;
	bool pushing;   /* the answer of Redis is outstanding */
	bool at_once;   /* may be delivered before it is on disk */
	bool wait;      /* for the outcome; it is among those that wait for it */
	bool send_only; /* it need not be the outcome: on disk is enough */
	bool duplicate;
	uint64_t tag;
	struct submitter *submitter; /* NULL: answered or abandoned */
	struct loop_timer deadline;
	struct submission *prev, *next;             /* in the batch of the queue */
	struct submission *owner_prev, *owner_next; /* of the submitter */
	struct submission *wait_prev, *wait_next;   /* for the same outcome */
};

/* Those who wait for one outcome. */
struct waiting {
	char id[MESSAGE_ID_SIZE];
	struct submission *list;
	UT_hash_handle hh;
};

/* One delivery at a consumer. */
struct held {
	char id[MESSAGE_ID_SIZE];
	enum delivery_state state;
	uint32_t attempt;
	struct queue *queue;
	struct consumer *consumer;
	char *record; /* not NULL: the message is not in Redis; see unstored.c */
	size_t record_len;
	uint64_t since_ms;
	uint64_t until_ms;                          /* its lease ends, by this clock */
	struct held *prev, *next;                   /* of the consumer, oldest first */
	struct held *unstored_prev, *unstored_next; /* of all, oldest first */
	UT_hash_handle hh;                          /* in the queue */
};

/* The end of one delivery on its way to Redis. */
struct settlement {
	char id[MESSAGE_ID_SIZE];
	char *outcome; /* of a done one */
	size_t outcome_len;
	char *reason; /* of a failed one; NULL: it was never delivered */
	uint32_t delay_ms;
	uint32_t max_attempts;
	unsigned tries;
	struct settlement *prev, *next;
};

struct subscription {
	struct consumer *consumer;
	struct queue *queue;
	struct subscription *prev, *next; /* of the queue; the first is served next */
};

struct consumer {
	struct queues *queues;
	struct consumer_options options;
	uint32_t free_credits;
	size_t references; /* places on their way, and the owner */
	bool ended;
	struct subscription *subscriptions;
	size_t subscription_count;
	struct held *held;
};

struct queue {
	struct queues *queues;
	char *name; /* "service/function" */
	char *service;
	const char *function; /* in name */
	struct store_queue *keys;
	bool registered;
	bool backlog;   /* Redis may hold messages that wait */
	bool returning; /* what a former life had in flight is not back yet: nothing is delivered */
	bool recheck;   /* an answer of Redis was lost: outcomes may be there unseen */
	size_t checks;  /* under way */
	uint32_t max_attempts;
	uint64_t limit; /* messages; 0: that of all queues */

	struct submission *pushes;
	size_t push_count;
	size_t pushing; /* messages on their way to Redis */
	size_t unstored_count;
	/* `recorded`: done before they were in Redis. */
	struct settlement *done, *recorded, *failed, *released;
	struct waiting *waiting;
	struct held *held;
	struct subscription *subscriptions;
	size_t subscription_count;
	char cursor[24];       /* of the sweep, among the leases */
	struct loop_timer due; /* the next failed message returns */
	bool dirty;
	struct queue *dirty_prev, *dirty_next;
	UT_hash_handle hh;
};

struct queues {
	struct loop *loop;
	struct store *store;
	struct queues_options options;
	char *instance;
	struct queue *by_name;
	struct queue *dirty;
	size_t callers;
	bool registry_read, instances_read;
	bool started; /* both were: deliveries may begin */
	bool stopped;
	bool loading;
	bool is_healthy;
	bool peers; /* other instances live */
	size_t sweep_from;
	struct loop_timer sweep, peer;
	struct held *unstored; /* deliveries whose message is not in Redis, oldest first */
	struct loop_timer look;
	void (*healthy)(void *arg, bool healthy);
	void *healthy_arg;
};

void queue_mark(struct queue *queue); /* it has something to do at the end of this turn */
struct queue *queues_get_named(struct queues *queues, const char *name); /* valid; may be new */

/* queue.c */
void queue_enter(struct queue *queue); /* in the registry, if it is not there */

/* sending.c */
void submission_free(struct submission *submission);
void queue_flush_pushes(struct queue *queue);
void queue_answer(struct queue *queue, const char *id, struct answer *what); /* all who wait */
void queue_answer_dead(struct queue *queue, const char *id, const char *reason);
/* The message is on disk: answers those who wait for no more. */
void queue_answer_stored(struct queue *queue, const char *id);
/* From now on it waits for the outcome, or for queue_answer_stored; it goes if nobody waits. */
void submission_delivered(struct submission *submission);
/* Asks Redis what became of messages whose settling was not seen, and answers who waits. */
void queue_check(struct queue *queue, const char *const *ids, size_t count);

/* dispatch.c: places are credits set aside for a call to Redis, in the order of round robin. */
struct places {
	struct consumer **consumers; /* each referenced */
	size_t count, used;
	struct store_run *runs;
	size_t run_count;
};
void places_take(struct queue *queue, size_t max, struct places *places);
/* The next place gets the message; the message is released if its consumer has gone. */
void places_deliver(struct places *places, struct queue *queue, const char *id, const char *record,
                    size_t len, uint32_t attempt);
/* `given` as the function reserve returns. */
void places_deliver_all(struct places *places, struct queue *queue,
                        const struct redis_value *given);
/* Returns the credits of places that were not used. `again`: the queue may use them at once. */
void places_end(struct places *places, bool again);
void queue_flush_reserve(struct queue *queue);
/* Delivers a message that is not in Redis; NULL: nobody takes it now. */
struct held *deliver_now(struct queue *queue, const char *id, const char *record, size_t len);
/* The delivery is over: gives the credit back. */
void held_end(struct held *held);
void consumer_unref(struct consumer *consumer);
/* The delivery of the message that this consumer has; NULL: none. */
struct held *held_by(struct consumer *consumer, struct queue *queue, const char *id);

/* settle.c */
void queue_flush_settlements(struct queue *queue);
void queue_drop_settlements(struct queue *queue);
void queue_release(struct queue *queue, const char *id);
/* A delivery of a consumer that has gone. */
void held_return(struct held *held, const char *reason);

/* unstored.c */
/* Of the pushes: those whose id a consumer has wait for it, first ones at the head go to consumers. */
void queue_deliver_at_once(struct queue *queue);
void unstored_begin(struct held *held, char *record, size_t len); /* takes the record */
void unstored_end(struct held *held);                             /* nothing if it is stored */
void unstored_adopt(struct held *held);                           /* puts it on disk now */

/* sweep.c */
void queue_expire_after(struct queue *queue, uint64_t delay_ms);

#endif
