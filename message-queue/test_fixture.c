#include "message-queue/test_fixture.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE (&mq__message_queue__descriptor)

static void poll_healthy(struct fixture *fixture)
{
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;
	for (int i = 0; i < 200; i++) {
		struct error err;
		if (fixture_call(fixture, NATIVE, "Queues", &request.base, 1000, &err) != NULL)
			return;
		fixture_sleep(fixture, 25);
	}
	ck_abort_msg("the queue does not come up");
}

void fixture_serve(struct fixture *fixture)
{
	struct error err;
	const char *address = fixture->address;
	struct message_queue_options options = { .redis_url = fixture->redis.url,
		                                 .listen = &address,
		                                 .listen_count = 1,
		                                 .max_pending = fixture->max_pending,
		                                 .max_callers = fixture->max_callers,
		                                 .legacy_lease_ms = fixture->legacy_lease_ms };
	ck_assert_msg(message_queue_serve(fixture->loop, &options, &fixture->service, &err), "%s",
	              err.message);
	poll_healthy(fixture);
}

void fixture_kill_service(struct fixture *fixture)
{
	message_queue_destroy(fixture->service);
	fixture->service = NULL;
}

void fixture_start(struct fixture *fixture)
{
	log_init("test", LOG_ERROR);
	redis_fixture_start(&fixture->redis, fixture->disk);
	fixture->loop = loop_create();
	fixture->arena = arena_create();
	snprintf(fixture->address, sizeof(fixture->address), "unix:%.40s/queue",
	         fixture->redis.folder);
	fixture->channel = rpc_channel_create(fixture->loop, fixture->address);
	fixture_serve(fixture);
}

void fixture_end(struct fixture *fixture)
{
	rpc_channel_destroy(fixture->channel);
	message_queue_destroy(fixture->service);
	loop_destroy(fixture->loop);
	arena_destroy(fixture->arena);
	redis_fixture_destroy(&fixture->redis);
}

struct run {
	struct loop *loop;
	bool (*done)(void *arg);
	void *arg;
	uint64_t until_us;
	struct loop_timer timer;
};

static void look(void *arg)
{
	struct run *run = arg;
	if (run->done(run->arg) || clock_monotonic_us() >= run->until_us)
		loop_stop(run->loop);
	else
		loop_timer_start(run->loop, &run->timer, 2, look, run);
}

static void run_loop(struct fixture *fixture, bool (*done)(void *arg), void *arg, unsigned ms)
{
	struct run run = { .loop = fixture->loop,
		           .done = done,
		           .arg = arg,
		           .until_us = clock_monotonic_us() + ms * 1000ULL };
	loop_timer_start(fixture->loop, &run.timer, 0, look, &run);
	loop_run(fixture->loop);
	loop_timer_stop(fixture->loop, &run.timer);
}

