/* memory_shop.h - the whole shop without processes: the rules of all services on a log, a queue and
 * groups in memory, under a clock of its own.
 *
 *   memory_shop_send --> queue --> delivery --> decide --> append --> log
 *                          ^                                           |
 *                          '------- reaction <--- groups <-------------'
 *
 * Nothing here does I/O, reads a clock or draws random numbers: the same calls give the same bytes on
 * every machine. What is sent, and what follows from events, happens in small steps that run when they
 * are asked for: a delivery, a load, one append, one turn of a reaction. With a seed they run in an
 * order that the seed decides, so that commands and sagas overtake each other as they do in life; with
 * seed 0 in the order in which they came.
 *
 * Queue and groups keep the rules of the real ones: leases, attempts, pauses, dead letters, parked
 * events, outcomes that are kept for a while, events dropped whose id is known from the last day. Every
 * append checks what the store would check. For scenarios, the simulator, replays and tests.
 *
 * Identical histories have identical entry ids: an event takes the time of the clock, moved one
 * microsecond past the event before it, over all topics. */
#ifndef DOMAIN_MEMORY_SHOP_H
#define DOMAIN_MEMORY_SHOP_H

#include "base/id.h"
#include "domain/decide.h"

struct memory_shop;

/* For those to whom the time is all the same: November 2023. */
#define MEMORY_SHOP_START_US UINT64_C(1700000000000000)
/* The clock stops with the year 9999. */
#define MEMORY_SHOP_END_US UINT64_C(253402300800000000)

/* Entry ids begin at `start_us`, microseconds since 1970. */
struct memory_shop *memory_shop_create(uint64_t seed, uint64_t start_us);
void memory_shop_destroy(struct memory_shop *shop); /* NULL is fine */
/* Other services than those of the shop, which outlive it. Before anything else. */
void memory_shop_use(struct memory_shop *shop, const struct service *const *services, size_t count);

/* ---- Time -------------------------------------------------------------------------------- */

/* A step takes 50 microseconds; else the clock moves when it is told to, and when the shop settles. */
uint64_t memory_shop_clock(const struct memory_shop *shop);
/* Moves the clock; it never goes back, an earlier time is no move. What is due until then becomes
 * ready: pauses and delays end, leases run out. It happens in the next steps. */
void memory_shop_set_clock(struct memory_shop *shop, uint64_t us);
void memory_shop_advance(struct memory_shop *shop, uint64_t us);

/* ---- Commands ---------------------------------------------------------------------------- */

struct memory_message {
	const char *service;    /* "order" */
	const char *function;   /* "create_orders" */
	const char *message_id; /* UUID; NULL: a seeded one. A known one is a repeated delivery. */
	const char *params;     /* JSON; NULL: none */
	const char *metadata;   /* JSON object; NULL: none */
};
struct answer {
	const char *result; /* JSON; NULL if error is set */
	struct error error;
	bool passing; /* of memory_shop_call: the service would decide again in a moment */
};

/* Runs the command to its end, past the queue and all that waits, even if its service is stopped.
 * Also functions that are not for the queue. The result lives in `arena`. */
struct answer memory_shop_call(struct memory_shop *shop, struct arena *arena,
                               const struct memory_message *message);
/* Puts the command on the queue; `id` (may be NULL) becomes its message id. An id that is on the
 * queue, or whose outcome is known, runs once. ERR_NOT_FOUND names a function that nobody serves. */
MUST_USE bool memory_shop_send(struct memory_shop *shop, const struct memory_message *message,
                               char id[UUID_SIZE], struct error *err);
/* The outcome of what was sent; false: there is none yet, or it is forgotten (10 minutes after its
 * end). Of a dead letter: ERR_INTERNAL. Lives until the next step or call. */
bool memory_shop_outcome(struct memory_shop *shop, const char *message_id, struct answer *answer);

/* An event that no command made. It takes the next version of its entity. */
struct memory_event {
	const char *topic, *type, *action, *entity_id;
	const char *event_id;          /* UUID; NULL: a seeded one. A known one: nothing happens. */
	const ProtobufCMessage *state; /* copied; or, if NULL: */
	const char *data;              /* its JSON */
	const char *metadata;          /* JSON object; NULL: none */
	bool unnoticed;                /* nobody reacts to it */
};
/* The strings are copied. ERR_INVALID names the field. */
MUST_USE bool memory_shop_give(struct memory_shop *shop, const struct memory_event *event,
                               struct error *err);

/* ---- What happens ------------------------------------------------------------------------ */

