#include "message-queue/store.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char message_queue_functions[];

enum { DONE_BUCKET_S = STORE_KEEP_OUTCOME_S, KEY_MAX = 256 };

static const char registry_key[] = "queues";
static const char limits_key[] = "queue_limits";
static const char instances_key[] = "queue_instances";

/* In the order that functions/common.lua expects; the done buckets follow. */
static const char *const key_names[] = { "pending", "high",     "low",  "messages", "leases",
	                                 "delayed", "attempts", "dead", "parked" };

struct store_queue {
	char *keys[ARRAY_LEN(key_names)];
	char *done_prefix;
};

struct store {
	struct redis *redis;
	struct redis_command command;
};

struct store *store_create(void)
{
	struct store *store = calloc(1, sizeof(*store));
	ASSERT(store != NULL);
	redis_command_init(&store->command);
	return store;
}

void store_connect(struct store *store, struct redis *redis)
{
	store->redis = redis;
}

void store_destroy(struct store *store)
{
	if (store == NULL)
		return;
	redis_command_free(&store->command);
	free(store);
}

struct redis_library store_library(void)
{
	return (struct redis_library){ .name = "messagequeue", .source = message_queue_functions };
}

static char *print_name(const char *queue, const char *what)
{
	char *name = NULL;
	ASSERT(asprintf(&name, "{queue:%s}:%s", queue, what) >= 0);
	return name;
}

struct store_queue *store_queue_create(const char *name)
{
	struct store_queue *queue = calloc(1, sizeof(*queue));
	ASSERT(queue != NULL);
	for (size_t i = 0; i < ARRAY_LEN(key_names); i++)
		queue->keys[i] = print_name(name, key_names[i]);
	queue->done_prefix = print_name(name, "done:");
	return queue;
}

void store_queue_destroy(struct store_queue *queue)
{
	if (queue == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(key_names); i++)
		free(queue->keys[i]);
	free(queue->done_prefix);
	free(queue);
}

/* Begins FCALL with the keys of the queue; arguments follow, then redis_queue. */
static struct redis_command *begin(struct store *store, const struct store_queue *queue,
                                   const char *function)
{
	struct redis_command *command = &store->command;
	redis_command_clear(command);
	redis_arg(command, "FCALL");
	redis_arg(command, function);
	redis_arg_integer(command, ARRAY_LEN(key_names) + 2);
	for (size_t i = 0; i < ARRAY_LEN(key_names); i++)
		redis_arg(command, queue->keys[i]);
	uint64_t bucket = clock_wall_us() / 1000000 / DONE_BUCKET_S;
	for (uint64_t age = 0; age < 2; age++) {
		char name[KEY_MAX];
		snprintf(name, sizeof(name), "%s%llu", queue->done_prefix,
		         (unsigned long long)(bucket - age));
		redis_arg(command, name);
	}
	return command;
}

static void add_keep(struct redis_command *command)
{
	redis_arg_integer(command, 2 * DONE_BUCKET_S + 60);
}

static void add_items(struct redis_command *command, const struct store_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		redis_arg(command, items[i].id);
		redis_arg_bytes(command, items[i].bytes, items[i].len);
	}
}

static void add_runs(struct redis_command *command, const struct store_run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		redis_arg_integer(command, runs[i].count);
		redis_arg_integer(command, runs[i].lease_ms);
	}
}

static void add_ids(struct redis_command *command, const char *const *ids, size_t count)
{
	ASSERT(count > 0 && count <= STORE_BATCH_MAX);
	for (size_t i = 0; i < count; i++)
		redis_arg(command, ids[i]);
}

