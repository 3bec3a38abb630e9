/* Consume: deliveries to one client, up to its credits, and what became of them. The deliveries of one
 * turn of the loop leave as one message. */
#include "message-queue/service_internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	CREDITS_MAX = 4096,
	FUNCTIONS_MAX = 256,
	LEASE_MS = 30000,
	LEASE_MIN_MS = 100,
	LEASE_MAX_MS = 3600000,
	ATTEMPTS = 5,
	ATTEMPTS_MAX = 100,
	REASON_MAX = 1024
};

struct consume_stream {
	struct open_stream open;
	struct message_queue *service;
	struct consumer *consumer; /* NULL before the start and after the end */
	struct queue **queues;
	size_t queue_count;
	struct arena *arena; /* of the response being collected */
	Mq__Delivery **deliveries;
	size_t count, capacity;
	Mq__LeaseEnd **ended; /* in the arena, but the list */
	size_t ended_count, ended_capacity;
	size_t bytes;
	struct loop_task flush;
};

static void send_deliveries(struct consume_stream *stream)
{
	Mq__ConsumeResponse response = MQ__CONSUME_RESPONSE__INIT;
	response.deliveries = stream->deliveries;
	response.n_deliveries = stream->count;
	response.ended = stream->ended;
	response.n_ended = stream->ended_count;
	if (stream->count > 0 || stream->ended_count > 0)
		rpc_send(stream->open.call, &response.base);
	stream->count = 0;
	stream->ended_count = 0;
	stream->bytes = 0;
	arena_reset(stream->arena);
}

static void on_flush(struct loop_task *task)
{
	send_deliveries(OWNER(struct consume_stream, flush, task));
}

static bool on_delivery(void *ctx, const char *id, const char *record, size_t len, uint32_t attempt)
{
	struct consume_stream *stream = ctx;
	if (stream->bytes + len > STREAM_MESSAGE_MAX)
		send_deliveries(stream);
	if (stream->count == stream->capacity) {
		stream->capacity = stream->capacity > 0 ? stream->capacity * 2 : 64;
		stream->deliveries =
		    realloc(stream->deliveries, stream->capacity * sizeof(*stream->deliveries));
		ASSERT(stream->deliveries != NULL);
	}
	Mq__Delivery *delivery = arena_alloc(stream->arena, sizeof(*delivery));
	*delivery = (Mq__Delivery)MQ__DELIVERY__INIT;
	delivery->message = record_message(record, len, stream->arena);
	delivery->attempt = attempt;
	delivery->redelivered = attempt > 1 || record_again(record, len);
	if (delivery->message == NULL) {
		log_error("record_unreadable", "message_id=%s bytes=%zu", id, len);
		return true; /* its lease ends, and it is parked in the end */
	}
	stream->deliveries[stream->count++] = delivery;
	stream->bytes += len + 64;
	loop_task_start(stream->service->loop, &stream->flush);
	return true;
}

static void on_lease_ended(void *ctx, const struct queue *queue, const char *id)
{
	struct consume_stream *stream = ctx;
	if (stream->ended_count == stream->ended_capacity) {
		stream->ended_capacity = stream->ended_capacity * 2 + 16;
		stream->ended =
		    realloc(stream->ended, stream->ended_capacity * sizeof(*stream->ended));
		ASSERT(stream->ended != NULL);
	}
	Mq__LeaseEnd *end = arena_alloc(stream->arena, sizeof(*end));
	*end = (Mq__LeaseEnd)MQ__LEASE_END__INIT;
	end->message_id = arena_strdup(stream->arena, id);
	end->function = queue_function(queue);
	stream->ended[stream->ended_count++] = end;
	loop_task_start(stream->service->loop, &stream->flush);
}

void consume_open(void *ctx, struct rpc_call *call)
{
	struct message_queue *service = ctx;
	struct consume_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->open.call = call;
	stream->service = service;
	stream->arena = arena_create();
	stream->flush.fn = on_flush;
	DL_APPEND(service->streams, &stream->open);
	rpc_set_data(call, stream);
}

static bool check_range(const char *what, uint32_t value, uint32_t min, uint32_t max,
                        struct error *err)
{
	if (value >= min && value <= max)
		return true;
	return error_set(err, ERR_INVALID, "%s: %u, must be %u to %u", what, value, min, max);
}

