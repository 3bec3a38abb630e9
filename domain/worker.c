#include "domain/worker.h"

#include "base/log.h"
#include "base/rpc_link.h"
#include "domain/limits.h"
#include "domain/metadata.h"
#include "domain/pool.h"

#include "proto/messagequeue_v1.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	CREDITS = 256,
	EXTEND_MS = 2000,
};

/* One message, from its delivery to its settle. Lives in its arena. */
struct delivery {
	struct worker *worker;
	struct arena *arena;
	struct task task;
	struct json *payload;
	uint32_t attempt;
	bool old; /* it was there at the last look */
	const struct outcome *outcome;
	UT_hash_handle hh; /* by message id, while it runs */
	struct delivery *next;
};

struct worker {
	struct loop *loop;
	const struct service *service;
	struct runtime *runtime;
	struct rpc_channel *queue;
	struct rpc_link *link; /* NULL: it takes nothing */
	struct pool pool;
	struct delivery *running;
	struct delivery *done; /* to be settled in this turn, newest first */
	size_t done_count;
	bool draining;
	struct loop_timer extend;
};

static void delivery_free(struct worker *worker, struct delivery *delivery)
{
	json_free(delivery->payload);
	pool_give(&worker->pool, delivery->arena);
}

static void settle_later(void *arg, const struct outcome *outcome)
{
	struct delivery *delivery = arg;
	struct worker *worker = delivery->worker;
	HASH_DEL(worker->running, delivery);
	delivery->outcome = outcome;
	delivery->next = worker->done;
	worker->done = delivery;
	worker->done_count++;
}

static void refuse(struct delivery *delivery, enum error_code code, const char *reason)
{
	struct outcome *outcome = arena_zalloc(delivery->arena, sizeof(*outcome));
	(void)error_set(&outcome->error, code, "%s", reason);
	settle_later(delivery, outcome);
}

static void start(struct worker *worker, const Mq__Delivery *given)
{
	const Mq__Message *message = given->message;
	struct delivery *delivery;
	HASH_FIND_STR(worker->running, message->message_id, delivery);
	if (delivery != NULL)
		return;
	struct arena *arena = pool_take(&worker->pool);
	delivery = arena_zalloc(arena, sizeof(*delivery));
	delivery->worker = worker;
	delivery->arena = arena;
	delivery->task.message_id = arena_strdup(arena, message->message_id);
	delivery->task.metadata = arena_strdup(arena, message->metadata);
	delivery->attempt = given->attempt;
	delivery->task.function = domain_service_function(worker->service, message->function);
	HASH_ADD_KEYPTR(hh, worker->running, delivery->task.message_id,
	                strlen(delivery->task.message_id), delivery);
	struct error err;
	ASSERT(delivery->task.function != NULL); /* we asked for these only */
	if (!json_parse(message->payload, strlen(message->payload), &delivery->payload, &err)) {
		refuse(delivery, ERR_INVALID, err.message);
	} else if (json_kind(delivery->payload) != JSON_OBJECT) {
		refuse(delivery, ERR_INVALID, "the payload must be an object with params");
	} else {
		delivery->task.params = json_member(delivery->payload, "params");
		delivery->task.comes_again =
		    delivery->attempt < CROWDED_MAX || metadata_caused(delivery->task.metadata);
		runtime_run(worker->runtime, arena, &delivery->task, settle_later, delivery);
	}
}

static void on_deliveries(void *arg, const ProtobufCMessage *message)
{
	struct worker *worker = arg;
	const Mq__ConsumeResponse *response = (const Mq__ConsumeResponse *)message;
	for (size_t i = 0; i < response->n_deliveries && !worker->draining; i++) {
		if (response->deliveries[i]->message != NULL)
			start(worker, response->deliveries[i]);
	}
}

static Mq__Settle *settle_of(const struct delivery *delivery, struct arena *arena)
{
	const struct outcome *outcome = delivery->outcome;
	Mq__Settle *settle = arena_alloc(arena, sizeof(*settle));
	mq__settle__init(settle);
	settle->message_id = delivery->task.message_id;
	settle->function = delivery->task.function->name;
	bool crowded = outcome->error.code == ERR_CONFLICT && delivery->task.comes_again;
	if (error_transient(&outcome->error) || crowded) {
		settle->retry_reason = outcome->error.message;
		return settle;
	}
	Mq__Result *result = arena_alloc(arena, sizeof(*result));
	mq__result__init(result);
	settle->result = result;
	if (outcome->error.code != ERR_NONE) {
		result->error = arena_alloc(arena, sizeof(*result->error));
		mq__error__init(result->error);
		result->error->code = (uint32_t)error_grpc_status(outcome->error.code);
		result->error->message = outcome->error.message;
	} else {
		result->result = outcome->result;
	}
	result->tokens = arena_alloc(arena, outcome->token_count * sizeof(*result->tokens));
	for (; result->n_tokens < outcome->token_count; result->n_tokens++) {
		Mq__Token *token = arena_alloc(arena, sizeof(*token));
		mq__token__init(token);
		token->topic = outcome->tokens[result->n_tokens].topic;
		token->entry_id = outcome->tokens[result->n_tokens].entry_id;
		result->tokens[result->n_tokens] = token;
	}
	return settle;
}

