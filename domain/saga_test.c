/* What a reaction takes as an answer, against a queue and an event store made for it. */
#include "domain/saga_runtime.h"

#include "base/rpc_server.h"
#include "domain/services.h"
#include "domain/worker.h"

#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct rpc_server *server;
static struct rpc_channel *channel;
static enum error_code release_code; /* what the queue answers to inventory.release */
static const char *message_metadata; /* of the message that the queue delivers */
static char parked[256], retried[256];
static size_t acks, loads, results, extensions;

static const char order[] =
    "{\"entity_id\":\"00000000-0000-4000-8000-000000000001\",\"cart_id\":\"c\","
    "\"status\":\"CANCELLED\",\"stock_held\":true,"
    "\"items\":[{\"product_id\":\"p\",\"quantity\":1,\"price\":1}]}";

/* ---- The event store --------------------------------------------------------------------- */

static void deliver_event(struct rpc_call *call)
{
	Es__Event event = ES__EVENT__INIT;
	event.event_id = "00000000-0000-4000-8000-000000000002";
	event.topic = "order";
	event.entry_id = "1-0";
	event.event_type = "OrderCancelled";
	event.event_action = ENTITY_UPDATED;
	event.entity_id = "00000000-0000-4000-8000-000000000001";
	event.event_data = order;
	Es__Delivery delivery = ES__DELIVERY__INIT;
	delivery.event = &event;
	Es__Delivery *deliveries[] = { &delivery };
	Es__ConsumeResponse response = ES__CONSUME_RESPONSE__INIT;
	response.n_deliveries = 1;
	response.deliveries = deliveries;
	rpc_send(call, &response.base);
}

static void on_consume_events(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	const Es__ConsumeRequest *request = (const Es__ConsumeRequest *)message;
	if (request->start != NULL && strcmp(request->start->topic, "order") == 0)
		deliver_event(call);
	acks += request->n_acks;
	if (request->n_nacks > 0 && request->nacks[0]->action == ES__NACK_ACTION__NACK_PARK)
		snprintf(parked, sizeof(parked), "%s", request->nacks[0]->reason);
	for (size_t i = 0; i < request->n_extensions; i++)
		extensions += strcmp(request->extensions[i]->entry_id, "1-0") == 0;
	if (acks > 0 || parked[0] != '\0' || extensions > 2)
		loop_stop(loop);
}

/* Only a mark loads here. */
static void on_load(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	const Es__ReadEntityStreamRequest *request = (const Es__ReadEntityStreamRequest *)message;
	Es__ReadEntityResult result = ES__READ_ENTITY_RESULT__INIT;
	Es__ReadEntityResult *items[] = { &result };
	Es__ReadEntityStreamResponse response = ES__READ_ENTITY_STREAM_RESPONSE__INIT;
	response.n_items = 1;
	response.items = items;
	result.tag = request->items[0]->tag;
	loads++;
	rpc_send(call, &response.base);
}

/* Every append meets another one. */
static void on_append(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	const Es__AppendStreamRequest *request = (const Es__AppendStreamRequest *)message;
	for (size_t i = 0; i < request->n_items; i++) {
		Es__Error error = ES__ERROR__INIT;
		error.code = (uint32_t)error_grpc_status(ERR_CONFLICT);
		error.message = "version";
		Es__AppendResult result = ES__APPEND_RESULT__INIT;
		result.tag = request->items[i]->tag;
		result.error = &error;
		Es__AppendResult *items[] = { &result };
		Es__AppendStreamResponse response = ES__APPEND_STREAM_RESPONSE__INIT;
		response.n_items = 1;
		response.items = items;
		rpc_send(call, &response.base);
	}
}

/* ---- The queue --------------------------------------------------------------------------- */