static bool start(struct consume_stream *stream, const Mq__ConsumeStart *asked, struct error *err)
{
	if (asked == NULL)
		return error_set(err, ERR_INVALID, "start: is missing in the first message");
	if (asked->n_functions < 1 || asked->n_functions > FUNCTIONS_MAX)
		return error_set(err, ERR_INVALID, "start.functions: %zu, must be 1 to %d",
		                 asked->n_functions, FUNCTIONS_MAX);
	struct consumer_options options = {
		.credits = asked->credits,
		.lease_ms = asked->lease_ms > 0 ? asked->lease_ms : LEASE_MS,
		.max_attempts = asked->max_attempts > 0 ? asked->max_attempts : ATTEMPTS,
		.deliver = on_delivery,
		.lease_ended = on_lease_ended,
		.ctx = stream,
	};
	if (!check_range("start.credits", options.credits, 1, CREDITS_MAX, err) ||
	    !check_range("start.lease_ms", options.lease_ms, LEASE_MIN_MS, LEASE_MAX_MS, err) ||
	    !check_range("start.max_attempts", options.max_attempts, 1, ATTEMPTS_MAX, err))
		return false;
	stream->queues = calloc(asked->n_functions, sizeof(struct queue *));
	ASSERT(stream->queues != NULL);
	for (size_t i = 0; i < asked->n_functions; i++) {
		struct queue *queue = NULL;
		bool known = false;
		if (!queues_get(stream->service->queues, asked->service, asked->functions[i],
		                &queue, err))
			return error_wrap(err, "start");
		for (size_t k = 0; k < stream->queue_count; k++)
			known = known || stream->queues[k] == queue;
		if (!known)
			stream->queues[stream->queue_count++] = queue;
	}
	stream->consumer =
	    consumer_create(stream->service->queues, &options, stream->queues, stream->queue_count);
	log_info("consumer", "service=%s functions=%zu credits=%u", asked->service,
	         stream->queue_count, options.credits);
	return true;
}

/* The queue of a delivery that the client names. */
static bool find_queue(struct consume_stream *stream, const char *what, const char *function,
                       const char *message_id, struct queue **out, struct error *err)
{
	if (strlen(message_id) >= MESSAGE_ID_SIZE)
		return error_set(err, ERR_INVALID, "%s.message_id: is no message id", what);
	for (size_t i = 0; i < stream->queue_count; i++) {
		if (strcmp(queue_function(stream->queues[i]), function) == 0) {
			*out = stream->queues[i];
			return true;
		}
	}
	return error_set(err, ERR_INVALID, "%s.function: \"%.64s\" is none of those of the start",
	                 what, function);
}

static bool extend(struct consume_stream *stream, const Mq__Extension *asked, struct error *err)
{
	struct queue *queue = NULL;
	if (!find_queue(stream, "extensions", asked->function, asked->message_id, &queue, err))
		return false;
	if (asked->lease_ms > 0 &&
	    !check_range("extensions.lease_ms", asked->lease_ms, LEASE_MIN_MS, LEASE_MAX_MS, err))
		return false;
	consumer_extend(stream->consumer, queue, asked->message_id, asked->lease_ms);
	return true;
}

static bool settle(struct consume_stream *stream, const Mq__Settle *asked, struct error *err)
{
	struct queue *queue = NULL;
	if (!find_queue(stream, "settles", asked->function, asked->message_id, &queue, err) ||
	    !delay_check("settles.retry_delay_ms", asked->retry_delay_ms, err))
		return false;
	size_t reason_len = strlen(asked->retry_reason);
	if (reason_len > REASON_MAX)
		return error_set(err, ERR_INVALID,
		                 "settles.retry_reason: %zu bytes, at most %d are allowed",
		                 reason_len, REASON_MAX);
	if (reason_len > 0) {
		consumer_failed(stream->consumer, queue, asked->message_id, asked->retry_reason,
		                asked->retry_delay_ms);
		return true;
	}
	if (asked->result == NULL)
		return error_set(err, ERR_INVALID, "settles: needs result or retry_reason");
	size_t len = 0;
	char *outcome = outcome_from_result(asked->result, &len);
	consumer_done(stream->consumer, queue, asked->message_id, outcome, len);
	return true;
}

static void end(struct consume_stream *stream)
{
	if (stream->consumer != NULL)
		consumer_end(stream->consumer);
	stream->consumer = NULL;
}

void consume_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)ctx;
	struct consume_stream *stream = rpc_data(call);
	const Mq__ConsumeRequest *asked = (const Mq__ConsumeRequest *)request;
	struct error err;
	bool ok = true;
	if (rpc_ended(call))
		return;
	if (stream->consumer == NULL)
		ok = start(stream, asked->start, &err);
	else if (asked->start != NULL)
		ok = error_set(&err, ERR_INVALID, "start: comes in the first message only");
	for (size_t i = 0; ok && i < asked->n_settles; i++)
		ok = settle(stream, asked->settles[i], &err);
	for (size_t i = 0; ok && i < asked->n_extensions; i++)
		ok = extend(stream, asked->extensions[i], &err);
	if (!ok) {
		end(stream);
		rpc_finish(call, &err);
	}
}

void consume_half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	end(rpc_data(call)); /* it can settle nothing any more */
	rpc_finish(call, NULL);
}

void consume_ended(void *ctx, struct rpc_call *call)
{
	struct message_queue *service = ctx;
	struct consume_stream *stream = rpc_data(call);
	end(stream);
	loop_task_stop(service->loop, &stream->flush);
	DL_DELETE(service->streams, &stream->open);
	arena_destroy(stream->arena);
	free(stream->deliveries);
	free(stream->ended);
	free(stream->queues);
	free(stream);
}
