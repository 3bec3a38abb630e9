#include "message-queue/service_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

enum {
	DEFAULT_MAX_PENDING = 1000000,
	DEFAULT_MAX_CALLERS = 200000,
	DEFAULT_LEGACY_LEASE_MS = 10000,
	DEFAULT_REDIS_TIMEOUT_MS = 5000,
	MAX_QUEUES = 10000,
	STOP_GRACE_MS = 1000,
	DRAIN_LOOK_MS = 2
};

/* ---- sending ---- */

bool service_submit(struct message_queue *service, Mq__Message *message, Mq__Sending sending,
                    bool wait, uint64_t timeout_ms, struct submitter *submitter, uint64_t tag,
                    char id[UUID_SIZE], struct error *err)
{
	struct queue *queue = NULL;
	if (message == NULL)
		return error_set(err, ERR_INVALID, "message: is missing");
	if (!message_check(message, id, err) ||
	    !queues_get(service->queues, message->service, message->function, &queue, err))
		return false;
	if (service->stopping)
		return error_set(err, ERR_UNAVAILABLE, "the message queue stops");
	if (message->message_id != id)
		memcpy(id, message->message_id, UUID_SIZE);
	size_t len = 0;
	char *record =
	    record_create(message, clock_wall_us() / 1000, sending == MQ__SENDING__AGAIN, &len);
	struct sending sent = {
		.id = message->message_id,
		.record = record,
		.len = len,
		.priority = (uint32_t)message->priority,
		.delay_ms = message->delay_ms,
		.at_once = sending == MQ__SENDING__FIRST,
		.wait = wait,
		.timeout_ms = timeout_ms,
	};
	queue_submit(queue, &sent, submitter, tag);
	return true;
}

Mq__Result *service_result(const struct answer *answer, struct arena *arena)
{
	if (answer->kind == ANSWER_OUTCOME)
		return outcome_result(answer->outcome, answer->outcome_len, arena);
	return outcome_error(&answer->err, arena);
}

static void on_call_answer(void *ctx, uint64_t tag, const struct answer *answer)
{
	(void)tag;
	struct rpc_call *call = ctx;
	if (answer->kind != ANSWER_OUTCOME) {
		rpc_finish(call, &answer->err);
		return;
	}
	Mq__CallResponse response = MQ__CALL_RESPONSE__INIT;
	response.message_id = answer->message_id;
	response.result = service_result(answer, rpc_call_arena(call));
	rpc_reply(call, &response.base);
}

static void on_send_answer(void *ctx, uint64_t tag, const struct answer *answer)
{
	(void)tag;
	struct rpc_call *call = ctx;
	if (answer->kind != ANSWER_STORED) {
		rpc_finish(call, &answer->err);
		return;
	}
	Mq__SendResponse response = MQ__SEND_RESPONSE__INIT;
	response.message_id = answer->message_id;
	response.duplicate = answer->duplicate;
	rpc_reply(call, &response.base);
}

static void unary_submit(struct message_queue *service, struct rpc_call *call, Mq__Message *message,
                         bool wait,
                         void (*answer)(void *ctx, uint64_t tag, const struct answer *answer))
{
	struct submitter *submitter = arena_zalloc(rpc_call_arena(call), sizeof(*submitter));
	submitter->answer = answer;
	submitter->ctx = call;
	rpc_set_data(call, submitter);
	char id[UUID_SIZE];
	struct error err;
	uint64_t timeout_ms = rpc_time_left_ms(call);
	if (timeout_ms > CALL_TIMEOUT_MAX_MS)
		timeout_ms = CALL_TIMEOUT_MAX_MS;
	if (!service_submit(service, message, MQ__SENDING__ANY, wait, timeout_ms, submitter, 0, id,
	                    &err))
		rpc_finish(call, &err);
}

static void call_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	unary_submit(ctx, call, ((const Mq__CallRequest *)request)->message, true, on_call_answer);
}

static void send_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	unary_submit(ctx, call, ((const Mq__SendRequest *)request)->message, false, on_send_answer);
}

static void submitter_ended(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	if (rpc_data(call) != NULL)
		submitter_end(rpc_data(call));
}

/* ---- life ---- */

