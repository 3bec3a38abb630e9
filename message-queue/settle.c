#include "message-queue/queue_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Ends of deliveries that Redis could not take (it was away) are tried again with each sweep; after
 * that the lease returns the message. */
enum { TRIES_MAX = 60 };

struct settlement_batch {
	struct queue *queue;
	struct settlement **list; /* of the queue: where failed ones return to */
	size_t count;
	struct settlement *items[];
};

static struct settlement *settlement_create(const char *id)
{
	struct settlement *settlement = calloc(1, sizeof(*settlement));
	ASSERT(settlement != NULL);
	ASSERT(strlen(id) < sizeof(settlement->id));
	strcpy(settlement->id, id);
	return settlement;
}

static void settlement_free(struct settlement *settlement)
{
	free(settlement->outcome);
	free(settlement->reason);
	free(settlement);
}

static void drop(struct settlement **list)
{
	struct settlement *settlement, *next;
	DL_FOREACH_SAFE(*list, settlement, next)
	{
		DL_DELETE(*list, settlement);
		settlement_free(settlement);
	}
}

void queue_drop_settlements(struct queue *queue)
{
	drop(&queue->done);
	drop(&queue->recorded);
	drop(&queue->failed);
	drop(&queue->released);
}

/* Checks the move and ends the delivery at its consumer. */
static void leave(struct held *held, enum delivery_event event)
{
	struct error err;
	ASSERT(delivery_next(held->state, event, &held->state, &err));
	held_end(held);
}

/* ---- done ---- */

static void settled_one(struct queue *queue, const struct settlement *settlement, char state)
{
	if (state == 'S') {
		queue_answer_outcome(queue, settlement->id, settlement->outcome,
		                     settlement->outcome_len);
		return;
	}
	/* Another delivery was faster, or this is a second try: the first outcome counts. */
	struct waiting *waiting = NULL;
	HASH_FIND_STR(queue->waiting, settlement->id, waiting);
	const char *id = settlement->id;
	if (waiting != NULL)
		queue_check(queue, &id, 1);
}

/* Puts the items back to the head of their list, to leave with the next sweep. */
static void try_again(struct settlement_batch *batch, const struct error *err)
{
	batch->queue->recheck = true;
	for (size_t i = batch->count; i-- > 0;) {
		struct settlement *item = batch->items[i];
		if (++item->tries > TRIES_MAX || batch->queue->queues->stopped) {
			log_warn("settle_lost", "queue=%s message_id=%s reason=\"%s\"",
			         batch->queue->name, item->id, err->message);
			settlement_free(item);
			continue;
		}
		DL_PREPEND(*batch->list, item);
	}
	free(batch);
}

/* One letter per item; NULL: *err says why not. */
static const char *states_of(const struct settlement_batch *batch, const struct redis_value *value,
                             const struct error *failed, struct error *err)
{
	size_t len = 0;
	if (!redis_check(value, "s", failed, err))
		return NULL;
	const char *states = redis_value_string(value, &len);
	if (len == batch->count)
		return states;
	error_set(err, ERR_UNAVAILABLE, "redis answered %zu states for %zu messages", len,
	          batch->count);
	return NULL;
}

static void on_settled(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct settlement_batch *batch = arg;
	struct error err;
	const char *states = states_of(batch, value, failed, &err);
	if (states == NULL) {
		try_again(batch, &err);
		return;
	}
	for (size_t i = 0; i < batch->count; i++) {
		settled_one(batch->queue, batch->items[i], states[i]);
		settlement_free(batch->items[i]);
	}
	free(batch);
}

void consumer_done(struct consumer *consumer, struct queue *queue, const char *id, char *outcome,
                   size_t len)
{
	struct settlement *settlement = settlement_create(id);
	settlement->outcome = outcome;
	settlement->outcome_len = len;
	struct held *held = held_by(consumer, queue, id);
	if (held != NULL) {
		struct settlement **list = held->record != NULL ? &queue->recorded : &queue->done;
		leave(held, DELIVERY_SETTLE);
		DL_APPEND(*list, settlement);
		queue_mark(queue);
		return;
	}
	/* Its lease has ended: it goes by itself, and once. */
	struct settlement_batch *batch = malloc(sizeof(*batch) + sizeof(batch->items[0]));
	ASSERT(batch != NULL);
	*batch = (struct settlement_batch){ .queue = queue, .list = &queue->done, .count = 1 };
	batch->items[0] = settlement;
	settlement->tries = TRIES_MAX;
	struct store_item item = { settlement->id, outcome, len };
	store_settle(queue->queues->store, queue->keys, &item, 1, on_settled, batch);
}

/* ---- failed ---- */

