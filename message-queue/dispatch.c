#include "message-queue/queue_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* ---- consumers ---- */

void consumer_unref(struct consumer *consumer)
{
	if (--consumer->references > 0)
		return;
	free(consumer->subscriptions);
	free(consumer);
}

/* Queues that may hold work for the consumer look again. */
static void wake_queues(struct consumer *consumer)
{
	for (size_t i = 0; i < consumer->subscription_count; i++) {
		struct queue *queue = consumer->subscriptions[i].queue;
		if (queue->backlog)
			queue_mark(queue);
	}
}

struct consumer *consumer_create(struct queues *queues, const struct consumer_options *options,
                                 struct queue *const *from, size_t count)
{
	struct consumer *consumer = calloc(1, sizeof(*consumer));
	ASSERT(consumer != NULL);
	consumer->queues = queues;
	consumer->options = *options;
	consumer->free_credits = options->credits;
	consumer->references = 1;
	consumer->subscriptions = calloc(count, sizeof(*consumer->subscriptions));
	ASSERT(consumer->subscriptions != NULL);
	consumer->subscription_count = count;
	for (size_t i = 0; i < count; i++) {
		struct subscription *subscription = &consumer->subscriptions[i];
		subscription->consumer = consumer;
		subscription->queue = from[i];
		DL_APPEND(from[i]->subscriptions, subscription);
		from[i]->subscription_count++;
		from[i]->max_attempts = options->max_attempts;
	}
	wake_queues(consumer);
	return consumer;
}

/* No more deliveries; what it holds stays with it. */
static void unsubscribe(struct consumer *consumer)
{
	if (consumer->ended)
		return;
	consumer->ended = true;
	for (size_t i = 0; i < consumer->subscription_count; i++) {
		struct subscription *subscription = &consumer->subscriptions[i];
		DL_DELETE(subscription->queue->subscriptions, subscription);
		subscription->queue->subscription_count--;
	}
}

void consumer_end(struct consumer *consumer)
{
	unsubscribe(consumer);
	while (consumer->held != NULL)
		held_return(consumer->held, "its consumer has gone");
	consumer_unref(consumer);
}

void held_end(struct held *held)
{
	struct consumer *consumer = held->consumer;
	HASH_DEL(held->queue->held, held);
	DL_DELETE(consumer->held, held);
	unstored_end(held);
	free(held);
	consumer->free_credits++;
	if (!consumer->ended)
		wake_queues(consumer);
}

struct held *held_by(struct consumer *consumer, struct queue *queue, const char *id)
{
	struct held *held = NULL;
	HASH_FIND_STR(queue->held, id, held);
	return held != NULL && held->consumer == consumer ? held : NULL;
}

static struct held *hold(struct consumer *consumer, struct queue *queue, const char *id,
                         uint32_t attempt)
{
	struct held *held = NULL;
	HASH_FIND_STR(queue->held, id, held);
	if (held != NULL)
		held_end(held); /* its lease ended unseen, and the message came again */
	held = calloc(1, sizeof(*held));
	ASSERT(held != NULL);
	strcpy(held->id, id);
	held->state = DELIVERY_IN_FLIGHT;
	held->attempt = attempt;
	held->queue = queue;
	held->consumer = consumer;
	held->until_ms = clock_monotonic_ms() + consumer->options.lease_ms;
	HASH_ADD_STR(queue->held, id, held);
	DL_APPEND(consumer->held, held);
	consumer->free_credits--;
	return held;
}

static void deliver(struct consumer *consumer, struct queue *queue, const char *id,
                    const char *record, size_t len, uint32_t attempt)
{
	if (consumer->ended) {
		queue_release(queue, id);
		return;
	}
	if (consumer->options.once) {
		/* Its answer is all that it gets; from now on the lease alone watches the message. */
		unsubscribe(consumer);
		if (!consumer->options.deliver(consumer->options.ctx, id, record, len, attempt))
			queue_release(queue, id);
		return;
	}
	struct held *held = hold(consumer, queue, id, attempt);
	if (!consumer->options.deliver(consumer->options.ctx, id, record, len, attempt)) {
		queue_release(queue, id);
		held_end(held);
	}
}

/* Round robin: who gets a place goes to the end of the line. NULL: nobody has credits. */
static struct consumer *next_free(struct queue *queue)
{
	for (size_t i = 0; i < queue->subscription_count; i++) {
		struct subscription *first = queue->subscriptions;
		DL_DELETE(queue->subscriptions, first);
		DL_APPEND(queue->subscriptions, first);
		if (first->consumer->free_credits > 0)
			return first->consumer;
	}
	return NULL;
}

