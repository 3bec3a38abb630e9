/* The tail's part of store.h: waiting calls, on the tail's own thread. */
#include "event-store/store.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, CONNECT_TIMEOUT_MS = 1000 };
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
	return redis_create(NULL, url, NULL, 0, CONNECT_TIMEOUT_MS, out, err);
}

bool store_tail_read(struct redis *redis, struct entry_id registry_last,
                     const struct store_tail_topic *topics, size_t topic_count, size_t count,
                     unsigned block_ms, const struct redis_value **value, struct error *err)
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
	redis_arg(&command, registry);
	for (size_t i = 0; i < topic_count; i++)
		add_events_key(&command, topics[i].topic);
	add_id(&command, registry_last);
	for (size_t i = 0; i < topic_count; i++)
		add_id(&command, topics[i].last);
	bool ok = redis_wait(redis, &command, TIMEOUT_MS + block_ms, value, err);
	redis_command_free(&command);
	return ok;
}

const char *store_tail_topic(const struct redis_value *key, struct arena *arena)
{
	size_t len, before = strlen(events_before);
	const char *text = redis_value_string(key, &len);
	if (len <= before || memcmp(text, events_before, before) != 0)
		return NULL;
	return arena_copy(arena, text + before, len - before - 1);
}

static bool run(struct redis *redis, const char *const *words, size_t count,
                const struct redis_value **value, struct error *err)
{
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < count; i++)
		redis_arg(&command, words[i]);
	bool ok = redis_wait(redis, &command, TIMEOUT_MS, value, err);
	redis_command_free(&command);
	return ok;
}

bool store_tail_time(struct redis *redis, struct entry_id *closed, struct error *err)
{
	const struct redis_value *value;
	const char *words[] = { "TIME" };
	if (!run(redis, words, 1, &value, err))
		return false;
	*closed = store_closed(value);
	return true;
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
	bool ok = run(redis, words, 2, &value, err);
	if (ok && redis_value_integer(value) == 0) {
		*last = (struct entry_id){ 0, 0 };
	} else if (ok && (ok = run(redis, info, 3, &value, err))) {
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

bool store_tail_topics(struct redis *redis, const struct redis_value **entries, struct error *err)
{
	const char *words[] = { "XRANGE", registry, "-", "+" };
	return run(redis, words, 4, entries, err);
}