void store_push(struct store *store, const struct store_queue *queue, uint64_t max_pending,
                const struct store_run *runs, size_t run_count,
                const struct store_special *specials, size_t special_count,
                const struct store_item *items, size_t count, redis_done *done, void *arg)
{
	ASSERT(count > 0 && count <= STORE_BATCH_MAX);
	struct redis_command *command = begin(store, queue, "queue_push");
	redis_arg_integer(command, (int64_t)max_pending);
	redis_arg_integer(command, (int64_t)run_count);
	redis_arg_integer(command, (int64_t)special_count);
	add_runs(command, runs, run_count);
	for (size_t i = 0; i < special_count; i++) {
		redis_arg_integer(command, (int64_t)specials[i].index + 1);
		redis_arg_integer(command, specials[i].priority);
		redis_arg_integer(command, specials[i].delay_ms);
	}
	add_items(command, items, count);
	redis_queue(store->redis, command, done, arg);
}

void store_reserve(struct store *store, const struct store_queue *queue,
                   const struct store_run *runs, size_t run_count, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_reserve");
	add_runs(command, runs, run_count);
	redis_queue(store->redis, command, done, arg);
}

static void send_outcomes(struct store *store, const struct store_queue *queue,
                          const char *function, const struct store_item *items, size_t count,
                          redis_done *done, void *arg)
{
	ASSERT(count > 0 && count <= STORE_BATCH_MAX);
	struct redis_command *command = begin(store, queue, function);
	add_keep(command);
	add_items(command, items, count);
	redis_queue(store->redis, command, done, arg);
}

void store_settle(struct store *store, const struct store_queue *queue,
                  const struct store_item *items, size_t count, redis_done *done, void *arg)
{
	send_outcomes(store, queue, "queue_settle", items, count, done, arg);
}

void store_record(struct store *store, const struct store_queue *queue,
                  const struct store_item *items, size_t count, redis_done *done, void *arg)
{
	send_outcomes(store, queue, "queue_record", items, count, done, arg);
}

void store_adopt(struct store *store, const struct store_queue *queue, uint32_t lease_ms,
                 const struct store_item *items, size_t count, redis_done *done, void *arg)
{
	ASSERT(count > 0 && count <= STORE_BATCH_MAX);
	struct redis_command *command = begin(store, queue, "queue_adopt");
	redis_arg_integer(command, lease_ms);
	add_items(command, items, count);
	redis_queue(store->redis, command, done, arg);
}

void store_retry(struct store *store, const struct store_queue *queue,
                 const struct store_failure *failures, size_t count, redis_done *done, void *arg)
{
	ASSERT(count > 0 && count <= STORE_BATCH_MAX);
	struct redis_command *command = begin(store, queue, "queue_retry");
	for (size_t i = 0; i < count; i++) {
		redis_arg(command, failures[i].id);
		redis_arg_integer(command, failures[i].delay_ms);
		redis_arg_integer(command, failures[i].max_attempts);
		redis_arg(command, failures[i].reason);
	}
	redis_queue(store->redis, command, done, arg);
}

void store_release(struct store *store, const struct store_queue *queue, const char *const *ids,
                   size_t count, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_release");
	add_ids(command, ids, count);
	redis_queue(store->redis, command, done, arg);
}

void store_extend(struct store *store, const struct store_queue *queue, const char *id,
                  uint32_t lease_ms, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_extend");
	redis_arg(command, id);
	redis_arg_integer(command, lease_ms);
	redis_queue(store->redis, command, done, arg);
}

void store_expire(struct store *store, const struct store_queue *queue, size_t limit,
                  uint32_t max_attempts, const char *cursor, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_expire");
	redis_arg_integer(command, (int64_t)limit);
	redis_arg_integer(command, max_attempts);
	redis_arg(command, cursor);
	redis_queue(store->redis, command, done, arg);
}

void store_outcome(struct store *store, const struct store_queue *queue, const char *const *ids,
                   size_t count, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_outcome");
	add_ids(command, ids, count);
	redis_queue(store->redis, command, done, arg);
}

void store_info(struct store *store, const struct store_queue *queue, redis_done *done, void *arg)
{
	redis_queue(store->redis, begin(store, queue, "queue_info"), done, arg);
}

