/* More time for deliveries. Each goes to Redis by itself: a consumer asks once in the length of a lease. */
#include "message-queue/queue_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct extension {
	struct consumer *consumer; /* referenced */
	struct queue *queue;
	char id[MESSAGE_ID_SIZE];
	uint64_t until_ms;
};

static void too_late(struct consumer *consumer, struct queue *queue, const char *id)
{
	if (!consumer->ended && consumer->options.lease_ended != NULL)
		consumer->options.lease_ended(consumer->options.ctx, queue, id);
}

static void on_extended(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct extension *extension = arg;
	struct consumer *consumer = extension->consumer;
	struct error err;
	struct held *held = held_by(consumer, extension->queue, extension->id);
	/* Without an answer of Redis the old end counts, and the consumer asks again. */
	bool ok = redis_check(value, "i", failed, &err);
	if (ok && redis_value_integer(value) == 0 && held != NULL) {
		held_end(held);
		too_late(consumer, extension->queue, extension->id);
	} else if (ok && held != NULL && held->until_ms < extension->until_ms) {
		held->until_ms = extension->until_ms;
	}
	consumer_unref(consumer);
	free(extension);
}

void consumer_extend(struct consumer *consumer, struct queue *queue, const char *id,
                     uint32_t lease_ms)
{
	struct held *held = held_by(consumer, queue, id);
	uint64_t now_ms = clock_monotonic_ms();
	if (held == NULL || held->until_ms <= now_ms) {
		too_late(consumer, queue, id);
		return;
	}
	unstored_adopt(held); /* what follows finds it in Redis */
	if (lease_ms == 0)
		lease_ms = consumer->options.lease_ms;
	struct extension *extension = malloc(sizeof(*extension));
	ASSERT(extension != NULL);
	*extension = (struct extension){ .consumer = consumer,
		                         .queue = queue,
		                         .until_ms = now_ms + lease_ms };
	strcpy(extension->id, held->id);
	consumer->references++;
	store_extend(queue->queues->store, queue->keys, held->id, lease_ms, on_extended, extension);
}
