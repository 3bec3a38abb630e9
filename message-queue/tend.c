/* The methods of those who look after the queues: dead letters, purge, limits. What concerns all messages
 * of a queue goes in steps of STORE_BATCH_MAX, so that nobody else waits long, and ends when the caller
 * goes. */
#include "message-queue/service_internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 100, PAGE_MAX = 1000, PAGE_BYTES_MAX = 1024 * 1024, PLACE_SIZE = 24 };

/* Outlives a call that ends early: `call` is NULL then. */
struct tending {
	struct rpc_call *call;
	struct queue *queue;
	struct store *store;
	const char *move; /* of dead letters: "requeue" or "drop" */
	bool all;
	char after[PLACE_SIZE]; /* the dead letter after which it goes on */
	char last[PLACE_SIZE];  /* that with which it ends */
	uint64_t count;         /* so far */
	uint64_t left;          /* that may be purged; what comes meanwhile may stay */
	uint64_t limit;         /* to be set */
	char *outcome;          /* of purged ones */
	size_t outcome_len;
};

static void tending_free(struct tending *tending)
{
	free(tending->outcome);
	free(tending);
}

static struct tending *begin(struct message_queue *service, struct rpc_call *call,
                             struct queue *queue)
{
	struct tending *tending = calloc(1, sizeof(*tending));
	ASSERT(tending != NULL);
	tending->call = call;
	tending->queue = queue;
	tending->store = service->store;
	rpc_set_data(call, tending);
	return tending;
}

void tending_ended(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	struct tending *tending = rpc_data(call);
	if (tending != NULL)
		tending->call = NULL;
}

/* False: the caller has gone, or is told of the failure. */
static bool go_on(struct tending *tending, const struct redis_value *value, const char *shape,
                  const struct error *failed)
{
	struct error err;
	if (tending->call == NULL)
		return false;
	if (redis_check(value, shape, failed, &err))
		return true;
	rpc_set_data(tending->call, NULL);
	rpc_finish(tending->call, &err);
	return false;
}

static void finish(struct tending *tending, const ProtobufCMessage *response)
{
	rpc_set_data(tending->call, NULL);
	rpc_reply(tending->call, response);
	tending_free(tending);
}

static struct queue *find(struct message_queue *service, struct rpc_call *call,
                          const char *service_name, const char *function)
{
	struct queue *queue = NULL;
	struct error err;
	if (queues_find(service->queues, service_name, function, &queue, &err))
		return queue;
	rpc_finish(call, &err);
	return NULL;
}

/* ---- a page of dead letters ---- */

static Mq__DeadLetter *read_letter(const struct redis_value *list, size_t at, struct arena *arena)
{
	size_t len = 0, record_len = 0;
	Mq__DeadLetter *letter = arena_alloc(arena, sizeof(*letter));
	*letter = (Mq__DeadLetter)MQ__DEAD_LETTER__INIT;
	const char *id = redis_value_string(redis_value_at(list, at), &len);
	const char *place = redis_value_string(redis_value_at(list, at + 1), &len);
	letter->attempts = (uint32_t)redis_value_integer(redis_value_at(list, at + 2));
	letter->reason =
	    arena_strdup(arena, redis_value_string(redis_value_at(list, at + 3), &len));
	const char *record = redis_value_string(redis_value_at(list, at + 4), &record_len);
	letter->parked_at_ms = strtoull(place, NULL, 10) / 1000;
	letter->queued_at_ms = record_time_ms(record, record_len);
	letter->message = record_message(record, record_len, arena);
	if (letter->message == NULL) { /* it can be dropped by its id */
		letter->message = arena_alloc(arena, sizeof(*letter->message));
		*letter->message = (Mq__Message)MQ__MESSAGE__INIT;
		letter->message->message_id = arena_strdup(arena, id);
	}
	return letter;
}

