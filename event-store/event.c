#include "event-store/event.h"

#include "base/rpc_server.h"

#include <stdlib.h>
#include <string.h>

/* The order in which append.lua writes them. */
static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{ "event_id", offsetof(Es__Event, event_id) },
	{ "event_action", offsetof(Es__Event, event_action) },
	{ "event_data", offsetof(Es__Event, event_data) },
	{ "event_type", offsetof(Es__Event, event_type) },
	{ "entity_id", offsetof(Es__Event, entity_id) },
	{ "entity_version", 0 }, /* a number */
	{ "metadata", offsetof(Es__Event, metadata) },
};
enum { EVENT_OVERHEAD = 48, BATCH_OVERHEAD = 9 * 1024 /* the arena's first block, mostly */ };

struct event_batch *event_batch_create(void)
{
	struct event_batch *batch = calloc(1, sizeof(*batch));
	ASSERT(batch != NULL);
	batch->refs = 1;
	batch->arena = arena_create();
	return batch;
}

void event_batch_unref(struct event_batch *batch)
{
	if (batch == NULL || --batch->refs > 0)
		return;
	arena_destroy(batch->arena);
	free(batch->events);
	free(batch);
}

static void grow(struct event ***events, size_t count, size_t *capacity)
{
	if (count < *capacity)
		return;
	*capacity = *capacity == 0 ? 16 : *capacity * 2;
	*events = realloc(*events, *capacity * sizeof(**events));
	ASSERT(*events != NULL);
}

/* Entries of others may have their fields in any order, or more of them. */
static size_t field_index(const char *name, size_t expected)
{
	if (expected < ARRAY_LEN(fields) && strcmp(fields[expected].name, name) == 0)
		return expected;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(fields[i].name, name) == 0)
			return i;
	}
	return ARRAY_LEN(fields);
}

static void set_fields(struct event *event, struct arena *arena, const struct redis_value *pairs)
{
	for (size_t i = 0; i + 1 < redis_value_count(pairs); i += 2) {
		size_t len;
		size_t f = field_index(redis_value_string(redis_value_at(pairs, i), &len), i / 2);
		if (f == ARRAY_LEN(fields))
			continue;
		const struct redis_value *value = redis_value_at(pairs, i + 1);
		if (fields[f].offset == 0) {
			event->message.entity_version = (uint64_t)redis_value_integer(value);
			continue;
		}
		const char *text = redis_value_string(value, &len);
		const char **place =
		    (const char **)(void *)((char *)&event->message + fields[f].offset);
		*place = len == 0 ? "" : arena_copy(arena, text, len);
		event->bytes += len;
	}
}

bool event_batch_add(struct event_batch *batch, const char *topic,
                     const struct redis_value *entries)
{
	bool clean = true;
	const char *name = arena_strdup(batch->arena, topic);
	for (size_t i = 0; i < redis_value_count(entries); i++) {
		const struct redis_value *entry = redis_value_at(entries, i);
		size_t len;
		struct error ignored;
		const char *id = redis_value_string(redis_value_at(entry, 0), &len);
		struct event *event = arena_alloc(batch->arena, sizeof(*event));
		es__event__init(&event->message);
		if (!entry_id_parse(id, &event->id, &ignored)) {
			clean = false;
			continue;
		}
		event->message.topic = name;
		event->message.entry_id = arena_copy(batch->arena, id, len);
		event->message.metadata = "{}";
		event->bytes = EVENT_OVERHEAD + strlen(name) + len;
		event->batch = batch;
		set_fields(event, batch->arena, redis_value_at(entry, 1));
		grow(&batch->events, batch->count, &batch->capacity);
		batch->events[batch->count++] = event;
		batch->bytes += event->bytes;
	}
	return clean;
}

int event_compare_position(const struct event *event, struct entry_id id, const char *topic)
{
	int order = entry_id_compare(event->id, id);
	return order != 0 ? order : strcmp(event->message.topic, topic);
}

int event_compare(const struct event *a, const struct event *b)
{
	return event_compare_position(a, b->id, b->message.topic);
}

struct event_slice *event_slice_create(void)
{
	struct event_slice *slice = calloc(1, sizeof(*slice));
	ASSERT(slice != NULL);
	slice->refs = 1;
	return slice;
}

struct event_slice *event_slice_ref(struct event_slice *slice)
{
	slice->refs++;
	return slice;
}

void event_slice_unref(struct event_slice *slice)
{
	if (slice == NULL || --slice->refs > 0)
		return;
	for (size_t i = 0; i < slice->count; i++)
		event_batch_unref(slice->events[i]->batch);
	for (size_t i = 0; i < slice->packed_count; i++)
		rpc_packed_unref(slice->packed[i]);
	free(slice->packed);
	free(slice->events);
	free(slice);
}

void event_slice_add(struct event_slice *slice, struct event *event)
{
	grow(&slice->events, slice->count, &slice->capacity);
	slice->events[slice->count++] = event;
	slice->bytes += event->bytes;
	event->batch->refs++;
	for (size_t i = 0; i < ARRAY_LEN(slice->recent); i++) {
		if (slice->recent[i] == event->batch)
			return;
	}
	slice->recent[slice->batches++ % ARRAY_LEN(slice->recent)] = event->batch;
	slice->pinned += event->batch->bytes + BATCH_OVERHEAD;
}

static int compare(const void *a, const void *b)
{
	return event_compare(*(struct event *const *)a, *(struct event *const *)b);
}

void event_slice_sort(struct event_slice *slice)
{
	if (slice->count > 1)
		qsort(slice->events, slice->count, sizeof(struct event *), compare);
}

void event_slice_drop(struct event_slice *slice, size_t count)
{
	ASSERT(slice->refs == 1 && count <= slice->count);
	if (count == 0) /* an empty slice has no array */
		return;
	for (size_t i = 0; i < count; i++) {
		slice->bytes -= slice->events[i]->bytes;
		event_batch_unref(slice->events[i]->batch);
	}
	slice->count -= count;
	memmove(slice->events, slice->events + count, slice->count * sizeof(struct event *));
}
