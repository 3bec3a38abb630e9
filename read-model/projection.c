#include "read-model/projection.h"

#include "base/buffer.h"
#include "base/id.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { TEXT_MAX = 16 * 1024 * 1024, FIRST_CHANGES = 64, KEY_SIZE = 256, SPARE_BYTES = 24 };

struct change {
	enum projection_action action;
	enum projection_before before;
	const char *topic;
	const char *id;
	const char *event_id; /* of a mail */
	char *data;
	size_t data_len, data_size; /* `data_size`: what fits there */
	uint64_t version;
	uint64_t created_us;
	const char *key; /* "<topic>\0<id>" */
	UT_hash_handle hh;
};

struct projection {
	struct arena *arena;
	struct change *by_key;
	struct change **changes; /* in the order of their first events */
	size_t count, capacity;
	size_t events;
	size_t bytes;
	size_t unreadable;
	struct buffer text;
};

struct projection *projection_create(void)
{
	struct projection *projection = calloc(1, sizeof(*projection));
	ASSERT(projection != NULL);
	projection->arena = arena_create();
	buffer_init(&projection->text, TEXT_MAX);
	return projection;
}

void projection_clear(struct projection *projection)
{
	HASH_CLEAR(hh, projection->by_key);
	arena_reset(projection->arena);
	projection->count = projection->events = projection->bytes = projection->unreadable = 0;
}

void projection_destroy(struct projection *projection)
{
	if (projection == NULL)
		return;
	projection_clear(projection);
	arena_destroy(projection->arena);
	buffer_free(&projection->text);
	free(projection->changes);
	free(projection);
}

size_t projection_events(const struct projection *projection)
{
	return projection->events;
}

size_t projection_writes(const struct projection *projection)
{
	return projection->count;
}

size_t projection_bytes(const struct projection *projection)
{
	return projection->bytes;
}

size_t projection_unreadable(const struct projection *projection)
{
	return projection->unreadable;
}

uint64_t projection_created_us(const char *entry_id)
{
	struct error err;
	struct entry_id id;
	if (!entry_id_parse(entry_id, &id, &err))
		return 0;
	/* an id that ran ahead of the clock keeps its millisecond: a double must hold the number */
	return id.ms * 1000 + (id.us > 999 ? 999 : id.us);
}

static struct change *append(struct projection *projection)
{
	if (projection->count == projection->capacity) {
		projection->capacity =
		    projection->capacity > 0 ? projection->capacity * 2 : FIRST_CHANGES;
		projection->changes = realloc(projection->changes,
		                              projection->capacity * sizeof(*projection->changes));
		ASSERT(projection->changes != NULL);
	}
	struct change *change = arena_zalloc(projection->arena, sizeof(*change));
	projection->bytes += sizeof(*change);
	projection->changes[projection->count++] = change;
	return change;
}

/* The states of an entity take each other's place. */
static void set_data(struct projection *projection, struct change *change, const char *data)
{
	size_t len = strlen(data);
	if (len >= change->data_size) {
		change->data_size = len + SPARE_BYTES;
		change->data = arena_alloc(projection->arena, change->data_size);
		projection->bytes += change->data_size;
	}
	memcpy(change->data, data, len + 1);
	change->data_len = len;
}

static void add_mail(struct projection *projection, const struct projection_event *event)
{
	struct change *change = append(projection);
	change->action = PROJECTION_MAIL;
	change->topic = "mail";
	change->id = arena_strdup(projection->arena, event->entry_id);
	change->event_id = arena_strdup(projection->arena, event->event_id);
	set_data(projection, change, event->data);
}

