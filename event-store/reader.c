#include "event-store/reader.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_FIRST = 128, /* events per XRANGE; grows while chunks are small */
	CHUNK_MAX = 1024,
	CHUNK_BYTES = 512 * 1024,
	SLICE_EVENTS = 1024,
	SLICE_BYTES = 1024 * 1024
};

struct cursor {
	struct reader *reader;
	char *topic;
	struct store_range range;
	struct event_batch *batch; /* the chunk */
	size_t at;                 /* next of it */
	bool exhausted;            /* nothing after the chunk */
};

struct reader {
	struct store *store;
	bool backward;
	bool destroyed;
	struct cursor **cursors;
	size_t count, capacity;
	size_t loading;
	struct error failure; /* of the reads under way */
	reader_done *done;
	void *arg;
};

struct reader *reader_create(struct store *store, bool backward)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	ASSERT(reader != NULL);
	reader->store = store;
	reader->backward = backward;
	return reader;
}

static void reader_free(struct reader *reader)
{
	for (size_t i = 0; i < reader->count; i++) {
		event_batch_unref(reader->cursors[i]->batch);
		free(reader->cursors[i]->topic);
		free(reader->cursors[i]);
	}
	free(reader->cursors);
	free(reader);
}

void reader_destroy(struct reader *reader)
{
	if (reader == NULL)
		return;
	reader->destroyed = true;
	if (reader->loading == 0)
		reader_free(reader);
}

void reader_add(struct reader *reader, const char *topic, const struct store_range *range)
{
	if (reader->count == reader->capacity) {
		reader->capacity = reader->capacity == 0 ? 8 : reader->capacity * 2;
		reader->cursors =
		    realloc(reader->cursors, reader->capacity * sizeof(*reader->cursors));
		ASSERT(reader->cursors != NULL);
	}
	struct cursor *cursor = calloc(1, sizeof(*cursor));
	ASSERT(cursor != NULL);
	cursor->reader = reader;
	cursor->topic = strdup(topic);
	ASSERT(cursor->topic != NULL);
	cursor->range = *range;
	cursor->range.backward = reader->backward;
	cursor->range.count = CHUNK_FIRST;
	int order = entry_id_compare(range->from, range->to);
	cursor->exhausted =
	    order > 0 || (order == 0 && (range->from_exclusive || range->to_exclusive));
	reader->cursors[reader->count++] = cursor;
}

static bool cursor_empty(const struct cursor *cursor)
{
	return cursor->batch == NULL || cursor->at == cursor->batch->count;
}

static void merge(struct reader *reader);

/* The chunk in the cursor is new: continue behind it. */
static void advance(struct cursor *cursor, size_t answered)
{
	struct event_batch *batch = cursor->batch;
	cursor->exhausted = answered < cursor->range.count;
	if (batch->count == 0) {
		cursor->exhausted = true;
		return;
	}
	struct entry_id last = batch->events[batch->count - 1]->id;
	if (cursor->range.backward) {
		cursor->range.to = last;
		cursor->range.to_exclusive = true;
	} else {
		cursor->range.from = last;
		cursor->range.from_exclusive = true;
	}
	if (batch->bytes > CHUNK_BYTES)
		cursor->range.count = (cursor->range.count + 1) / 2;
	else if (batch->bytes < CHUNK_BYTES / 2 && cursor->range.count < CHUNK_MAX)
		cursor->range.count *= 2;
}

static void loaded(void *arg, const struct redis_value *value, const struct error *err)
{
	struct cursor *cursor = arg;
	struct reader *reader = cursor->reader;
	struct error failure;
	if (!redis_check(value, "[(sa)]", err, &failure)) {
		reader->failure = failure;
	} else if (!reader->destroyed) {
		event_batch_unref(cursor->batch);
		cursor->batch = event_batch_create();
		cursor->at = 0;
		event_batch_add(cursor->batch, cursor->topic, value);
		advance(cursor, redis_value_count(value));
	}
	if (--reader->loading > 0)
		return;
	if (reader->destroyed)
		reader_free(reader);
	else if (reader->failure.code != ERR_NONE)
		reader->done(reader->arg, NULL, &reader->failure);
	else
		merge(reader);
}

static struct cursor *first_cursor(struct reader *reader)
{
	struct cursor *first = NULL;
	for (size_t i = 0; i < reader->count; i++) {
		struct cursor *cursor = reader->cursors[i];
		if (cursor_empty(cursor)) {
			if (!cursor->exhausted)
				return NULL;
			continue;
		}
		if (first == NULL) {
			first = cursor;
			continue;
		}
		int order = event_compare(cursor->batch->events[cursor->at],
		                          first->batch->events[first->at]);
		if (reader->backward ? order > 0 : order < 0)
			first = cursor;
	}
	return first;
}

static void merge(struct reader *reader)
{
	struct event_slice *slice = event_slice_create();
	while (slice->count < SLICE_EVENTS && slice->bytes < SLICE_BYTES) {
		struct cursor *cursor = first_cursor(reader);
		if (cursor == NULL)
			break;
		event_slice_add(slice, cursor->batch->events[cursor->at++]);
	}
	if (slice->count == 0) {
		event_slice_unref(slice);
		slice = NULL;
	}
	reader->done(reader->arg, slice, NULL);
}

void reader_next(struct reader *reader, reader_done *done, void *arg)
{
	ASSERT(reader->loading == 0);
	reader->done = done;
	reader->arg = arg;
	reader->failure.code = ERR_NONE;
	for (size_t i = 0; i < reader->count; i++) {
		struct cursor *cursor = reader->cursors[i];
		if (!cursor_empty(cursor) || cursor->exhausted)
			continue;
		reader->loading++;
		store_read(reader->store, cursor->topic, &cursor->range, loaded, cursor);
	}
	if (reader->loading == 0)
		merge(reader);
}

void reader_after(struct store_range *range, const char *topic, struct entry_id after,
                  const char *after_topic, bool backward)
{
	int order = after_topic[0] == '\0' ? 0 : strcmp(topic, after_topic);
	if (backward) {
		int later = entry_id_compare(range->to, after);
		if (later > 0 || (later == 0 && order >= 0)) {
			range->to = after;
			range->to_exclusive = order >= 0;
		}
	} else {
		int later = entry_id_compare(range->from, after);
		if (later < 0 || (later == 0 && order <= 0)) {
			range->from = after;
			range->from_exclusive = order <= 0;
		}
	}
}