void fixture_run(struct fixture *fixture, bool (*done)(void *arg), void *arg, unsigned ms)
{
	run_loop(fixture, done, arg, ms);
	ck_assert_msg(done(arg), "not within %u ms", ms);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

void fixture_sleep(struct fixture *fixture, unsigned ms)
{
	run_loop(fixture, never, NULL, ms);
}

const ProtobufCMessage *fixture_call(struct fixture *fixture,
                                     const ProtobufCServiceDescriptor *service, const char *method,
                                     const ProtobufCMessage *request, unsigned timeout_ms,
                                     struct error *err)
{
	const ProtobufCMessage *response = NULL;
	if (!rpc_unary_wait(fixture->channel, service, method, request, timeout_ms, fixture->arena,
	                    &response, err))
		return NULL;
	return response;
}

bool pending_done(void *pending)
{
	return ((struct pending *)pending)->done;
}

static void on_pending(void *arg, const ProtobufCMessage *response, const struct error *err)
{
	struct pending *pending = arg;
	pending->done = true;
	if (err != NULL) {
		pending->err = *err;
		return;
	}
	if (response->descriptor == &mq_compat__receive_response__descriptor) {
		const MqCompat__ReceiveResponse *got = (const MqCompat__ReceiveResponse *)response;
		snprintf(pending->text, sizeof(pending->text), "%s", got->payload);
		snprintf(pending->id, sizeof(pending->id), "%s", got->msg_id);
	}
	if (response->descriptor == &mq__call_response__descriptor) {
		const Mq__CallResponse *got = (const Mq__CallResponse *)response;
		const Mq__Error *error = got->result->error;
		snprintf(pending->text, sizeof(pending->text), "%s",
		         error != NULL ? error->message : got->result->result);
		pending->error_code = error != NULL ? (int)error->code : 0;
		snprintf(pending->id, sizeof(pending->id), "%s", got->message_id);
	}
}

void fixture_expect(struct fixture *fixture, struct pending *pending, const char *text)
{
	fixture_run(fixture, pending_done, pending, 5000);
	ck_assert_msg(pending->err.code == ERR_NONE, "%s", pending->err.message);
	ck_assert_str_eq(pending->text, text);
}

const char *fixture_id(unsigned number)
{
	static char ids[16][UUID_SIZE];
	static unsigned next;
	char *id = ids[next++ % 16];
	snprintf(id, UUID_SIZE, "11111111-2222-4333-8444-%012u", number);
	return id;
}

void fixture_begin(struct fixture *fixture, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
                   struct pending *pending)
{
	memset(pending, 0, sizeof(*pending));
	rpc_unary(fixture->channel, service, method, request, timeout_ms, on_pending, pending);
}

/* ---- workers ---- */

static void on_deliveries(void *arg, const ProtobufCMessage *response)
{
	struct worker *worker = arg;
	const Mq__ConsumeResponse *deliveries = (const Mq__ConsumeResponse *)response;
	for (size_t i = 0; i < deliveries->n_ended; i++, worker->ended++)
		snprintf(worker->last_ended, sizeof(worker->last_ended), "%s",
		         deliveries->ended[i]->message_id);
	for (size_t i = 0; i < deliveries->n_deliveries; i++) {
		const Mq__Delivery *delivery = deliveries->deliveries[i];
		ck_assert_uint_lt(worker->count, GOT_MAX);
		struct got *got = &worker->got[worker->count++];
		snprintf(got->id, sizeof(got->id), "%s", delivery->message->message_id);
		snprintf(got->function, sizeof(got->function), "%s", delivery->message->function);
		snprintf(got->payload, sizeof(got->payload), "%s", delivery->message->payload);
		got->attempt = delivery->attempt;
		got->redelivered = delivery->redelivered;
		if (worker->echo)
			worker_settle(worker, delivery->message->function,
			              delivery->message->message_id, delivery->message->payload);
	}
}

static void on_closed(void *arg, const struct error *err)
{
	struct worker *worker = arg;
	worker->closed = true;
	worker->stream = NULL;
	if (err != NULL)
		worker->err = *err;
}

void worker_start(struct worker *worker, struct fixture *fixture, const char *service,
                  const char *function, uint32_t credits, uint32_t lease_ms, uint32_t max_attempts)
{
	static const struct rpc_stream_events events = { on_deliveries, on_closed };
	bool echo = worker->echo;
	memset(worker, 0, sizeof(*worker));
	worker->echo = echo;
	worker->fixture = fixture;
	worker->stream = rpc_stream_open(fixture->channel, NATIVE, "Consume", &events, worker);
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	Mq__ConsumeStart start = MQ__CONSUME_START__INIT;
	start.service = service;
	start.functions = &function;
	start.n_functions = 1;
	start.credits = credits;
	start.lease_ms = lease_ms;
	start.max_attempts = max_attempts;
	request.start = &start;
	rpc_stream_send(worker->stream, &request.base);
}

static bool has_enough(void *arg)
{
	const struct worker *worker = arg;
	return worker->count >= worker->wanted;
}

void worker_wait(struct worker *worker, size_t count)
{
	worker->wanted = count;
	fixture_run(worker->fixture, has_enough, worker, 5000);
}

static void send_settle(struct worker *worker, Mq__Settle *settle)
{
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	request.settles = &settle;
	request.n_settles = 1;
	rpc_stream_send(worker->stream, &request.base);
}

void worker_settle(struct worker *worker, const char *function, const char *id, const char *result)
{
	Mq__Settle settle = MQ__SETTLE__INIT;
	Mq__Result outcome = MQ__RESULT__INIT;
	outcome.result = result;
	settle.message_id = id;
	settle.function = function;
	settle.result = &outcome;
	send_settle(worker, &settle);
}

void worker_fail(struct worker *worker, const char *function, const char *id, const char *reason)
{
	worker_fail_for(worker, function, id, reason, 0);
}

void worker_fail_for(struct worker *worker, const char *function, const char *id,
                     const char *reason, uint32_t delay_ms)
{
	Mq__Settle settle = MQ__SETTLE__INIT;
	settle.message_id = id;
	settle.function = function;
	settle.retry_reason = reason;
	settle.retry_delay_ms = delay_ms;
	send_settle(worker, &settle);
}

void worker_extend(struct worker *worker, const char *function, const char *id, uint32_t lease_ms)
{
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	Mq__Extension extension = MQ__EXTENSION__INIT, *extensions = &extension;
	extension.message_id = id;
	extension.function = function;
	extension.lease_ms = lease_ms;
	request.extensions = &extensions;
	request.n_extensions = 1;
	rpc_stream_send(worker->stream, &request.base);
}

static bool is_closed(void *arg)
{
	return ((struct worker *)arg)->closed;
}

void worker_vanish(struct worker *worker)
{
	rpc_stream_cancel(worker->stream);
	fixture_run(worker->fixture, is_closed, worker, 2000);
}

/* ---- work/do ---- */

static Mq__Message message_of(const char *id, const char *payload)
{
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "work";
	message.function = "do";
	message.message_id = id;
	message.payload = payload;
	return message;
}

static void send_message(struct fixture *fixture, Mq__Message *message)
{
	Mq__SendRequest request = MQ__SEND_REQUEST__INIT;
	struct error err;
	request.message = message;
	const Mq__SendResponse *sent = (const Mq__SendResponse *)fixture_call(
	    fixture, NATIVE, "Send", &request.base, 5000, &err);
	ck_assert_msg(sent != NULL, "%s", err.message);
	ck_assert_str_eq(sent->message_id, message->message_id);
}

void fixture_send(struct fixture *fixture, const char *id, const char *payload)
{
	Mq__Message message = message_of(id, payload);
	send_message(fixture, &message);
}

void fixture_send_special(struct fixture *fixture, const char *id, Mq__Priority priority,
                          uint32_t delay_ms)
{
	Mq__Message message = message_of(id, "1");
	message.priority = priority;
	message.delay_ms = delay_ms;
	send_message(fixture, &message);
}

void fixture_begin_call(struct fixture *fixture, const char *id, const char *payload,
                        unsigned timeout_ms, struct pending *pending)
{
	Mq__CallRequest request = MQ__CALL_REQUEST__INIT;
	Mq__Message message = message_of(id, payload);
	request.message = &message;
	fixture_begin(fixture, NATIVE, "Call", &request.base, timeout_ms, pending);
}

const Mq__OutcomeResponse *fixture_outcome(struct fixture *fixture, const char *id)
{
	Mq__OutcomeRequest request = MQ__OUTCOME_REQUEST__INIT;
	struct error err;
	request.service = "work";
	request.function = "do";
	request.message_id = id;
	const ProtobufCMessage *response =
	    fixture_call(fixture, NATIVE, "Outcome", &request.base, 5000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return (const Mq__OutcomeResponse *)response;
}

const Mq__QueueInfo *fixture_info(struct fixture *fixture)
{
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;
	struct error err;
	const Mq__QueuesResponse *all = (const Mq__QueuesResponse *)fixture_call(
	    fixture, NATIVE, "Queues", &request.base, 5000, &err);
	ck_assert_msg(all != NULL, "%s", err.message);
	for (size_t i = 0; i < all->n_queues; i++) {
		if (strcmp(all->queues[i]->service, "work") == 0)
			return all->queues[i];
	}
	ck_abort_msg("no queue work/do");
}
