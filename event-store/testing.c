#include "event-store/testing.h"

#include "base/clock.h"
#include "tests/support/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct testing testing;
enum { TIMEOUT_MS = 20000, EVENTS_MAX = 200000 };

static void serve(void)
{
	struct error err;
	char target[64];
	const char *listen = "127.0.0.1:0";
	struct event_store_options options = { .redis_url = testing.redis.url,
		                               .listen = &listen,
		                               .listen_count = 1,
		                               .stuck_ms = testing.stuck_ms };
	if (!event_store_serve(testing.loop, &options, &testing.store, &err))
		ck_abort_msg("%s", err.message);
	snprintf(target, sizeof(target), "127.0.0.1:%d", event_store_port(testing.store));
	testing.channel = rpc_channel_create(testing.loop, target);
}

static void stopped(void *arg)
{
	*(size_t *)arg = 1;
}

static void end_serving(void)
{
	size_t done = 0;
	rpc_channel_destroy(testing.channel);
	event_store_stop(testing.store, stopped, &done);
	testing_until(&done, 1);
	event_store_destroy(testing.store);
}

int testing_main(Suite *suite)
{
	setenv("CK_FORK", "no", 1);
	return run_suite(suite);
}

void testing_start(void)
{
	redis_fixture_start(&testing.redis, REDIS_FIXTURE_ALWAYS);
	testing.loop = loop_create();
	testing.arena = arena_create();
	serve();
}

void testing_stop(void)
{
	end_serving();
	loop_destroy(testing.loop);
	arena_destroy(testing.arena);
	redis_fixture_destroy(&testing.redis);
}

void testing_restart_store(void)
{
	end_serving();
	serve();
}

struct waiting {
	const size_t *count;
	size_t enough;
	bool late;
};

static bool look(void *arg)
{
	struct waiting *waiting = arg;
	if (waiting->count != NULL && *waiting->count >= waiting->enough)
		loop_stop(testing.loop);
	return false;
}

static void late(void *arg)
{
	struct waiting *waiting = arg;
	waiting->late = true;
	loop_stop(testing.loop);
}

static bool run_until(const size_t *count, size_t enough, unsigned timeout_ms)
{
	struct waiting waiting = { count, enough, false };
	struct loop_timer timer = { 0 };
	loop_timer_start(testing.loop, &timer, timeout_ms, late, &waiting);
	loop_add_hook(testing.loop, look, &waiting);
	loop_run(testing.loop);
	loop_remove_hook(testing.loop, look, &waiting);
	loop_timer_stop(testing.loop, &timer);
	return !waiting.late;
}

void testing_until(const size_t *count, size_t enough)
{
	if (*count < enough && !run_until(count, enough, TIMEOUT_MS))
		ck_abort_msg("%zu of %zu after %d ms", *count, enough, TIMEOUT_MS);
}

void testing_pause(unsigned ms)
{
	(void)run_until(NULL, 0, ms);
}

Es__AppendRequest *testing_request(const char *topic, const char *entity, const char *data,
                                   Es__Expect expect, uint64_t version)
{
	Es__AppendRequest *request = arena_alloc(testing.arena, sizeof(*request));
	Es__NewEvent *event = arena_alloc(testing.arena, sizeof(*event));
	char *id = arena_alloc(testing.arena, UUID_SIZE);
	es__append_request__init(request);
	es__new_event__init(event);
	uuid_v4(id);
	event->event_id = id;
	event->event_action = "entity_updated";
	event->event_data = arena_strdup(testing.arena, data);
	event->entity_id = arena_strdup(testing.arena, entity);
	event->event_type = "Changed";
	event->expect = expect;
	event->expected_version = version;
	request->topic = arena_strdup(testing.arena, topic);
	request->n_events = 1;
	request->events = arena_alloc(testing.arena, sizeof(event));
	request->events[0] = event;
	return request;
}

const void *testing_call(const char *method, const ProtobufCMessage *request, struct error *err)
{
	const ProtobufCMessage *response;
	struct error failure;
	if (rpc_unary_wait(testing.channel, &es__event_store__descriptor, method, request,
	                   TIMEOUT_MS, testing.arena, &response, err != NULL ? err : &failure))
		return response;
	if (err == NULL)
		ck_abort_msg("%s: %s", method, failure.message);
	return NULL;
}

static char *ask_redis(const char *format, va_list args)
{
	enum { WORDS = 16 };
	char line[512], *rest = line;
	const char *words[WORDS];
	size_t count = 0;
	vsnprintf(line, sizeof(line), format, args);
	while (rest != NULL && count < WORDS)
		words[count++] = strsep(&rest, " ");
	return redis_fixture_command(&testing.redis, words, count);
}

void testing_redis(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	free(ask_redis(format, args));
	va_end(args);
}

char *testing_redis_text(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = ask_redis(format, args);
	va_end(args);
	char *copy = arena_strdup(testing.arena, text);
	free(text);
	return copy;
}

const Es__AppendResponse *testing_send(const Es__AppendRequest *request, struct error *err)
{
	const ProtobufCMessage *response;
	if (!rpc_unary_wait(testing.channel, &es__event_store__descriptor, "Append", &request->base,
	                    TIMEOUT_MS, testing.arena, &response, err))
		return NULL;
	return (const Es__AppendResponse *)response;
}

const Es__Appended *testing_append(const char *topic, const char *entity, const char *data)
{
	struct error err;
	const Es__AppendResponse *response =
	    testing_send(testing_request(topic, entity, data, ES__EXPECT__EXPECT_ANY, 0), &err);
	if (response == NULL)
		ck_abort_msg("%s", err.message);
	ck_assert_uint_eq(response->n_events, 1);
	return response->events[0];
}

