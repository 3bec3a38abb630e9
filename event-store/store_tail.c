/* The tail's part of store.h: waiting calls, on the tail's own thread. */
#include "event-store/store.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	TIMEOUT_MS = 5000,
	STEP_MS = 100,
	NAP_MAX_MS = 16 /* between two reads of a cluster that bring nothing */
};
static const char events_before[] = "events:{";
static const char registry[] = "topics";

static void add_events_key(struct redis_command *command, const char *topic)
{
	char key[128];
	snprintf(key, sizeof(key), "%s%s}", events_before, topic);
	redis_arg(command, key);
}

static void add_id(struct redis_command *command, struct entry_id id)
{
	char text[ENTRY_ID_SIZE];
	entry_id_format(id, text);
	redis_arg(command, text);
}

bool store_tail_connect(const char *url, struct redis **out, struct error *err)
{
	return redis_create(NULL, url, NULL, 0, TIMEOUT_MS, out, err);
}

struct read {
	size_t left; /* answers */
	bool any;    /* entries came */
	struct entry_id closed;
	store_tail_take *take;
	void *arg;
	bool failed;
	struct error *err;
};

static bool answered(struct read *read, const struct redis_value *value, const char *shape,
                     const struct error *err)
{
	read->left--;
	if (redis_check(value, shape, err, read->err))
		return true;
	read->failed = true;
	return false;
}

static void got_time(void *arg, const struct redis_value *value, const struct error *err)
{
	struct read *read = arg;
	if (!answered(read, value, "(ss)", err))
		return;
	struct entry_id closed = store_closed(value);
	if (entry_id_compare(closed, read->closed) < 0)
		read->closed = closed;
}

/* Nothing, or a list of keys, each with its entries. */
static void got_entries(void *arg, const struct redis_value *value, const struct error *err)
{
	struct read *read = arg;
	if (!answered(read, value, "?[(s[(sa)])]", err))
		return;
	if (redis_value_count(value) == 0)
		return;
	read->any = true;
	read->take(read->arg, value);
}

static void wait_for_all(struct redis *redis, const struct read *read)
{
	while (read->left > 0)
		redis_step(redis, STEP_MS);
}

/* XREAD of `topics`, and of the registry unless that is NULL. */
static void queue_read(struct redis *redis, struct read *read, const struct entry_id *registry_last,
                       const struct store_tail_topic *topics, size_t topic_count, size_t count,
                       unsigned block_ms)
{
	struct redis_command command;
	redis_command_init(&command);
	redis_arg(&command, "XREAD");
	redis_arg(&command, "COUNT");
	redis_arg_integer(&command, (int64_t)count);
	if (block_ms > 0) {
		redis_arg(&command, "BLOCK");
		redis_arg_integer(&command, block_ms);
	}
	redis_arg(&command, "STREAMS");
	if (registry_last != NULL)
		redis_arg(&command, registry);
	for (size_t i = 0; i < topic_count; i++)
		add_events_key(&command, topics[i].topic);
	if (registry_last != NULL)
		add_id(&command, *registry_last);
	for (size_t i = 0; i < topic_count; i++)
		add_id(&command, topics[i].last);
	read->left++;
	redis_queue(redis, &command, got_entries, read);
	redis_command_free(&command);
}

static void queue_time(struct redis *redis, struct read *read)
{
	struct redis_command command;
	redis_command_init(&command);
	redis_arg(&command, "TIME");
	read->left += redis_queue_all(redis, &command, got_time, read);
	redis_command_free(&command);
}

/* A command names keys of one slot, and a blocking one holds up its connection: so each topic is
 * asked for by itself, again and again. The clocks of all masters come first: a topic that the registry
 * does not have yet begins after them. */
static void read_cluster(struct redis *redis, struct read *read,
                         const struct entry_id *registry_last,
                         const struct store_tail_topic *topics, size_t topic_count, size_t count)
{
	uint64_t redirects = redis_redirects(redis);
	queue_time(redis, read);
	wait_for_all(redis, read);
	queue_read(redis, read, registry_last, NULL, 0, count, 0);
	for (size_t i = 0; i < topic_count; i++)
		queue_read(redis, read, NULL, &topics[i], 1, count, 0);
	wait_for_all(redis, read);
	if (redis_redirects(redis) != redirects)
		read->closed = ENTRY_ID_FIRST; /* the clock of the new master was not asked */
}