static const struct rpc_method methods[] = {
	{ .name = "Call", .kind = RPC_UNARY, .message = call_message, .ended = submitter_ended },
	{ .name = "Send", .kind = RPC_UNARY, .message = send_message, .ended = submitter_ended },
	{ .name = "SubmitStream",
	  .kind = RPC_BIDI_STREAM,
	  .open = submit_stream_open,
	  .message = submit_stream_message,
	  .half_close = submit_stream_half_close,
	  .drained = submit_stream_drained,
	  .ended = submit_stream_ended },
	{ .name = "Consume",
	  .kind = RPC_BIDI_STREAM,
	  .open = consume_open,
	  .message = consume_message,
	  .half_close = consume_half_close,
	  .ended = consume_ended },
	{ .name = "Outcome",
	  .kind = RPC_UNARY,
	  .message = outcome_message,
	  .ended = question_ended },
	{ .name = "Queues", .kind = RPC_UNARY, .message = queues_message, .ended = question_ended },
	{ .name = "DeadLetters",
	  .kind = RPC_UNARY,
	  .message = dead_letters_message,
	  .ended = tending_ended },
	{ .name = "RequeueDead",
	  .kind = RPC_UNARY,
	  .message = requeue_dead_message,
	  .ended = tending_ended },
	{ .name = "DropDead",
	  .kind = RPC_UNARY,
	  .message = drop_dead_message,
	  .ended = tending_ended },
	{ .name = "Purge", .kind = RPC_UNARY, .message = purge_message, .ended = tending_ended },
	{ .name = "Configure",
	  .kind = RPC_UNARY,
	  .message = configure_message,
	  .ended = tending_ended },
};

static void on_healthy(void *arg, bool healthy)
{
	struct message_queue *service = arg;
	rpc_server_set_healthy(service->server, healthy && !service->stopping);
}

/* Equal after a restart, different from that of other instances. */
static struct queues *make_queues(struct message_queue *service,
                                  const struct message_queue_options *options)
{
	char host[64] = "localhost", name[256];
	(void)gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "%s %s", host,
	         options->listen_count > 0 ? options->listen[0] : "");
	struct queues_options queues = {
		.max_pending =
		    options->max_pending > 0 ? options->max_pending : DEFAULT_MAX_PENDING,
		.max_queues = MAX_QUEUES,
		.max_callers =
		    options->max_callers > 0 ? options->max_callers : DEFAULT_MAX_CALLERS,
		.instance = options->instance != NULL ? options->instance : name,
	};
	return queues_create(service->loop, service->store, &queues);
}

bool message_queue_serve(struct loop *loop, const struct message_queue_options *options,
                         struct message_queue **out, struct error *err)
{
	struct message_queue *service = calloc(1, sizeof(*service));
	ASSERT(service != NULL);
	service->loop = loop;
	service->library = store_library();
	service->legacy_lease_ms =
	    options->legacy_lease_ms > 0 ? options->legacy_lease_ms : DEFAULT_LEGACY_LEASE_MS;
	service->store = store_create();
	/* Their hook collects commands, so it comes before the one that sends them. */
	service->queues = make_queues(service, options);
	service->server = rpc_server_create(loop);
	rpc_server_add(service->server, &mq__message_queue__descriptor, methods, ARRAY_LEN(methods),
	               service);
	compat_add(service);
	for (size_t i = 0; i < options->listen_count; i++) {
		if (!rpc_server_listen(service->server, options->listen[i],
		                       i == 0 ? &service->port : NULL, err))
			goto failed;
	}
	if (!redis_create(loop, options->redis_url, &service->library, 1,
	                  options->redis_timeout_ms > 0 ? options->redis_timeout_ms
	                                                : DEFAULT_REDIS_TIMEOUT_MS,
	                  &service->redis, err))
		goto failed;
	store_connect(service->store, service->redis);
	rpc_server_start(service->server);
	queues_start(service->queues, on_healthy, service);
	*out = service;
	return true;
failed:
	message_queue_destroy(service);
	return false;
}

int message_queue_port(const struct message_queue *service)
{
	return service->port;
}

/* What ended with the last calls is still on its way to Redis. */
static void on_shutdown(void *arg)
{
	struct message_queue *service = arg;
	bool busy = redis_waiting(service->redis) > 0 || queues_busy(service->queues);
	if (busy && service->drain_looks++ < STOP_GRACE_MS / DRAIN_LOOK_MS)
		loop_timer_start(service->loop, &service->drain, DRAIN_LOOK_MS, on_shutdown,
		                 service);
	else
		service->stopped(service->stopped_arg);
}

void message_queue_stop(struct message_queue *service, void (*done)(void *arg), void *arg)
{
	service->stopping = true;
	service->stopped = done;
	service->stopped_arg = arg;
	queues_stop(service->queues);
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "the message queue stops");
	struct open_stream *stream, *next;
	DL_FOREACH_SAFE(service->streams, stream, next)
	{
		rpc_finish(stream->call, &err);
	}
	rpc_server_shutdown(service->server, STOP_GRACE_MS, on_shutdown, service);
}

void message_queue_destroy(struct message_queue *service)
{
	if (service == NULL)
		return;
	loop_timer_stop(service->loop, &service->drain);
	queues_stop(service->queues);
	rpc_server_destroy(service->server);
	redis_destroy(service->redis);
	queues_destroy(service->queues);
	store_destroy(service->store);
	free(service);
}
