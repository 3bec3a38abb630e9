#include "domain/fold.h"

#include "domain/state_copy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 64 * 1024 * 1024 };

struct fold {
	struct fold_topic *topics;
	struct fold_topic *latest; /* of the last event: the next one is often of the same */
	uint64_t events;
	void *before; /* the memory that the last change's state lies in */
	struct buffer json;
	struct digest *digest;
};

struct fold *fold_create(void)
{
	struct fold *fold = calloc(1, sizeof(*fold));
	ASSERT(fold != NULL);
	buffer_init(&fold->json, JSON_MAX);
	fold->digest = digest_create();
	return fold;
}

static void entity_free(struct fold_topic *topic, struct fold_entity *entity)
{
	HASH_DEL(topic->entities, entity);
	free(entity->memory);
	free(entity);
}

void fold_destroy(struct fold *fold)
{
	if (fold == NULL)
		return;
	while (fold->topics != NULL) {
		struct fold_topic *topic = fold->topics;
		while (topic->entities != NULL)
			entity_free(topic, topic->entities);
		HASH_DEL(fold->topics, topic);
		free(topic);
	}
	free(fold->before);
	buffer_free(&fold->json);
	digest_destroy(fold->digest);
	free(fold);
}

const struct fold_topic *fold_topic_find(const struct fold *fold, const char *name)
{
	struct fold_topic *topic;
	HASH_FIND_STR(fold->topics, name, topic);
	return topic;
}

const struct fold_topic *fold_topics(const struct fold *fold)
{
	return fold->topics;
}

uint64_t fold_events(const struct fold *fold)
{
	return fold->events;
}

struct fold_entity *fold_find(const struct fold *fold, const char *topic_name, const char *id)
{
	const struct fold_topic *topic = fold_topic_find(fold, topic_name);
	struct fold_entity *entity = NULL;
	if (topic != NULL)
		HASH_FIND_STR(topic->entities, id, entity);
	return entity;
}

/* ---- Adding ------------------------------------------------------------------------------ */

static struct fold_topic *open_topic(struct fold *fold, const char *name)
{
	if (fold->latest != NULL && strcmp(fold->latest->name, name) == 0)
		return fold->latest;
	struct fold_topic *topic;
	HASH_FIND_STR(fold->topics, name, topic);
	if (topic == NULL) {
		size_t size = strlen(name) + 1;
		topic = calloc(1, sizeof(*topic) + size);
		ASSERT(topic != NULL);
		topic->name = memcpy(topic + 1, name, size);
		topic->type = entity_type(name);
		HASH_ADD_KEYPTR(hh, fold->topics, topic->name, size - 1, topic);
	}
	fold->latest = topic;
	return topic;
}

static struct fold_entity *open_entity(struct fold_topic *topic, const char *id)
{
	struct fold_entity *entity;
	HASH_FIND_STR(topic->entities, id, entity);
	if (entity != NULL)
		return entity;
	size_t size = strlen(id) + 1;
	entity = calloc(1, sizeof(*entity) + size);
	ASSERT(entity != NULL);
	entity->topic = topic;
	entity->id = memcpy(entity + 1, id, size);
	HASH_ADD_KEYPTR(hh, topic->entities, entity->id, size - 1, entity);
	return entity;
}

/* An event of no entity is nothing but its hash. */
static void add_loose(struct fold *fold, struct fold_topic *topic, const struct event *event,
                      const char *data)
{
	buffer_clear(&fold->json);
	if (event->state != NULL)
		json_write_message(&fold->json, event->state);
	else
		buffer_puts(&fold->json, data);
	digest_add(fold->digest, event->action, strlen(event->action) + 1);
	digest_add(fold->digest, event->type, strlen(event->type) + 1);
	digest_add(fold->digest, fold->json.bytes, fold->json.len);
	digest_end(fold->digest, topic->loose_last);
	digest_add(fold->digest, topic->loose_hash, DIGEST_BYTES);
	digest_add(fold->digest, topic->loose_last, DIGEST_BYTES);
	digest_end(fold->digest, topic->loose_hash);
	topic->loose++;
}

static void replace_state(struct fold_entity *entity, const struct event *event, const char *data)
{
	if (event->state != NULL) {
		entity->memory = malloc(state_size(event->state));
		ASSERT(entity->memory != NULL);
		entity->state = state_copy(entity->memory, event->state);
		entity->data = NULL;
	} else {
		entity->memory = strdup(data);
		ASSERT(entity->memory != NULL);
		entity->data = entity->memory;
		entity->state = NULL;
	}
}