static struct change *change_of(struct projection *projection, const struct projection_event *event,
                                bool *found)
{
	char here[KEY_SIZE];
	size_t topic_len = strlen(event->topic), id_len = strlen(event->entity_id);
	size_t key_len = topic_len + 1 + id_len;
	char *key = key_len < sizeof(here) ? here : arena_alloc(projection->arena, key_len + 1);
	memcpy(key, event->topic, topic_len + 1);
	memcpy(key + topic_len + 1, event->entity_id, id_len + 1);
	struct change *change;
	unsigned hash;
	HASH_VALUE(key, key_len, hash);
	HASH_FIND_BYHASHVALUE(hh, projection->by_key, key, key_len, hash, change);
	*found = change != NULL;
	if (change == NULL) {
		change = append(projection);
		change->key = key == here ? arena_copy(projection->arena, key, key_len) : key;
		change->topic = change->key;
		change->id = change->key + topic_len + 1;
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, projection->by_key, change->key, key_len, hash,
		                            change);
	}
	return change;
}

static void add_put(struct projection *projection, const struct projection_event *event)
{
	bool found;
	struct change *change = change_of(projection, event, &found);
	bool again = found && change->action == PROJECTION_REMOVE;
	if (!found)
		change->before = event->version == 1 ? PROJECTION_NEW : PROJECTION_KEEP;
	else if (again && change->before == PROJECTION_KEEP)
		change->before = PROJECTION_DROP;
	if (!found || again)
		change->created_us = projection_created_us(event->entry_id);
	change->action = PROJECTION_PUT;
	change->version = event->version;
	set_data(projection, change, event->data);
}

static void add_remove(struct projection *projection, const struct projection_event *event)
{
	bool found;
	struct change *change = change_of(projection, event, &found);
	change->action = PROJECTION_REMOVE;
	if (!found || change->before == PROJECTION_DROP)
		change->before = PROJECTION_KEEP;
	change->version = event->version;
}

void projection_add(struct projection *projection, const struct projection_event *event)
{
	projection->events++;
	bool entity = event->entity_id[0] != '\0';
	if (entity && (strcmp(event->action, "entity_created") == 0 ||
	               strcmp(event->action, "entity_updated") == 0))
		add_put(projection, event);
	else if (entity && strcmp(event->action, "entity_deleted") == 0)
		add_remove(projection, event);
	else if (strcmp(event->action, "mail_sent") == 0 && strcmp(event->topic, "mail") == 0)
		add_mail(projection, event);
}

/* What was written to projection->text since `start`, as a text of the arena. */
static struct projection_text take_text(struct projection *projection)
{
	struct buffer *text = &projection->text;
	struct projection_text taken = { arena_copy(projection->arena, text->bytes, text->len),
		                         text->len };
	buffer_clear(text);
	return taken;
}

static struct projection_text text_of(struct projection *projection, const struct json *value,
                                      bool as_json)
{
	const char *string = as_json ? NULL : json_text(value);
	if (string != NULL)
		return (struct projection_text){ arena_strdup(projection->arena, string),
			                         strlen(string) };
	json_write(&projection->text, value);
	return take_text(projection);
}

static void put_more(struct projection *projection, const struct kind *kind,
                     const struct json *entity, struct projection_text *more)
{
	struct buffer *text = &projection->text;
	for (const struct json *m = json_first(entity); m != NULL; m = json_next(m)) {
		if (kind_field_position(kind, json_name(m)) >= 0 ||
		    strcmp(json_name(m), KIND_ID_FIELD) == 0)
			continue;
		if (text->len > 0)
			buffer_putc(text, ',');
		json_write_string(text, json_name(m), strlen(json_name(m)));
		buffer_putc(text, ':');
		json_write(text, m);
	}
	if (text->len > 0)
		*more = take_text(projection);
}

static void begin_values(struct projection *projection, struct projection_write *write)
{
	write->value_count = kind_field_count(write->kind);
	write->values = arena_alloc(projection->arena, write->value_count * sizeof(*write->values));
}

static struct projection_text default_of(const struct kind *kind, size_t position)
{
	const char *text = kind_field_default(kind, position);
	return (struct projection_text){ text, strlen(text) };
}

/* Members come in the order of the fields, mostly; -1: it is none of them. */
static int field_of(const struct kind *kind, const struct json_span *member, size_t expected)
{
	size_t count = kind_field_count(kind);
	for (size_t i = 0; i < count; i++) {
		size_t at = (expected + i) % count;
		const char *name = kind_field_name(kind, at);
		if (strncmp(name, member->name, member->name_len) == 0 &&
		    name[member->name_len] == '\0')
			return (int)at;
	}
	return -1;
}

