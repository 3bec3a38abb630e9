#include "event-store/tail_thread.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	AHEAD_MS = 1000, /* ids further ahead of the clock than this: it was set back */
	BLOCK_MS = 250,
	RETRY_MS = 200,
	COUNT_MAX = 1024, /* events of one topic per read; fewer while they are large */
	BATCH_BYTES = 2 * 1024 * 1024,
	BACKLOG_BYTES = 8 * 1024 * 1024 /* posted and not handled */
};

struct tail_thread {
	struct loop *loop;
	void (*posted)(void *arg, struct tail_post *post);
	void *arg;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* guarded by the mutex */
	bool stop;
	unsigned wanted;
	size_t backlog;
	size_t posts; /* on their way */
	bool drained; /* there are none; for the end */

	/* the thread's own */
	struct store_tail *store;
	unsigned generation; /* 0: not reading */
	bool failed;         /* logged already */
	struct entry_id registry_last;
	struct store_tail_topic *topics;
	size_t topic_count, topic_capacity;
	size_t count;
	struct entry_id newest; /* that was posted */
	struct entry_id closed; /* that was posted */
};

static void handle(void *arg)
{
	struct tail_post *post = arg;
	struct tail_thread *thread = post->thread;
	size_t bytes = post->batch != NULL ? post->batch->bytes : 0;
	thread->posted(thread->arg, post);
	free(post);
	pthread_mutex_lock(&thread->mutex);
	thread->backlog -= bytes;
	thread->posts--;
	thread->drained = thread->posts == 0;
	pthread_cond_signal(&thread->changed);
	pthread_mutex_unlock(&thread->mutex);
}

static void post(struct tail_thread *thread, struct tail_post content)
{
	struct event_batch *batch = content.batch;
	struct tail_post *one = calloc(1, sizeof(*one));
	ASSERT(one != NULL);
	*one = content;
	one->generation = thread->generation;
	one->thread = thread;
	pthread_mutex_lock(&thread->mutex);
	thread->backlog += batch != NULL ? batch->bytes : 0;
	thread->posts++;
	loop_post(thread->loop, handle, one);
	while (thread->backlog > BACKLOG_BYTES && !thread->stop)
		pthread_cond_wait(&thread->changed, &thread->mutex);
	pthread_mutex_unlock(&thread->mutex);
}

/* The mutex is held. */
static void nap(struct tail_thread *thread)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += RETRY_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&thread->changed, &thread->mutex, &until);
}

static struct store_tail_topic *find_topic(struct tail_thread *thread, const char *name)
{
	for (size_t i = 0; i < thread->topic_count; i++) {
		if (strcmp(thread->topics[i].topic, name) == 0)
			return &thread->topics[i];
	}
	return NULL;
}

static void add_topic(struct tail_thread *thread, const char *topic)
{
	if (find_topic(thread, topic) != NULL)
		return;
	if (thread->topic_count == thread->topic_capacity) {
		thread->topic_capacity =
		    thread->topic_capacity == 0 ? 16 : thread->topic_capacity * 2;
		thread->topics =
		    realloc(thread->topics, thread->topic_capacity * sizeof(*thread->topics));
		ASSERT(thread->topics != NULL);
	}
	char *copy = strdup(topic);
	ASSERT(copy != NULL);
	thread->topics[thread->topic_count++] =
	    (struct store_tail_topic){ .topic = copy, .last = ENTRY_ID_FIRST };
}

static void forget_topics(struct tail_thread *thread)
{
	for (size_t i = 0; i < thread->topic_count; i++)
		free((char *)thread->topics[i].topic);
	thread->topic_count = 0;
}

static void add_registered(struct tail_thread *thread, const struct redis_value *entries)
{
	for (size_t i = 0; i < redis_value_count(entries); i++) {
		const struct redis_value *entry = redis_value_at(entries, i);
		struct error ignored;
		size_t len;
		const char *id = redis_value_string(redis_value_at(entry, 0), &len);
		(void)!entry_id_parse(id, &thread->registry_last, &ignored);
		add_topic(thread, store_topic_of_entry(entry));
	}
}

/* Finds the ends of all topics. The registry is read first: a topic that is registered later is
 * read from its start. */
static bool open_tail(struct tail_thread *thread, struct error *err)
{
	const struct redis_value *entries;
	forget_topics(thread);
	thread->registry_last = ENTRY_ID_FIRST;
	thread->newest = ENTRY_ID_FIRST;
	thread->count = COUNT_MAX;
	if (!store_tail_topics(thread->store, &entries, err))
		return false;
	add_registered(thread, entries);
	for (size_t i = 0; i < thread->topic_count; i++) {
		if (!store_tail_last(thread->store, thread->topics[i].topic,
		                     &thread->topics[i].last, err))
			return false;
		if (entry_id_compare(thread->topics[i].last, thread->newest) > 0)
			thread->newest = thread->topics[i].last;
	}
	thread->closed = thread->newest;
	return true;
}

