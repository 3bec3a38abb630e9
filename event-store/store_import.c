/* The commands of imports. */
#include "event-store/store_internal.h"

#include "base/clock.h"

#include <stdio.h>

enum { HOUR_S = 3600, WINDOW_BUCKETS = 3 };

/* "import_events:{topic}:" and the token, or nothing: what import.lua puts a token behind. */
static void add_staged(struct redis_command *command, const char *topic, const char *token)
{
	char key[192];
	snprintf(key, sizeof(key), "%s:{%s}:%s", STAGED, topic, token);
	redis_arg(command, key);
}

static struct redis_command *begin_call(struct store *store, const char *function, size_t keys)
{
	struct redis_command *command = store_begin(store, "FCALL");
	redis_arg(command, function);
	redis_arg_integer(command, (int64_t)keys);
	return command;
}

static uint64_t bucket_of(uint64_t wall_us)
{
	return wall_us / (BUCKET_HOURS * HOUR_S * 1000000ULL);
}

static uint64_t bucket_of_id(struct entry_id id)
{
	return bucket_of(id.ms * 1000);
}

struct entry_id store_window_start(void)
{
	uint64_t first = bucket_of(clock_wall_us()) - (WINDOW_BUCKETS - 1);
	return (struct entry_id){ first * BUCKET_HOURS * HOUR_S * 1000, 0 };
}

void store_import_begin(struct store *store, const struct store_import *import, const char *id,
                        redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_import_begin", 4);
	store_add_key(command, EVENTS, import->topic);
	store_add_key(command, ENTITIES, import->topic);
	store_add_key(command, IMPORT, import->topic);
	add_staged(command, import->topic, "");
	redis_arg(command, id);
	redis_arg(command, import->token);
	redis_queue(store->imports, command, done, arg);
}

void store_import_event(struct store *store, const struct store_import *import,
                        const Es__Event *event)
{
	struct redis_command *command = store_begin(store, "XADD");
	add_staged(command, import->topic, import->token);
	redis_arg(command, "NOMKSTREAM");
	redis_arg(command, event->entry_id);
	redis_arg(command, "event_id");
	redis_arg(command, event->event_id);
	redis_arg(command, "event_action");
	redis_arg(command, event->event_action);
	redis_arg(command, "event_data");
	redis_arg(command, event->event_data);
	redis_arg(command, "event_type");
	redis_arg(command, event->event_type);
	redis_arg(command, "entity_id");
	redis_arg(command, event->entity_id);
	redis_arg(command, "entity_version");
	redis_arg_integer(command, (int64_t)event->entity_version);
	redis_arg(command, "metadata");
	redis_arg(command, event->metadata[0] == '\0' ? "{}" : event->metadata);
	redis_queue(store->imports, command, NULL, NULL);
}

/* "<version> <entry id>", " d" behind it */
static void add_head(struct redis_command *command, uint64_t version, struct entry_id id,
                     bool deleted)
{
	char text[ENTRY_ID_SIZE + 32], entry[ENTRY_ID_SIZE];
	entry_id_format(id, entry);
	snprintf(text, sizeof(text), "%llu %s%s", (unsigned long long)version, entry,
	         deleted ? " d" : "");
	redis_arg(command, text);
}

static void add_entities(struct redis_command *command, const struct store_import_run *run)
{
	redis_arg_integer(command, (int64_t)run->entity_count);
	for (size_t i = 0; i < run->entity_count; i++)
		redis_arg(command, run->entities[i].id);
	for (size_t i = 0; i < run->entity_count; i++)
		redis_arg_integer(command, (int64_t)run->entities[i].before);
	for (size_t i = 0; i < run->entity_count; i++) {
		const struct store_import_entity *entity = &run->entities[i];
		redis_arg(command, entity->id);
		add_head(command, entity->version, entity->last, entity->deleted);
	}
}

/* The index after the last of those that are in the bucket of the first. */
static size_t bucket_end(const struct store_import_run *run, size_t first)
{
	uint64_t bucket = bucket_of_id(run->known[first].id);
	size_t end = first + 1;
	while (end < run->known_count && bucket_of_id(run->known[end].id) == bucket)
		end++;
	return end;
}

static void add_known(struct redis_command *command, const struct store_import_known *known,
                      size_t count)
{
	uint64_t begin_s = bucket_of_id(known[0].id) * BUCKET_HOURS * HOUR_S;
	redis_arg_integer(command, (int64_t)begin_s + BUCKET_HOURS * HOUR_S + BUCKET_LIFE_S);
	redis_arg_integer(command, (int64_t)count);
	for (size_t i = 0; i < count; i++)
		redis_arg(command, known[i].event_id);
	for (size_t i = 0; i < count; i++) {
		redis_arg(command, known[i].event_id);
		add_head(command, known[i].version, known[i].id, false);
	}
}

