/* What is in the log of the shop in memory. */
#include "domain/memory_shop_internal.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_MAX = 16 * 1024 * 1024 };

const char *memory_shop_get(struct memory_shop *shop, const char *topic, const char *id)
{
	const struct memory_entity *entity = shop_entity(shop, topic, id);
	if (entity_state(entity) == NULL)
		return NULL;
	struct logged *logged = entity->last;
	if (logged->json == NULL) {
		struct buffer json;
		buffer_init(&json, STATE_MAX);
		json_write_message(&json, logged->state);
		ASSERT(!json.overflow);
		logged->json = json.bytes;
	}
	return logged->json;
}

const void *memory_shop_state(struct memory_shop *shop, const char *topic, const char *id)
{
	return entity_state(shop_entity(shop, topic, id));
}

uint64_t memory_shop_version(struct memory_shop *shop, const char *topic, const char *id)
{
	const struct memory_entity *entity = shop_entity(shop, topic, id);
	return entity == NULL ? 0 : entity->version;
}

void memory_shop_each(struct memory_shop *shop, const char *topic_name,
                      void (*each)(void *arg, const char *id, const void *state), void *arg)
{
	struct topic *topic = shop_topic(shop, topic_name);
	struct memory_entity *entity, *next;
	if (topic == NULL)
		return;
	HASH_ITER(hh, topic->entities, entity, next)
	{
		if (entity_state(entity) != NULL)
			each(arg, entity->id, entity_state(entity));
	}
}

/* NULL: no more. */
static struct logged *log_at(struct memory_shop *shop, size_t i)
{
	return i < shop->log_count ? shop->log[shop->log_first + i] : NULL;
}

void memory_shop_replay(struct memory_shop *shop, const char *topic,
                        void (*each)(void *arg, const struct event *event), void *arg)
{
	struct arena *arena = pool_take(&shop->pool);
	for (size_t i = 0; log_at(shop, i) != NULL; i++) {
		const struct logged *logged = log_at(shop, i);
		char entry_id[ENTRY_ID_SIZE];
		struct event event = logged_event(logged, entry_id);
		if (topic != NULL && strcmp(logged->topic->name, topic) != 0)
			continue;
		event.metadata = logged_metadata(arena, logged);
		each(arg, &event);
		arena_reset(arena);
	}
	pool_give(&shop->pool, arena);
}

const char *memory_shop_metadata(struct memory_shop *shop, struct arena *arena,
                                 const char *event_id)
{
	struct logged *logged = NULL;
	if (uuid_valid(event_id))
		HASH_FIND(hh, shop->by_event_id, event_id, UUID_SIZE - 1, logged);
	return logged == NULL ? "" : logged_metadata(arena, logged);
}

size_t memory_shop_parked(const struct memory_shop *shop)
{
	return shop->parked_count;
}

void memory_shop_keep_nothing(struct memory_shop *shop)
{
	shop->keep_nothing = true;
}

void memory_shop_forget(struct memory_shop *shop, const char *topic, const char *id)
{
	struct memory_entity *entity = shop_entity(shop, topic, id);
	if (entity == NULL)
		return;
	shop_index_leave(shop, entity);
	HASH_DEL(entity->topic->entities, entity);
	logged_unref(shop, entity->last);
	free(entity);
}
