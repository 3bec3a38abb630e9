#include "event-store/tail.h"

#include "base/log.h"
#include "event-store/tail_thread.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

/* Bytes. More wait only while a master of a cluster is away and the others go on. */
enum { HELD_MAX = 16 * 1024 * 1024 };

/* All listeners of the same topics. */
struct tail_channel {
	char *key; /* the topics in order, with commas; "*": all */
	char **topics;
	size_t count; /* 1: fed at once; else from the merged order */
	struct tail_listener *listeners;
	UT_hash_handle hh;
};

struct tail {
	struct tail_thread *thread;
	struct tail_channel *channels;
	size_t listener_count;
	unsigned generation; /* the last that was asked for */
	bool running;
	struct event_slice *held; /* read, not yet closed */
	struct entry_id dropped;  /* up to here not all is held; 0-0: it is */
	struct entry_id closed;
	void (*on_closed)(void *arg, struct entry_id id);
	void *on_closed_arg;
};

static void posted(void *arg, struct tail_post *post);

bool tail_create(struct loop *loop, const char *url, struct tail **out, struct error *err)
{
	struct tail *tail = calloc(1, sizeof(*tail));
	ASSERT(tail != NULL);
	tail->held = event_slice_create();
	if (!tail_thread_create(loop, url, posted, tail, &tail->thread, err)) {
		tail_destroy(tail);
		return false;
	}
	*out = tail;
	return true;
}

void tail_destroy(struct tail *tail)
{
	if (tail == NULL)
		return;
	tail_thread_destroy(tail->thread);
	ASSERT(tail->listener_count == 0);
	event_slice_unref(tail->held);
	free(tail);
}

void tail_on_closed(struct tail *tail, void (*closed)(void *arg, struct entry_id id), void *arg)
{
	tail->on_closed = closed;
	tail->on_closed_arg = arg;
}