static void on_page(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct tending *tending = arg;
	if (!go_on(tending, value, "(i[ssiss])", failed)) {
		tending_free(tending);
		return;
	}
	struct arena *arena = rpc_call_arena(tending->call);
	const struct redis_value *list = redis_value_at(value, 1);
	size_t count = redis_value_count(list) / 5, len = 0;
	Mq__DeadLettersResponse response = MQ__DEAD_LETTERS_RESPONSE__INIT;
	response.letters = arena_alloc(arena, (count + 1) * sizeof(*response.letters));
	response.n_letters = count;
	for (size_t i = 0; i < count; i++)
		response.letters[i] = read_letter(list, 5 * i, arena);
	if (redis_value_integer(redis_value_at(value, 0)) == 1 && count > 0)
		response.next = redis_value_string(redis_value_at(list, 5 * (count - 1) + 1), &len);
	finish(tending, &response.base);
}

void dead_letters_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct message_queue *service = ctx;
	const Mq__DeadLettersRequest *asked = (const Mq__DeadLettersRequest *)request;
	const char *after = asked->after[0] != '\0' ? asked->after : "0";
	struct error err;
	if (asked->limit > PAGE_MAX) {
		error_set(&err, ERR_INVALID, "limit: %u, must be 1 to %d, or 0 for %d",
		          asked->limit, PAGE_MAX, PAGE);
		rpc_finish(call, &err);
		return;
	}
	if (strlen(after) >= PLACE_SIZE || strspn(after, "0123456789") != strlen(after)) {
		error_set(&err, ERR_INVALID,
		          "after: must be what a page gave as next, is \"%.40s\"", after);
		rpc_finish(call, &err);
		return;
	}
	struct queue *queue = find(service, call, asked->service, asked->function);
	if (queue != NULL)
		store_dead(service->store, queue_keys(queue), after,
		           asked->limit > 0 ? asked->limit : PAGE, PAGE_BYTES_MAX, on_page,
		           begin(service, call, queue));
}

/* ---- requeue, drop ---- */

static void on_unparked(void *arg, const struct redis_value *value, const struct error *failed);

static void copy_place(char place[PLACE_SIZE], const struct redis_value *value)
{
	size_t len;
	snprintf(place, PLACE_SIZE, "%s", redis_value_string(value, &len));
}

static void unpark_more(struct tending *tending)
{
	store_unpark_all(tending->store, queue_keys(tending->queue), tending->move, tending->after,
	                 tending->last, on_unparked, tending);
}

static void on_unparked(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct tending *tending = arg;
	/* Also when the caller has gone. */
	if (failed == NULL)
		queue_wake(tending->queue);
	if (!go_on(tending, value, tending->all ? "(iss)" : "i", failed)) {
		tending_free(tending);
		return;
	}
	const struct redis_value *count = tending->all ? redis_value_at(value, 0) : value;
	tending->count += (uint64_t)redis_value_integer(count);
	if (tending->all) {
		copy_place(tending->last, redis_value_at(value, 1));
		copy_place(tending->after, redis_value_at(value, 2));
	}
	if (tending->all && tending->after[0] != '\0') {
		unpark_more(tending);
		return;
	}
	log_info("dead_letters", "queue=%s move=%s count=%" PRIu64, queue_name(tending->queue),
	         tending->move, tending->count);
	Mq__DeadCount response = MQ__DEAD_COUNT__INIT;
	response.count = tending->count;
	finish(tending, &response.base);
}

static bool check_selection(const Mq__DeadSelection *asked, struct error *err)
{
	if (asked->all != (asked->n_message_ids == 0))
		return error_set(err, ERR_INVALID,
		                 "message_ids: name 1 to %d messages, or set all and name none",
		                 STORE_BATCH_MAX);
	if (asked->n_message_ids > STORE_BATCH_MAX)
		return error_set(err, ERR_INVALID, "message_ids: %zu, at most %d are allowed",
		                 asked->n_message_ids, STORE_BATCH_MAX);
	for (size_t i = 0; i < asked->n_message_ids; i++) {
		size_t len = strlen(asked->message_ids[i]);
		if (len == 0 || len >= MESSAGE_ID_SIZE)
			return error_set(err, ERR_INVALID,
			                 "message_ids: \"%.40s\" is no message id",
			                 asked->message_ids[i]);
	}
	return true;
}