/* The hook of the turn: settles what is done. */
static bool settle_all(void *arg)
{
	struct worker *worker = arg;
	if (worker->done_count > 0) {
		struct arena *arena = pool_take(&worker->pool);
		Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
		request.n_settles = worker->done_count;
		request.settles = arena_alloc(arena, request.n_settles * sizeof(*request.settles));
		size_t place = worker->done_count;
		for (struct delivery *delivery = worker->done; delivery != NULL;
		     delivery = delivery->next)
			request.settles[--place] = settle_of(delivery, arena);
		if (worker->link != NULL)
			rpc_link_send(worker->link, &request.base);
		pool_give(&worker->pool, arena);
		while (worker->done != NULL) {
			struct delivery *delivery = worker->done;
			worker->done = delivery->next;
			delivery_free(worker, delivery);
		}
		worker->done_count = 0;
	}
	if (worker->link != NULL && worker->draining && worker->running == NULL)
		rpc_link_close(worker->link);
	return false;
}

/* Asks for more time for what takes long. That a lease has ended all the same needs no answer: the
 * effects of the second delivery are those of the first. */
static void extend_old(void *arg)
{
	struct worker *worker = arg;
	loop_timer_start(worker->loop, &worker->extend, EXTEND_MS, extend_old, worker);
	if (worker->running == NULL || worker->link == NULL)
		return;
	struct arena *arena = pool_take(&worker->pool);
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	request.extensions =
	    arena_alloc(arena, HASH_COUNT(worker->running) * sizeof(*request.extensions));
	struct delivery *delivery, *next;
	HASH_ITER(hh, worker->running, delivery, next)
	{
		if (delivery->old) {
			Mq__Extension *extension = arena_alloc(arena, sizeof(*extension));
			mq__extension__init(extension);
			extension->message_id = delivery->task.message_id;
			extension->function = delivery->task.function->name;
			request.extensions[request.n_extensions++] = extension;
		}
		delivery->old = true;
	}
	if (request.n_extensions > 0 && rpc_link_up(worker->link))
		rpc_link_send(worker->link, &request.base);
	pool_give(&worker->pool, arena);
}

static void join(struct worker *worker)
{
	const struct service *service = worker->service;
	struct arena *arena = pool_take(&worker->pool);
	Mq__ConsumeStart consume = MQ__CONSUME_START__INIT;
	consume.service = arena_printf(arena, "%s-service", service->name);
	consume.functions =
	    arena_alloc(arena, (service->function_count + 1) * sizeof(*consume.functions));
	for (size_t i = 0; i < service->function_count; i++) {
		if (!service->functions[i].local)
			consume.functions[consume.n_functions++] = service->functions[i].name;
	}
	consume.credits = CREDITS;
	consume.lease_ms = MESSAGE_LEASE_MS;
	consume.max_attempts = MESSAGE_ATTEMPTS;
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	request.start = &consume;
	worker->link = rpc_link_create(worker->loop, &(struct rpc_link_options){
	                                                 .name = "queue",
	                                                 .channel = worker->queue,
	                                                 .service = &mq__message_queue__descriptor,
	                                                 .method = "Consume",
	                                                 .start = &request.base,
	                                                 .message = on_deliveries,
	                                                 .arg = worker,
	                                             });
	pool_give(&worker->pool, arena);
}

struct worker *worker_create(struct loop *loop, const struct service *service,
                             struct rpc_channel *queue, struct runtime *runtime)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	ASSERT(worker != NULL);
	worker->loop = loop;
	worker->service = service;
	worker->queue = queue;
	worker->runtime = runtime;
	loop_add_hook(loop, settle_all, worker);
	if (service->function_count == 0)
		return worker;
	join(worker);
	loop_timer_start(loop, &worker->extend, EXTEND_MS, extend_old, worker);
	return worker;
}

void worker_take(struct worker *worker, bool takes)
{
	if (worker->service->function_count == 0 || worker->draining ||
	    takes == (worker->link != NULL))
		return;
	if (takes) {
		join(worker);
	} else {
		rpc_link_destroy(worker->link);
		worker->link = NULL;
	}
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	loop_remove_hook(worker->loop, settle_all, worker);
	loop_timer_stop(worker->loop, &worker->extend);
	rpc_link_destroy(worker->link);
	while (worker->running != NULL) {
		struct delivery *delivery = worker->running;
		HASH_DEL(worker->running, delivery);
		delivery_free(worker, delivery);
	}
	while (worker->done != NULL) {
		struct delivery *delivery = worker->done;
		worker->done = delivery->next;
		delivery_free(worker, delivery);
	}
	pool_free(&worker->pool);
	free(worker);
}

bool worker_up(const struct worker *worker)
{
	return worker->service->function_count == 0 ||
	       (worker->link != NULL && rpc_link_up(worker->link));
}

void worker_drain(struct worker *worker)
{
	worker->draining = true;
}

bool worker_idle(const struct worker *worker)
{
	return worker->running == NULL && worker->done == NULL;
}

bool worker_drained(const struct worker *worker)
{
	return worker->running == NULL && (worker->link == NULL || rpc_link_closed(worker->link));
}
