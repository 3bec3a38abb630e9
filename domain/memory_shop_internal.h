/* memory_shop_internal.h - shared by the memory_shop*.c files only.
 *
 *   memory_shop.c           the shop, its steps and its settling
 *   memory_shop_time.c      the clock, timers, tasks that are ready
 *   memory_shop_log.c       events, entities, lists of them
 *   memory_shop_read.c      what others see of them
 *   memory_shop_queue.c     messages and their outcomes
 *   memory_shop_run.c       one command: what runtime.c does
 *   memory_shop_reaction.c  one event in one group: what the groups and saga_runtime.c do
 *   memory_shop_fault.c     what can go wrong
 *   memory_shop_fixture.c   what only tests need */
#ifndef DOMAIN_MEMORY_SHOP_INTERNAL_H
#define DOMAIN_MEMORY_SHOP_INTERNAL_H

#include "base/heap.h"
#include "domain/memory_shop.h"
#include "domain/pool.h"
#include "domain/probe.h"

#include "domain/limits.h"
#include "message-queue/delivery.h"

#include <stddef.h>
#include <utlist.h>

/* Of what a member lies in. */
#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

enum { TOPICS_MAX = 16, SERVERS_MAX = 16, GROUPS_MAX = 32, INDEXES_MAX = 8, RECENT_MAX = 16 };

/* ---- Time and order ---------------------------------------------------------------------- */

struct timer {
	struct heap_item item; /* equal times: in the order in which they were set */
	struct heap *heap;     /* NULL: not set */
	void (*fire)(struct memory_shop *shop, struct timer *timer);
};

/* Something that can go on. */
struct task {
	void (*turn)(struct memory_shop *shop, struct task *task);
	struct server *server;
	size_t place; /* among the ready ones, from 1; 0: not ready */
	bool waiting; /* in server->waiting */
	struct task *prev, *next;
};

/* The ready ones, oldest first; NULL: one that was taken out. */
struct ring {
	struct task **tasks;
	size_t head, tail, capacity; /* positions only grow */
	size_t count;
};

/* ---- The log ----------------------------------------------------------------------------- */

/* What started it all, for metadata. */
struct origin {
	unsigned refs;
	bool given; /* an event without a command; `id` is the event's */
	char id[UUID_SIZE];
	char *metadata;
};

struct topic {
	const char *name;
	const ProtobufCMessageDescriptor *type;
	struct memory_entity *entities;
};

struct memory_entity {
	struct topic *topic;
	struct logged *last;
	uint64_t version;
	uint64_t number;  /* in the order of first events, over all topics */
	unsigned indexed; /* bit i: it is in shop->indexes[i] */
	UT_hash_handle hh;
	char id[];
};

/* One event of the log; `state` and given strings are in the same block of memory. */
struct logged {
	unsigned refs;
	bool known; /* in shop->by_event_id */
	bool given;
	bool direct; /* of the command that `origin` is */
	struct topic *topic;
	const char *entity_id; /* "": of none */
	const char *type, *action;
	uint64_t version;
	uint64_t at_us;
	char event_id[UUID_SIZE], cause_id[UUID_SIZE];
	struct origin *origin;
	const ProtobufCMessage *state;
	char *json; /* made when asked for */
	UT_hash_handle hh;
};

/* An event that never comes: its command was refused. */
struct given_up {
	char event_id[UUID_SIZE];
	uint64_t at_us;
	UT_hash_handle hh; /* in their order */
};

/* The entities whose field has a value, in the order of their first events. */
struct index {
	struct topic *topic;
	const ProtobufCFieldDescriptor *field;
	char *value;
	struct memory_entity **entities;
	size_t count, capacity;
};

/* ---- Work -------------------------------------------------------------------------------- */

/* A process that serves a service. */
struct server {
	const struct service *service;
	bool stopped, frozen;
	unsigned armed[MEMORY_FAULTS];
	struct task *waiting; /* until it is started */
	struct run *runs;
	struct reaction *reactions;
};

/* Events of a topic for a service. */
struct group {
	struct server *server;
	struct topic *topic;
	struct {
		struct logged *logged;
		const struct saga *saga;
		uint64_t at_us;
	} recent[RECENT_MAX]; /* acknowledged last */
	size_t recent_next;
};