static bool is_id(const struct json_span *member)
{
	return member->name_len == strlen(KIND_ID_FIELD) &&
	       memcmp(member->name, KIND_ID_FIELD, member->name_len) == 0;
}

/* False: read_tree must do it. */
static bool read_members(struct projection *projection, const struct change *change,
                         struct projection_write *write)
{
	const struct kind *kind = write->kind;
	struct json_span members[KIND_FIELDS_MAX + 1];
	size_t count;
	if (kind->type == NULL || !json_plain_members(change->data, change->data_len, members,
	                                              ARRAY_LEN(members), &count))
		return false;
	begin_values(projection, write);
	for (size_t i = 0; i < write->value_count; i++)
		write->values[i] = default_of(kind, i);
	size_t expected = 0;
	for (size_t i = 0; i < count; i++) {
		const struct json_span *member = &members[i];
		if (is_id(member))
			continue;
		int found = field_of(kind, member, expected);
		if (found < 0)
			return false;
		size_t position = (size_t)found;
		expected = position + 1;
		if (member->kind == JSON_NULL)
			continue;
		bool quoted = member->kind == JSON_STRING && !kind_field_is_json(kind, position);
		const char *text = member->value + (quoted ? 1 : 0);
		size_t len = member->len - (quoted ? 2 : 0);
		write->values[position] =
		    (struct projection_text){ arena_copy(projection->arena, text, len), len };
	}
	return true;
}

static bool read_tree(struct projection *projection, const struct change *change,
                      struct projection_write *write)
{
	struct error err;
	struct json *entity;
	const struct kind *kind = write->kind;
	if (!json_parse(change->data, change->data_len, &entity, &err))
		return false;
	if (json_kind(entity) != JSON_OBJECT) {
		json_free(entity);
		return false;
	}
	begin_values(projection, write);
	size_t known = json_member(entity, KIND_ID_FIELD) != NULL ? 1 : 0;
	for (size_t i = 0; kind->type != NULL && i < write->value_count; i++) {
		const struct json *value = json_member(entity, kind_field_name(kind, i));
		if (value != NULL)
			known++;
		if (value == NULL || json_kind(value) == JSON_NULL) {
			write->values[i] = default_of(kind, i);
		} else {
			write->values[i] = text_of(projection, value, kind_field_is_json(kind, i));
		}
	}
	if (kind->type == NULL)
		write->values[0] = (struct projection_text){ change->data, change->data_len };
	else if (known < json_count(entity))
		put_more(projection, kind, entity, &write->more);
	json_free(entity);
	return true;
}

bool projection_head(const struct projection *projection, size_t index,
                     struct projection_write *write)
{
	const struct change *change = projection->changes[index];
	*write = (struct projection_write){
		.action = change->action,
		.kind = kind_of(change->topic),
		.topic = change->topic,
		.id = change->id,
		.version = change->version,
		.created_us = change->created_us,
		.before = change->before,
		.more = { "", 0 },
	};
	return change->action != PROJECTION_REMOVE || change->before != PROJECTION_NEW;
}

bool projection_at(struct projection *projection, size_t index, struct projection_write *write)
{
	const struct change *change = projection->changes[index];
	if (!projection_head(projection, index, write))
		return false;
	switch (change->action) {
	case PROJECTION_REMOVE:
		return true;
	case PROJECTION_MAIL:
		write->value_count = 2;
		write->values = arena_alloc(projection->arena, 2 * sizeof(*write->values));
		write->values[0] =
		    (struct projection_text){ change->event_id, strlen(change->event_id) };
		write->values[1] = (struct projection_text){ change->data, change->data_len };
		return true;
	default:
		if (read_members(projection, change, write) || read_tree(projection, change, write))
			return true;
		projection->unreadable++;
		return false;
	}
}