static void on_submit(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	const Mq__SubmitStreamRequest *request = (const Mq__SubmitStreamRequest *)message;
	for (size_t i = 0; i < request->n_items; i++) {
		Mq__Error error = MQ__ERROR__INIT;
		error.code = (uint32_t)error_grpc_status(release_code);
		error.message = "because";
		Mq__Result result = MQ__RESULT__INIT;
		result.error = &error;
		Mq__SubmitResult item = MQ__SUBMIT_RESULT__INIT;
		Mq__SubmitResult *items[] = { &item };
		Mq__SubmitStreamResponse response = MQ__SUBMIT_STREAM_RESPONSE__INIT;
		response.n_items = 1;
		response.items = items;
		item.tag = request->items[i]->tag;
		if (!request->items[i]->send_only)
			item.result = &result;
		rpc_send(call, &response.base);
	}
}

static void on_consume_messages(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	const Mq__ConsumeRequest *request = (const Mq__ConsumeRequest *)message;
	if (request->n_settles > 0) {
		const Mq__Settle *settle = request->settles[0];
		results += settle->result != NULL;
		snprintf(retried, sizeof(retried), "%s", settle->retry_reason);
		loop_stop(loop);
	}
	if (request->start == NULL)
		return;
	Mq__Message given = MQ__MESSAGE__INIT;
	given.service = "customer-service";
	given.function = "create_customers";
	given.message_id = "00000000-0000-4000-8000-000000000003";
	given.payload = "{\"params\":{\"name\":\"Ann\",\"email\":\"ann@example.com\"}}";
	given.metadata = message_metadata;
	Mq__Delivery delivery = MQ__DELIVERY__INIT;
	delivery.message = &given;
	delivery.attempt = 7;
	Mq__Delivery *deliveries[] = { &delivery };
	Mq__ConsumeResponse response = MQ__CONSUME_RESPONSE__INIT;
	response.n_deliveries = 1;
	response.deliveries = deliveries;
	rpc_send(call, &response.base);
}

/* ---- The bench --------------------------------------------------------------------------- */

static void unexpected(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	struct error err;
	(void)error_set(&err, ERR_UNIMPLEMENTED, "not in this test");
	rpc_finish(call, &err);
}

static void half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	rpc_finish(call, NULL);
}

#define STREAM(text, function)                                                                     \
	{                                                                                          \
		.name = (text), .kind = RPC_BIDI_STREAM, .message = (function),                    \
		.half_close = half_close                                                           \
	}

static const struct rpc_method store_methods[] = {
	{ .name = "Append", .kind = RPC_UNARY, .message = unexpected },
	STREAM("AppendStream", on_append),
	{ .name = "Read", .kind = RPC_SERVER_STREAM, .message = unexpected },
	{ .name = "ReadEntity", .kind = RPC_UNARY, .message = unexpected },
	STREAM("ReadEntityStream", on_load),
	{ .name = "Subscribe", .kind = RPC_SERVER_STREAM, .message = unexpected },
	STREAM("Consume", on_consume_events),
	{ .name = "Topics", .kind = RPC_UNARY, .message = unexpected },
};

static const struct rpc_method queue_methods[] = {
	{ .name = "Call", .kind = RPC_UNARY, .message = unexpected },
	{ .name = "Send", .kind = RPC_UNARY, .message = unexpected },
	STREAM("SubmitStream", on_submit),
	STREAM("Consume", on_consume_messages),
	{ .name = "Outcome", .kind = RPC_UNARY, .message = unexpected },
	{ .name = "Queues", .kind = RPC_UNARY, .message = unexpected },
};

static void setup(void)
{
	char address[64];
	struct error err;
	snprintf(address, sizeof(address), "unix:/tmp/saga-test-%d.sock", (int)getpid());
	loop = loop_create();
	server = rpc_server_create(loop);
	rpc_server_add(server, &es__event_store__descriptor, store_methods,
	               ARRAY_LEN(store_methods), NULL);
	rpc_server_add(server, &mq__message_queue__descriptor, queue_methods,
	               ARRAY_LEN(queue_methods), NULL);
	ck_assert(rpc_server_listen(server, address, NULL, &err));
	rpc_server_start(server);
	channel = rpc_channel_create(loop, address);
	parked[0] = retried[0] = '\0';
	acks = loads = results = extensions = 0;
}