bool store_tail_read(struct redis *redis, struct entry_id registry_last,
                     const struct store_tail_topic *topics, size_t topic_count, size_t count,
                     unsigned block_ms, struct entry_id *closed, store_tail_take *take, void *arg,
                     struct error *err)
{
	struct read read = { .take = take, .arg = arg, .err = err };
	uint64_t until_ms = clock_monotonic_ms() + block_ms;
	if (!redis_is_cluster(redis)) {
		if (block_ms == 0) {
			read.closed = ENTRY_ID_LAST;
			queue_time(redis, &read);
		}
		queue_read(redis, &read, &registry_last, topics, topic_count, count, block_ms);
		wait_for_all(redis, &read);
		/* Whoever asks again at once would ask without end. */
		if (!read.any && !read.failed && clock_monotonic_ms() + block_ms / 2 < until_ms)
			read.failed = !error_set(err, ERR_INTERNAL, "XREAD did not wait");
	}
	for (unsigned nap_ms = 1; redis_is_cluster(redis); nap_ms *= 2) {
		read.closed = ENTRY_ID_LAST;
		read_cluster(redis, &read, &registry_last, topics, topic_count, count);
		if (read.any || read.failed || clock_monotonic_ms() + nap_ms > until_ms)
			break;
		struct timespec nap = { 0, (nap_ms < NAP_MAX_MS ? nap_ms : NAP_MAX_MS) * 1000000L };
		nanosleep(&nap, NULL);
	}
	*closed = read.failed ? ENTRY_ID_FIRST : read.closed;
	return !read.failed;
}

const char *store_tail_topic(const struct redis_value *key, struct arena *arena)
{
	size_t len, before = strlen(events_before);
	const char *text = redis_value_string(key, &len);
	if (len <= before || memcmp(text, events_before, before) != 0)
		return NULL;
	return arena_copy(arena, text + before, len - before - 1);
}

static bool run(struct redis *redis, const char *const *words, size_t count, const char *shape,
                const struct redis_value **value, struct error *err)
{
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < count; i++)
		redis_arg(&command, words[i]);
	bool ok = redis_wait(redis, &command, TIMEOUT_MS, value, err) &&
	          redis_check(*value, shape, NULL, err);
	redis_command_free(&command);
	return ok;
}

bool store_tail_last(struct redis *redis, const char *topic, struct entry_id *last,
                     struct error *err)
{
	const struct redis_value *value;
	struct arena *arena = arena_create();
	const char *key =
	    topic == NULL ? registry : arena_printf(arena, "%s%s}", events_before, topic);
	const char *words[] = { "EXISTS", key };
	const char *info[] = { "XINFO", "STREAM", key };
	bool ok = run(redis, words, 2, "i", &value, err);
	if (ok && redis_value_integer(value) == 0) {
		*last = (struct entry_id){ 0, 0 };
	} else if (ok && (ok = run(redis, info, 3, "a", &value, err))) {
		size_t len;
		ok = error_set(err, ERR_INTERNAL, "XINFO names no last-generated-id");
		for (size_t i = 0; !ok && i + 1 < redis_value_count(value); i += 2) {
			const char *name = redis_value_string(redis_value_at(value, i), &len);
			const char *text = redis_value_string(redis_value_at(value, i + 1), &len);
			if (strcmp(name, "last-generated-id") == 0)
				ok = entry_id_parse(text, last, err);
		}
	}
	arena_destroy(arena);
	return ok;
}

bool store_tail_imported(struct redis *redis, const char *topic, bool *imported, struct error *err)
{
	const struct redis_value *value;
	char key[128];
	size_t len;
	snprintf(key, sizeof(key), "import:{%s}", topic);
	const char *words[] = { "HGET", key, "count" };
	if (!run(redis, words, 3, "?s", &value, err))
		return false;
	const char *count = redis_value_string(value, &len);
	*imported = len > 0 && strcmp(count, "0") != 0;
	return true;
}

bool store_tail_topics(struct redis *redis, const struct redis_value **entries, struct error *err)
{
	const char *words[] = { "XRANGE", registry, "-", "+" };
	return run(redis, words, 4, "[(s[s])]", entries, err);
}