/* One read of all topics. */
struct round {
	struct tail_thread *thread;
	struct event_batch *batch;
	struct entry_id complete; /* the least last id of the topics that have more */
	bool new_topics;
	bool began; /* a topic did: its first events are left for a later round */
	struct tail_history *histories; /* in the batch's arena */
	size_t history_count;
};

/* A published history of which the registry does not tell yet: nothing comes after this. */
static bool is_held(const struct store_tail_topic *topic)
{
	return entry_id_compare(topic->last, ENTRY_ID_LAST) == 0;
}

/* What an import brought is not the tail's: it goes on behind it. */
static void pass_histories(struct round *round, const struct redis_value *entries)
{
	struct arena *arena = round->batch->arena;
	size_t count = redis_value_count(entries);
	round->histories = arena_alloc(arena, (count + 1) * sizeof(*round->histories));
	for (size_t i = 0; i < count; i++) {
		const struct redis_value *entry = redis_value_at(entries, i);
		struct tail_history history;
		if (!store_history_of_entry(entry, &history.first, &history.last))
			continue;
		history.topic = arena_strdup(arena, store_topic_of_entry(entry));
		round->histories[round->history_count++] = history;
		struct store_tail_topic *topic = find_topic(round->thread, history.topic);
		if (is_held(topic) || entry_id_compare(history.last, topic->last) > 0)
			topic->last = history.last;
	}
}

static bool has_history(const struct round *round, const char *topic)
{
	for (size_t i = 0; i < round->history_count; i++) {
		if (strcmp(round->histories[i].topic, topic) == 0)
			return true;
	}
	return false;
}

/* What was asked for when this was the last. It may have been passed since: then it is asked for again. */
static bool goes_on(const struct redis_value *entries, struct entry_id last)
{
	struct entry_id first;
	struct error ignored;
	size_t len;
	const struct redis_value *entry = redis_value_at(entries, 0);
	return entry_id_parse(redis_value_string(redis_value_at(entry, 0), &len), &first,
	                      &ignored) &&
	       entry_id_compare(first, last) > 0;
}

static void take(void *arg, const struct redis_value *value)
{
	struct round *round = arg;
	struct tail_thread *thread = round->thread;
	struct event_batch *batch = round->batch;
	for (size_t i = 0; i < redis_value_count(value); i++) {
		const struct redis_value *pair = redis_value_at(value, i);
		const struct redis_value *entries = redis_value_at(pair, 1);
		const char *name = store_tail_topic(redis_value_at(pair, 0), batch->arena);
		if (name == NULL && !goes_on(entries, thread->registry_last))
			continue;
		if (name == NULL) {
			add_registered(thread, entries);
			pass_histories(round, entries);
			round->new_topics = true;
			continue;
		}
		struct store_tail_topic *topic = find_topic(thread, name);
		if (topic == NULL || has_history(round, name) || !goes_on(entries, topic->last))
			continue;
		if (!topic->own && entry_id_compare(topic->last, ENTRY_ID_FIRST) == 0) {
			topic->began = round->began = true;
			continue;
		}
		size_t before = batch->count;
		event_batch_add(batch, name, entries);
		if (batch->count == before)
			continue;
		topic->last = batch->events[batch->count - 1]->id;
		if (entry_id_compare(topic->last, thread->newest) > 0)
			thread->newest = topic->last;
		if (redis_value_count(entries) >= thread->count &&
		    entry_id_compare(topic->last, round->complete) < 0)
			round->complete = topic->last;
	}
}

/* A topic that an append was refused of is in the registry, and empty. What an import brings to it is there before
 * the registry tells of it; only after its first events were seen can it be known whose they are. */
static bool ask_whose(struct tail_thread *thread, struct error *err)
{
	bool ok = true;
	for (size_t i = 0; i < thread->topic_count; i++) {
		struct store_tail_topic *topic = &thread->topics[i];
		bool imported;
		if (!topic->began)
			continue;
		topic->began = false; /* else its first events are read again */
		if (!store_tail_imported(thread->store, topic->topic, &imported, err)) {
			ok = false;
			continue;
		}
		topic->own = !imported;
		if (imported)
			topic->last = ENTRY_ID_LAST;
	}
	return ok;
}

static void adapt_count(struct tail_thread *thread, const struct event_batch *batch)
{
	if (batch->bytes > BATCH_BYTES)
		thread->count = (thread->count + 1) / 2;
	else if (batch->bytes < BATCH_BYTES / 4 && thread->count < COUNT_MAX)
		thread->count *= 2;
}