static void unpark(struct message_queue *service, struct rpc_call *call,
                   const ProtobufCMessage *request, const char *move)
{
	const Mq__DeadSelection *asked = (const Mq__DeadSelection *)request;
	struct error err;
	if (!check_selection(asked, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct queue *queue = find(service, call, asked->service, asked->function);
	if (queue == NULL)
		return;
	struct tending *tending = begin(service, call, queue);
	tending->move = move;
	tending->all = asked->all;
	strcpy(tending->after, "0");
	if (asked->all)
		unpark_more(tending);
	else
		store_unpark(service->store, queue_keys(queue), move, asked->message_ids,
		             asked->n_message_ids, on_unparked, tending);
}

void requeue_dead_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	unpark(ctx, call, request, "requeue");
}

void drop_dead_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	unpark(ctx, call, request, "drop");
}

/* ---- purge ---- */

static void on_purged(void *arg, const struct redis_value *value, const struct error *failed);

static void purge_more(struct tending *tending)
{
	store_purge(tending->store, queue_keys(tending->queue), tending->outcome,
	            tending->outcome_len, on_purged, tending);
}

static void on_purged(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct tending *tending = arg;
	const struct redis_value *ids = failed == NULL ? redis_value_at(value, 1) : NULL;
	size_t count = failed == NULL ? redis_value_count(ids) : 0, len = 0;
	for (size_t i = 0; i < count; i++)
		queue_answer_outcome(tending->queue,
		                     redis_value_string(redis_value_at(ids, i), &len),
		                     tending->outcome, tending->outcome_len);
	if (!go_on(tending, value, "(i[s])", failed)) {
		queue_recheck(tending->queue); /* it may have run */
		tending_free(tending);
		return;
	}
	uint64_t left = (uint64_t)redis_value_integer(redis_value_at(value, 0));
	if (tending->count == 0)
		tending->left = count + left;
	tending->count += count;
	if (count > 0 && left > 0 && tending->count < tending->left) {
		purge_more(tending);
		return;
	}
	log_warn("purged", "queue=%s count=%" PRIu64, queue_name(tending->queue), tending->count);
	Mq__PurgeResponse response = MQ__PURGE_RESPONSE__INIT;
	response.purged = tending->count;
	finish(tending, &response.base);
}

void purge_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct message_queue *service = ctx;
	const Mq__PurgeRequest *asked = (const Mq__PurgeRequest *)request;
	struct queue *queue = find(service, call, asked->service, asked->function);
	if (queue == NULL)
		return;
	struct tending *tending = begin(service, call, queue);
	Mq__Result result = MQ__RESULT__INIT;
	Mq__Error error = MQ__ERROR__INIT;
	error.code = (uint32_t)error_grpc_status(ERR_CANCELLED);
	error.message = "the message was purged from its queue";
	result.error = &error;
	tending->outcome = outcome_from_result(&result, &tending->outcome_len);
	purge_more(tending);
}

/* ---- limits ---- */

static void on_configured(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct tending *tending = arg;
	if (failed == NULL)
		queue_take_limit(tending->queue, tending->limit);
	if (!go_on(tending, value, "i", failed)) {
		tending_free(tending);
		return;
	}
	Mq__ConfigureResponse response = MQ__CONFIGURE_RESPONSE__INIT;
	finish(tending, &response.base);
}

void configure_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct message_queue *service = ctx;
	const Mq__ConfigureRequest *asked = (const Mq__ConfigureRequest *)request;
	struct queue *queue = NULL;
	struct error err;
	if (!queues_get(service->queues, asked->service, asked->function, &queue, &err)) {
		rpc_finish(call, &err);
		return;
	}
	uint64_t max = queues_limit_max(service->queues);
	if (asked->max_messages > max) {
		error_set(&err, ERR_INVALID,
		          "max_messages: %" PRIu64 ", must be 1 to %" PRIu64 ", or 0 for that",
		          asked->max_messages, max);
		rpc_finish(call, &err);
		return;
	}
	struct tending *tending = begin(service, call, queue);
	tending->limit = asked->max_messages;
	queue_set_limit(queue, tending->limit, on_configured, tending);
}