struct message {
	struct task task; /* its delivery */
	struct timer timer;
	char id[UUID_SIZE];
	const struct function *function;
	struct json *params;
	struct origin *origin;
	bool direct; /* it is what `origin` is about */
	enum delivery_state state;
	uint32_t attempts;
	unsigned runs;
	char *result; /* when done; NULL: error */
	struct error *error;
	struct waiter *waiters;
	uint64_t done_us;
	struct message *prev, *next; /* of those that are done, or dead */
	UT_hash_handle hh;
};

/* A reaction that waits for the outcome of a message. In the reaction's arena. */
struct waiter {
	struct message *message; /* NULL: not any more */
	struct reaction *reaction;
	struct need *need;
	struct waiter *prev, *next;
};

/* What a run or a reaction has loaded stays until it ends. */
struct hold {
	struct logged *logged;
	struct hold *next;
};

/* One command that runs. */
struct run {
	struct task task;
	struct timer timer;
	struct memory_shop *shop;
	struct arena *arena;
	struct context context;
	struct command command;
	const struct function *function;
	/* For one of: a message, a reaction of the same service, memory_shop_call. */
	struct message *message;
	struct reaction *caller;
	struct need *need;
	struct answer *answer;
	struct json *params; /* owned */
	struct origin *origin;
	bool direct;
	enum probe probe; /* the last one */
	bool undoing;
	bool comes_again; /* after a CONFLICT */
	unsigned tries;
	uint64_t sleep_ms;
	const struct batch *batch; /* to be appended; NULL: to be decided */
	const struct batch *undo;  /* appended, to be taken back if the rest fails */
	struct error failure;      /* while undoing */
	struct hold *held;
	struct run *prev, *next;
};

/* One event in one group. */
struct reaction {
	struct task task;
	struct timer pause, lease;
	struct group *group;
	const struct saga *saga;
	struct logged *logged;
	unsigned attempt;
	bool replayed; /* it may have been delivered before */
	bool parked;
	struct arena *arena; /* NULL: it is not being delivered */
	struct context context;
	struct event event;
	char entry_id[ENTRY_ID_SIZE];
	unsigned waiting; /* for so many answers */
	bool stuck;
	uint64_t pause_ms;
	struct parsed *parsed;
	struct hold *held;
	struct reaction *prev, *next;
};

struct memory_shop {
	struct arena *arena; /* of the fixture: what lives as long as the shop */
	const struct service *const *services;
	size_t service_count;
	struct server servers[SERVERS_MAX];
	struct group groups[GROUPS_MAX];
	size_t group_count;
	struct topic topics[TOPICS_MAX];
	size_t topic_count;
	struct pool pool;

	uint64_t random;
	bool in_order;
	uint64_t clock_us, last_us;
	struct memory_counts counts;
	uint64_t timer_number, message_number, entity_number;
	struct heap timers; /* what goes on by itself */
	struct heap leases; /* what only ends when the clock is moved */
	struct ring ring;

	struct logged **log;
	size_t log_first, log_count, log_capacity; /* kept: log[first .. first + count) */
	struct logged *by_event_id;
	struct given_up *given_up;
	bool keep_nothing;
	struct index indexes[INDEXES_MAX];
	size_t index_count;

	struct message *messages; /* by id */
	struct message *done, *dead;
	size_t dead_count;
	struct reaction *parked;
	size_t parked_count;

	void (*appended)(void *arg, const struct event *event);
	void *appended_arg;
	/* memory_shop_fixture.h */
	void (*meanwhile)(void *arg);
	void *meanwhile_arg;
	bool redeliver, crash;
};

/* ---- memory_shop.c ----------------------------------------------------------------------- */

/* Below `count`; 0 while everything is in order. */
size_t shop_pick(struct memory_shop *shop, size_t count);
void shop_make_id(struct memory_shop *shop, const char *kind, char out[UUID_SIZE]);
struct server *shop_server(struct memory_shop *shop, const char *service); /* NULL: none */

/* ---- memory_shop_time.c ------------------------------------------------------------------ */

void shop_timer_set(struct memory_shop *shop, struct heap *heap, struct timer *timer,
                    uint64_t at_us, void (*fire)(struct memory_shop *shop, struct timer *timer));
void shop_timer_clear(struct timer *timer);
void shop_fire_due(struct memory_shop *shop);

/* The task's turn comes; nothing if it is ready already. */
void shop_task_ready(struct memory_shop *shop, struct task *task);
/* Its turn comes when the server is started. */
void shop_task_wait(struct task *task);
/* Neither. */
void shop_task_drop(struct memory_shop *shop, struct task *task);
struct task *shop_task_take(struct memory_shop *shop); /* NULL: none is ready */