/* Runs at most `steps` steps; false: there was nothing left to do but to wait for the clock. */
bool memory_shop_step(struct memory_shop *shop, size_t steps);
/* So far: steps, and how messages ended, also those of the services among themselves. */
struct memory_counts {
	uint64_t steps, accepted, refused;
};
struct memory_counts memory_shop_counts(const struct memory_shop *shop);
/* Moves the clock to where the next pause or delay ends; false: there is none. */
bool memory_shop_wait(struct memory_shop *shop);
/* Runs all that is left, and moves the clock over pauses and delays; leases end only if the clock
 * comes past them. What belongs to services that are stopped stays. */
void memory_shop_settle(struct memory_shop *shop);
/* Nothing is on its way, and nothing is set aside: no message, no reaction, no pause, no dead letter. */
bool memory_shop_settled(const struct memory_shop *shop);

/* Called for each event when it is in the log, with everything but metadata and
 * `redelivered`. What it points to lives for the call. Must not call the shop, but memory_shop_metadata. */
void memory_shop_watch(struct memory_shop *shop,
                       void (*appended)(void *arg, const struct event *event), void *arg);
/* Events are not kept: they go when nobody needs them any more and the day has passed in which their
 * ids are known. For histories larger than memory; iterators then see what is still there. */
void memory_shop_keep_nothing(struct memory_shop *shop);
/* Forgets an entity that nobody will name again. */
void memory_shop_forget(struct memory_shop *shop, const char *topic, const char *id);

/* ---- Faults ------------------------------------------------------------------------------ */

/* `service` of these: "order"; ERR_NOT_FOUND for an unknown one. */

enum memory_fault {
	MEMORY_STOP,   /* finishes what it has, takes nothing more */
	MEMORY_START,  /* after a stop, a kill or a freeze; else nothing */
	MEMORY_KILL,   /* loses what it has, at any point; then as stopped. */
	MEMORY_FREEZE, /* stands still, so that its leases may end, until it is started */
	/* Of the next message or event that the service gets: */
	MEMORY_DUPLICATE, /* it is delivered to a second instance as well */
	MEMORY_DELAY,     /* it is delivered when the clock has moved by a second */
	MEMORY_REORDER,   /* it is delivered after those that wait now */
	/* Of the next append of the service: */
	MEMORY_LOSE_REPLY, /* the answer is lost, the append is sent again */
	MEMORY_CRASH,      /* it is written, then the service is killed and started */
	/* Of the next command that the service ends: */
	MEMORY_LOSE_OUTCOME, /* nobody hears of it, the message is delivered again */
	MEMORY_FAULTS
};
const char *memory_fault_name(enum memory_fault fault); /* "lose_reply" */
bool memory_fault_stops(enum memory_fault fault);       /* until the service is started */
MUST_USE bool memory_shop_fault(struct memory_shop *shop, enum memory_fault fault,
                                const char *service, struct error *err);
/* Redis and what stands on it restarts with all that is on disk: what is in flight is delivered
 * again, events too whose acknowledgement of the last 100 ms was not saved. */
void memory_shop_restart_redis(struct memory_shop *shop);

/* Messages that are dead letters, and events that a group has set aside. */
size_t memory_shop_dead(const struct memory_shop *shop);
size_t memory_shop_parked(const struct memory_shop *shop);
/* All of them are tried again, with all attempts. */
void memory_shop_requeue(struct memory_shop *shop);

/* ---- What is there ----------------------------------------------------------------------- */

/* The state as JSON; NULL: none. Lives until the entity changes, or as long as the shop if it
 * keeps its events. */
const char *memory_shop_get(struct memory_shop *shop, const char *topic, const char *id);
/* The state as a message; lives as long. NULL: none. */
const void *memory_shop_state(struct memory_shop *shop, const char *topic, const char *id);
/* Its version; 0: never written. */
uint64_t memory_shop_version(struct memory_shop *shop, const char *topic, const char *id);
/* Calls `each` for all entities of the topic that are there, in the order of their first events. */
void memory_shop_each(struct memory_shop *shop, const char *topic,
                      void (*each)(void *arg, const char *id, const void *state), void *arg);

/* Calls `each` for all events of the topic (NULL: of all), oldest first, with metadata. The event's
 * strings live for the call, its state as long as the event. */
void memory_shop_replay(struct memory_shop *shop, const char *topic,
                        void (*each)(void *arg, const struct event *event), void *arg);
/* The metadata of an event that is kept, as the services would have written it; "" for an unknown id. */
const char *memory_shop_metadata(struct memory_shop *shop, struct arena *arena,
                                 const char *event_id);
#endif