static void on_failed(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct settlement_batch *batch = arg;
	struct queue *queue = batch->queue;
	struct error err;
	const char *states = states_of(batch, value, failed, &err);
	if (states == NULL) {
		try_again(batch, &err);
		return;
	}
	for (size_t i = 0; i < batch->count; i++) {
		struct settlement *item = batch->items[i];
		if (states[i] == 'X') {
			log_warn("parked", "queue=%s message_id=%s reason=\"%s\"", queue->name,
			         item->id, item->reason);
			queue_answer_dead(queue, item->id, item->reason);
		} else if (states[i] == 'Q' && item->delay_ms > 0) {
			queue_expire_after(queue, item->delay_ms);
		} else if (states[i] == 'Q') {
			queue->backlog = true;
		}
		settlement_free(item);
	}
	if (queue->backlog)
		queue_mark(queue);
	free(batch);
}

static void add_failure(struct held *held, const char *reason, uint32_t delay_ms)
{
	struct queue *queue = held->queue;
	struct settlement *settlement = settlement_create(held->id);
	unstored_adopt(held); /* what follows finds it in Redis */
	settlement->reason = strdup(reason);
	ASSERT(settlement->reason != NULL);
	settlement->delay_ms = delay_ms;
	settlement->max_attempts = held->consumer->options.max_attempts;
	leave(held, delivery_after_failure(held->attempt, settlement->max_attempts));
	DL_APPEND(queue->failed, settlement);
	queue_mark(queue);
}

void consumer_failed(struct consumer *consumer, struct queue *queue, const char *id,
                     const char *reason, uint32_t delay_ms)
{
	struct held *held = held_by(consumer, queue, id);
	if (held == NULL)
		return; /* its lease has ended: it waits again already */
	if (delay_ms == 0)
		delay_ms = delivery_backoff_ms(held->attempt, (uint32_t)clock_monotonic_us());
	add_failure(held, reason, delay_ms);
}

void held_return(struct held *held, const char *reason)
{
	add_failure(held, reason, 0);
}

/* ---- never delivered ---- */

static void on_released(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct settlement_batch *batch = arg;
	struct error err;
	if (!redis_check(value, "i", failed, &err)) {
		try_again(batch, &err);
		return;
	}
	batch->queue->backlog = true;
	queue_mark(batch->queue);
	for (size_t i = 0; i < batch->count; i++)
		settlement_free(batch->items[i]);
	free(batch);
}

void queue_release(struct queue *queue, const char *id)
{
	struct settlement *settlement = settlement_create(id);
	DL_APPEND(queue->released, settlement);
	queue_mark(queue);
}

/* ---- batches ---- */

static struct settlement_batch *take_batch(struct queue *queue, struct settlement **list)
{
	size_t count = 0, bytes = 0;
	struct settlement *settlement;
	DL_FOREACH(*list, settlement)
	{
		if (count == STORE_BATCH_MAX || bytes > BATCH_BYTES_MAX)
			break;
		bytes += settlement->outcome_len;
		count++;
	}
	struct settlement_batch *batch = malloc(sizeof(*batch) + count * sizeof(batch->items[0]));
	ASSERT(batch != NULL);
	*batch = (struct settlement_batch){ .queue = queue, .list = list, .count = count };
	for (size_t i = 0; i < count; i++) {
		batch->items[i] = *list;
		DL_DELETE(*list, batch->items[i]);
	}
	return batch;
}

static void flush_done(struct queue *queue, struct settlement **list)
{
	struct settlement_batch *batch = take_batch(queue, list);
	struct store_item items[STORE_BATCH_MAX];
	for (size_t i = 0; i < batch->count; i++)
		items[i] = (struct store_item){ batch->items[i]->id, batch->items[i]->outcome,
			                        batch->items[i]->outcome_len };
	if (list == &queue->recorded)
		store_record(queue->queues->store, queue->keys, items, batch->count, on_settled,
		             batch);
	else
		store_settle(queue->queues->store, queue->keys, items, batch->count, on_settled,
		             batch);
}

static void flush_failed(struct queue *queue)
{
	struct settlement_batch *batch = take_batch(queue, &queue->failed);
	struct store_failure failures[STORE_BATCH_MAX];
	for (size_t i = 0; i < batch->count; i++) {
		const struct settlement *item = batch->items[i];
		failures[i] = (struct store_failure){ item->id, item->delay_ms, item->max_attempts,
			                              item->reason };
	}
	store_retry(queue->queues->store, queue->keys, failures, batch->count, on_failed, batch);
}

static void flush_released(struct queue *queue)
{
	struct settlement_batch *batch = take_batch(queue, &queue->released);
	const char *ids[STORE_BATCH_MAX];
	for (size_t i = 0; i < batch->count; i++)
		ids[i] = batch->items[i]->id;
	store_release(queue->queues->store, queue->keys, ids, batch->count, on_released, batch);
}

void queue_flush_settlements(struct queue *queue)
{
	while (queue->done != NULL)
		flush_done(queue, &queue->done);
	while (queue->recorded != NULL)
		flush_done(queue, &queue->recorded);
	while (queue->failed != NULL)
		flush_failed(queue);
	while (queue->released != NULL)
		flush_released(queue);
}