static void teardown(void)
{
	rpc_channel_destroy(channel);
	rpc_server_destroy(server);
	loop_destroy(loop);
}

static void react_to_cancellation(enum error_code code)
{
	release_code = code;
	struct domain_store *store = domain_store_create(loop, channel);
	struct runtime *runtime = runtime_create(loop, &order_service, store);
	struct saga_runtime *sagas =
	    saga_runtime_create(loop, &(struct saga_options){ .service = &order_service,
	                                                      .runtime = runtime,
	                                                      .store = store,
	                                                      .event_store = channel,
	                                                      .queue = channel,
	                                                      .read_model = channel,
	                                                      .extend_ms = 20 });
	loop_run(loop);
	saga_runtime_destroy(sagas);
	domain_store_destroy(store);
	runtime_destroy(runtime);
}

static void deliver_in_a_crowd(const char *metadata)
{
	message_metadata = metadata;
	struct domain_store *store = domain_store_create(loop, channel);
	struct runtime *runtime = runtime_create(loop, &customer_service, store);
	struct worker *worker = worker_create(loop, &customer_service, channel, runtime);
	loop_run(loop);
	worker_destroy(worker);
	domain_store_destroy(store);
	runtime_destroy(runtime);
}

/* ---- Tests ------------------------------------------------------------------------------- */

static const enum error_code refusals[] = { ERR_INVALID, ERR_NOT_FOUND, ERR_EXISTS,
	                                    ERR_PRECONDITION };
/* INTERNAL is how the queue tells of a parked message. */
static const enum error_code no_answers[] = { ERR_INTERNAL, ERR_CONFLICT, ERR_TOO_LARGE };

START_TEST(a_refusal_is_an_answer)
{
	react_to_cancellation(refusals[_i]);
	ck_assert_uint_eq(acks, 1);
	ck_assert_uint_gt(loads, 0);
	ck_assert_str_eq(parked, "");
}
END_TEST

START_TEST(without_an_answer_nothing_follows_and_the_event_is_parked)
{
	react_to_cancellation(no_answers[_i]);
	ck_assert_uint_eq(acks, 0);
	ck_assert_uint_eq(loads, 0);
	ck_assert_ptr_nonnull(strstr(parked, "inventory-service.release"));
	ck_assert_ptr_nonnull(strstr(parked, "because"));
}
END_TEST

START_TEST(an_event_whose_command_finds_nobody_is_kept)
{
	react_to_cancellation(ERR_UNAVAILABLE);
	ck_assert_uint_gt(extensions, 2);
	ck_assert_uint_eq(acks, 0);
	ck_assert_str_eq(parked, "");
}
END_TEST

START_TEST(a_crowd_is_no_answer_to_a_reaction)
{
	deliver_in_a_crowd("{\"causation_id\":\"00000000-0000-4000-8000-000000000002\"}");
	ck_assert_uint_eq(results, 0);
	ck_assert_ptr_nonnull(strstr(retried, "others were faster"));
}
END_TEST

START_TEST(a_crowd_is_an_answer_to_a_client)
{
	deliver_in_a_crowd("");
	ck_assert_uint_eq(results, 1);
	ck_assert_str_eq(retried, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("saga");
	TCase *tests = tcase_create("saga");
	tcase_set_timeout(tests, 20);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, a_refusal_is_an_answer, 0, ARRAY_LEN(refusals));
	tcase_add_loop_test(tests, without_an_answer_nothing_follows_and_the_event_is_parked, 0,
	                    ARRAY_LEN(no_answers));
	tcase_add_test(tests, an_event_whose_command_finds_nobody_is_kept);
	tcase_add_test(tests, a_crowd_is_no_answer_to_a_reaction);
	tcase_add_test(tests, a_crowd_is_an_answer_to_a_client);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
