#include "domain/memory_shop_internal.h"

#include "domain/metadata.h"
#include "domain/state_copy.h"

#include <stdlib.h>
#include <string.h>

#define DAY_US (UINT64_C(1000000) * EVENT_ID_KEPT_S)

struct topic *shop_topic(struct memory_shop *shop, const char *name)
{
	for (size_t i = 0; i < shop->topic_count; i++) {
		if (shop->topics[i].name == name || strcmp(shop->topics[i].name, name) == 0)
			return &shop->topics[i];
	}
	return NULL;
}

static struct memory_entity *find(struct topic *topic, const char *id)
{
	struct memory_entity *entity;
	HASH_FIND_STR(topic->entities, id, entity);
	return entity;
}

struct memory_entity *shop_entity(struct memory_shop *shop, const char *topic_name, const char *id)
{
	struct topic *topic = shop_topic(shop, topic_name);
	return topic == NULL ? NULL : find(topic, id);
}

static bool is_deletion(const struct logged *logged)
{
	return strcmp(logged->action, ENTITY_DELETED) == 0;
}

const ProtobufCMessage *entity_state(const struct memory_entity *entity)
{
	return entity == NULL || is_deletion(entity->last) ? NULL : entity->last->state;
}

/* ---- What is kept ------------------------------------------------------------------------ */

struct origin *origin_create(bool given, const char *id, const char *metadata)
{
	size_t len = metadata == NULL ? 0 : strlen(metadata);
	struct origin *origin = malloc(sizeof(*origin) + len + 1);
	ASSERT(origin != NULL);
	*origin = (struct origin){ .refs = 1, .given = given, .metadata = (char *)(origin + 1) };
	memcpy(origin->id, id, UUID_SIZE);
	memcpy(origin->metadata, metadata == NULL ? "" : metadata, len + 1);
	return origin;
}

void origin_unref(struct origin *origin)
{
	if (--origin->refs == 0)
		free(origin);
}

void logged_unref(struct memory_shop *shop, struct logged *logged)
{
	if (--logged->refs > 0)
		return;
	if (logged->known)
		HASH_DEL(shop->by_event_id, logged);
	origin_unref(logged->origin);
	free(logged->json);
	free(logged);
}

void holds_release(struct memory_shop *shop, struct hold *held)
{
	for (; held != NULL; held = held->next)
		logged_unref(shop, held->logged);
}

struct logged *shop_log_known(struct memory_shop *shop, const char *event_id)
{
	struct logged *logged;
	HASH_FIND(hh, shop->by_event_id, event_id, UUID_SIZE - 1, logged);
	return logged == NULL || logged->at_us + DAY_US <= shop->clock_us ? NULL : logged;
}

static void given_up_free(struct memory_shop *shop, struct given_up *given_up)
{
	HASH_DEL(shop->given_up, given_up);
	free(given_up);
}

static struct given_up *find_given_up(const struct memory_shop *shop, const char *event_id)
{
	struct given_up *given_up;
	HASH_FIND(hh, shop->given_up, event_id, UUID_SIZE - 1, given_up);
	return given_up;
}

void shop_log_give_up(struct memory_shop *shop, const char *event_id)
{
	while (shop->given_up != NULL && shop->given_up->at_us + DAY_US <= shop->clock_us)
		given_up_free(shop, shop->given_up);
	if (shop_log_known(shop, event_id) != NULL || find_given_up(shop, event_id) != NULL)
		return;
	struct given_up *given_up = malloc(sizeof(*given_up));
	ASSERT(given_up != NULL);
	given_up->at_us = shop->clock_us;
	memcpy(given_up->event_id, event_id, UUID_SIZE);
	HASH_ADD(hh, shop->given_up, event_id, UUID_SIZE - 1, given_up);
}

bool shop_log_given_up(const struct memory_shop *shop, const char *event_id)
{
	const struct given_up *given_up = find_given_up(shop, event_id);
	return given_up != NULL && given_up->at_us + DAY_US > shop->clock_us;
}

static void log_add(struct memory_shop *shop, struct logged *logged)
{
	while (shop->keep_nothing && shop->log_count > 0 &&
	       shop->log[shop->log_first]->at_us + DAY_US <= shop->clock_us) {
		shop->log_count--;
		logged_unref(shop, shop->log[shop->log_first++]);
	}
	if (shop->log_first > 0 && shop->log_first >= shop->log_count) {
		memmove(shop->log, shop->log + shop->log_first,
		        shop->log_count * sizeof(struct logged *));
		shop->log_first = 0;
	}
	if (shop->log_first + shop->log_count == shop->log_capacity) {
		shop->log_capacity = shop->log_capacity == 0 ? 1024 : 2 * shop->log_capacity;
		shop->log = realloc(shop->log, shop->log_capacity * sizeof(struct logged *));
		ASSERT(shop->log != NULL);
	}
	shop->log[shop->log_first + shop->log_count++] = logged;
}