struct entry_id tail_closed(const struct tail *tail)
{
	return tail->closed;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct tail_channel *get_channel(struct tail *tail, const char *const *topics, size_t count)
{
	struct tail_channel *channel = calloc(1, sizeof(*channel));
	ASSERT(channel != NULL);
	size_t size = 2;
	channel->topics = calloc(count + 1, sizeof(*channel->topics));
	ASSERT(channel->topics != NULL);
	channel->count = count;
	for (size_t i = 0; i < count; i++) {
		channel->topics[i] = strdup(topics[i]);
		ASSERT(channel->topics[i] != NULL);
		size += strlen(topics[i]) + 1;
	}
	qsort(channel->topics, count, sizeof(char *), compare_names);
	channel->key = calloc(1, size);
	ASSERT(channel->key != NULL);
	if (count == 0)
		channel->key[0] = '*';
	for (size_t i = 0; i < count; i++) {
		strcat(channel->key, channel->topics[i]);
		strcat(channel->key, i + 1 < count ? "," : "");
	}
	struct tail_channel *found;
	HASH_FIND_STR(tail->channels, channel->key, found);
	if (found == NULL) {
		HASH_ADD_KEYPTR(hh, tail->channels, channel->key, strlen(channel->key), channel);
		return channel;
	}
	for (size_t i = 0; i < count; i++)
		free(channel->topics[i]);
	free(channel->topics);
	free(channel->key);
	free(channel);
	return found;
}

bool tail_listen(struct tail *tail, struct tail_listener *listener, const char *const *topics,
                 size_t count)
{
	listener->channel = get_channel(tail, topics, count);
	DL_APPEND(listener->channel->listeners, listener);
	if (tail->listener_count++ == 0)
		tail_thread_set_generation(tail->thread, ++tail->generation);
	return tail->running;
}

void tail_unlisten(struct tail *tail, struct tail_listener *listener)
{
	struct tail_channel *channel = listener->channel;
	DL_DELETE(channel->listeners, listener);
	if (channel->listeners == NULL) {
		HASH_DEL(tail->channels, channel);
		for (size_t i = 0; i < channel->count; i++)
			free(channel->topics[i]);
		free(channel->topics);
		free(channel->key);
		free(channel);
	}
	if (--tail->listener_count > 0)
		return;
	tail_thread_set_generation(tail->thread, 0);
	tail->running = false;
	tail->dropped = ENTRY_ID_FIRST;
	event_slice_drop(tail->held, tail->held->count);
}

static void deliver(struct tail_channel *channel, struct event_slice *slice)
{
	struct tail_listener *listener;
	DL_FOREACH(channel->listeners, listener)
	{
		listener->events(listener, slice);
	}
}

static bool wants(const struct tail_channel *channel, const char *topic)
{
	return channel->count == 0 || bsearch(&topic, channel->topics, channel->count,
	                                      sizeof(char *), compare_names) != NULL;
}

/* A batch has the events of one topic together. */
static void deliver_single(struct tail *tail, const struct event_batch *batch)
{
	for (size_t first = 0, last; first < batch->count; first = last) {
		const char *topic = batch->events[first]->message.topic;
		struct tail_channel *channel;
		for (last = first + 1; last < batch->count; last++) {
			if (strcmp(batch->events[last]->message.topic, topic) != 0)
				break;
		}
		HASH_FIND_STR(tail->channels, topic, channel);
		if (channel == NULL)
			continue;
		struct event_slice *slice = event_slice_create();
		for (size_t i = first; i < last; i++)
			event_slice_add(slice, batch->events[i]);
		deliver(channel, slice);
		event_slice_unref(slice);
	}
}

/* The first `count` held events are in their final order. */
static void deliver_merged(struct tail *tail, size_t count)
{
	struct tail_channel *channel, *next;
	HASH_ITER(hh, tail->channels, channel, next)
	{
		if (channel->count == 1)
			continue;
		struct event_slice *slice = event_slice_create();
		for (size_t i = 0; i < count; i++) {
			if (wants(channel, tail->held->events[i]->message.topic))
				event_slice_add(slice, tail->held->events[i]);
		}
		if (slice->count > 0)
			deliver(channel, slice);
		event_slice_unref(slice);
	}
	event_slice_drop(tail->held, count);
}

static void drop_held(struct tail *tail)
{
	log_warn("tail_behind", "bytes=%zu reason=\"a master is away\"", tail->held->bytes);
	event_slice_sort(tail->held);
	/* It never goes back: the master that was away brings what is older than what was dropped before. */
	struct entry_id last = tail->held->events[tail->held->count - 1]->id;
	if (entry_id_compare(last, tail->dropped) > 0)
		tail->dropped = last;
	event_slice_drop(tail->held, tail->held->count);
}

static void tell_behind(struct tail *tail)
{
	struct tail_channel *channel, *next;
	struct tail_listener *listener;
	tail->dropped = ENTRY_ID_FIRST;
	HASH_ITER(hh, tail->channels, channel, next)
	{
		if (channel->count == 1)
			continue;
		DL_FOREACH(channel->listeners, listener)
		{
			listener->behind(listener);
		}
	}
}

static void close_at(struct tail *tail, struct entry_id closed)
{
	size_t count = 0;
	if (entry_id_compare(closed, tail->dropped) < 0)
		return;
	event_slice_sort(tail->held);
	while (count < tail->held->count &&
	       entry_id_compare(tail->held->events[count]->id, closed) <= 0)
		count++;
	if (entry_id_compare(closed, tail->closed) > 0) {
		tail->closed = closed;
		if (tail->on_closed != NULL)
			tail->on_closed(tail->on_closed_arg, closed);
	}
	if (entry_id_compare(tail->dropped, ENTRY_ID_FIRST) > 0)
		tell_behind(tail);
	if (count > 0)
		deliver_merged(tail, count);
}

/* Together, so that a listener hears once of what was imported at once. */
static void tell_histories(struct tail *tail, const struct tail_post *post)
{
	struct tail_channel *channel, *next;
	struct tail_listener *listener;
	HASH_ITER(hh, tail->channels, channel, next)
	{
		struct entry_id first = ENTRY_ID_LAST, last = ENTRY_ID_FIRST;
		for (size_t i = 0; i < post->history_count; i++) {
			const struct tail_history *history = &post->histories[i];
			if (!wants(channel, history->topic))
				continue;
			if (entry_id_compare(history->first, first) < 0)
				first = history->first;
			if (entry_id_compare(history->last, last) > 0)
				last = history->last;
		}
		if (entry_id_compare(first, last) > 0)
			continue;
		DL_FOREACH(channel->listeners, listener)
		{
			listener->imported(listener, first, last);
		}
	}
}

static void begin(struct tail *tail)
{
	struct tail_channel *channel, *next;
	struct tail_listener *listener;
	tail->running = true;
	HASH_ITER(hh, tail->channels, channel, next)
	{
		DL_FOREACH(channel->listeners, listener)
		{
			listener->ready(listener);
		}
	}
}

static void posted(void *arg, struct tail_post *post)
{
	struct tail *tail = arg;
	if (post->generation == tail->generation && tail->listener_count > 0) {
		if (post->has_closed && post->batch == NULL)
			close_at(tail, post->closed);
		if (post->batch == NULL) {
			begin(tail);
		} else {
			tell_histories(tail, post);
			deliver_single(tail, post->batch);
			for (size_t i = 0; i < post->batch->count; i++)
				event_slice_add(tail->held, post->batch->events[i]);
			if (post->has_closed)
				close_at(tail, post->closed);
			if (tail->held->bytes > HELD_MAX)
				drop_held(tail);
		}
	}
	event_batch_unref(post->batch);
}
