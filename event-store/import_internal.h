/* import_internal.h - import.c: the method Import and its life; import_steps.c: from its start to its end;
 * import_run.c: messages with events on their way to Redis.
 *
 *              .-> UNDO (a topic is refused)
 *   start --> BEGIN --> OPEN --finish--> SEIZE --owners of groups are gone--> PUBLISH --> REGISTER --> RELEASE
 *                        ^ |
 *                        '-' events               OPEN --abandon--> ABANDON
 *
 * SEIZE takes the groups from those who serve them, PUBLISH makes the history the topic's own, REGISTER lets live
 * readers know, RELEASE unlocks. Every step may be repeated by a call that goes on with the import. */
#ifndef EVENT_STORE_IMPORT_INTERNAL_H
#define EVENT_STORE_IMPORT_INTERNAL_H

#include "event-store/service_internal.h"

#include <uthash.h>

enum import_step {
	IMPORT_NEW,
	IMPORT_BEGIN,
	IMPORT_UNDO,
	IMPORT_OPEN,
	IMPORT_SEIZE,
	IMPORT_PUBLISH,
	IMPORT_REGISTER,
	IMPORT_RELEASE,
	IMPORT_ABANDON,
	IMPORT_OVER,
	IMPORT_STEPS
};

#define IMPORT_IS_SEALED "abandon: the import was being finished; finish it"

struct import_run;

struct import_topic {
	struct import *import;
	struct store_import key; /* its topic, and the token of the call */
	uint64_t events;         /* noted, in this call or before */
	struct entry_id first, last;
	struct entry_id before;  /* the last one when the call began: up to here it has all */
	struct entry_id sent;    /* by the client */
	struct entry_id written; /* to Redis, noted or not */
	bool begun;
	bool finished;
	struct import_run *run; /* of the message that is looked at */
	const char *(*groups)[2];
	size_t group_count, group_capacity;
	UT_hash_handle hh;
};

/* A message with events, until Redis has all of it. */
struct import_message {
	struct import *import;
	struct arena *arena;
	uint64_t events, skipped;
	size_t bytes;
	size_t runs; /* not noted yet */
	struct import_message *prev, *next;
};

struct import {
	struct event_store *store;
	struct rpc_call *call; /* NULL: ended */
	struct arena *arena;
	char token[UUID_SIZE];
	const char *id;
	struct import_topic *topics, *by_name;
	size_t topic_count;
	bool sealed; /* a topic was published: all that is left to do is to finish */
	enum import_step step;
	/* What follows when all messages are noted; IMPORT_NEW: nothing yet. */
	enum import_step ending;
	size_t asked;     /* answers of Redis that refer to this */
	size_t left;      /* of the step */
	uint64_t wait_ms; /* until nobody serves a group of the topics */
	struct loop_timer timer;
	struct error failure;
	struct import_message *messages;
	size_t bytes; /* of them */
	bool paused, half_closed;
	uint64_t received, done, skipped; /* events */
};

/* import.c */
/* Ends the call, once. */
void import_fail(struct import *import, const struct error *err);
/* One answer less to come; false: nobody is there any more, and `import` may be gone. */
bool import_answered(struct import *import);
/* A message was noted, or events were taken in. */
void import_progress(struct import *import);
/* import_steps.c */
void import_do_step(struct import *import, enum import_step which);
/* What import.lua or Redis said instead of an answer of this shape; false: nothing, it is one. */
bool import_refused(const struct import_topic *topic, const struct redis_value *value,
                    const char *shape, const struct error *err, struct error *failure);

/* import_run.c */
/* False: an event is wrong, and nothing of them was sent. */
MUST_USE bool import_take(struct import *import, Es__Event *const *events, size_t count,
                          struct error *err);
void import_message_free(struct import_message *message);

#endif