void shop_log_free(struct memory_shop *shop)
{
	for (size_t i = 0; i < shop->topic_count; i++) {
		struct memory_entity *entity, *next;
		HASH_ITER(hh, shop->topics[i].entities, entity, next)
		{
			HASH_DEL(shop->topics[i].entities, entity);
			logged_unref(shop, entity->last);
			free(entity);
		}
	}
	for (size_t i = 0; i < shop->log_count; i++)
		logged_unref(shop, shop->log[shop->log_first + i]);
	while (shop->given_up != NULL)
		given_up_free(shop, shop->given_up);
	for (size_t i = 0; i < shop->index_count; i++) {
		free(shop->indexes[i].value);
		free(shop->indexes[i].entities);
	}
	free(shop->log);
}

/* ---- Lists of entities ------------------------------------------------------------------- */

static bool matches(const struct index *index, const ProtobufCMessage *state)
{
	const char *at = (const char *)state + index->field->offset;
	if (index->field->type == PROTOBUF_C_TYPE_STRING)
		return strcmp(*(const char *const *)at, index->value) == 0;
	ASSERT(index->field->type == PROTOBUF_C_TYPE_ENUM);
	const ProtobufCEnumValue *value =
	    protobuf_c_enum_descriptor_get_value(index->field->descriptor, *(const int *)at);
	return value != NULL && strcmp(value->name, index->value) == 0;
}