static void receive(struct received *received, const Es__Event *event, const Es__Delivery *delivery)
{
	size_t i = received->count++;
	ck_assert_uint_lt(i, EVENTS_MAX);
	snprintf(received->ids[i], sizeof(received->ids[i]), "%s", event->entry_id);
	snprintf(received->topics[i], sizeof(received->topics[i]), "%s", event->topic);
	snprintf(received->data[i], sizeof(received->data[i]), "%.63s", event->event_data);
	received->attempts[i] = delivery != NULL ? delivery->attempt : 0;
	received->redelivered[i] = delivery != NULL && delivery->redelivered;
}

static void subscribe_message(void *arg, const ProtobufCMessage *message)
{
	struct received *received = arg;
	const Es__SubscribeResponse *response = (const Es__SubscribeResponse *)message;
	received->messages++;
	received->lives += response->live;
	for (size_t i = 0; i < response->n_events; i++)
		receive(received, response->events[i], NULL);
}

static void read_message(void *arg, const ProtobufCMessage *message)
{
	struct received *received = arg;
	const Es__ReadResponse *response = (const Es__ReadResponse *)message;
	received->messages++;
	for (size_t i = 0; i < response->n_events; i++)
		receive(received, response->events[i], NULL);
}

static void consume_message(void *arg, const ProtobufCMessage *message)
{
	struct received *received = arg;
	const Es__ConsumeResponse *response = (const Es__ConsumeResponse *)message;
	received->messages++;
	for (size_t i = 0; i < response->n_deliveries; i++)
		receive(received, response->deliveries[i]->event, response->deliveries[i]);
}

static void closed(void *arg, const struct error *err)
{
	struct received *received = arg;
	if (err != NULL)
		received->err = *err;
	received->ended = 1;
}

static const struct rpc_stream_events subscribe_events = { subscribe_message, closed };
static const struct rpc_stream_events read_events = { read_message, closed };
static const struct rpc_stream_events consume_events = { consume_message, closed };

static struct received *open_stream(const char *method, const struct rpc_stream_events *events)
{
	struct received *received = calloc(1, sizeof(*received));
	received->ids = calloc(EVENTS_MAX, sizeof(*received->ids));
	received->topics = calloc(EVENTS_MAX, sizeof(*received->topics));
	received->data = calloc(EVENTS_MAX, sizeof(*received->data));
	received->attempts = calloc(EVENTS_MAX, sizeof(*received->attempts));
	received->redelivered = calloc(EVENTS_MAX, sizeof(*received->redelivered));
	received->stream = rpc_stream_open(testing.channel, &es__event_store__descriptor, method,
	                                   events, received);
	return received;
}

struct received *testing_subscribe_to(const Es__SubscribeRequest *request)
{
	struct received *received = open_stream("Subscribe", &subscribe_events);
	rpc_stream_send(received->stream, &request->base);
	rpc_stream_end_sends(received->stream);
	return received;
}

struct received *testing_subscribe(const char *topic, Es__Start start, const char *after,
                                   const char *after_topic)
{
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	Es__Position position = ES__POSITION__INIT;
	request.n_topics = topic != NULL;
	request.topics = &topic;
	request.start = start;
	if (after != NULL) {
		position.entry_id = after;
		position.topic = after_topic;
		request.after = &position;
	}
	return testing_subscribe_to(&request);
}

struct received *testing_open_read(const Es__ReadRequest *request)
{
	struct received *received = open_stream("Read", &read_events);
	rpc_stream_send(received->stream, &request->base);
	rpc_stream_end_sends(received->stream);
	return received;
}

struct received *testing_read(const Es__ReadRequest *request)
{
	struct received *received = testing_open_read(request);
	testing_until(&received->ended, 1);
	return received;
}

static struct received *consume(const char *topic, const char *group, Es__Start start,
                                unsigned credits, uint32_t lease_ms)
{
	struct received *received = open_stream("Consume", &consume_events);
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	Es__ConsumeStart begin = ES__CONSUME_START__INIT;
	begin.topic = topic;
	begin.group = group;
	begin.start = start;
	begin.credits = credits;
	begin.lease_ms = lease_ms;
	request.start = &begin;
	rpc_stream_send(received->stream, &request.base);
	return received;
}

struct received *testing_consume(const char *topic, const char *group, Es__Start start,
                                 unsigned credits)
{
	return consume(topic, group, start, credits, 0);
}

struct received *testing_consume_for(const char *topic, const char *group, uint32_t lease_ms)
{
	return consume(topic, group, ES__START__START_BEGINNING, 100, lease_ms);
}

void testing_ack(struct received *consumer, size_t first, size_t count)
{
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	const char **acks = calloc(count, sizeof(*acks));
	for (size_t i = 0; i < count; i++)
		acks[i] = consumer->ids[first + i];
	request.n_acks = count;
	request.acks = acks;
	rpc_stream_send(consumer->stream, &request.base);
	free(acks);
}

void testing_nack(struct received *consumer, size_t index, bool park)
{
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	Es__Nack nack = ES__NACK__INIT, *nacks = &nack;
	nack.entry_id = consumer->ids[index];
	nack.reason = "a test";
	nack.action = park ? ES__NACK_ACTION__NACK_PARK : ES__NACK_ACTION__NACK_RETRY;
	request.n_nacks = 1;
	request.nacks = &nacks;
	rpc_stream_send(consumer->stream, &request.base);
}

void testing_end(struct received *received)
{
	if (!received->ended)
		rpc_stream_cancel(received->stream);
	testing_until(&received->ended, 1);
	free(received->ids);
	free(received->topics);
	free(received->data);
	free(received->attempts);
	free(received->redelivered);
	free(received);
}
