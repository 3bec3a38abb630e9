/* cache.h - the service's own entities as they will be when the appends in flight are done.
 *
 *            cache_put (loaded)        cache_put (predicted), hold        release
 *   unknown ------------------> known ---------------------------> held ---------> known
 *      ^                          |                                  |
 *      '--- least recently used --'          drop (conflict) --------'--> unknown
 *
 * A decision is made on the predicted state, so commands for one entity need not wait for each
 * other's appends. The store checks the versions, and that they were made by the events that were
 * predicted: another instance may have been faster with the same number. So when one append fails
 * the later ones of that entity fail too; it is dropped, loaded and decided again.
 *
 * The cache is never the truth: it may be behind another instance of the service. */
#ifndef DOMAIN_CACHE_H
#define DOMAIN_CACHE_H

#include "base/arena.h"
#include "base/id.h"

struct cache;

struct cached {
	const char *id;
	uint64_t version;
	bool exists;         /* false: never written (version 0), or deleted */
	uint64_t generation; /* differs when it was dropped and put again */
	char made_by
	    [UUID_SIZE]; /* the last event of an append in flight; "": it is known to be so */
};

/* Keeps at most about `max_bytes`; what is held does not go. */
struct cache *cache_create(const ProtobufCMessageDescriptor *type, size_t max_bytes);
void cache_destroy(struct cache *cache);

/* NULL: unknown. Valid until the next cache_put, cache_drop. */
const struct cached *cache_find(struct cache *cache, const char *id);
/* The entity, unpacked into the arena; NULL if it does not exist. */
const ProtobufCMessage *cache_state(const struct cached *cached, struct arena *arena);
/* `state` NULL: it does not exist. */
const struct cached *cache_put(struct cache *cache, const char *id, uint64_t version,
                               const ProtobufCMessage *state);
/* Forgets the entity, if it is still of this generation. */
void cache_drop(struct cache *cache, const char *id, uint64_t generation);

/* One more, one less append in flight; `event_id` is its event of this entity. */
void cache_hold(const struct cached *cached, const char *event_id);
void cache_release(struct cache *cache, const char *id, uint64_t generation);

size_t cache_bytes(const struct cache *cache);

#endif
