#include "event-store/store_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 5000 };

extern const char event_store_append_lua[], event_store_topic_lua[], event_store_group_lua[],
    event_store_group_info_lua[], event_store_import_lua[], event_store_parked_lua[];
static const struct redis_library libraries[] = {
	{ "eventstore_append", event_store_append_lua },
	{ "eventstore_topic", event_store_topic_lua },
	{ "eventstore_group", event_store_group_lua },
	{ "eventstore_group_info", event_store_group_info_lua },
	{ "eventstore_import", event_store_import_lua },
	{ "eventstore_parked", event_store_parked_lua },
};

static bool before_send(void *arg)
{
	struct store *store = arg;
	for (size_t i = 0; i < store->hook_count; i++)
		store->hooks[i].fn(store->hooks[i].arg);
	return false;
}

/* An answer may have led to a command on the other connection, whose turn was before, or to work
 * for the hooks. */
static bool after_send(void *arg)
{
	struct store *store = arg;
	before_send(store);
	return redis_waiting(store->writes) > 0 || redis_waiting(store->reads) > 0 ||
	       redis_waiting(store->replicated) > 0 || redis_waiting(store->imports) > 0;
}

void store_before_send(struct store *store, void (*hook)(void *arg), void *arg)
{
	ASSERT(store->hook_count < HOOKS_MAX);
	store->hooks[store->hook_count].fn = hook;
	store->hooks[store->hook_count++].arg = arg;
}

bool store_create(struct loop *loop, const char *url, struct store **out, struct error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	ASSERT(store != NULL);
	redis_command_init(&store->command);
	store->loop = loop;
	loop_add_hook(loop, before_send, store);
	if (!redis_create(loop, url, libraries, ARRAY_LEN(libraries), TIMEOUT_MS, &store->writes,
	                  err) ||
	    !redis_create(loop, url, libraries, ARRAY_LEN(libraries), TIMEOUT_MS,
	                  &store->replicated, err) ||
	    !redis_create(loop, url, libraries, ARRAY_LEN(libraries), TIMEOUT_MS, &store->imports,
	                  err) ||
	    !redis_create(loop, url, NULL, 0, TIMEOUT_MS, &store->reads, err)) {
		store_destroy(store);
		return false;
	}
	loop_add_hook(loop, after_send, store);
	*out = store;
	return true;
}

void store_destroy(struct store *store)
{
	if (store == NULL)
		return;
	loop_remove_hook(store->loop, before_send, store);
	if (store->reads != NULL)
		loop_remove_hook(store->loop, after_send, store);
	redis_destroy(store->writes);
	redis_destroy(store->replicated);
	redis_destroy(store->imports);
	redis_destroy(store->reads);
	redis_command_free(&store->command);
	free(store);
}

void store_add_key(struct redis_command *command, const char *kind, const char *topic)
{
	char key[128];
	snprintf(key, sizeof(key), "%s:{%s}", kind, topic);
	redis_arg(command, key);
}

void store_add_bucket(struct redis_command *command, const char *topic, uint64_t bucket)
{
	char key[128];
	snprintf(key, sizeof(key), "%s:{%s}:%llu", RECENT, topic, (unsigned long long)bucket);
	redis_arg(command, key);
}

void store_add_id(struct redis_command *command, struct entry_id id, bool exclusive)
{
	char text[ENTRY_ID_SIZE + 1] = "(";
	entry_id_format(id, text + 1);
	redis_arg(command, exclusive ? text : text + 1);
}

struct redis_command *store_begin(struct store *store, const char *name)
{
	redis_command_clear(&store->command);
	redis_arg(&store->command, name);
	return &store->command;
}

void store_append_begin(struct redis_command *command, const char *topic, struct entry_id floor)
{
	uint64_t bucket = clock_wall_us() / (BUCKET_HOURS * 3600ULL * 1000000ULL);
	redis_command_clear(command);
	redis_arg(command, "FCALL");
	redis_arg(command, "eventstore_append");
	redis_arg(command, "6");
	store_add_key(command, EVENTS, topic);
	store_add_key(command, ENTITIES, topic);
	/* and one ahead: another store's clock may be past the turn already */
	const uint64_t buckets[] = { bucket, bucket - 1, bucket - 2, bucket + 1 };
	for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
		store_add_bucket(command, topic, buckets[i]);
	redis_arg_integer(command, BUCKET_LIFE_S);
	redis_arg_integer(command, (int64_t)floor.ms);
	redis_arg_integer(command, (int64_t)floor.us);
}

void store_append(struct store *store, const struct redis_command *command, redis_done *done,
                  void *arg)
{
	redis_queue(store->writes, command, done, arg);
}

void store_append_replicated(struct store *store, const struct redis_command *command,
                             unsigned replicas, redis_done *done, redis_done *replicated, void *arg)
{
	redis_queue(store->replicated, command, done, arg);
	struct redis_command *wait = store_begin(store, "WAIT");
	redis_arg_integer(wait, replicas);
	redis_arg_integer(wait, STORE_REPLICAS_MS);
	redis_queue(store->replicated, wait, replicated, arg);
}

void store_register_topic(struct store *store, const char *topic, redis_done *done, void *arg)
{
	struct redis_command *command = store_begin(store, "FCALL");
	redis_arg(command, "eventstore_topic");
	redis_arg(command, "1");
	redis_arg(command, TOPICS);
	redis_arg(command, topic);
	redis_queue(store->writes, command, done, arg);
}

