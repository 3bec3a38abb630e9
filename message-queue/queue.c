#include "message-queue/queue_internal.h"

#include "base/id.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the queues ---- */

static bool flush(void *arg)
{
	struct queues *queues = arg;
	while (queues->dirty != NULL) {
		struct queue *queue = queues->dirty;
		DL_DELETE2(queues->dirty, queue, dirty_prev, dirty_next);
		queue->dirty = false;
		queue_flush_settlements(queue);
		queue_deliver_at_once(queue);
		queue_flush_pushes(queue);
		queue_flush_reserve(queue);
	}
	return false;
}

struct queues *queues_create(struct loop *loop, struct store *store,
                             const struct queues_options *options)
{
	struct queues *queues = calloc(1, sizeof(*queues));
	ASSERT(queues != NULL);
	queues->loop = loop;
	queues->store = store;
	queues->options = *options;
	queues->instance = strdup(options->instance);
	ASSERT(queues->instance != NULL);
	loop_add_hook(loop, flush, queues);
	return queues;
}

static void queue_destroy(struct queue *queue)
{
	struct submission *submission, *next;
	DL_FOREACH_SAFE(queue->pushes, submission, next)
	{
		submission_free(submission);
	}
	queue_drop_settlements(queue);
	loop_timer_stop(queue->queues->loop, &queue->due);
	store_queue_destroy(queue->keys);
	free(queue->service);
	free(queue->name);
	free(queue);
}

void queues_destroy(struct queues *queues)
{
	if (queues == NULL)
		return;
	loop_remove_hook(queues->loop, flush, queues);
	loop_timer_stop(queues->loop, &queues->sweep);
	loop_timer_stop(queues->loop, &queues->peer);
	loop_timer_stop(queues->loop, &queues->look);
	struct queue *queue, *next;
	HASH_ITER(hh, queues->by_name, queue, next)
	{
		HASH_DEL(queues->by_name, queue);
		queue_destroy(queue);
	}
	free(queues->instance);
	free(queues);
}

struct queue *queues_get_named(struct queues *queues, const char *name)
{
	struct queue *queue = NULL;
	HASH_FIND_STR(queues->by_name, name, queue);
	if (queue != NULL)
		return queue;
	queue = calloc(1, sizeof(*queue));
	ASSERT(queue != NULL);
	queue->queues = queues;
	queue->name = strdup(name);
	queue->service = strdup(name);
	ASSERT(queue->name != NULL && queue->service != NULL);
	char *slash = strchr(queue->service, '/');
	ASSERT(slash != NULL);
	*slash = '\0';
	queue->function = queue->name + (slash - queue->service) + 1;
	queue->keys = store_queue_create(name);
	strcpy(queue->cursor, "0");
	queue->backlog = true;
	queue->max_attempts = UNKNOWN_MAX_ATTEMPTS;
	HASH_ADD_KEYPTR(hh, queues->by_name, queue->name, strlen(queue->name), queue);
	return queue;
}

bool queues_look_up(struct queues *queues, const char *service, const char *function,
                    char name[QUEUE_NAME_SIZE], struct queue **out, struct error *err)
{
	if (!name_check("service", service, err) || !name_check("function", function, err))
		return false;
	snprintf(name, QUEUE_NAME_SIZE, "%s/%s", service, function);
	HASH_FIND_STR(queues->by_name, name, *out);
	return true;
}

bool queues_get(struct queues *queues, const char *service, const char *function,
                struct queue **out, struct error *err)
{
	char name[QUEUE_NAME_SIZE];
	struct queue *queue = NULL;
	if (!queues_look_up(queues, service, function, name, &queue, err))
		return false;
	if (queue == NULL && HASH_COUNT(queues->by_name) >= queues->options.max_queues)
		return error_set(err, ERR_EXHAUSTED, "there are %zu queues already, the limit",
		                 queues->options.max_queues);
	*out = queue != NULL ? queue : queues_get_named(queues, name);
	return true;
}

bool queues_find(struct queues *queues, const char *service, const char *function,
                 struct queue **out, struct error *err)
{
	char name[QUEUE_NAME_SIZE];
	struct queue *queue = NULL;
	if (!queues_look_up(queues, service, function, name, &queue, err))
		return false;
	if (queue == NULL || (!queue->registered && queue->subscription_count == 0))
		return error_set(err, ERR_NOT_FOUND, "there is no queue %s; Queues lists them",
		                 name);
	*out = queue;
	return true;
}

bool queues_busy(const struct queues *queues)
{
	return queues->dirty != NULL;
}

struct queue *queues_first(struct queues *queues)
{
	return queues->by_name;
}

struct queue *queue_after(struct queue *queue)
{
	return queue->hh.next;
}

const char *queue_service(const struct queue *queue)
{
	return queue->service;
}

const char *queue_function(const struct queue *queue)
{
	return queue->function;
}

size_t queue_consumers(const struct queue *queue)
{
	return queue->subscription_count;
}

const char *queue_name(const struct queue *queue)
{
	return queue->name;
}

uint64_t queue_limit(const struct queue *queue)
{
	uint64_t max = queue->queues->options.max_pending;
	return queue->limit > 0 && queue->limit < max ? queue->limit : max;
}

void queue_wake(struct queue *queue)
{
	queue->backlog = true;
	queue_mark(queue);
}

void queue_recheck(struct queue *queue)
{
	queue->recheck = true;
}

const struct store_queue *queue_keys(const struct queue *queue)
{
	return queue->keys;
}

void queue_mark(struct queue *queue)
{
	if (queue->dirty)
		return;
	queue->dirty = true;
	DL_APPEND2(queue->queues->dirty, queue, dirty_prev, dirty_next);
}

/* ---- the registry ---- */

static void on_registered(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct queue *queue = arg;
	struct error err;
	if (!redis_check(value, "i", failed, &err))
		queue->registered = false;
}

void queue_enter(struct queue *queue)
{
	if (queue->registered)
		return;
	queue->registered = true;
	store_register(queue->queues->store, queue->name, on_registered, queue);
}

void queue_set_limit(struct queue *queue, uint64_t limit, redis_done *done, void *arg)
{
	queue_enter(queue);
	store_set_limit(queue->queues->store, queue->name, limit, done, arg);
}

uint64_t queues_limit_max(const struct queues *queues)
{
	return queues->options.max_pending;
}

void queue_take_limit(struct queue *queue, uint64_t limit)
{
	queue->limit = limit;
}
