/* What is in the log of the shop in memory. */
#include "domain/memory_shop_internal.h"

#include <string.h>

struct record *shop_record(struct memory_shop *shop, const char *topic, const char *id)
{
	struct record *record;
	char *key = arena_printf(shop->arena, "%s/%s", topic, id);
	HASH_FIND_STR(shop->records, key, record);
	if (record != NULL)
		return record;
	record = arena_zalloc(shop->arena, sizeof(*record));
	record->key = key;
	record->topic = topic;
	record->id = arena_strdup(shop->arena, id);
	HASH_ADD_KEYPTR(hh, shop->records, record->key, strlen(record->key), record);
	return record;
}

ProtobufCMessage *shop_parse_state(struct arena *arena, const char *topic, const char *text)
{
	struct json *json;
	ProtobufCMessage *message;
	struct error err;
	if (text == NULL)
		return NULL;
	ASSERT(json_parse(text, strlen(text), &json, &err));
	ASSERT(json_read_message(json, entity_type(topic), arena, false, NULL, &message, &err));
	json_free(json);
	return message;
}

const char *memory_shop_get(struct memory_shop *shop, const char *topic, const char *id)
{
	return shop_record(shop, topic, id)->json;
}

const void *memory_shop_state(struct memory_shop *shop, const char *topic, const char *id)
{
	return shop_parse_state(shop->arena, topic, memory_shop_get(shop, topic, id));
}

void memory_shop_each(struct memory_shop *shop, const char *topic,
                      void (*each)(void *arg, const char *id, const void *state), void *arg)
{
	for (struct record *record = shop->records; record != NULL; record = record->hh.next) {
		if (strcmp(record->topic, topic) == 0 && record->json != NULL)
			each(arg, record->id, shop_parse_state(shop->arena, topic, record->json));
	}
}

bool shop_known_event(struct memory_shop *shop, const char *event_id)
{
	struct logged *logged;
	HASH_FIND_STR(shop->by_id, event_id, logged);
	return logged != NULL;
}

struct event shop_event(struct arena *arena, const struct logged *logged)
{
	return (struct event){
		.event_id = logged->event_id,
		.topic = logged->topic,
		.entry_id = "1-1",
		.type = logged->type,
		.action = logged->action,
		.entity_id = logged->entity_id,
		.version = logged->version,
		.state = shop_parse_state(arena, logged->topic, logged->json),
	};
}

const char *memory_shop_events(struct memory_shop *shop, const char *topic, const char *id)
{
	const char *text = "";
	for (const struct logged *logged = shop->log; logged != NULL; logged = logged->next) {
		if (strcmp(logged->topic, topic) == 0 &&
		    (id == NULL || strcmp(logged->entity_id, id) == 0))
			text = arena_printf(shop->arena, "%s%s%s", text, text[0] != '\0' ? " " : "",
			                    logged->type);
	}
	return text;
}

void memory_shop_replay(struct memory_shop *shop, const char *topic,
                        void (*each)(void *arg, const struct event *event), void *arg)
{
	for (const struct logged *logged = shop->log; logged != NULL; logged = logged->next) {
		struct event event = shop_event(shop->arena, logged);
		if (strcmp(logged->topic, topic) == 0)
			each(arg, &event);
	}
}

size_t memory_shop_count(struct memory_shop *shop, const char *type)
{
	size_t count = 0;
	for (const struct logged *logged = shop->log; logged != NULL; logged = logged->next)
		count += strcmp(logged->type, type) == 0;
	return count;
}
