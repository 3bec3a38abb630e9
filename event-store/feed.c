#include "event-store/feed.h"

#include "event-store/reader.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	COLLECT_MAX = 8 * 1024 * 1024, /* bytes of the tail that wait for the one who takes */
	RETRY_MS = 200
};
/* After every topic: a position that excludes its whole id. */
#define TOPIC_LAST "~"

struct piece {
	struct event_slice *slice;
	struct piece *prev, *next;
};

enum feed_state { WAITING, READING, LIVE };

struct feed {
	struct tail_listener listener; /* first: it is cast back */
	struct loop *loop;
	struct store *store;
	struct tail *tail;
	char **topics;
	size_t topic_count;
	bool live_only;
	struct entry_id after; /* of what was taken last, or where to begin */
	char after_topic[80];
	struct entry_id began; /* live: nothing up to here is owed */
	void (*wake)(void *arg);
	void *arg;

	enum feed_state state;
	bool destroyed;
	size_t asked; /* commands whose answers refer to this */
	struct reader *reader;
	bool reading;
	struct event_slice *chunk; /* of the reader */
	struct piece *pieces;      /* of the tail */
	size_t piece_bytes;
	bool complete; /* nothing of the tail was thrown away since the pass began */
	bool stale;    /* the pass is to begin again before it reads */
	bool failed;   /* see feed_failed */
	struct entry_id closed;
	struct loop_timer retry;
};

static void begin_pass(struct feed *feed);
static void tail_ready(struct tail_listener *listener);
static void tail_events(struct tail_listener *listener, struct event_slice *slice);
static void tail_imported(struct tail_listener *listener, struct entry_id first,
                          struct entry_id last);
static void tail_behind(struct tail_listener *listener);

static void drop_pieces(struct feed *feed)
{
	struct piece *piece, *next;
	DL_FOREACH_SAFE(feed->pieces, piece, next)
	{
		event_slice_unref(piece->slice);
		free(piece);
	}
	feed->pieces = NULL;
	feed->piece_bytes = 0;
}

static void feed_free(struct feed *feed)
{
	for (size_t i = 0; i < feed->topic_count; i++)
		free(feed->topics[i]);
	free(feed->topics);
	free(feed);
}

static void start(void *arg)
{
	struct feed *feed = arg;
	tail_ready(&feed->listener);
}

struct feed *feed_create(struct loop *loop, struct store *store, struct tail *tail,
                         const struct feed_options *options, void (*wake)(void *arg), void *arg)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	ASSERT(feed != NULL);
	feed->listener.events = tail_events;
	feed->listener.ready = tail_ready;
	feed->listener.imported = tail_imported;
	feed->listener.behind = tail_behind;
	feed->loop = loop;
	feed->store = store;
	feed->tail = tail;
	feed->topic_count = options->topic_count;
	feed->topics = calloc(options->topic_count + 1, sizeof(*feed->topics));
	ASSERT(feed->topics != NULL);
	for (size_t i = 0; i < options->topic_count; i++) {
		feed->topics[i] = strdup(options->topics[i]);
		ASSERT(feed->topics[i] != NULL);
	}
	feed->live_only = options->live_only;
	feed->after = options->after;
	strncpy(feed->after_topic, options->after_topic, sizeof(feed->after_topic) - 1);
	feed->wake = wake;
	feed->arg = arg;
	if (tail_listen(tail, &feed->listener, options->topics, options->topic_count))
		loop_timer_start(loop, &feed->retry, 0, start, feed);
	return feed;
}

static void end_reader(struct feed *feed)
{
	reader_destroy(feed->reader);
	feed->reader = NULL;
	feed->reading = false;
}

void feed_destroy(struct feed *feed)
{
	if (feed == NULL)
		return;
	loop_timer_stop(feed->loop, &feed->retry);
	tail_unlisten(feed->tail, &feed->listener);
	end_reader(feed);
	event_slice_unref(feed->chunk);
	feed->chunk = NULL;
	drop_pieces(feed);
	feed->destroyed = true;
	if (feed->asked == 0)
		feed_free(feed);
}

