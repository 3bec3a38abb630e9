/* event.h - events as they were read from Redis, and how many readers share them.
 *
 *   batch   what one read brought: the events and the arena that holds their bytes
 *   slice   some of these events in the order of delivery, perhaps from several batches;
 *           it keeps their batches, and is what subscribers and groups hold
 *
 * Reference counts are not atomic: a batch may be made on any thread, and is then used by the
 * loop's alone. */
#ifndef EVENT_STORE_EVENT_H
#define EVENT_STORE_EVENT_H

#include "base/arena.h"
#include "base/id.h"
#include "base/redis.h"
#include "proto/eventstore_v1.pb-c.h"

struct event_batch;

struct event {
	Es__Event message; /* strings in the batch's arena */
	struct entry_id id;
	size_t bytes; /* about what it takes in a message */
	struct event_batch *batch;
};

struct event_batch {
	unsigned refs;
	struct arena *arena;
	struct event **events;
	size_t count, capacity;
	size_t bytes;
};

struct event_batch *event_batch_create(void); /* with one reference */
void event_batch_unref(struct event_batch *batch);
/* Appends the entries of one topic, as XRANGE answers them. False: an entry that is no event of
 * ours (no id that can be read); the others are appended all the same. `topic` is copied. */
bool event_batch_add(struct event_batch *batch, const char *topic,
                     const struct redis_value *entries);

/* The merged order: by entry id, then by topic. */
int event_compare(const struct event *a, const struct event *b);
int event_compare_position(const struct event *event, struct entry_id id, const char *topic);

struct event_slice {
	unsigned refs;
	struct event **events;
	size_t count, capacity;
	size_t bytes;
	/* About the memory that it keeps: all of each batch that it has an event of. */
	size_t pinned;
	const struct event_batch *recent[4]; /* that were counted */
	size_t batches;
	/* The whole slice as messages, made by the first subscriber and sent by all (subscription.c). */
	struct rpc_packed **packed;
	size_t packed_count;
};

struct event_slice *event_slice_create(void); /* with one reference */
struct event_slice *event_slice_ref(struct event_slice *slice);
void event_slice_unref(struct event_slice *slice);
void event_slice_add(struct event_slice *slice, struct event *event);
void event_slice_sort(struct event_slice *slice); /* into the merged order */
/* Removes the first `count` events. Not for slices that others hold. */
void event_slice_drop(struct event_slice *slice, size_t count);

#endif
