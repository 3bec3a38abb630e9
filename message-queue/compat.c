/* The interface of the original queue (proto/messagequeue.proto) on the same queues: a service that
 * takes messages here may be called by native callers and the other way round. */
#include "message-queue/service_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "proto/messagequeue.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { ATTEMPTS = 5, RESPONSE_MAX = OUTCOME_RESULT_MAX };

/* One call. Questions to Redis outlive a call that ends early. */
struct compat {
	struct open_stream open; /* its call is NULL when the call has ended */
	struct message_queue *service;
	struct queue *queue;
	char id[MESSAGE_ID_SIZE];
	char *payload;   /* of ack_rsp */
	unsigned asking; /* questions under way */
	struct submitter submitter;
	struct consumer *consumer;
	struct loop_timer timeout;
};

/* NULL: refused, and answered so. */
static struct compat *begin(struct message_queue *service, struct rpc_call *call,
                            const char *service_name, const char *func_name, const char *id)
{
	struct error err;
	struct queue *queue = NULL;
	if (!queues_get(service->queues, service_name, func_name, &queue, &err)) {
		rpc_finish(call, &err);
		return NULL;
	}
	if (service->stopping) {
		error_set(&err, ERR_UNAVAILABLE, "the message queue stops");
		rpc_finish(call, &err);
		return NULL;
	}
	if (id != NULL && (id[0] == '\0' || strlen(id) >= MESSAGE_ID_SIZE)) {
		error_set(&err, ERR_INVALID, "msg_id: %zu bytes, must be 1 to %d", strlen(id),
		          MESSAGE_ID_SIZE - 1);
		rpc_finish(call, &err);
		return NULL;
	}
	struct compat *compat = calloc(1, sizeof(*compat));
	ASSERT(compat != NULL);
	compat->open.call = call;
	compat->service = service;
	compat->queue = queue;
	if (id != NULL)
		strcpy(compat->id, id);
	DL_APPEND(service->streams, &compat->open);
	rpc_set_data(call, compat);
	return compat;
}

static void compat_free(struct compat *compat)
{
	free(compat->payload);
	free(compat);
}

static void ended(void *ctx, struct rpc_call *call)
{
	struct message_queue *service = ctx;
	struct compat *compat = rpc_data(call);
	if (compat == NULL)
		return;
	DL_DELETE(service->streams, &compat->open);
	compat->open.call = NULL;
	submitter_end(&compat->submitter);
	loop_timer_stop(service->loop, &compat->timeout);
	if (compat->consumer != NULL)
		consumer_end(compat->consumer);
	if (compat->asking == 0)
		compat_free(compat);
}

/* The answer of a question: NULL when nobody is interested any more, or when it failed and the call
 * was told so. */
static struct rpc_call *asked(struct compat *compat, const struct redis_value *value,
                              const char *shape, const struct error *failed)
{
	struct error err;
	struct rpc_call *call = compat->open.call;
	compat->asking--;
	if (call == NULL) {
		compat_free(compat);
		return NULL;
	}
	if (redis_check(value, shape, failed, &err))
		return call;
	rpc_finish(call, &err);
	return NULL;
}

static bool text_check(const char *what, const char *text, size_t max, struct error *err)
{
	size_t len = strlen(text);
	if (len > max)
		return error_set(err, ERR_INVALID, "%s: %zu bytes, at most %zu are allowed", what,
		                 len, max);
	if (!utf8_valid(text, len))
		return error_set(err, ERR_INVALID, "%s: is not UTF-8", what);
	return true;
}

/* ---- messages ---- */

static void on_sent(void *ctx, uint64_t tag, const struct answer *answer)
{
	(void)tag;
	struct compat *compat = ctx;
	MqCompat__SendResponse response = MQ_COMPAT__SEND_RESPONSE__INIT;
	if (answer->kind != ANSWER_STORED) {
		rpc_finish(compat->open.call, &answer->err);
		return;
	}
	response.msg_id = answer->message_id;
	rpc_reply(compat->open.call, &response.base);
}