/* One answer less to come. False: nobody is interested in it any more. */
static bool answered(struct feed *feed)
{
	feed->asked--;
	if (feed->destroyed && feed->asked == 0)
		feed_free(feed);
	else if (!feed->destroyed && feed->stale)
		begin_pass(feed);
	else
		return !feed->destroyed;
	return false;
}

static void retry(void *arg)
{
	begin_pass(arg);
}

static void pass_failed(struct feed *feed)
{
	end_reader(feed);
	loop_timer_start(feed->loop, &feed->retry, RETRY_MS, retry, feed);
}

static void pass_ended(struct feed *feed)
{
	end_reader(feed);
	if (!feed->complete) {
		begin_pass(feed);
		return;
	}
	feed->state = LIVE;
	feed->wake(feed->arg);
}

static void read_done(void *arg, struct event_slice *slice, const struct error *err)
{
	struct feed *feed = arg;
	feed->reading = false;
	if (err != NULL) {
		pass_failed(feed);
	} else if (slice == NULL) {
		pass_ended(feed);
	} else {
		feed->chunk = slice;
		feed->wake(feed->arg);
	}
}

static void read_more(struct feed *feed)
{
	feed->reading = true;
	reader_next(feed->reader, read_done, feed);
}

static void read_more_soon(void *arg)
{
	read_more(arg);
}

static void add_to_reader(struct feed *feed, const char *topic)
{
	struct store_range range = { .from = ENTRY_ID_FIRST, .to = feed->closed };
	reader_after(&range, topic, feed->after, feed->after_topic, false);
	reader_add(feed->reader, topic, &range);
}

static void start_reader(struct feed *feed, const struct redis_value *registry)
{
	feed->reader = reader_create(feed->store, false);
	for (size_t i = 0; i < feed->topic_count; i++)
		add_to_reader(feed, feed->topics[i]);
	for (size_t i = 0; i < redis_value_count(registry); i++)
		add_to_reader(feed, store_topic_of_entry(redis_value_at(registry, i)));
	read_more(feed);
}

/* The TIME came before this: no topic that is missing here has an event that is closed. */
static void got_registry(void *arg, const struct redis_value *value, const struct error *err)
{
	struct feed *feed = arg;
	struct error wrong;
	if (!answered(feed))
		return;
	if (redis_check(value, "[(s[s])]", err, &wrong))
		start_reader(feed, value);
	else
		pass_failed(feed);
}

static void got_time(void *arg, struct entry_id closed, const struct error *err)
{
	struct feed *feed = arg;
	if (!answered(feed))
		return;
	if (err != NULL) {
		pass_failed(feed);
		return;
	}
	feed->closed = closed;
	struct entry_id tail = tail_closed(feed->tail);
	if (entry_id_compare(tail, feed->closed) > 0)
		feed->closed = tail;
	if (feed->live_only) {
		feed->live_only = false;
		feed->after = feed->began = feed->closed;
		strcpy(feed->after_topic, TOPIC_LAST);
		pass_ended(feed);
	} else if (feed->topic_count == 0) {
		feed->asked++;
		store_topics(feed->store, got_registry, feed);
	} else {
		start_reader(feed, NULL);
	}
}

static void begin_pass(struct feed *feed)
{
	feed->state = READING;
	drop_pieces(feed);
	feed->complete = true;
	feed->stale = false;
	if (feed->topic_count == 1 && !feed->live_only) {
		feed->closed = ENTRY_ID_LAST;
		start_reader(feed, NULL);
	} else {
		feed->asked++;
		store_time(feed->store, got_time, feed);
	}
}

static void tail_ready(struct tail_listener *listener)
{
	struct feed *feed = (struct feed *)(void *)listener;
	if (feed->state == WAITING)
		begin_pass(feed);
}

