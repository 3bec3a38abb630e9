/* The functions that existing clients call over the queue. */
#include "read-model/test_fixture.h"

#include "message-queue/service.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct message_queue *queue;
static struct rpc_channel *queue_channel;
static char queue_target[64];

static void start_queue(void)
{
	struct error err;
	const char *listen = "127.0.0.1:0";
	struct message_queue_options options = { .redis_url = testing.redis.url,
		                                 .listen = &listen,
		                                 .listen_count = 1 };
	if (!message_queue_serve(testing.loop, &options, &queue, &err))
		ck_abort_msg("%s", err.message);
	snprintf(queue_target, sizeof(queue_target), "127.0.0.1:%d", message_queue_port(queue));
	queue_channel = rpc_channel_create(testing.loop, queue_target);
}

static const Mq__Result *call(const char *function, const char *params)
{
	struct error err;
	Mq__Message message = MQ__MESSAGE__INIT;
	Mq__CallRequest request = MQ__CALL_REQUEST__INIT;
	const ProtobufCMessage *response;
	message.service = "read-model";
	message.function = function;
	message.payload = arena_printf(testing.arena, "{\"params\":%s}", params);
	request.message = &message;
	if (!rpc_unary_wait(queue_channel, &mq__message_queue__descriptor, "Call", &request.base,
	                    FIXTURE_TIMEOUT_MS, testing.arena, &response, &err))
		ck_abort_msg("%s: %s", function, err.message);
	return ((const Mq__CallResponse *)response)->result;
}

static void expect_result(const char *function, const char *params, const char *json)
{
	const Mq__Result *result = call(function, params);
	ck_assert_msg(result->error == NULL, "%s: %s", function, result->result);
	ck_assert_str_eq(result->result, json);
}

static void expect_refused(const char *function, const char *params, const char *word)
{
	const Mq__Result *result = call(function, params);
	ck_assert_msg(result->error != NULL, "%s: %s", function, result->result);
	ck_assert_uint_eq(result->error->code, 3);
	ck_assert_msg(strstr(result->error->message, word) != NULL, "%s", result->error->message);
}

START_TEST(queue_functions)
{
	static const char a[] = "{\"entity_id\":\"a\",\"name\":\"\",\"email\":\"\"}";
	fixture_unserve();
	start_queue();
	fixture.queue = queue_target;
	fixture_serve(false);
	fixture_create_shop();
	expect_result("get_entity", "{\"name\":\"customer\",\"id\":\"a\"}", a);
	expect_result("get_entity", "{\"name\":\"customer\",\"id\":\"b\"}", "null");
	expect_result("get_entity", "{\"name\":\"shipping\",\"props\":{\"order_id\":\"o1\"}}",
	              "{\"entity_id\":\"s1\",\"order_id\":\"o1\",\"delivered\":0}");
	expect_result("get_entities", "{\"name\":\"customer\"}",
	              arena_printf(testing.arena, "[%s]", a));
	expect_result("get_entities", "{\"name\":\"customer\",\"ids\":[\"x\",\"a\"]}",
	              arena_printf(testing.arena, "[%s]", a));
	expect_result(
	    "get_entities",
	    "{\"name\":\"product\",\"props\":{\"price\":7,\"entity_id\":[\"p1\",\"p2\"]}}",
	    "[{\"entity_id\":\"p2\",\"name\":\"\",\"price\":7}]");
	expect_result("get_delivered_orders", "{}", "[]");
	ck_assert(strncmp(call("get_unbilled_orders", "{}")->result, "{\"o2\":{", 7) == 0);
	ck_assert(strncmp(call("get_unshipped_orders", "null")->result, "{\"o2\":{", 7) == 0);
	ck_assert_ptr_nonnull(strstr(call("get_mails", "{}")->result, "\"mail_sent\""));
	expect_refused("get_entity", "{\"id\":\"a\"}", "name");
	expect_refused("get_entity", "{\"name\":\"customer\"}", "id");
	expect_refused("get_entity", "null", "name");
	expect_refused("get_entity", "[]", "name");
	expect_refused("get_entities", "{\"name\":\"customer\",\"ids\":\"a\"}", "ids");
	expect_refused("get_entities", "{\"name\":\"customer\",\"ids\":[1]}", "ids[0]");
	expect_refused("get_entities", "{\"name\":\"customer\",\"props\":{\"nose\":1}}", "nose");
	for (int i = 0; i < 50; i++) { /* each sees the write before it */
		char data[64];
		snprintf(data, sizeof(data), "{\"entity_id\":\"p\",\"name\":\"\",\"price\":%d}", i);
		fixture_append("product", "entity_updated", "p", data);
		expect_result("get_entity", "{\"name\":\"product\",\"id\":\"p\"}", data);
	}
	rpc_channel_destroy(queue_channel);
	message_queue_destroy(queue);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { queue_functions };
	return fixture_main("read model functions", tests, ARRAY_LEN(tests));
}