void store_read(struct store *store, const char *topic, const struct store_range *range,
                redis_done *done, void *arg)
{
	struct redis_command *command =
	    store_begin(store, range->backward ? "XREVRANGE" : "XRANGE");
	store_add_key(command, EVENTS, topic);
	if (range->backward)
		store_add_id(command, range->to, range->to_exclusive);
	store_add_id(command, range->from, range->from_exclusive);
	if (!range->backward)
		store_add_id(command, range->to, range->to_exclusive);
	redis_arg(command, "COUNT");
	redis_arg_integer(command, (int64_t)range->count);
	redis_queue(store->reads, command, done, arg);
}

void store_topics(struct store *store, redis_done *done, void *arg)
{
	struct redis_command *command = store_begin(store, "XRANGE");
	redis_arg(command, TOPICS);
	redis_arg(command, "-");
	redis_arg(command, "+");
	redis_queue(store->reads, command, done, arg);
}

const char *store_topic_of_entry(const struct redis_value *entry)
{
	size_t len;
	return redis_value_string(redis_value_at(redis_value_at(entry, 1), 1), &len);
}

bool store_history_of_entry(const struct redis_value *entry, struct entry_id *first,
                            struct entry_id *last)
{
	char text[2 * ENTRY_ID_SIZE];
	size_t len;
	struct error ignored;
	const char *ids = redis_value_string(redis_value_at(redis_value_at(entry, 1), 3), &len);
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, ids, len + 1);
	char *space = strchr(text, ' ');
	if (space == NULL)
		return false;
	*space = '\0';
	return entry_id_parse(text, first, &ignored) && entry_id_parse(space + 1, last, &ignored);
}

/* TIME was asked of all masters: the least counts. */
struct clocks {
	size_t left;
	struct entry_id closed;
	bool failed;
	struct error err;
	store_time_done *done;
	void *arg;
};

static void got_clock(void *arg, const struct redis_value *value, const struct error *err)
{
	struct clocks *clocks = arg;
	if (redis_check(value, "(ss)", err, &clocks->err)) {
		struct entry_id closed = store_closed(value);
		if (entry_id_compare(closed, clocks->closed) < 0)
			clocks->closed = closed;
	} else {
		clocks->failed = true;
	}
	if (--clocks->left > 0)
		return;
	clocks->done(clocks->arg, clocks->closed, clocks->failed ? &clocks->err : NULL);
	free(clocks);
}

void store_time(struct store *store, store_time_done *done, void *arg)
{
	struct clocks *clocks = calloc(1, sizeof(*clocks));
	ASSERT(clocks != NULL);
	clocks->closed = ENTRY_ID_LAST;
	clocks->done = done;
	clocks->arg = arg;
	clocks->left = redis_queue_all(store->reads, store_begin(store, "TIME"), got_clock, clocks);
}

struct entry_id store_closed(const struct redis_value *value)
{
	uint64_t now = (uint64_t)redis_value_integer(redis_value_at(value, 0)) * 1000000 +
	               (uint64_t)redis_value_integer(redis_value_at(value, 1));
	now = now > 0 ? now - 1 : 0; /* an append of this very microsecond may follow */
	return (struct entry_id){ now / 1000, now % 1000 };
}

void store_heads(struct store *store, const char *topic, const char *const *entity_ids,
                 size_t count, redis_done *done, void *arg)
{
	struct redis_command *command = store_begin(store, "HMGET");
	store_add_key(command, ENTITIES, topic);
	for (size_t i = 0; i < count; i++)
		redis_arg(command, entity_ids[i]);
	redis_queue(store->reads, command, done, arg);
}

bool store_head_parse(const char *head, uint64_t *version, struct entry_id *id)
{
	char *end;
	char text[ENTRY_ID_SIZE];
	struct error ignored;
	*version = strtoull(head, &end, 10);
	if (end == head || *end != ' ')
		return false;
	size_t len = strcspn(end + 1, " ");
	if (len >= sizeof(text))
		return false;
	memcpy(text, end + 1, len);
	text[len] = '\0';
	return entry_id_parse(text, id, &ignored);
}

void store_topic_detail(struct store *store, const char *topic, enum store_detail detail,
                        redis_done *done, void *arg)
{
	static const struct {
		const char *before[2];
		const char *key;
		const char *after[4];
	} forms[] = {
		[STORE_LENGTH] = { { "XLEN" }, EVENTS, { NULL } },
		[STORE_FIRST] = { { "XRANGE" }, EVENTS, { "-", "+", "COUNT", "1" } },
		[STORE_LAST] = { { "XREVRANGE" }, EVENTS, { "+", "-", "COUNT", "1" } },
		[STORE_BYTES] = { { "MEMORY", "USAGE" }, EVENTS, { NULL } },
		[STORE_GROUPS] = { { "HGETALL" }, GROUPS, { NULL } },
	};
	struct redis_command *command = store_begin(store, forms[detail].before[0]);
	if (forms[detail].before[1] != NULL)
		redis_arg(command, forms[detail].before[1]);
	store_add_key(command, forms[detail].key, topic);
	for (size_t i = 0; i < 4 && forms[detail].after[i] != NULL; i++)
		redis_arg(command, forms[detail].after[i]);
	redis_queue(store->reads, command, done, arg);
}