static void send_msg(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__SendRequest *sent = (const MqCompat__SendRequest *)request;
	struct error err;
	if (!text_check("payload", sent->payload, MESSAGE_PAYLOAD_MAX, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct compat *compat = begin(ctx, call, sent->service_name, sent->func_name, NULL);
	if (compat == NULL)
		return;
	Mq__Message message = MQ__MESSAGE__INIT;
	char id[UUID_SIZE];
	uuid_v4(id);
	message.service = sent->service_name;
	message.function = sent->func_name;
	message.message_id = id;
	message.payload = sent->payload;
	size_t len = 0;
	char *record = record_create(&message, clock_wall_us() / 1000, false, &len);
	compat->submitter = (struct submitter){ .answer = on_sent, .ctx = compat };
	queue_submit(compat->queue, &(struct sending){ .id = id, .record = record, .len = len },
	             &compat->submitter, 0);
}

static void reply_received(struct rpc_call *call, const char *payload, const char *id)
{
	MqCompat__ReceiveResponse response = MQ_COMPAT__RECEIVE_RESPONSE__INIT;
	response.payload = payload;
	response.msg_id = id;
	rpc_reply(call, &response.base);
}

static bool on_message(void *ctx, const char *id, const char *record, size_t len, uint32_t attempt)
{
	(void)attempt;
	struct compat *compat = ctx;
	struct rpc_call *call = compat->open.call;
	if (rpc_ended(call))
		return false;
	const Mq__Message *message = record_message(record, len, rpc_call_arena(call));
	loop_timer_stop(compat->service->loop, &compat->timeout);
	reply_received(call, message != NULL ? message->payload : "", id);
	return true;
}

static void on_nothing(void *arg)
{
	struct compat *compat = arg;
	consumer_end(compat->consumer);
	compat->consumer = NULL;
	reply_received(compat->open.call, "", "");
}

static bool timeout_check(int32_t timeout_s, struct rpc_call *call)
{
	struct error err;
	if (timeout_s >= 0)
		return true;
	error_set(&err, ERR_INVALID, "timeout: %d seconds, must not be negative", timeout_s);
	rpc_finish(call, &err);
	return false;
}

static void recv_msg(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__ReceiveRequest *wanted = (const MqCompat__ReceiveRequest *)request;
	struct message_queue *service = ctx;
	if (!timeout_check(wanted->timeout, call))
		return;
	struct compat *compat = begin(ctx, call, wanted->service_name, wanted->func_name, NULL);
	if (compat == NULL)
		return;
	struct consumer_options options = {
		.credits = 1,
		.lease_ms = service->legacy_lease_ms,
		.max_attempts = ATTEMPTS,
		.once = true,
		.deliver = on_message,
		.ctx = compat,
	};
	compat->consumer = consumer_create(service->queues, &options, &compat->queue, 1);
	if (wanted->timeout > 0)
		loop_timer_start(service->loop, &compat->timeout, (uint64_t)wanted->timeout * 1000,
		                 on_nothing, compat);
}

static void on_head(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct rpc_call *call = asked(arg, value, "(iiiisi)", failed);
	if (call == NULL)
		return;
	MqCompat__GetResponse response = MQ_COMPAT__GET_RESPONSE__INIT;
	size_t len = 0;
	response.payload = redis_value_integer(redis_value_at(value, 0)) > 0;
	response.msg_id = redis_value_string(redis_value_at(value, 4), &len);
	rpc_reply(call, &response.base);
}

static void get_msg(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__GetRequest *wanted = (const MqCompat__GetRequest *)request;
	struct compat *compat = begin(ctx, call, wanted->service_name, wanted->func_name, NULL);
	if (compat == NULL)
		return;
	compat->asking++;
	store_info(compat->service->store, queue_keys(compat->queue), on_head, compat);
}

static void reply_success(struct rpc_call *call, bool success)
{
	MqCompat__AckResponse response = MQ_COMPAT__ACK_RESPONSE__INIT;
	response.success = success;
	rpc_reply(call, &response.base);
}

static void on_counted(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct rpc_call *call = asked(arg, value, "i", failed);
	if (call != NULL)
		reply_success(call, redis_value_integer(value) == 1);
}

/* An id that cannot be one is unknown, not an error. */
static bool id_possible(const char *id)
{
	return id[0] != '\0' && strlen(id) < MESSAGE_ID_SIZE;
}

static void ack_msg(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__AckRequest *acked = (const MqCompat__AckRequest *)request;
	struct compat *compat = begin(ctx, call, acked->service_name, acked->func_name, NULL);
	if (compat == NULL)
		return;
	if (!id_possible(acked->msg_id)) {
		reply_success(call, false);
		return;
	}
	compat->asking++;
	store_ack(compat->service->store, queue_keys(compat->queue), acked->msg_id, on_counted,
	          compat);
}

/* ---- responses ---- */

/* The outcome that counts is the answer: also for those who have waited since before. */
static void on_responded(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct compat *compat = arg;
	struct error err;
	if (redis_check(value, "s", failed, &err)) {
		size_t len = 0;
		const char *outcome = redis_value_string(value, &len);
		queue_answer_outcome(compat->queue, compat->id, outcome, len);
	}
	char id[MESSAGE_ID_SIZE];
	memcpy(id, compat->id, sizeof(id));
	struct rpc_call *call = asked(compat, value, "s", failed);
	if (call == NULL)
		return;
	MqCompat__SendResponse response = MQ_COMPAT__SEND_RESPONSE__INIT;
	response.msg_id = id;
	rpc_reply(call, &response.base);
}

static void send_rsp(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__SendRequest *sent = (const MqCompat__SendRequest *)request;
	struct error err;
	if (!text_check("payload", sent->payload, RESPONSE_MAX, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct compat *compat = begin(ctx, call, sent->service_name, sent->func_name, sent->msg_id);
	if (compat == NULL)
		return;
	struct store_item item = { .id = compat->id };
	char *outcome = outcome_from_response(sent->payload, strlen(sent->payload), &item.len);
	item.bytes = outcome;
	compat->asking++;
	store_respond(compat->service->store, queue_keys(compat->queue), &item, on_responded,
	              compat);
	free(outcome);
}

static void on_response(void *ctx, uint64_t tag, const struct answer *answer)
{
	(void)tag;
	struct compat *compat = ctx;
	struct buffer out;
	buffer_init(&out, RPC_MESSAGE_MAX);
	if (answer->kind == ANSWER_OUTCOME)
		outcome_response(&out, answer->outcome, answer->outcome_len);
	if (answer->kind == ANSWER_DEAD)
		outcome_error_response(&out, answer->err.message);
	if (answer->kind == ANSWER_FAILED && answer->err.code != ERR_DEADLINE)
		rpc_finish(compat->open.call, &answer->err);
	else
		reply_received(compat->open.call, out.len > 0 ? out.bytes : "", compat->id);
	buffer_free(&out);
}

static void recv_rsp(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__ReceiveRequest *wanted = (const MqCompat__ReceiveRequest *)request;
	if (!timeout_check(wanted->timeout, call))
		return;
	struct compat *compat =
	    begin(ctx, call, wanted->service_name, wanted->func_name, wanted->msg_id);
	if (compat == NULL)
		return;
	compat->submitter = (struct submitter){ .answer = on_response, .ctx = compat };
	queue_await(compat->queue, compat->id, (uint64_t)wanted->timeout * 1000, &compat->submitter,
	            0);
}

static char state_of(const struct redis_value *value)
{
	size_t len = 0;
	return redis_value_string(redis_value_at(value, 0), &len)[0];
}

static void on_exists(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct compat *compat = arg;
	struct rpc_call *call = asked(arg, value, "(ss)", failed);
	if (call == NULL)
		return;
	MqCompat__GetResponse response = MQ_COMPAT__GET_RESPONSE__INIT;
	response.payload = state_of(value) == 'O' || state_of(value) == 'X';
	response.msg_id = compat->id;
	rpc_reply(call, &response.base);
}

static void get_rsp(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__GetRequest *wanted = (const MqCompat__GetRequest *)request;
	struct compat *compat =
	    begin(ctx, call, wanted->service_name, wanted->func_name, wanted->msg_id);
	if (compat == NULL)
		return;
	const char *id = compat->id;
	compat->asking++;
	store_outcome(compat->service->store, queue_keys(compat->queue), &id, 1, on_exists, compat);
}

/* The outcome of the message is there; it is removed if it reads as the client says. */
static void on_acked_outcome(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct compat *compat = arg;
	struct rpc_call *call = asked(arg, value, "(ss)", failed);
	if (call == NULL)
		return;
	size_t len = 0;
	const char *outcome = redis_value_string(redis_value_at(value, 1), &len);
	struct buffer response;
	buffer_init(&response, RPC_MESSAGE_MAX);
	if (state_of(value) == 'O')
		outcome_response(&response, outcome, len);
	bool equal = state_of(value) == 'O' &&
	             strcmp(response.bytes != NULL ? response.bytes : "", compat->payload) == 0;
	buffer_free(&response);
	if (!equal) {
		reply_success(call, false);
		return;
	}
	struct store_item item = { compat->id, outcome, len };
	compat->asking++;
	store_forget(compat->service->store, queue_keys(compat->queue), &item, on_counted, compat);
}

static void ack_rsp(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const MqCompat__AckRequest *acked = (const MqCompat__AckRequest *)request;
	bool possible = id_possible(acked->msg_id);
	struct compat *compat = begin(ctx, call, acked->service_name, acked->func_name,
	                              possible ? acked->msg_id : NULL);
	if (compat == NULL)
		return;
	if (!possible) {
		reply_success(call, false);
		return;
	}
	const char *id = compat->id;
	compat->payload = strdup(acked->payload);
	ASSERT(compat->payload != NULL);
	compat->asking++;
	store_outcome(compat->service->store, queue_keys(compat->queue), &id, 1, on_acked_outcome,
	              compat);
}

static const struct rpc_method methods[] = {
	{ .name = "send_msg", .kind = RPC_UNARY, .message = send_msg, .ended = ended },
	{ .name = "send_rsp", .kind = RPC_UNARY, .message = send_rsp, .ended = ended },
	{ .name = "recv_msg", .kind = RPC_UNARY, .message = recv_msg, .ended = ended },
	{ .name = "recv_rsp", .kind = RPC_UNARY, .message = recv_rsp, .ended = ended },
	{ .name = "get_msg", .kind = RPC_UNARY, .message = get_msg, .ended = ended },
	{ .name = "get_rsp", .kind = RPC_UNARY, .message = get_rsp, .ended = ended },
	{ .name = "ack_msg", .kind = RPC_UNARY, .message = ack_msg, .ended = ended },
	{ .name = "ack_rsp", .kind = RPC_UNARY, .message = ack_rsp, .ended = ended },
};

void compat_add(struct message_queue *service)
{
	rpc_server_add(service->server, &mq_compat__message_queue__descriptor, methods,
	               ARRAY_LEN(methods), service);
}
