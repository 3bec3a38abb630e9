/* The tail's part of store.h: waiting calls, on the tail's own thread. */
#include "event-store/store.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

enum {
	TIMEOUT_MS = 5000,
	STEP_MS = 100,
	PATIENCE_MS = 250, /* with the masters of a cluster */
	NAP_MAX_MS = 16    /* between two reads of a cluster that bring nothing */
};
static const char events_before[] = "events:{";
static const char registry[] = "topics";

enum { KEY_SIZE = 128 };
static const char *events_key(const char *topic, char *key)
{
	snprintf(key, KEY_SIZE, "%s%s}", events_before, topic);
	return key;
}

static void add_id(struct redis_command *command, struct entry_id id)
{
	char text[ENTRY_ID_SIZE];
	entry_id_format(id, text);
	redis_arg(command, text);
}

struct store_tail {
	struct redis *redis;
	struct question *open;
	store_tail_take *take; /* NULL: no round is under way */
	void *arg;
	/* of the round: */
	uint64_t round;
	size_t left; /* answers to what it asked */
	bool any;    /* entries came */
	bool failed;
	struct entry_id closed;
	struct error *err;
};

/* What Redis was asked, until it has answered; that may be in a later round. */
struct question {
	struct store_tail *tail;
	struct question *prev, *next;
	uint64_t round;
	size_t left; /* answers */
	char key[];  /* ""; or one that others are not asked for together with */
};

bool store_tail_connect(const char *url, struct store_tail **out, struct error *err)
{
	struct redis *redis;
	if (!redis_create(NULL, url, NULL, 0, TIMEOUT_MS, &redis, err))
		return false;
	struct store_tail *tail = calloc(1, sizeof(*tail));
	ASSERT(tail != NULL);
	tail->redis = redis;
	*out = tail;
	return true;
}

void store_tail_destroy(struct store_tail *tail)
{
	redis_destroy(tail->redis);
	ASSERT(tail->open == NULL);
	free(tail);
}

static struct question *new_question(struct store_tail *tail, const char *key)
{
	size_t size = strlen(key) + 1;
	struct question *question = calloc(1, sizeof(*question) + size);
	ASSERT(question != NULL);
	question->tail = tail;
	question->round = tail->round;
	memcpy(question->key, key, size);
	DL_APPEND(tail->open, question);
	return question;
}

static void expect(struct question *question, size_t answers)
{
	question->left = answers;
	question->tail->left += answers;
}

/* Since a round before; in one round nothing is asked for twice. */
static bool is_open(const struct store_tail *tail, const char *key)
{
	const struct question *question = tail->open; /* oldest first */
	while (question != NULL && question->round < tail->round && strcmp(question->key, key) != 0)
		question = question->next;
	return question != NULL && question->round < tail->round;
}

/* True: it is of use. What a round before asked for is as good. */
static bool answered(struct question *question, const struct redis_value *value, const char *shape,
                     const struct error *err)
{
	struct store_tail *tail = question->tail;
	if (question->round == tail->round)
		tail->left--;
	if (--question->left == 0) {
		DL_DELETE(tail->open, question);
		free(question);
	}
	if (tail->take == NULL)
		return false;
	if (redis_check(value, shape, err, tail->err))
		return true;
	tail->failed = true;
	return false;
}

static void got_time(void *arg, const struct redis_value *value, const struct error *err)
{
	struct question *question = arg;
	struct store_tail *tail = question->tail;
	if (!answered(question, value, "(ss)", err))
		return;
	struct entry_id closed = store_closed(value);
	if (entry_id_compare(closed, tail->closed) < 0)
		tail->closed = closed;
}

/* Nothing, or a list of keys, each with its entries. */
static void got_entries(void *arg, const struct redis_value *value, const struct error *err)
{
	struct question *question = arg;
	struct store_tail *tail = question->tail;
	if (!answered(question, value, "?[(s[(sa)])]", err) || redis_value_count(value) == 0)
		return;
	tail->any = true;
	tail->take(tail->arg, value);
}

