/* decide.h - what a rule of the shop sees, and all that it can do.
 *
 * A rule is a pure function: no I/O, no clock, no randomness. There are two kinds, and both are
 * restartable: a rule asks for what it needs, and returns STEP_MORE when something of it is not
 * there yet; whoever runs it fetches all that was asked for in one batch and calls the rule again
 * from its start, with everything known so far. What an earlier call emitted is forgotten.
 *
 *   command --> decide --> events | error         saga:  event --> react --> commands
 *                 ^  |                                             ^    |
 *                 |  '- decide_load(topic, id)                     |    '- react_load, react_list,
 *                states                                        states,     react_call, react_send
 *                                                              replies
 *
 * The service runs rules against the event store (runtime.h, saga_runtime.h); a simulator runs the
 * same rules in memory by the second half of this header.
 *
 * A rule file (customer.c is the pattern, rules.h what they share) defines its functions and one
 * `struct service` with the tables of them; services.[ch] list the services. Rules must be
 * repeatable: messages and events are delivered at least once, so
 *   - entity, event and message ids are derived from the message or event that caused them, never
 *     made; the store drops an event whose id it has;
 *   - a decider writes its result from the params alone, then returns if `command->applied`;
 *   - a reaction takes an error reply such as NOT_FOUND as "somebody was faster" and goes on. */
#ifndef DOMAIN_DECIDE_H
#define DOMAIN_DECIDE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json.h"

#include <uthash.h>

struct context;      /* one run of one rule */
struct entity_rules; /* rules.h */

enum step {
	STEP_DONE,
	STEP_MORE,   /* something asked for is not there yet */
	STEP_FAILED, /* by decide_fail */
};

/* An entity as of when it was asked for, including what this decision had emitted for it. */
struct entity {
	const char *topic;
	const char *id;
	uint64_t version; /* 0: never written */
	const ProtobufCMessage
	    *state; /* Shop__Order of topic order, ...; NULL: not there, or deleted */
	const ProtobufCMessage *last; /* of a deleted one: its last state; else NULL */
};

/* Everything that rules allocate goes here and lives as long as the run. */
struct arena *context_arena(struct context *context);

/* ---- Deciders ---------------------------------------------------------------------------- */

struct command {
	const char *function;
	const struct entity_rules *rules; /* of the function's row */
	const char *message_id;
	const struct json *params; /* NULL: none given */
	uint64_t now_us;           /* wall clock, the same in every call of one run */
	/* The message was delivered again and its events are in the log already: write the result,
	 * return STEP_DONE, look at no state. */
	bool applied;
};

typedef enum step decide_function(struct context *context, const struct command *command);

/* The entity, or NULL when it is not there yet. Ask for all that you need before STEP_MORE. */
const struct entity *decide_load(struct context *context, const char *topic, const char *id);
/* The same for an entity that should not exist: without a load it is taken as not there, and the
 * append checks that. If that fails the decision runs again and this loads. */
const struct entity *decide_load_new(struct context *context, const char *topic, const char *id);

/* The id of the index-th entity that this command creates, unless its params give one. */
const char *decide_id(struct context *context, size_t index);
/* v5(space, name): for entities of which there is one per `space`, such as billings. */
const char *derive_id(struct context *context, const char *space, const char *name);

#define ENTITY_CREATED "entity_created"
#define ENTITY_UPDATED "entity_updated"
#define ENTITY_DELETED "entity_deleted"

/* The most events of one batch. */
enum { BATCH_MAX = 256 };

/* Emits an event: "OrderPlaced", ENTITY_CREATED, "order", id, the entity after it (of a deletion:
 * the last state). The entity must have been loaded; the append checks that it still is as loaded.
 * `id` NULL: an event of no entity, such as a mail.
 *
 * Events of one topic are one atomic batch; batches are appended in the order in which their topics
 * were first used, each when the one before is in the log. The service's own topic must be last. */
void decide_event(struct context *context, const char *type, const char *action, const char *topic,
                  const char *id, const ProtobufCMessage *state);
/* What takes an event of an earlier batch back, if a later batch or the decision after a conflict
 * fails for good. Same arguments; follows the event that it undoes. */
void decide_undo(struct context *context, const char *type, const char *topic, const char *id,
                 const ProtobufCMessage *state);

/* The result, as JSON; decide_true: true. */
struct buffer *decide_result(struct context *context);
void decide_true(struct context *context);
/* Always STEP_FAILED. The message names the field or the entity. */
enum step decide_fail(struct context *context, enum error_code code, const char *format, ...)
    PRINTF(3, 4);
/* The same for what will probably be right in a moment, such as the billing of an order whose
 * stock is being reserved: the runner decides again for a while before it fails. */
enum step decide_fail_for_now(struct context *context, const char *format, ...) PRINTF(2, 3);

/* Reads params by descriptor (json.h says what is checked); NULL after decide_fail. `present` may be
 * NULL. */
void *decide_read(struct context *context, const struct json *value,
                  const ProtobufCMessageDescriptor *type, json_fields *present);
/* A required string member of an object; NULL after decide_fail. */
const char *decide_text(struct context *context, const struct json *params, const char *name);

/* ---- Reactions --------------------------------------------------------------------------- */

/* An event of the log. */
struct event {
	const char *event_id;
	const char *topic;
	const char *entry_id;
	const char *type;
	const char *action;
	const char *entity_id;
	uint64_t version;
	const ProtobufCMessage *state; /* the entity after the event; of a deletion: before it */
	const char *metadata;          /* JSON object, or "" */
	bool redelivered;              /* for the runner: it may have been reacted to before */
};