static void tail_events(struct tail_listener *listener, struct event_slice *slice)
{
	struct feed *feed = (struct feed *)(void *)listener;
	if (feed->state == WAITING || !feed->complete)
		return;
	struct piece *piece = calloc(1, sizeof(*piece));
	ASSERT(piece != NULL);
	piece->slice = event_slice_ref(slice);
	DL_APPEND(feed->pieces, piece);
	feed->piece_bytes += slice->pinned;
	if (feed->piece_bytes > COLLECT_MAX) {
		drop_pieces(feed);
		feed->complete = false;
		if (feed->state == LIVE)
			begin_pass(feed);
	} else if (feed->state == LIVE) {
		feed->wake(feed->arg);
	}
}

static void restart_pass(struct feed *feed)
{
	feed->stale = feed->asked > 0;
	if (feed->stale)
		return;
	loop_timer_stop(feed->loop, &feed->retry);
	end_reader(feed);
	event_slice_unref(feed->chunk);
	feed->chunk = NULL;
	begin_pass(feed);
}

static void tail_imported(struct tail_listener *listener, struct entry_id first,
                          struct entry_id last)
{
	struct feed *feed = (struct feed *)(void *)listener;
	if (feed->state == WAITING || entry_id_compare(last, feed->began) <= 0)
		return;
	if (feed->live_only || feed->topic_count == 1 || entry_id_compare(feed->after, first) < 0) {
		restart_pass(feed);
	} else {
		feed->failed = true;
		feed->wake(feed->arg);
	}
}

static void tail_behind(struct tail_listener *listener)
{
	struct feed *feed = (struct feed *)(void *)listener;
	if (feed->state != WAITING)
		restart_pass(feed);
}

bool feed_failed(const struct feed *feed, struct error *err)
{
	if (feed->failed)
		error_set(err, ERR_CONFLICT,
		          "a history was imported before the position of this subscription: what "
		          "came of it is not all; start again from the beginning");
	return feed->failed;
}

static bool is_new(const struct feed *feed, const struct event *event)
{
	int order = entry_id_compare(event->id, feed->after);
	if (order == 0 && feed->after_topic[0] != '\0')
		order = strcmp(event->message.topic, feed->after_topic);
	return order > 0;
}

/* Without what was taken already; may become NULL. */
static struct event_slice *only_new(const struct feed *feed, struct event_slice *slice)
{
	size_t known = 0;
	while (known < slice->count && !is_new(feed, slice->events[known]))
		known++;
	if (known == 0)
		return slice;
	struct event_slice *rest = known < slice->count ? event_slice_create() : NULL;
	for (size_t i = known; i < slice->count; i++)
		event_slice_add(rest, slice->events[i]);
	event_slice_unref(slice);
	return rest;
}

static struct event_slice *take_piece(struct feed *feed)
{
	while (feed->pieces != NULL) {
		struct piece *piece = feed->pieces;
		struct event_slice *slice = piece->slice;
		DL_DELETE(feed->pieces, piece);
		feed->piece_bytes -= slice->pinned;
		free(piece);
		slice = only_new(feed, slice);
		if (slice != NULL)
			return slice;
	}
	return NULL;
}

struct event_slice *feed_take(struct feed *feed)
{
	struct event_slice *slice = NULL;
	if (feed->failed)
		return NULL;
	if (feed->chunk != NULL) {
		slice = feed->chunk;
		feed->chunk = NULL;
	} else if (feed->state == LIVE) {
		slice = take_piece(feed);
	}
	if (slice == NULL)
		return NULL;
	const struct event *last = slice->events[slice->count - 1];
	feed->after = last->id;
	strncpy(feed->after_topic, last->message.topic, sizeof(feed->after_topic) - 1);
	/* the next chunk is read while this one is sent; `wake` comes later: see read_done */
	if (feed->reader != NULL && !feed->reading && feed->chunk == NULL)
		loop_timer_start(feed->loop, &feed->retry, 0, read_more_soon, feed);
	return slice;
}

bool feed_live(const struct feed *feed)
{
	return feed->state == LIVE && feed->pieces == NULL;
}