static void wait_for_all(struct store_tail *tail)
{
	while (tail->left > 0)
		redis_step(tail->redis, STEP_MS);
}

/* For the others a master that is dead is no reason to wait. If nothing could be asked, since all are late, it
 * waits for what they owe. */
static void wait_patiently(struct store_tail *tail)
{
	uint64_t now_ms = clock_monotonic_ms(), until_ms = now_ms + PATIENCE_MS;
	do {
		uint64_t rest_ms = until_ms - now_ms;
		redis_step(tail->redis, rest_ms < STEP_MS ? (unsigned)rest_ms : STEP_MS);
		now_ms = clock_monotonic_ms();
	} while (tail->left > 0 && now_ms < until_ms);
}

static void queue_time(struct store_tail *tail)
{
	struct redis_command command;
	tail->closed = ENTRY_ID_LAST;
	redis_command_init(&command);
	redis_arg(&command, "TIME");
	struct question *question = new_question(tail, "");
	expect(question, redis_queue_all(tail->redis, &command, got_time, question));
	redis_command_free(&command);
}

static void begin_read(struct redis_command *command, size_t count)
{
	redis_command_init(command);
	redis_arg(command, "XREAD");
	redis_arg(command, "COUNT");
	redis_arg_integer(command, (int64_t)count);
}

static void queue_read(struct store_tail *tail, struct redis_command *command, const char *key)
{
	struct question *question = new_question(tail, key);
	expect(question, 1);
	redis_queue(tail->redis, command, got_entries, question);
	redis_command_free(command);
}

/* One XREAD of the registry and of all topics. */
static void queue_read_all(struct store_tail *tail, struct entry_id registry_last,
                           const struct store_tail_topic *topics, size_t topic_count, size_t count,
                           unsigned block_ms)
{
	struct redis_command command;
	begin_read(&command, count);
	if (block_ms > 0) {
		redis_arg(&command, "BLOCK");
		redis_arg_integer(&command, block_ms);
	}
	redis_arg(&command, "STREAMS");
	redis_arg(&command, registry);
	for (size_t i = 0; i < topic_count; i++) {
		char key[KEY_SIZE];
		redis_arg(&command, events_key(topics[i].topic, key));
	}
	add_id(&command, registry_last);
	for (size_t i = 0; i < topic_count; i++)
		add_id(&command, topics[i].last);
	queue_read(tail, &command, "");
}

static void queue_read_one(struct store_tail *tail, const char *key, struct entry_id last,
                           size_t count)
{
	struct redis_command command;
	if (is_open(tail, key))
		return;
	begin_read(&command, count);
	redis_arg(&command, "STREAMS");
	redis_arg(&command, key);
	add_id(&command, last);
	queue_read(tail, &command, key);
}

/* A command names keys of one slot, and a blocking one holds up its connection: so each topic is
 * asked for by itself, again and again. The clocks of all masters come first: a topic that the registry
 * does not have yet begins after them. While a master owes an answer nothing is closed, and the others go on. */
static void read_cluster(struct store_tail *tail, struct entry_id registry_last,
                         const struct store_tail_topic *topics, size_t topic_count, size_t count)
{
	uint64_t redirects = redis_redirects(tail->redis);
	if (tail->open == NULL) {
		queue_time(tail);
		wait_patiently(tail);
	}
	queue_read_one(tail, registry, registry_last, count);
	for (size_t i = 0; i < topic_count; i++) {
		char key[KEY_SIZE];
		queue_read_one(tail, events_key(topics[i].topic, key), topics[i].last, count);
	}
	wait_patiently(tail);
	if (redis_redirects(tail->redis) != redirects)
		tail->closed = ENTRY_ID_FIRST; /* the clock of the new master was not asked */
	if (tail->open != NULL && !tail->failed)
		tail->failed =
		    !error_set(tail->err, ERR_UNAVAILABLE,
		               "a master of the cluster has not answered for %d ms", PATIENCE_MS);
}