/* ---- memory_shop_log.c ------------------------------------------------------------------- */

struct topic *shop_topic(struct memory_shop *shop, const char *name); /* NULL: none */
struct memory_entity *shop_entity(struct memory_shop *shop, const char *topic, const char *id);
/* NULL: not there. */
const ProtobufCMessage *entity_state(const struct memory_entity *entity);

/* NULL: not known, or for longer than a day. */
struct logged *shop_log_known(struct memory_shop *shop, const char *event_id);
/* An event that is not known never comes. */
void shop_log_give_up(struct memory_shop *shop, const char *event_id);
bool shop_log_given_up(const struct memory_shop *shop, const char *event_id);
void logged_unref(struct memory_shop *shop, struct logged *logged);
void origin_unref(struct origin *origin);
struct origin *origin_create(bool given, const char *id, const char *metadata);

/* What is appended: an event of a rule, and what caused it. */
struct entry {
	const char *event_id, *type, *action, *topic, *entity_id; /* entity_id NULL: none */
	const ProtobufCMessage *state;
	const char *cause_id;
	struct origin *origin;
	bool direct;
	bool given; /* its strings are copied */
	bool unnoticed;
};
void shop_log_append(struct memory_shop *shop, const struct entry *entry);
/* Everything but metadata; `entry_id` gets the text. */
struct event logged_event(const struct logged *logged, char entry_id[ENTRY_ID_SIZE]);
const char *logged_metadata(struct arena *arena, const struct logged *logged);
/* Out of all lists. */
void shop_index_leave(struct memory_shop *shop, struct memory_entity *entity);
void shop_log_free(struct memory_shop *shop);

/* The answers to needs; what they point to is added to *held. */
void fill_entity(struct memory_shop *shop, struct arena *arena, struct need *need,
                 struct hold **held);
void fill_list(struct memory_shop *shop, struct arena *arena, struct need *need,
               struct hold **held);
void holds_release(struct memory_shop *shop, struct hold *held);

/* ---- memory_shop_queue.c ----------------------------------------------------------------- */

struct message *message_find(struct memory_shop *shop, const char *id);
/* Takes `params`; `id` is new. */
struct message *message_create(struct memory_shop *shop, struct server *server,
                               const struct function *function, const char *id, struct json *params,
                               struct origin *origin, bool direct);
/* The delivery ended with an answer; error NULL: `result`. */
void message_settle(struct memory_shop *shop, struct message *message, const char *result,
                    const struct error *error);
/* It ended without. */
void message_return(struct memory_shop *shop, struct message *message, const char *reason,
                    bool pause);
/* What is in flight is delivered again. */
void messages_redeliver(struct memory_shop *shop);
void messages_free(struct memory_shop *shop);

/* ---- memory_shop_run.c ------------------------------------------------------------------- */

/* Of a message that is delivered. */
void run_message(struct memory_shop *shop, struct message *message);
/* Of a function of the reaction's own service. */
void run_local(struct memory_shop *shop, struct reaction *caller, struct need *need);
void shop_run_kill(struct memory_shop *shop, struct run *run);
bool shop_error_passes(const struct error *err); /* of trying again */

/* ---- memory_shop_reaction.c -------------------------------------------------------------- */

/* To all groups that want it. */
void shop_log_deliver(struct memory_shop *shop, struct logged *logged, bool replayed);
void reaction_create(struct memory_shop *shop, struct group *group, const struct saga *saga,
                     struct logged *logged, bool replayed);
/* The reply to one need; error NULL: `result`. */
void reaction_answered(struct memory_shop *shop, struct reaction *reaction, struct need *need,
                       const char *result, const struct error *error);
/* Its process died. */
void reaction_return(struct memory_shop *shop, struct reaction *reaction);
void reaction_free(struct memory_shop *shop, struct reaction *reaction);
void groups_create(struct memory_shop *shop);
void groups_free(struct memory_shop *shop);

/* ---- memory_shop_fault.c ----------------------------------------------------------------- */

/* Was it armed? Then it happens now. */
bool fault_strikes(struct server *server, enum memory_fault fault);
/* False: a fault has put the delivery off, or the server does not take it now. */
bool fault_lets_deliver(struct memory_shop *shop, struct task *task, struct timer *timer,
                        void (*later)(struct memory_shop *shop, struct timer *timer));
void server_kill(struct memory_shop *shop, struct server *server);
void server_start(struct memory_shop *shop, struct server *server);

#endif
