#include "domain/memory_shop_internal.h"

#include <stdlib.h>
#include <string.h>

#define LEASE_US   (UINT64_C(1000) * MESSAGE_LEASE_MS)
#define OUTCOME_US (UINT64_C(1000000) * OUTCOME_KEPT_S)

struct message *message_find(struct memory_shop *shop, const char *id)
{
	struct message *message;
	HASH_FIND(hh, shop->messages, id, UUID_SIZE - 1, message);
	return message;
}

static void move(struct message *message, enum delivery_event event)
{
	struct error err;
	ASSERT(delivery_next(message->state, event, &message->state, &err));
}

static void message_free(struct memory_shop *shop, struct message *message)
{
	shop_timer_clear(&message->timer);
	HASH_DEL(shop->messages, message);
	json_free(message->params);
	origin_unref(message->origin);
	free(message->result);
	free(message->error);
	free(message);
}

void messages_free(struct memory_shop *shop)
{
	struct message *message, *next;
	HASH_ITER(hh, shop->messages, message, next)
	{
		message_free(shop, message);
	}
}

/* ---- Delivery ---------------------------------------------------------------------------- */

static void ready_again(struct memory_shop *shop, struct timer *timer)
{
	shop_task_ready(shop, &CONTAINER(timer, struct message, timer)->task);
}

/* Its process asks for more time as long as it lives and works. */
static void lease_ended(struct memory_shop *shop, struct timer *timer)
{
	struct message *message = CONTAINER(timer, struct message, timer);
	if (message->runs > 0 && !message->task.server->frozen)
		shop_timer_set(shop, &shop->leases, timer, shop->clock_us + LEASE_US, lease_ended);
	else
		message_return(shop, message, "its lease ended", false);
}

static void deliver(struct memory_shop *shop, struct task *task)
{
	struct message *message = CONTAINER(task, struct message, task);
	struct server *server = task->server;
	if (!fault_lets_deliver(shop, task, &message->timer, ready_again))
		return;
	move(message, DELIVERY_RESERVE);
	shop_timer_set(shop, &shop->leases, &message->timer, shop->clock_us + LEASE_US,
	               lease_ended);
	/* A process that has it already goes on with it. */
	if (message->runs > 0)
		return;
	run_message(shop, message);
	if (fault_strikes(server, MEMORY_DUPLICATE))
		run_message(shop, message);
}

/* Outcomes are forgotten after a while. */
static void forget_old(struct memory_shop *shop)
{
	while (shop->done != NULL && shop->done->done_us + OUTCOME_US <= shop->clock_us &&
	       shop->done->runs == 0) {
		struct message *message = shop->done;
		DL_DELETE(shop->done, message);
		message_free(shop, message);
	}
}

struct message *message_create(struct memory_shop *shop, struct server *server,
                               const struct function *function, const char *id, struct json *params,
                               struct origin *origin, bool direct)
{
	forget_old(shop);
	struct message *message = calloc(1, sizeof(*message));
	ASSERT(message != NULL);
	message->task.turn = deliver;
	message->task.server = server;
	memcpy(message->id, id, UUID_SIZE);
	message->function = function;
	message->params = params;
	message->origin = origin;
	origin->refs++;
	message->direct = direct;
	message->state = DELIVERY_READY;
	HASH_ADD(hh, shop->messages, id, UUID_SIZE - 1, message);
	shop_task_ready(shop, &message->task);
	return message;
}

/* ---- Ends -------------------------------------------------------------------------------- */

static void tell(struct memory_shop *shop, struct message *message)
{
	while (message->waiters != NULL) {
		struct waiter *waiter = message->waiters;
		DL_DELETE(message->waiters, waiter);
		waiter->message = NULL;
		reaction_answered(shop, waiter->reaction, waiter->need, message->result,
		                  message->error);
	}
}

static void set_error(struct message *message, const struct error *error)
{
	free(message->error);
	message->error = malloc(sizeof(*message->error));
	ASSERT(message->error != NULL);
	*message->error = *error;
}

static void bury(struct memory_shop *shop, struct message *message, const char *reason)
{
	struct error error;
	move(message, DELIVERY_BURY);
	(void)error_set(&error, ERR_INTERNAL, "the message was parked: %s", reason);
	set_error(message, &error);
	DL_APPEND(shop->dead, message);
	shop->dead_count++;
	tell(shop, message);
}

