#include "message-queue/queue_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SWEEP_MS = 500,
	SWEEP_QUEUES = 256,  /* per sweep, in turn */
	EXPIRE_LIMIT = 1000, /* messages of one queue per sweep */
	PEER_MS = 25,        /* how soon what another instance did is seen */
	PEER_ALIVE_MS = 5000
};

/* ---- what is due in one queue ---- */

static void end_all(struct queue *queue, const struct redis_value *ids, bool parked)
{
	for (size_t i = 0; i < redis_value_count(ids); i++) {
		size_t len = 0;
		const char *id = redis_value_string(redis_value_at(ids, i), &len);
		struct held *held = NULL;
		HASH_FIND_STR(queue->held, id, held);
		log_warn(parked ? "parked" : "lease_ended", "queue=%s message_id=%s", queue->name,
		         id);
		if (held != NULL)
			held_end(held);
		if (parked)
			queue_answer_dead(queue, id, "its lease ended");
	}
}

static void on_expired(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct queue *queue = arg;
	struct error err;
	if (!redis_check(value, "(ii[s][s]s)", failed, &err)) {
		queue->recheck = true;
		return;
	}
	if (queue->returning) {
		queue->returning = false;
		queue_mark(queue);
	}
	end_all(queue, redis_value_at(value, 2), false);
	end_all(queue, redis_value_at(value, 3), true);
	if (redis_value_integer(redis_value_at(value, 0)) > 0) {
		queue->backlog = true;
		queue_mark(queue);
	}
	size_t len = 0;
	snprintf(queue->cursor, sizeof(queue->cursor), "%s",
	         redis_value_string(redis_value_at(value, 4), &len));
	int64_t next_ms = redis_value_integer(redis_value_at(value, 1));
	if (next_ms >= 0)
		queue_expire_after(queue, (uint64_t)next_ms);
}

static void expire(struct queue *queue)
{
	store_expire(queue->queues->store, queue->keys, EXPIRE_LIMIT, queue->max_attempts,
	             queue->returning ? "all" : queue->cursor, on_expired, queue);
}

static void on_due(void *arg)
{
	expire(arg);
}

void queue_expire_after(struct queue *queue, uint64_t delay_ms)
{
	struct loop *loop = queue->queues->loop;
	uint64_t at_us = clock_monotonic_us() + (delay_ms + 1) * 1000;
	if (queue->due.heap_index != 0 && queue->due.at_us <= at_us)
		return;
	loop_timer_start(loop, &queue->due, delay_ms + 1, on_due, queue);
}

/* ---- other instances ---- */

/* Of all who wait; a caller that is never looked at would wait in vain until its deadline. */
static void check_waiting(struct queue *queue)
{
	const char *ids[STORE_BATCH_MAX];
	size_t count = 0;
	struct waiting *waiting, *next;
	HASH_ITER(hh, queue->waiting, waiting, next)
	{
		ids[count++] = waiting->id;
		if (count == STORE_BATCH_MAX) {
			queue_check(queue, ids, count);
			count = 0;
		}
	}
	if (count > 0)
		queue_check(queue, ids, count);
}

/* Another instance may have queued what our consumers wait for, and settled what our callers do. */
static void on_peer(void *arg)
{
	struct queues *queues = arg;
	struct queue *queue, *next;
	HASH_ITER(hh, queues->by_name, queue, next)
	{
		if (queue->subscriptions != NULL) {
			queue->backlog = true;
			queue_mark(queue);
		}
		if (queue->checks == 0)
			check_waiting(queue);
	}
	if (queues->peers && !queues->stopped)
		loop_timer_start(queues->loop, &queues->peer, PEER_MS, on_peer, queues);
}

static void set_healthy(struct queues *queues, bool healthy)
{
	if (queues->is_healthy == healthy)
		return;
	queues->is_healthy = healthy;
	log_info("redis", "answers=%s", healthy ? "yes" : "no");
	queues->healthy(queues->healthy_arg, healthy);
}

/* Only when it is known who else lives: what is in flight may be theirs. The masters of a cluster answer
 * in any order. */
static void begin_deliveries(struct queues *queues)
{
	if (queues->started || !queues->registry_read || !queues->instances_read)
		return;
	queues->started = true;
	struct queue *queue, *next;
	HASH_ITER(hh, queues->by_name, queue, next)
	{
		queue->returning = !queues->peers;
		expire(queue);
		queue_mark(queue);
	}
}

