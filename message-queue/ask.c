/* Questions that change nothing: Outcome and Queues. */
#include "message-queue/service_internal.h"

#include "base/clock.h"

#include <stdlib.h>

/* A question to Redis outlives a call that ends early: `call` is NULL then. */
struct question {
	struct rpc_call *call;
	size_t unanswered;
	struct error err; /* code set: some answer failed */
	size_t count;
	struct queue_view {
		struct question *question;
		struct queue *queue;
		Mq__QueueInfo info;
	} views[];
};

static struct question *question_create(struct rpc_call *call, size_t count)
{
	struct question *question =
	    calloc(1, sizeof(*question) + count * sizeof(question->views[0]));
	ASSERT(question != NULL);
	question->call = call;
	question->count = count;
	rpc_set_data(call, question);
	return question;
}

void question_ended(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	struct question *question = rpc_data(call);
	if (question == NULL)
		return;
	question->call = NULL;
	if (question->unanswered == 0)
		free(question);
}

static void on_outcome(void *arg, const struct redis_value *value, const struct error *failed)
{
	static const struct {
		char letter;
		Mq__OutcomeResponse__State state;
	} states[] = {
		{ 'Q', MQ__OUTCOME_RESPONSE__STATE__READY },
		{ 'L', MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT },
		{ 'A', MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT },
		{ 'O', MQ__OUTCOME_RESPONSE__STATE__DONE },
		{ 'X', MQ__OUTCOME_RESPONSE__STATE__DEAD },
	};
	struct question *question = arg;
	struct rpc_call *call = question->call;
	question->unanswered--;
	if (call == NULL) {
		free(question);
		return;
	}
	struct error err;
	if (!redis_check(value, "(ss)", failed, &err)) {
		rpc_finish(call, &err);
		return;
	}
	size_t len = 0;
	char letter = redis_value_string(redis_value_at(value, 0), &len)[0];
	const char *detail = redis_value_string(redis_value_at(value, 1), &len);
	Mq__OutcomeResponse response = MQ__OUTCOME_RESPONSE__INIT;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (states[i].letter == letter)
			response.state = states[i].state;
	}
	if (letter == 'O')
		response.result = outcome_result(detail, len, rpc_call_arena(call));
	if (letter == 'X')
		response.reason = detail;
	rpc_reply(call, &response.base);
}

void outcome_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct message_queue *service = ctx;
	const Mq__OutcomeRequest *asked = (const Mq__OutcomeRequest *)request;
	char name[QUEUE_NAME_SIZE];
	struct queue *queue = NULL;
	struct error err;
	if (!uuid_valid(asked->message_id)) {
		error_set(&err, ERR_INVALID, "message_id: must be a UUID, is \"%.40s\"",
		          asked->message_id);
		rpc_finish(call, &err);
		return;
	}
	if (!queues_look_up(service->queues, asked->service, asked->function, name, &queue, &err)) {
		rpc_finish(call, &err);
		return;
	}
	if (queue != NULL && queue_in_flight_here(queue, asked->message_id)) {
		Mq__OutcomeResponse response = MQ__OUTCOME_RESPONSE__INIT;
		response.state = MQ__OUTCOME_RESPONSE__STATE__IN_FLIGHT;
		rpc_reply(call, &response.base);
		return;
	}
	struct question *question = question_create(call, 0);
	question->unanswered = 1;
	/* Who asks makes no queue. */
	struct store_queue *keys = store_queue_create(name);
	store_outcome(service->store, keys, &asked->message_id, 1, on_outcome, question);
	store_queue_destroy(keys);
}

static void send_infos(struct question *question)
{
	struct rpc_call *call = question->call;
	if (question->err.code != ERR_NONE) {
		rpc_finish(call, &question->err);
		return;
	}
	Mq__QueuesResponse response = MQ__QUEUES_RESPONSE__INIT;
	Mq__QueueInfo **infos =
	    arena_alloc(rpc_call_arena(call), (question->count + 1) * sizeof(Mq__QueueInfo *));
	for (size_t i = 0; i < question->count; i++)
		infos[i] = &question->views[i].info;
	response.queues = infos;
	response.n_queues = question->count;
	rpc_reply(call, &response.base);
}

static void on_info(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct queue_view *view = arg; /* the masters of a cluster answer in any order */
	struct question *question = view->question;
	question->unanswered--;
	struct error err;
	if (!redis_check(value, "(iiiisi)", failed, &err)) {
		question->err = err;
	} else {
		uint64_t since_ms = (uint64_t)redis_value_integer(redis_value_at(value, 5));
		uint64_t now_ms = clock_wall_us() / 1000;
		view->info.depth = (uint64_t)redis_value_integer(redis_value_at(value, 0)) +
		                   (uint64_t)redis_value_integer(redis_value_at(value, 1));
		view->info.in_flight = (uint64_t)redis_value_integer(redis_value_at(value, 2)) +
		                       queue_unstored(view->queue);
		view->info.dead = (uint64_t)redis_value_integer(redis_value_at(value, 3));
		view->info.delayed = (uint64_t)redis_value_integer(redis_value_at(value, 1));
		if (since_ms > 0 && since_ms < now_ms)
			view->info.oldest_age_ms = now_ms - since_ms;
	}
	if (question->unanswered > 0)
		return;
	if (question->call == NULL)
		free(question);
	else
		send_infos(question);
}

void queues_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	struct message_queue *service = ctx;
	size_t count = 0;
	for (struct queue *queue = queues_first(service->queues); queue != NULL;
	     queue = queue_after(queue))
		count++;
	struct question *question = question_create(call, count);
	if (count == 0)
		send_infos(question);
	for (struct queue *queue = queues_first(service->queues); queue != NULL;
	     queue = queue_after(queue)) {
		struct queue_view *view = &question->views[question->unanswered++];
		view->question = question;
		view->queue = queue;
		view->info = (Mq__QueueInfo)MQ__QUEUE_INFO__INIT;
		view->info.service = queue_service(queue);
		view->info.function = queue_function(queue);
		view->info.consumers = queue_consumers(queue);
		view->info.max_messages = queue_limit(queue);
		store_info(service->store, queue_keys(queue), on_info, view);
	}
}