/* Where the entity is, or belongs. */
static size_t index_place(const struct index *index, uint64_t number)
{
	size_t low = 0, high = index->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (index->entities[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void index_insert(struct index *index, struct memory_entity *entity)
{
	if (index->count == index->capacity) {
		index->capacity = index->capacity == 0 ? 16 : 2 * index->capacity;
		index->entities =
		    realloc(index->entities, index->capacity * sizeof(*index->entities));
		ASSERT(index->entities != NULL);
	}
	size_t place = index_place(index, entity->number);
	memmove(&index->entities[place + 1], &index->entities[place],
	        (index->count++ - place) * sizeof(*index->entities));
	index->entities[place] = entity;
}

static void index_remove(struct index *index, const struct memory_entity *entity)
{
	size_t place = index_place(index, entity->number);
	ASSERT(index->entities[place] == entity);
	memmove(&index->entities[place], &index->entities[place + 1],
	        (--index->count - place) * sizeof(*index->entities));
}

static void index_update(struct memory_shop *shop, struct memory_entity *entity,
                         const ProtobufCMessage *state)
{
	for (size_t i = 0; i < shop->index_count; i++) {
		struct index *index = &shop->indexes[i];
		bool was = (entity->indexed >> i & 1) != 0;
		bool is = entity->topic == index->topic && state != NULL && matches(index, state);
		if (was == is)
			continue;
		entity->indexed ^= 1U << i;
		if (is)
			index_insert(index, entity);
		else
			index_remove(index, entity);
	}
}

void shop_index_leave(struct memory_shop *shop, struct memory_entity *entity)
{
	index_update(shop, entity, NULL);
}

static struct index *index_get(struct memory_shop *shop, struct topic *topic, const char *field,
                               const char *value)
{
	for (size_t i = 0; i < shop->index_count; i++) {
		struct index *index = &shop->indexes[i];
		if (index->topic == topic && strcmp(index->field->name, field) == 0 &&
		    strcmp(index->value, value) == 0)
			return index;
	}
	ASSERT(shop->index_count < INDEXES_MAX);
	struct index *index = &shop->indexes[shop->index_count++];
	*index = (struct index){
		.topic = topic,
		.field = protobuf_c_message_descriptor_get_field_by_name(topic->type, field),
		.value = strdup(value),
	};
	ASSERT(index->field != NULL && index->value != NULL);
	struct memory_entity *entity, *next;
	HASH_ITER(hh, topic->entities, entity, next)
	{
		index_update(shop, entity, entity_state(entity));
	}
	return index;
}

/* ---- Needs ------------------------------------------------------------------------------- */

static void hold(struct arena *arena, struct logged *logged, struct hold **held)
{
	struct hold *more = arena_alloc(arena, sizeof(*more));
	*more = (struct hold){ logged, *held };
	*held = more;
	logged->refs++;
}

void fill_entity(struct memory_shop *shop, struct arena *arena, struct need *need,
                 struct hold **held)
{
	struct memory_entity *entity = shop_entity(shop, need->loaded.topic, need->loaded.id);
	if (entity != NULL)
		hold(arena, entity->last, held);
	need->loaded.version = entity == NULL ? 0 : entity->version;
	need->loaded.state = entity_state(entity);
	need->loaded.last =
	    entity != NULL && need->loaded.state == NULL ? entity->last->state : NULL;
	need->known = true;
}

void fill_list(struct memory_shop *shop, struct arena *arena, struct need *need, struct hold **held)
{
	const char *name = need->loaded.topic;
	struct index *index = index_get(shop, shop_topic(shop, name), need->field, need->value);
	struct entity *found = arena_alloc(arena, index->count * sizeof(*found));
	for (size_t i = 0; i < index->count; i++) {
		const struct memory_entity *entity = index->entities[i];
		hold(arena, entity->last, held);
		found[i] = (struct entity){
			.topic = name,
			.id = arena_strdup(arena, entity->id),
			.version = entity->version,
			.state = entity->last->state,
		};
	}
	need->list = (struct entity_list){ .count = index->count, .entities = found };
	need->known = true;
}

/* ---- Appending --------------------------------------------------------------------------- */

static void copy_text(const char **text, char **place)
{
	size_t size = strlen(*text) + 1;
	*text = memcpy(*place, *text, size);
	*place += size;
}

static struct logged *logged_create(const struct entry *entry, struct topic *topic)
{
	const char *entity_id = entry->entity_id == NULL ? "" : entry->entity_id;
	size_t size = sizeof(struct logged) + 16 + state_size(entry->state), text = size;
	size += strlen(entity_id) + 1;
	if (entry->given)
		size += strlen(entry->type) + strlen(entry->action) + 2;
	struct logged *logged = malloc(size);
	ASSERT(logged != NULL);
	*logged = (struct logged){
		.refs = 1,
		.given = entry->given,
		.direct = entry->direct,
		.topic = topic,
		.entity_id = entity_id,
		.type = entry->type,
		.action = entry->action,
		.origin = entry->origin,
	};
	memcpy(logged->event_id, entry->event_id, UUID_SIZE);
	memcpy(logged->cause_id, entry->cause_id, UUID_SIZE);
	size_t place = (sizeof(struct logged) + 15) / 16 * 16;
	logged->state = state_copy((char *)logged + place, entry->state);
	char *texts = (char *)logged + text;
	copy_text(&logged->entity_id, &texts);
	if (entry->given) {
		copy_text(&logged->type, &texts);
		copy_text(&logged->action, &texts);
	}
	entry->origin->refs++;
	return logged;
}

static struct memory_entity *entity_make(struct memory_shop *shop, struct topic *topic,
                                         const char *id)
{
	size_t len = strlen(id);
	struct memory_entity *entity = malloc(sizeof(*entity) + len + 1);
	ASSERT(entity != NULL);
	*entity = (struct memory_entity){ .topic = topic, .number = shop->entity_number++ };
	memcpy(entity->id, id, len + 1);
	HASH_ADD_KEYPTR(hh, topic->entities, entity->id, len, entity);
	return entity;
}

static void entity_move(struct memory_shop *shop, struct logged *logged)
{
	struct memory_entity *entity = find(logged->topic, logged->entity_id);
	if (entity == NULL)
		entity = entity_make(shop, logged->topic, logged->entity_id);
	logged->version = ++entity->version;
	logged->refs++;
	if (entity->last != NULL)
		logged_unref(shop, entity->last);
	entity->last = logged;
	index_update(shop, entity, entity_state(entity));
}

void shop_log_append(struct memory_shop *shop, const struct entry *entry)
{
	struct topic *topic = shop_topic(shop, entry->topic);
	ASSERT(topic != NULL);
	struct logged *logged = logged_create(entry, topic);
	if (shop->clock_us <= shop->last_us)
		shop->clock_us = shop->last_us + 1;
	logged->at_us = shop->last_us = shop->clock_us;
	if (logged->entity_id[0] != '\0')
		entity_move(shop, logged);
	HASH_ADD(hh, shop->by_event_id, event_id, UUID_SIZE - 1, logged);
	logged->known = true;
	log_add(shop, logged);
	if (shop->appended != NULL) {
		char entry_id[ENTRY_ID_SIZE];
		struct event event = logged_event(logged, entry_id);
		shop->appended(shop->appended_arg, &event);
	}
	if (!entry->unnoticed)
		shop_log_deliver(shop, logged, false);
}

struct event logged_event(const struct logged *logged, char entry_id[ENTRY_ID_SIZE])
{
	entry_id_format((struct entry_id){ logged->at_us / 1000, logged->at_us % 1000 }, entry_id);
	return (struct event){
		.event_id = logged->event_id,
		.topic = logged->topic->name,
		.entry_id = entry_id,
		.type = logged->type,
		.action = logged->action,
		.entity_id = logged->entity_id,
		.version = logged->version,
		.state = logged->state,
		.metadata = "",
	};
}

/* As the chain of messages and events would have made it, whose middle parts leave no trace but the ids
 * of the first and the last. */
const char *logged_metadata(struct arena *arena, const struct logged *logged)
{
	const struct origin *origin = logged->origin;
	if (logged->given)
		return arena_strdup(arena, origin->metadata);
	const char *first = origin->given
	                        ? origin->metadata
	                        : metadata_next(arena, origin->metadata, origin->id, true);
	if (logged->direct)
		return first;
	const char *sent = metadata_next(arena, first, origin->id, false);
	return metadata_next(arena, sent, logged->cause_id, true);
}