static bool may_deliver(const struct queue *queue)
{
	return queue->queues->started && !queue->queues->stopped && !queue->returning;
}

struct held *deliver_now(struct queue *queue, const char *id, const char *record, size_t len)
{
	struct consumer *consumer = may_deliver(queue) ? next_free(queue) : NULL;
	if (consumer == NULL || consumer->options.once)
		return NULL; /* what takes one only acknowledges in Redis */
	struct held *held = hold(consumer, queue, id, 1);
	if (consumer->options.deliver(consumer->options.ctx, id, record, len, 1))
		return held;
	held_end(held);
	return NULL;
}

/* ---- places ---- */

static void add_run(struct places *places, uint32_t lease_ms)
{
	struct store_run *last =
	    places->run_count > 0 ? &places->runs[places->run_count - 1] : NULL;
	if (last != NULL && last->lease_ms == lease_ms)
		last->count++;
	else
		places->runs[places->run_count++] = (struct store_run){ 1, lease_ms };
}

void places_take(struct queue *queue, size_t max, struct places *places)
{
	*places = (struct places){ 0 };
	if (max > PLACES_MAX)
		max = PLACES_MAX;
	if (!may_deliver(queue) || queue->subscriptions == NULL || max == 0)
		return;
	places->consumers = calloc(max, sizeof(struct consumer *));
	places->runs = calloc(max, sizeof(*places->runs));
	ASSERT(places->consumers != NULL && places->runs != NULL);
	while (places->count < max) {
		struct consumer *consumer = next_free(queue);
		if (consumer == NULL)
			break;
		consumer->free_credits--;
		consumer->references++;
		places->consumers[places->count++] = consumer;
		add_run(places, consumer->options.lease_ms);
	}
}

void places_deliver(struct places *places, struct queue *queue, const char *id, const char *record,
                    size_t len, uint32_t attempt)
{
	if (places->used == places->count || strlen(id) >= MESSAGE_ID_SIZE) {
		/* Not what was asked for; the end of its lease brings it back. */
		log_warn("not_delivered", "queue=%s message_id=%.64s", queue->name, id);
		return;
	}
	struct consumer *consumer = places->consumers[places->used++];
	consumer->free_credits++; /* the delivery takes it again */
	deliver(consumer, queue, id, record, len, attempt);
	consumer_unref(consumer);
}

void places_deliver_all(struct places *places, struct queue *queue, const struct redis_value *given)
{
	size_t count = redis_value_count(given);
	for (size_t i = 0; i + 2 < count; i += 3) {
		size_t id_len = 0, len = 0;
		const char *id = redis_value_string(redis_value_at(given, i), &id_len);
		const char *record = redis_value_string(redis_value_at(given, i + 1), &len);
		int64_t attempt = redis_value_integer(redis_value_at(given, i + 2));
		places_deliver(places, queue, id, record, len, (uint32_t)attempt);
	}
}

void places_end(struct places *places, bool again)
{
	for (size_t i = places->used; i < places->count; i++) {
		struct consumer *consumer = places->consumers[i];
		consumer->free_credits++;
		if (again && !consumer->ended)
			wake_queues(consumer);
		consumer_unref(consumer);
	}
	free(places->consumers);
	free(places->runs);
	*places = (struct places){ 0 };
}

/* ---- taking from the backlog ---- */

struct reserve {
	struct queue *queue;
	struct places places;
};

static void on_reserved(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct reserve *reserve = arg;
	struct error err;
	bool ok = redis_check(value, "[ssi]", failed, &err);
	if (ok) {
		places_deliver_all(&reserve->places, reserve->queue, value);
		if (reserve->places.used == reserve->places.count)
			reserve->queue->backlog = true;
	} else {
		reserve->queue->backlog = true; /* the next sweep looks again */
	}
	places_end(&reserve->places, ok);
	free(reserve);
}

void queue_flush_reserve(struct queue *queue)
{
	if (!queue->backlog || queue->subscriptions == NULL)
		return;
	struct places places;
	places_take(queue, PLACES_MAX, &places);
	if (places.count == 0) {
		places_end(&places, false);
		return;
	}
	/* Until the answer says otherwise nothing is left: messages that are queued from now on
	 * set it again, and their answers come after this one's. */
	queue->backlog = false;
	struct reserve *reserve = malloc(sizeof(*reserve));
	ASSERT(reserve != NULL);
	*reserve = (struct reserve){ queue, places };
	store_reserve(queue->queues->store, queue->keys, places.runs, places.run_count, on_reserved,
	              reserve);
}