void store_import_note(struct store *store, const struct store_import *import,
                       const struct store_import_run *run, redis_done *done, void *arg)
{
	size_t buckets = 0;
	for (size_t i = 0; i < run->known_count; i = bucket_end(run, i))
		buckets++;
	struct redis_command *command = begin_call(store, "eventstore_import_note", 3 + buckets);
	store_add_key(command, IMPORT, import->topic);
	add_staged(command, import->topic, import->token);
	store_add_key(command, STAGED_HEADS, import->topic);
	for (size_t i = 0; i < run->known_count; i = bucket_end(run, i))
		store_add_bucket(command, import->topic, bucket_of_id(run->known[i].id));
	redis_arg(command, import->token);
	store_add_id(command, run->noted, false);
	store_add_id(command, run->first, false);
	store_add_id(command, run->last, false);
	redis_arg_integer(command, (int64_t)run->count);
	add_entities(command, run);
	for (size_t i = 0, end; i < run->known_count; i = end) {
		end = bucket_end(run, i);
		add_known(command, &run->known[i], end - i);
	}
	redis_queue(store->imports, command, done, arg);
}

void store_import_seize(struct store *store, const struct store_import *import,
                        const char *groups_token, redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_import_seize", 2);
	store_add_key(command, IMPORT, import->topic);
	store_add_key(command, OWNERS, import->topic);
	redis_arg(command, import->token);
	redis_arg(command, groups_token);
	redis_queue(store->imports, command, done, arg);
}

void store_import_publish(struct store *store, const struct store_import *import,
                          const char *const (*groups)[2], size_t group_count, redis_done *done,
                          void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_import_publish", 6);
	store_add_key(command, IMPORT, import->topic);
	add_staged(command, import->topic, import->token);
	store_add_key(command, STAGED_HEADS, import->topic);
	store_add_key(command, EVENTS, import->topic);
	store_add_key(command, ENTITIES, import->topic);
	store_add_key(command, GROUPS, import->topic);
	redis_arg(command, import->token);
	for (size_t i = 0; i < group_count; i++) {
		redis_arg(command, groups[i][0]);
		redis_arg(command, groups[i][1]);
	}
	redis_queue(store->imports, command, done, arg);
}

void store_import_register(struct store *store, const struct store_import_history *histories,
                           size_t count, redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_topics_imported", 1);
	redis_arg(command, TOPICS);
	for (size_t i = 0; i < count; i++) {
		char first[ENTRY_ID_SIZE], last[ENTRY_ID_SIZE], text[2 * ENTRY_ID_SIZE];
		entry_id_format(histories[i].first, first);
		entry_id_format(histories[i].last, last);
		snprintf(text, sizeof(text), "%s %s", first, last);
		redis_arg(command, histories[i].topic);
		redis_arg(command, text);
	}
	redis_queue(store->imports, command, done, arg);
}

void store_import_release(struct store *store, const struct store_import *import, redis_done *done,
                          void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_import_release", 3);
	store_add_key(command, IMPORT, import->topic);
	store_add_key(command, ENTITIES, import->topic);
	store_add_key(command, OWNERS, import->topic);
	redis_arg(command, import->token);
	redis_queue(store->imports, command, done, arg);
}

void store_import_abandon(struct store *store, const struct store_import *import, redis_done *done,
                          void *arg)
{
	/* All that can be there: the one of now, one that is begun too early by a clock that is ahead, and those
	 * before, which live for BUCKET_LIFE_S after their end. */
	enum {
		BUCKET_S = BUCKET_HOURS * HOUR_S,
		BUCKETS = 2 + (BUCKET_S + BUCKET_LIFE_S) / BUCKET_S
	};
	struct redis_command *command = begin_call(store, "eventstore_import_abandon", 5 + BUCKETS);
	store_add_key(command, IMPORT, import->topic);
	store_add_key(command, ENTITIES, import->topic);
	store_add_key(command, OWNERS, import->topic);
	add_staged(command, import->topic, import->token);
	store_add_key(command, STAGED_HEADS, import->topic);
	for (uint64_t i = 0; i < BUCKETS; i++)
		store_add_bucket(command, import->topic, bucket_of(clock_wall_us()) + 1 - i);
	redis_arg(command, import->token);
	redis_queue(store->imports, command, done, arg);
}
