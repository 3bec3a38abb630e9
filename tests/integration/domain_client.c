#include "tests/integration/domain_client.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/rpc_client.h"
#include "base/rpc_mux.h"
#include "tests/integration/domain_processes.h"

#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct rpc_channel *queue, *store;
static struct rpc_mux *calls;
struct arena *client_arena;
static size_t calls_open;
static struct call *all_calls;

void client_connect(void)
{
	loop = loop_create();
	queue = rpc_channel_create(loop, addresses.queue);
	store = rpc_channel_create(loop, addresses.store);
	calls = rpc_mux_create(loop, queue, &mq__message_queue__descriptor, "SubmitStream", 4096);
	client_arena = arena_create();
}

void client_disconnect(void)
{
	rpc_mux_destroy(calls);
	for (struct call *call = all_calls; call != NULL; call = call->next)
		json_free(call->result);
	rpc_channel_destroy(queue);
	rpc_channel_destroy(store);
	loop_destroy(loop);
	arena_destroy(client_arena);
}

static void on_reply(void *arg, const ProtobufCMessage *message, const struct error *err)
{
	struct call *call = arg;
	const Mq__SubmitResult *reply = (const Mq__SubmitResult *)message;
	if (err != NULL)
		call->error = *err;
	else if (reply->result->error != NULL)
		(void)error_set(&call->error, error_from_grpc((int)reply->result->error->code),
		                "%s", reply->result->error->message);
	else
		ck_assert(json_parse(reply->result->result, strlen(reply->result->result),
		                     &call->result, &call->error));
	if (--calls_open == 0)
		loop_stop(loop);
}

struct call *client_begin(const char *service, const char *function, const char *params)
{
	struct call *call = arena_zalloc(client_arena, sizeof(*call));
	call->next = all_calls;
	all_calls = call;
	char id[UUID_SIZE];
	uuid_v4(id);
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = arena_printf(client_arena, "%s-service", service);
	message.function = function;
	message.message_id = id;
	message.payload = arena_printf(client_arena, "{\"params\":%s}", params);
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	calls_open++;
	rpc_mux_request(calls, &item.base, 40000, on_reply, call);
	return call;
}

void client_wait(void)
{
	loop_run(loop);
}

struct call *client_run(const char *service, const char *function, const char *params)
{
	struct call *call = client_begin(service, function, params);
	loop_run(loop);
	return call;
}

const char *client_make(const char *service, const char *function, const char *params)
{
	struct call *call = client_run(service, function, params);
	ck_assert_msg(call->error.code == ERR_NONE, "%s.%s: %s", service, function,
	              call->error.message);
	return arena_strdup(client_arena, json_text(json_at(call->result, 0)));
}

void client_refused(const char *service, const char *function, const char *params,
                    enum error_code code, const char *word)
{
	struct call *call = client_run(service, function, params);
	ck_assert_msg(call->error.code == code && strstr(call->error.message, word) != NULL,
	              "%s.%s %s: %s: %s", service, function, params, error_name(call->error.code),
	              call->error.message);
}

const char *client_data(const char *topic, const char *id)
{
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	request.topic = topic;
	request.entity_id = id;
	const ProtobufCMessage *message;
	struct error err;
	ck_assert_msg(rpc_unary_wait(store, &es__event_store__descriptor, "ReadEntity",
	                             &request.base, 5000, client_arena, &message, &err),
	              "%s", err.message);
	const Es__ReadEntityResponse *response = (const Es__ReadEntityResponse *)message;
	return response->n_events == 0 ? "" : response->events[0]->event_data;
}

bool client_comes(const char *topic, const char *id, const char *text)
{
	for (uint64_t start = clock_monotonic_ms(); clock_monotonic_ms() < start + 15000;) {
		if (strstr(client_data(topic, id), text) != NULL)
			return true;
		usleep(2000);
	}
	fprintf(stderr, "%s %s is %s\n", topic, id, client_data(topic, id));
	return false;
}

uint64_t client_topic_length(const char *topic)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *message;
	struct error err;
	ck_assert(rpc_unary_wait(store, &es__event_store__descriptor, "Topics", &request.base, 5000,
	                         client_arena, &message, &err));
	const Es__TopicsResponse *response = (const Es__TopicsResponse *)message;
	for (size_t i = 0; i < response->n_topics; i++) {
		if (strcmp(response->topics[i]->topic, topic) == 0)
			return response->topics[i]->length;
	}
	return 0;
}