typedef enum step react_function(struct context *context, const struct event *event);

struct reply {
	const struct json *result; /* NULL if error is set */
	struct error error; /* only of INVALID, NOT_FOUND, EXISTS, PRECONDITION; a rule never sees
	                     * others: the runner tries again, or sets the event aside */
};

struct entity_list {
	size_t count;
	const struct entity *entities;
};

/* The entity as the store has it; NULL: not there yet. */
const struct entity *react_load(struct context *context, const char *topic, const char *id);
/* All entities of the read model whose `field` has the value, at least as of the event that is
 * reacted to; NULL: not there yet. */
const struct entity_list *react_list(struct context *context, const char *topic, const char *field,
                                     const char *value);
/* Runs a function of a service ("inventory", "reserve"; the own service's run in this process) and
 * gives its reply; NULL: not there yet. Calls of one function are told apart by `key` (NULL for a
 * single one), and the message id is v5(event id, "service.function", key). `params`: JSON text. */
const struct reply *react_call(struct context *context, const char *service, const char *function,
                               const char *key, const char *params);
/* The same without waiting for the reply. The event counts as handled once the message is on disk. */
void react_send(struct context *context, const char *service, const char *function, const char *key,
                const char *params);

/* ---- Tables ------------------------------------------------------------------------------ */

struct function {
	const char *name; /* "create_customers" */
	decide_function *decide;
	/* For rules_create and its like: of which entity. */
	const struct entity_rules *rules;
	/* Of the events that may go before those of the service's own topic; NULL: there are none. */
	const char *first_topic;
	/* Only for the sagas of the same service, never taken from the queue. */
	bool local;
};

struct saga {
	const char *topic;
	const char *event_types[8]; /* ended by NULL */
	react_function *react;
};

struct service {
	const char *name;  /* "customer": queues "customer-service", consumer group "customer" */
	const char *topic; /* of its own entities; NULL: none */
	const struct function *functions;
	size_t function_count;
	const struct saga *sagas;
	size_t saga_count;
};

extern const struct service *const domain_services[];
extern const size_t domain_service_count;
const struct service *domain_service_find(const char *name); /* NULL: none */
const struct function *domain_service_function(const struct service *service, const char *name);
/* The message type of a topic's entities; NULL: of no entity. */
const ProtobufCMessageDescriptor *entity_type(const char *topic);
/* The data of an event of the log as an entity of its topic, also with fields of another version. NULL: it is none,
 * `err` says why. */
ProtobufCMessage *entity_read(struct arena *arena, const char *topic, const char *data,
                              struct error *err);

/* ---- For those who run rules ------------------------------------------------------------- */

enum need_kind { NEED_ENTITY, NEED_LIST, NEED_CALL, NEED_SEND };

/* Something that a rule has asked for. Its runner fills the answer in and sets `known`. */
struct need {
	enum need_kind kind;
	bool known;
	bool assumed; /* an entity taken as not there by decide_load_new; the append decides */
	/* NEED_ENTITY; `loaded` is what the runner knows, the rule sees its events applied to it. */
	struct entity loaded;
	const struct entity *seen;
	/* NEED_LIST: topic is loaded.topic. */
	const char *field, *value;
	struct entity_list list;
	/* NEED_CALL, NEED_SEND */
	const char *service, *function, *key, *params, *message_id;
	struct reply reply;
	/* Free for the runner: where the state came from, and what the store has to find. */
	void *runner;
	uint64_t generation;
	const char *made_by; /* event id; NULL: the version says it all */
	struct need *next;
	UT_hash_handle hh; /* by what identifies it */
};

struct new_event {
	const char *event_id; /* v5(message id, topic, index within the topic) */
	const char *type;
	const char *action;
	const char *topic;
	const char *entity_id; /* NULL: of no entity */
	const ProtobufCMessage *state;
	uint64_t expected_version; /* exact */
	bool expect_none;          /* instead: must not exist */
	struct need *need;         /* of the entity; NULL without one */
	uint64_t runner;           /* free for the runner */
	struct new_event *next;
};

/* Events of one topic, to be appended as one. */
struct batch {
	const char *topic;
	size_t count;
	struct new_event *events, *last;
	struct new_event *undo; /* NULL: none */
	struct batch *next;
};

struct context {
	struct arena *arena;
	struct need *needs; /* all asked for so far, oldest first */
	struct need *last_need;
	struct need *needs_by_key;
	/* Makes decide_load_new load: set after an append failed. */
	bool assume_nothing;

	/* What the last call made. */
	struct batch *batches;
	struct buffer result;
	struct error error;
	bool passing; /* by decide_fail_for_now */

	const char *cause_id; /* message id of a command, event id of a reaction */
};

/* `arena` must be empty and outlive the context. `cause_id` is borrowed. */
void context_init(struct context *context, struct arena *arena, const char *cause_id);
void context_free(struct context *context); /* not the arena */
/* Calls the rule. STEP_MORE: there are needs that are not known. */
enum step context_decide(struct context *context, decide_function *decide,
                         const struct command *command);
enum step context_react(struct context *context, react_function *react, const struct event *event);
/* Forgets the entities, so that the next call loads them again. */
void context_forget(struct context *context);

/* The event id by which a runner can ask whether a command was applied: that of the first event
 * in the service's own topic. */
void applied_event_id(const char *message_id, const char *topic, char out[37]);

#endif