static void add_to_entity(struct fold *fold, struct fold_change *change, const struct event *event,
                          const char *data, struct entry_id entry)
{
	struct fold_entity *entity = change->entity;
	change->version = entity->version;
	change->existed = entity->version > 0 && !entity->deleted;
	change->state = change->existed ? entity->state : NULL;
	fold->before = entity->memory;
	replace_state(entity, event, data);
	if (entity->version == 0)
		entity->first = entry;
	entity->last = entry;
	entity->version = event->version;
	entity->deleted = strcmp(event->action, ENTITY_DELETED) == 0;
	entity->was_deleted = entity->was_deleted || entity->deleted;
	change->topic->living += (uint64_t)!entity->deleted - (uint64_t)change->existed;
}

struct fold_change fold_add(struct fold *fold, const struct event *event, const char *data)
{
	struct entry_id entry;
	struct error err;
	ASSERT(entry_id_parse(event->entry_id, &entry, &err));
	ASSERT(event->state != NULL || data != NULL);
	struct fold_topic *topic = open_topic(fold, event->topic);
	struct fold_change change = { .topic = topic, .last_in_topic = topic->last };
	free(fold->before);
	fold->before = NULL;
	if (event->entity_id == NULL || event->entity_id[0] == '\0') {
		add_loose(fold, topic, event, data);
	} else {
		change.entity = open_entity(topic, event->entity_id);
		add_to_entity(fold, &change, event, data, entry);
	}
	if (topic->events++ == 0)
		topic->first = entry;
	topic->last = entry;
	fold->events++;
	return change;
}

/* ---- Hash -------------------------------------------------------------------------------- */

void fold_entity_write(const struct fold_entity *entity, struct buffer *out)
{
	if (entity->state != NULL)
		json_write_message(out, entity->state);
	else
		buffer_puts(out, entity->data);
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(const struct fold_entity *const *)a)->id,
	              (*(const struct fold_entity *const *)b)->id);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct fold_topic *const *)a)->name,
	              (*(const struct fold_topic *const *)b)->name);
}

static void hash_topic(const struct fold_topic *topic, struct digest *digest, struct buffer *line)
{
	size_t count = HASH_COUNT(topic->entities), i = 0;
	const struct fold_entity **sorted = malloc((count + 1) * sizeof(*sorted));
	ASSERT(sorted != NULL);
	for (const struct fold_entity *e = topic->entities; e != NULL; e = e->hh.next)
		sorted[i++] = e;
	qsort(sorted, count, sizeof(*sorted), by_id);
	for (i = 0; i < count; i++) {
		buffer_clear(line);
		buffer_printf(line, "%s %s %" PRIu64 " %s ", topic->name, sorted[i]->id,
		              sorted[i]->version, sorted[i]->deleted ? "deleted" : "living");
		fold_entity_write(sorted[i], line);
		buffer_putc(line, '\n');
		digest_add(digest, line->bytes, line->len);
	}
	free(sorted);
	if (topic->loose == 0)
		return;
	buffer_clear(line);
	buffer_printf(line, "%s %" PRIu64 "\n", topic->name, topic->loose);
	digest_add(digest, line->bytes, line->len);
	digest_add(digest, topic->loose_hash, DIGEST_BYTES);
}

void fold_hash(const struct fold *fold, char out[DIGEST_TEXT_SIZE])
{
	size_t count = HASH_COUNT(fold->topics), i = 0;
	const struct fold_topic **sorted = malloc((count + 1) * sizeof(*sorted));
	ASSERT(sorted != NULL);
	for (const struct fold_topic *t = fold->topics; t != NULL; t = t->hh.next)
		sorted[i++] = t;
	qsort(sorted, count, sizeof(*sorted), by_name);
	struct digest *digest = digest_create();
	struct buffer line;
	buffer_init(&line, JSON_MAX);
	for (i = 0; i < count; i++)
		hash_topic(sorted[i], digest, &line);
	unsigned char hash[DIGEST_BYTES];
	digest_end(digest, hash);
	digest_text(hash, out);
	digest_destroy(digest);
	buffer_free(&line);
	free(sorted);
}