static void begin_round(struct store_tail *tail)
{
	tail->round++;
	tail->left = 0;
	tail->any = false;
	tail->failed = false;
	tail->closed = ENTRY_ID_FIRST;
}

bool store_tail_read(struct store_tail *tail, struct entry_id registry_last,
                     const struct store_tail_topic *topics, size_t topic_count, size_t count,
                     unsigned block_ms, struct entry_id *closed, store_tail_take *take, void *arg,
                     struct error *err)
{
	uint64_t until_ms = clock_monotonic_ms() + block_ms;
	tail->take = take;
	tail->arg = arg;
	tail->err = err;
	begin_round(tail);
	if (!redis_is_cluster(tail->redis)) {
		if (block_ms == 0)
			queue_time(tail);
		queue_read_all(tail, registry_last, topics, topic_count, count, block_ms);
		wait_for_all(tail);
		/* Whoever asks again at once would ask without end. */
		if (!tail->any && !tail->failed && clock_monotonic_ms() + block_ms / 2 < until_ms)
			tail->failed = !error_set(err, ERR_INTERNAL, "XREAD did not wait");
	}
	for (unsigned nap_ms = 1; redis_is_cluster(tail->redis); nap_ms *= 2) {
		begin_round(tail);
		read_cluster(tail, registry_last, topics, topic_count, count);
		if (tail->any || tail->failed || clock_monotonic_ms() + nap_ms > until_ms)
			break;
		struct timespec nap = { 0, (nap_ms < NAP_MAX_MS ? nap_ms : NAP_MAX_MS) * 1000000L };
		nanosleep(&nap, NULL);
	}
	tail->take = NULL;
	*closed = tail->failed ? ENTRY_ID_FIRST : tail->closed;
	return !tail->failed;
}

const char *store_tail_topic(const struct redis_value *key, struct arena *arena)
{
	size_t len, before = strlen(events_before);
	const char *text = redis_value_string(key, &len);
	if (len <= before || memcmp(text, events_before, before) != 0)
		return NULL;
	return arena_copy(arena, text + before, len - before - 1);
}

static bool run(struct store_tail *tail, const char *const *words, size_t count, const char *shape,
                const struct redis_value **value, struct error *err)
{
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < count; i++)
		redis_arg(&command, words[i]);
	bool ok = redis_wait(tail->redis, &command, TIMEOUT_MS, value, err) &&
	          redis_check(*value, shape, NULL, err);
	redis_command_free(&command);
	return ok;
}

bool store_tail_last(struct store_tail *tail, const char *topic, struct entry_id *last,
                     struct error *err)
{
	const struct redis_value *value;
	struct arena *arena = arena_create();
	const char *key =
	    topic == NULL ? registry : arena_printf(arena, "%s%s}", events_before, topic);
	const char *words[] = { "EXISTS", key };
	const char *info[] = { "XINFO", "STREAM", key };
	bool ok = run(tail, words, 2, "i", &value, err);
	if (ok && redis_value_integer(value) == 0) {
		*last = (struct entry_id){ 0, 0 };
	} else if (ok && (ok = run(tail, info, 3, "a", &value, err))) {
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

bool store_tail_imported(struct store_tail *tail, const char *topic, bool *imported,
                         struct error *err)
{
	const struct redis_value *value;
	char key[128];
	size_t len;
	snprintf(key, sizeof(key), "import:{%s}", topic);
	const char *words[] = { "HGET", key, "count" };
	if (!run(tail, words, 3, "?s", &value, err))
		return false;
	const char *count = redis_value_string(value, &len);
	*imported = len > 0 && strcmp(count, "0") != 0;
	return true;
}

bool store_tail_topics(struct store_tail *tail, const struct redis_value **entries,
                       struct error *err)
{
	const char *words[] = { "XRANGE", registry, "-", "+" };
	return run(tail, words, 4, "[(s[s])]", entries, err);
}
