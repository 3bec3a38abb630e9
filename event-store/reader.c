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
	struct event_batch *ahead; /* the chunk after it, or NULL */
	bool loading;              /* `ahead` */
	bool exhausted;            /* nothing after the last chunk that was read */
};

struct reader {
	struct store *store;
	bool backward;
	bool destroyed;
	struct cursor **cursors;
	size_t count, capacity;
	size_t loading;
	struct error failure; /* of a read; there is no more after it */
	reader_done *done;    /* NULL: nobody waits */
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
		event_batch_unref(reader->cursors[i]->ahead);
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

/* The chunk that was read is new: continue behind it. */
static void advance(struct cursor *cursor, size_t answered)
{
	struct event_batch *batch = cursor->ahead;
	cursor->exhausted = answered < cursor->range.count || batch->count == 0;
	if (batch->count == 0)
		return;
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

static void go_on(struct reader *reader);

static void loaded(void *arg, const struct redis_value *value, const struct error *err)
{
	struct cursor *cursor = arg;
	struct reader *reader = cursor->reader;
	struct error failure;
	cursor->loading = false;
	reader->loading--;
	if (reader->destroyed) {
		if (reader->loading == 0)
			reader_free(reader);
		return;
	}
	if (redis_check(value, "[(sa)]", err, &failure)) {
		cursor->ahead = event_batch_create();
		event_batch_add(cursor->ahead, cursor->topic, value);
		advance(cursor, redis_value_count(value));
		if (cursor->ahead->count == 0) {
			event_batch_unref(cursor->ahead);
			cursor->ahead = NULL;
		}
	} else {
		reader->failure = failure;
	}
	go_on(reader);
}

static void load(struct cursor *cursor)
{
	if (cursor->loading || cursor->ahead != NULL || cursor->exhausted)
		return;
	cursor->loading = true;
	cursor->reader->loading++;
	store_read(cursor->reader->store, cursor->topic, &cursor->range, loaded, cursor);
}

/* The next event of the cursor; NULL: the end, or it is still to be read. */
static struct event *cursor_event(struct cursor *cursor)
{
	bool first = cursor->batch == NULL;
	if (first || cursor->at == cursor->batch->count) {
		event_batch_unref(cursor->batch);
		cursor->batch = cursor->ahead;
		cursor->ahead = NULL;
		cursor->at = 0;
		if (!first) /* who came back for a second chunk will want a third */
			load(cursor);
	}
	return cursor->batch != NULL ? cursor->batch->events[cursor->at] : NULL;
}

static bool is_missing(struct cursor *cursor)
{
	return cursor_event(cursor) == NULL && !cursor->exhausted;
}

/* NULL: the end, or one of them is still to be read. */
static struct cursor *first_cursor(struct reader *reader)
{
	struct cursor *first = NULL;
	for (size_t i = 0; i < reader->count; i++) {
		struct cursor *cursor = reader->cursors[i];
		if (is_missing(cursor))
			return NULL;
		const struct event *event = cursor_event(cursor);
		if (event == NULL)
			continue;
		int order = first == NULL ? 0 : event_compare(event, cursor_event(first));
		if (first == NULL || (reader->backward ? order > 0 : order < 0))
			first = cursor;
	}
	return first;
}

static struct event_slice *merge(struct reader *reader)
{
	struct event_slice *slice = event_slice_create();
	while (slice->count < SLICE_EVENTS && slice->bytes < SLICE_BYTES) {
		struct cursor *cursor = first_cursor(reader);
		if (cursor == NULL)
			break;
		event_slice_add(slice, cursor_event(cursor));
		cursor->at++;
	}
	if (slice->count > 0)
		return slice;
	event_slice_unref(slice);
	return NULL;
}

static void go_on(struct reader *reader)
{
	bool missing = false;
	reader_done *done = reader->done;
	if (done == NULL)
		return;
	for (size_t i = 0; i < reader->count; i++) {
		if (!is_missing(reader->cursors[i]))
			continue;
		load(reader->cursors[i]);
		missing = true;
	}
	bool failed = reader->failure.code != ERR_NONE;
	if (missing && !failed)
		return;
	reader->done = NULL;
	done(reader->arg, failed ? NULL : merge(reader), failed ? &reader->failure : NULL);
}

void reader_next(struct reader *reader, reader_done *done, void *arg)
{
	ASSERT(reader->done == NULL);
	reader->done = done;
	reader->arg = arg;
	go_on(reader);
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
