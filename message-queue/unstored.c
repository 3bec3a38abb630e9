/* Messages that are delivered before they are on disk: their senders still have them (Sending in the
 * proto). Most end at once, and only their outcome is ever written. */
#include "message-queue/queue_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { UNSTORED_MS = 50, LOOK_MS = 25 };

static void look(void *arg);

static void start_looking(struct queues *queues)
{
	if (queues->unstored != NULL && queues->look.heap_index == 0)
		loop_timer_start(queues->loop, &queues->look, LOOK_MS, look, queues);
}

void unstored_begin(struct held *held, char *record, size_t len)
{
	struct queues *queues = held->queue->queues;
	held->record = record;
	held->record_len = len;
	held->since_ms = clock_monotonic_ms();
	held->queue->unstored_count++;
	DL_APPEND2(queues->unstored, held, unstored_prev, unstored_next);
	start_looking(queues);
}

void unstored_end(struct held *held)
{
	if (held->record == NULL)
		return;
	DL_DELETE2(held->queue->queues->unstored, held, unstored_prev, unstored_next);
	held->queue->unstored_count--;
	free(held->record);
	held->record = NULL;
}

/* ---- put on disk ---- */

struct adoption {
	struct queue *queue;
	size_t count;
	char ids[][MESSAGE_ID_SIZE];
};

static void on_adopted(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct adoption *adoption = arg;
	struct answer what = { .kind = ANSWER_FAILED };
	bool ok = redis_check(value, "i", failed, &what.err);
	for (size_t i = 0; i < adoption->count; i++) {
		if (ok)
			queue_answer_stored(adoption->queue, adoption->ids[i]);
		else
			queue_answer(adoption->queue, adoption->ids[i], &what);
	}
	free(adoption);
}

/* The first `count` of `from` on, all of one queue and with equal leases. What is sent to Redis from
 * now on finds them there. */
static void adopt(struct held *from, size_t count)
{
	struct queue *queue = from->queue;
	struct adoption *adoption = malloc(sizeof(*adoption) + count * sizeof(adoption->ids[0]));
	struct store_item *items = calloc(count, sizeof(*items));
	ASSERT(adoption != NULL && items != NULL);
	adoption->queue = queue;
	adoption->count = count;
	struct held *held = from;
	for (size_t i = 0; i < count; i++, held = held->unstored_next) {
		strcpy(adoption->ids[i], held->id);
		items[i] = (struct store_item){ held->id, held->record, held->record_len };
	}
	store_adopt(queue->queues->store, queue->keys, from->consumer->options.lease_ms, items,
	            count, on_adopted, adoption);
	free(items);
	for (held = from; count > 0; count--) {
		struct held *next = held->unstored_next;
		unstored_end(held);
		held = next;
	}
}

void unstored_adopt(struct held *held)
{
	if (held->record != NULL)
		adopt(held, 1);
}

static void look(void *arg)
{
	struct queues *queues = arg;
	uint64_t until_ms = clock_monotonic_ms() - UNSTORED_MS;
	while (queues->unstored != NULL && queues->unstored->since_ms <= until_ms) {
		struct held *first = queues->unstored, *end = first->unstored_next;
		size_t count = 1, bytes = first->record_len;
		while (end != NULL && end->since_ms <= until_ms && end->queue == first->queue &&
		       end->consumer->options.lease_ms == first->consumer->options.lease_ms &&
		       count < STORE_BATCH_MAX && bytes < BATCH_BYTES_MAX) {
			bytes += end->record_len;
			count++;
			end = end->unstored_next;
		}
		adopt(first, count);
	}
	start_looking(queues);
}

/* ---- delivered at once ---- */

/* Waits for the one of its id that a consumer has. */
static void join(struct submission *item)
{
	DL_DELETE(item->queue->pushes, item);
	item->queue->push_count--;
	item->duplicate = true;
	submission_delivered(item);
}

static bool deliver_item(struct submission *item)
{
	struct queue *queue = item->queue;
	struct held *held = deliver_now(queue, item->id, item->record, item->record_len);
	if (held == NULL)
		return false;
	DL_DELETE(queue->pushes, item);
	queue->push_count--;
	unstored_begin(held, item->record, item->record_len);
	item->record = NULL;
	submission_delivered(item);
	return true;
}

void queue_deliver_at_once(struct queue *queue)
{
	/* What waits in Redis, is on its way there, or will be, goes first. */
	bool may = !queue->backlog && queue->pushing == 0 && queue->queues->is_healthy;
	struct submission *item, *next;
	DL_FOREACH_SAFE(queue->pushes, item, next)
	{
		if (queue_in_flight_here(queue, item->id))
			join(item);
		else
			may = may && item->at_once && deliver_item(item);
	}
}

bool queue_in_flight_here(const struct queue *queue, const char *id)
{
	const struct held *held = NULL;
	if (queue->unstored_count > 0)
		HASH_FIND_STR(queue->held, id, held);
	return held != NULL && held->record != NULL;
}

size_t queue_unstored(const struct queue *queue)
{
	return queue->unstored_count;
}