void store_ack(struct store *store, const struct store_queue *queue, const char *id,
               redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_ack");
	add_keep(command);
	redis_arg(command, id);
	redis_queue(store->redis, command, done, arg);
}

void store_respond(struct store *store, const struct store_queue *queue,
                   const struct store_item *item, redis_done *done, void *arg)
{
	send_outcomes(store, queue, "queue_respond", item, 1, done, arg);
}

void store_forget(struct store *store, const struct store_queue *queue,
                  const struct store_item *item, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_forget");
	add_items(command, item, 1);
	redis_queue(store->redis, command, done, arg);
}

void store_dead(struct store *store, const struct store_queue *queue, const char *after,
                size_t limit, size_t bytes, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_dead");
	redis_arg(command, after);
	redis_arg_integer(command, (int64_t)limit);
	redis_arg_integer(command, (int64_t)bytes);
	redis_queue(store->redis, command, done, arg);
}

void store_unpark(struct store *store, const struct store_queue *queue, const char *move,
                  const char *const *ids, size_t count, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_unpark");
	redis_arg(command, move);
	add_ids(command, ids, count);
	redis_queue(store->redis, command, done, arg);
}

void store_unpark_all(struct store *store, const struct store_queue *queue, const char *move,
                      const char *after, const char *last, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_unpark_all");
	redis_arg(command, move);
	redis_arg_integer(command, STORE_BATCH_MAX);
	redis_arg(command, after);
	redis_arg(command, last);
	redis_queue(store->redis, command, done, arg);
}

void store_purge(struct store *store, const struct store_queue *queue, const char *outcome,
                 size_t len, redis_done *done, void *arg)
{
	struct redis_command *command = begin(store, queue, "queue_purge");
	add_keep(command);
	redis_arg_integer(command, STORE_BATCH_MAX);
	redis_arg_bytes(command, outcome, len);
	redis_queue(store->redis, command, done, arg);
}

/* A plain command of up to four words. */
static void simple(struct store *store, const char *const words[4], redis_done *done, void *arg)
{
	redis_command_clear(&store->command);
	for (size_t i = 0; i < 4 && words[i] != NULL; i++)
		redis_arg(&store->command, words[i]);
	redis_queue(store->redis, &store->command, done, arg);
}

void store_register(struct store *store, const char *name, redis_done *done, void *arg)
{
	simple(store, (const char *const[4]){ "SADD", registry_key, name }, done, arg);
}

void store_registered(struct store *store, redis_done *done, void *arg)
{
	simple(store, (const char *const[4]){ "SMEMBERS", registry_key }, done, arg);
}

void store_set_limit(struct store *store, const char *name, uint64_t limit, redis_done *done,
                     void *arg)
{
	char number[32];
	snprintf(number, sizeof(number), "%llu", (unsigned long long)limit);
	if (limit > 0)
		simple(store, (const char *const[4]){ "HSET", limits_key, name, number }, done,
		       arg);
	else
		simple(store, (const char *const[4]){ "HDEL", limits_key, name }, done, arg);
}

void store_limits(struct store *store, redis_done *done, void *arg)
{
	simple(store, (const char *const[4]){ "HGETALL", limits_key }, done, arg);
}

void store_beat(struct store *store, const char *instance, uint64_t now_ms, redis_done *done,
                void *arg)
{
	char score[32];
	snprintf(score, sizeof(score), "%llu", (unsigned long long)now_ms);
	simple(store, (const char *const[4]){ "ZADD", instances_key, score, instance }, done, arg);
}

void store_instances(struct store *store, uint64_t since_ms, redis_done *done, void *arg)
{
	char score[32];
	snprintf(score, sizeof(score), "%llu", (unsigned long long)since_ms);
	simple(store, (const char *const[4]){ "ZRANGEBYSCORE", instances_key, score, "+inf" }, done,
	       arg);
}

void store_leave(struct store *store, const char *instance, redis_done *done, void *arg)
{
	simple(store, (const char *const[4]){ "ZREM", instances_key, instance }, done, arg);
}