void message_settle(struct memory_shop *shop, struct message *message, const char *result,
                    const struct error *error)
{
	if (message->state == DELIVERY_DONE || message->state == DELIVERY_DEAD)
		return;
	if (fault_strikes(message->task.server, MEMORY_LOSE_OUTCOME)) {
		message_return(shop, message, "its consumer went away", false);
		return;
	}
	move(message, DELIVERY_SETTLE);
	shop_task_drop(shop, &message->task);
	shop_timer_clear(&message->timer);
	if (error != NULL) {
		shop->counts.refused++;
		set_error(message, error);
	} else {
		shop->counts.accepted++;
		message->result = strdup(result);
		ASSERT(message->result != NULL);
	}
	message->done_us = shop->clock_us;
	DL_APPEND(shop->done, message);
	tell(shop, message);
}

void message_return(struct memory_shop *shop, struct message *message, const char *reason,
                    bool pause)
{
	if (message->state != DELIVERY_IN_FLIGHT)
		return;
	shop_timer_clear(&message->timer);
	if (delivery_after_failure(++message->attempts, MESSAGE_ATTEMPTS) == DELIVERY_BURY) {
		bury(shop, message, reason);
		return;
	}
	move(message, DELIVERY_RETRY);
	if (!pause) {
		shop_task_ready(shop, &message->task);
		return;
	}
	uint32_t spread = (uint32_t)shop_pick(shop, UINT32_MAX);
	uint64_t pause_us = UINT64_C(1000) * delivery_backoff_ms(message->attempts, spread);
	shop_timer_set(shop, &shop->timers, &message->timer, shop->clock_us + pause_us,
	               ready_again);
}

void messages_redeliver(struct memory_shop *shop)
{
	struct message *message, *next;
	HASH_ITER(hh, shop->messages, message, next)
	{
		if (message->state != DELIVERY_IN_FLIGHT)
			continue;
		shop_timer_clear(&message->timer);
		move(message, DELIVERY_EXPIRE);
		shop_task_ready(shop, &message->task);
	}
}

size_t memory_shop_dead(const struct memory_shop *shop)
{
	return shop->dead_count;
}

void memory_shop_requeue(struct memory_shop *shop)
{
	while (shop->dead != NULL) {
		struct message *message = shop->dead;
		DL_DELETE(shop->dead, message);
		shop->dead_count--;
		move(message, DELIVERY_REQUEUE);
		message->attempts = 0;
		free(message->error);
		message->error = NULL;
		shop_task_ready(shop, &message->task);
	}
	while (shop->parked != NULL) {
		struct reaction *reaction = shop->parked;
		DL_DELETE(shop->parked, reaction);
		shop->parked_count--;
		reaction_create(shop, reaction->group, reaction->saga, reaction->logged, true);
		reaction_free(shop, reaction);
	}
}

/* ---- Senders ----------------------------------------------------------------------------- */

bool memory_shop_send(struct memory_shop *shop, const struct memory_message *sent,
                      char id[UUID_SIZE], struct error *err)
{
	char made_id[UUID_SIZE];
	struct server *server = shop_server(shop, sent->service);
	const struct function *function =
	    server == NULL ? NULL : domain_service_function(server->service, sent->function);
	if (function == NULL || function->local)
		return error_set(err, ERR_NOT_FOUND, "nobody serves %.64s-service.%.64s",
		                 sent->service, sent->function);
	if (sent->message_id != NULL && !uuid_valid(sent->message_id))
		return error_set(err, ERR_INVALID, "message_id: must be a UUID, is \"%.60s\"",
		                 sent->message_id);
	struct json *params = NULL;
	if (sent->params != NULL && !json_parse(sent->params, strlen(sent->params), &params, err))
		return error_wrap(err, "params");
	if (sent->message_id == NULL)
		shop_make_id(shop, "message", made_id);
	else
		memcpy(made_id, sent->message_id, UUID_SIZE);
	if (id != NULL)
		memcpy(id, made_id, UUID_SIZE);
	if (message_find(shop, made_id) != NULL) {
		json_free(params);
		return true;
	}
	struct origin *origin = origin_create(false, made_id, sent->metadata);
	message_create(shop, server, function, made_id, params, origin, true);
	origin_unref(origin);
	return true;
}

bool memory_shop_outcome(struct memory_shop *shop, const char *message_id, struct answer *answer)
{
	struct message *message = uuid_valid(message_id) ? message_find(shop, message_id) : NULL;
	if (message == NULL || (message->result == NULL && message->error == NULL))
		return false;
	*answer = (struct answer){ .result = message->result };
	if (message->error != NULL)
		answer->error = *message->error;
	return true;
}
