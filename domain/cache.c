#include "domain/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct entry {
	struct cached cached; /* first: callers have only this */
	const ProtobufCMessageDescriptor *type;
	unsigned held;
	uint8_t *packed;
	size_t len, capacity;
	UT_hash_handle hh;
	struct entry *prev, *next; /* least recently used first */
	char id[];
};

struct cache {
	const ProtobufCMessageDescriptor *type;
	size_t max_bytes, bytes;
	uint64_t generation;
	struct entry *entries;
	struct entry *by_use;
};

struct cache *cache_create(const ProtobufCMessageDescriptor *type, size_t max_bytes)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	ASSERT(cache != NULL);
	cache->type = type;
	cache->max_bytes = max_bytes;
	return cache;
}

static size_t entry_bytes(const struct entry *entry)
{
	return sizeof(*entry) + strlen(entry->id) + 1 + entry->capacity;
}

static void entry_remove(struct cache *cache, struct entry *entry)
{
	cache->bytes -= entry_bytes(entry);
	HASH_DEL(cache->entries, entry);
	DL_DELETE(cache->by_use, entry);
	free(entry->packed);
	free(entry);
}

void cache_destroy(struct cache *cache)
{
	if (cache == NULL)
		return;
	while (cache->by_use != NULL)
		entry_remove(cache, cache->by_use);
	free(cache);
}

static struct entry *entry_find(struct cache *cache, const char *id)
{
	struct entry *entry;
	HASH_FIND_STR(cache->entries, id, entry);
	return entry;
}

static void touch(struct cache *cache, struct entry *entry)
{
	DL_DELETE(cache->by_use, entry);
	DL_APPEND(cache->by_use, entry);
}

const struct cached *cache_find(struct cache *cache, const char *id)
{
	struct entry *entry = entry_find(cache, id);
	if (entry == NULL)
		return NULL;
	touch(cache, entry);
	return &entry->cached;
}

const ProtobufCMessage *cache_state(const struct cached *cached, struct arena *arena)
{
	const struct entry *entry = (const struct entry *)cached;
	if (!cached->exists)
		return NULL;
	const ProtobufCMessage *state = protobuf_c_message_unpack(
	    entry->type, arena_allocator(arena), entry->len, entry->packed);
	ASSERT(state != NULL); /* we packed it */
	return state;
}

/* Held ones and the newest are passed over, as far as a small number of looks goes. */
static void make_room(struct cache *cache, const struct entry *newest)
{
	for (int looks = 0; cache->bytes > cache->max_bytes && looks < 16; looks++) {
		struct entry *oldest = cache->by_use;
		if (oldest->held > 0 || oldest == newest)
			touch(cache, oldest);
		else
			entry_remove(cache, oldest);
	}
}

static struct entry *entry_add(struct cache *cache, const char *id)
{
	size_t len = strlen(id);
	struct entry *entry = calloc(1, sizeof(*entry) + len + 1);
	ASSERT(entry != NULL);
	memcpy(entry->id, id, len + 1);
	entry->cached.id = entry->id;
	entry->cached.generation = ++cache->generation;
	entry->type = cache->type;
	HASH_ADD_KEYPTR(hh, cache->entries, entry->id, len, entry);
	DL_APPEND(cache->by_use, entry);
	cache->bytes += entry_bytes(entry);
	return entry;
}

const struct cached *cache_put(struct cache *cache, const char *id, uint64_t version,
                               const ProtobufCMessage *state)
{
	struct entry *entry = entry_find(cache, id);
	if (entry == NULL)
		entry = entry_add(cache, id);
	else
		touch(cache, entry);
	entry->cached.version = version;
	entry->cached.exists = state != NULL;
	entry->len = state == NULL ? 0 : protobuf_c_message_get_packed_size(state);
	if (entry->len > entry->capacity) {
		uint8_t *packed = realloc(entry->packed, entry->len);
		ASSERT(packed != NULL);
		entry->packed = packed;
		cache->bytes += entry->len - entry->capacity;
		entry->capacity = entry->len;
	}
	if (state != NULL)
		protobuf_c_message_pack(state, entry->packed);
	make_room(cache, entry);
	return &entry->cached;
}

void cache_drop(struct cache *cache, const char *id, uint64_t generation)
{
	struct entry *entry = entry_find(cache, id);
	if (entry != NULL && entry->cached.generation == generation)
		entry_remove(cache, entry);
}

void cache_hold(const struct cached *cached, const char *event_id)
{
	struct entry *entry = (struct entry *)cached;
	entry->held++;
	snprintf(entry->cached.made_by, UUID_SIZE, "%s", event_id);
}

void cache_release(struct cache *cache, const char *id, uint64_t generation)
{
	struct entry *entry = entry_find(cache, id);
	if (entry == NULL || entry->cached.generation != generation)
		return;
	ASSERT(entry->held > 0);
	if (--entry->held == 0)
		entry->cached.made_by[0] = '\0';
}

size_t cache_bytes(const struct cache *cache)
{
	return cache->bytes;
}