static void on_registry(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct queues *queues = arg;
	struct error err;
	queues->loading = false;
	bool ok = redis_check(value, "[s]", failed, &err);
	for (size_t i = 0; ok && i < redis_value_count(value); i++) {
		size_t len = 0;
		const char *name = redis_value_string(redis_value_at(value, i), &len);
		if (strchr(name, '/') != NULL)
			queues_get_named(queues, name)->registered = true;
	}
	if (!ok)
		log_debug("registry_unread", "reason=\"%s\"", err.message);
	if (ok) {
		queues->registry_read = true;
		begin_deliveries(queues);
	}
	if (!queues->stopped) /* else the server may be gone */
		set_healthy(queues, ok);
}

/* Another instance, or an earlier life of this one, may have set them. */
static void on_limits(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct queues *queues = arg;
	struct queue *queue, *next;
	struct error err;
	if (!redis_check(value, "[ss]", failed, &err))
		return;
	HASH_ITER(hh, queues->by_name, queue, next)
	{
		queue->limit = 0;
	}
	for (size_t i = 0; i + 1 < redis_value_count(value); i += 2) {
		size_t len = 0;
		const char *name = redis_value_string(redis_value_at(value, i), &len);
		const char *limit = redis_value_string(redis_value_at(value, i + 1), &len);
		HASH_FIND_STR(queues->by_name, name, queue);
		if (queue != NULL)
			queue->limit = strtoull(limit, NULL, 10);
	}
}

static void on_instances(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct queues *queues = arg;
	struct error err;
	if (!redis_check(value, "[s]", failed, &err))
		return;
	bool peers = false;
	for (size_t i = 0; i < redis_value_count(value); i++) {
		size_t len = 0;
		const char *name = redis_value_string(redis_value_at(value, i), &len);
		peers = peers || strcmp(name, queues->instance) != 0;
	}
	queues->peers = peers;
	queues->instances_read = true;
	begin_deliveries(queues);
	if (peers && queues->peer.heap_index == 0 && !queues->stopped)
		loop_timer_start(queues->loop, &queues->peer, PEER_MS, on_peer, queues);
}

static void on_ignored(void *arg, const struct redis_value *value, const struct error *failed)
{
	(void)arg;
	(void)value;
	(void)failed;
}

/* ---- the sweep ---- */

static void sweep_queues(struct queues *queues)
{
	size_t total = HASH_COUNT(queues->by_name), index = 0, swept = 0;
	size_t from = total > SWEEP_QUEUES ? queues->sweep_from % total : 0;
	struct queue *queue, *next;
	HASH_ITER(hh, queues->by_name, queue, next)
	{
		/* What Redis could not take before. */
		if (queue->done != NULL || queue->recorded != NULL || queue->failed != NULL ||
		    queue->released != NULL || (queue->backlog && queue->subscriptions != NULL))
			queue_mark(queue);
		if (queue->recheck) {
			queue->recheck = false;
			check_waiting(queue);
		}
		if ((index++ + total - from) % total < SWEEP_QUEUES || queue->returning) {
			expire(queue);
			swept++;
		}
	}
	queues->sweep_from = from + swept;
}

static void on_sweep(void *arg)
{
	struct queues *queues = arg;
	uint64_t now_ms = clock_wall_us() / 1000;
	loop_timer_start(queues->loop, &queues->sweep, SWEEP_MS, on_sweep, queues);
	if (queues->loading)
		return; /* Redis does not answer; what waits ends by itself */
	queues->loading = true;
	store_instances(queues->store, now_ms - PEER_ALIVE_MS, on_instances, queues);
	store_beat(queues->store, queues->instance, now_ms, on_ignored, NULL);
	store_registered(queues->store, on_registry, queues);
	store_limits(queues->store, on_limits, queues);
	if (queues->started)
		sweep_queues(queues);
}

void queues_start(struct queues *queues, void (*healthy)(void *arg, bool healthy), void *arg)
{
	queues->healthy = healthy;
	queues->healthy_arg = arg;
	on_sweep(queues);
}

void queues_stop(struct queues *queues)
{
	if (queues->stopped)
		return;
	queues->stopped = true;
	loop_timer_stop(queues->loop, &queues->sweep);
	loop_timer_stop(queues->loop, &queues->peer);
	if (queues->healthy != NULL) /* it was started */
		store_leave(queues->store, queues->instance, on_ignored, NULL);
}