/* With `block_ms` it waits for the first event. */
static bool read_once(struct tail_thread *thread, unsigned block_ms, struct error *err)
{
	struct round round = { .thread = thread,
		               .batch = event_batch_create(),
		               .complete = ENTRY_ID_LAST };
	struct entry_id closed;
	bool ok = store_tail_read(thread->store, thread->registry_last, thread->topics,
	                          thread->topic_count, thread->count, block_ms, &closed, take,
	                          &round, err);
	struct event_batch *batch = round.batch;
	bool closes =
	    entry_id_compare(closed, ENTRY_ID_FIRST) > 0 && !round.new_topics && !round.began;
	adapt_count(thread, batch);
	if (thread->newest.ms > closed.ms + AHEAD_MS)
		closed = thread->newest;
	if (entry_id_compare(round.complete, closed) < 0)
		closed = round.complete;
	closes = closes && entry_id_compare(closed, thread->closed) > 0;
	bool held = entry_id_compare(thread->newest, thread->closed) > 0;
	if (batch->count > 0 || (closes && held) || round.history_count > 0) {
		if (closes)
			thread->closed = closed;
		post(thread, (struct tail_post){ .batch = batch,
		                                 .has_closed = closes,
		                                 .closed = closed,
		                                 .histories = round.histories,
		                                 .history_count = round.history_count });
	} else {
		event_batch_unref(batch);
	}
	bool asked = !round.began || ask_whose(thread, err);
	return ok && asked;
}

static bool read_tail(struct tail_thread *thread, struct error *err)
{
	bool held = entry_id_compare(thread->newest, thread->closed) > 0;
	return read_once(thread, held ? 0 : BLOCK_MS, err);
}

static void failed(struct tail_thread *thread, const struct error *err)
{
	if (!thread->failed)
		log_warn("tail_lost", "error=\"%s\"", err->message);
	thread->failed = true;
	pthread_mutex_lock(&thread->mutex);
	if (!thread->stop)
		nap(thread);
	pthread_mutex_unlock(&thread->mutex);
}

static void *run(void *arg)
{
	struct tail_thread *thread = arg;
	for (;;) {
		struct error err;
		pthread_mutex_lock(&thread->mutex);
		while (!thread->stop && thread->wanted == 0)
			pthread_cond_wait(&thread->changed, &thread->mutex);
		unsigned wanted = thread->wanted;
		bool stop = thread->stop;
		pthread_mutex_unlock(&thread->mutex);
		if (stop)
			return NULL;
		if (wanted != thread->generation) {
			thread->generation = 0;
			if (!open_tail(thread, &err)) {
				failed(thread, &err);
				continue;
			}
			thread->generation = wanted;
			post(thread,
			     (struct tail_post){ .has_closed = true, .closed = thread->closed });
		}
		if (!read_tail(thread, &err)) {
			failed(thread, &err);
		} else if (thread->failed) {
			thread->failed = false;
			log_info("tail_back", "topics=%zu", thread->topic_count);
		}
	}
}

bool tail_thread_create(struct loop *loop, const char *url,
                        void (*posted)(void *arg, struct tail_post *post), void *arg,
                        struct tail_thread **out, struct error *err)
{
	struct store_tail *store;
	if (!store_tail_connect(url, &store, err))
		return false;
	struct tail_thread *thread = calloc(1, sizeof(*thread));
	ASSERT(thread != NULL);
	thread->loop = loop;
	thread->posted = posted;
	thread->arg = arg;
	thread->store = store;
	pthread_mutex_init(&thread->mutex, NULL);
	pthread_cond_init(&thread->changed, NULL);
	if (pthread_create(&thread->thread, NULL, run, thread) != 0) {
		store_tail_destroy(store);
		free(thread);
		return error_set(err, ERR_EXHAUSTED, "no thread for the tail");
	}
	*out = thread;
	return true;
}

void tail_thread_destroy(struct tail_thread *thread)
{
	if (thread == NULL)
		return;
	pthread_mutex_lock(&thread->mutex);
	thread->stop = true;
	pthread_cond_signal(&thread->changed);
	pthread_mutex_unlock(&thread->mutex);
	pthread_join(thread->thread, NULL);
	thread->drained = thread->posts == 0;
	loop_drain_until(thread->loop, &thread->drained);
	store_tail_destroy(thread->store);
	forget_topics(thread);
	free(thread->topics);
	pthread_mutex_destroy(&thread->mutex);
	pthread_cond_destroy(&thread->changed);
	free(thread);
}

void tail_thread_set_generation(struct tail_thread *thread, unsigned generation)
{
	pthread_mutex_lock(&thread->mutex);
	thread->wanted = generation;
	pthread_cond_signal(&thread->changed);
	pthread_mutex_unlock(&thread->mutex);
}
