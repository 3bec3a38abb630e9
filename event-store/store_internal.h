/* store_internal.h - store.c: events and the registry; store_group.c: groups;
 * store_disk.c: what Redis does with it all. (store_tail.c has connections of its own.) */
#ifndef EVENT_STORE_STORE_INTERNAL_H
#define EVENT_STORE_STORE_INTERNAL_H

#include "event-store/store.h"

/* The kinds of keys of a topic: "kind:{topic}", some with more after it. */
#define EVENTS       "events"
#define ENTITIES     "entities"
#define RECENT       "recent"
#define GROUPS       "groups"
#define OWNERS       "owners"
#define PARKED       "parked"
#define INDEX        "parked_ids"
#define REPLAYS      "replays"
#define TOPICS       "topics"
#define IMPORT       "import"        /* the state of the topic's import */
#define STAGED       "import_events" /* its stream, with its token behind the topic */
#define STAGED_HEADS "import_entities"

enum { HOOKS_MAX = 4 };

struct store {
	struct loop *loop;
	struct {
		void (*fn)(void *arg);
		void *arg;
	} hooks[HOOKS_MAX];
	size_t hook_count;
	struct redis *writes;
	struct redis *reads;
	/* Appends that wait for replicas, which holds up what comes after them. */
	struct redis *replicated;
	struct redis *imports; /* much at a time */
	enum store_disk disk;
	redis_done *ping_done;
	void *ping_arg;
	struct redis_command command; /* of everything but appends */
};

/* The store's one command, cleared, with its name. */
struct redis_command *store_begin(struct store *store, const char *name);
/* `topic` is a checked name. */
void store_add_key(struct redis_command *command, const char *kind, const char *topic);
void store_add_id(struct redis_command *command, struct entry_id id, bool exclusive);
/* "recent:{topic}:<n>", a bucket of the dedupe window: of BUCKET_HOURS since the epoch, kept BUCKET_LIFE_S. */
enum {
	BUCKET_HOURS = 12, /* the window of 24 hours: this bucket and the two before */
	BUCKET_LIFE_S = 37 * 3600
};
void store_add_bucket(struct redis_command *command, const char *topic, uint64_t bucket);

#endif
