#include "gateway/fake_shop.h"
#include "base/rpc_server.h"

#include <stdio.h>
#include <string.h>

#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

static void keep(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
}

/* ---- message queue ---- */

static void submit(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct fake_shop *shop = ctx;
	const Mq__SubmitStreamRequest *request = (const Mq__SubmitStreamRequest *)message;
	for (size_t i = 0; i < request->n_items; i++) {
		const Mq__SubmitItem *item = request->items[i];
		keep(shop->service, sizeof(shop->service), item->message->service);
		keep(shop->function, sizeof(shop->function), item->message->function);
		keep(shop->message_id, sizeof(shop->message_id), item->message->message_id);
		keep(shop->payload, sizeof(shop->payload), item->message->payload);
		shop->send_only = item->send_only;
		Mq__Token token = MQ__TOKEN__INIT, *tokens[] = { &token };
		Mq__Error error = MQ__ERROR__INIT;
		Mq__Result result = MQ__RESULT__INIT;
		Mq__SubmitResult answer = MQ__SUBMIT_RESULT__INIT, *answers[] = { &answer };
		Mq__SubmitStreamResponse response = MQ__SUBMIT_STREAM_RESPONSE__INIT;
		token.topic = "customer";
		token.entry_id = "100-7";
		error.code = 9;
		error.message = "the customer is not like that";
		answer.tag = item->tag;
		if (strstr(item->message->payload, "refuse") != NULL) {
			result.error = &error;
		} else if (strstr(item->message->payload, "late") != NULL) {
			error.code = 4;
			error.message = "no outcome in time";
			result.error = &error;
		} else {
			result.result = "[\"" FAKE_ID "\"]";
			result.n_tokens = 1;
			result.tokens = tokens;
		}
		answer.result = item->send_only ? NULL : &result;
		response.n_items = 1;
		response.items = answers;
		rpc_send(call, &response.base);
	}
}

static void queues(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct fake_shop *shop = ctx;
	(void)message;
	/* The first is of a function that nobody has: somebody has sent to it. */
	static const char *const services[] = { "product-service", "customer-service",
		                                "product-service", "inventory-service",
		                                "cart-service",    "order-service",
		                                "billing-service", "shipping-service",
		                                "mail-service" };
	Mq__QueueInfo infos[ARRAY_LEN(services)], *rows[ARRAY_LEN(services)];
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		mq__queue_info__init(&infos[i]);
		infos[i].service = services[i];
		infos[i].function = i == 0 ? "nothing" : "anything";
		infos[i].consumers = i > 0 && !atomic_load(&shop->untaken);
		rows[i] = &infos[i];
	}
	Mq__QueuesResponse response = MQ__QUEUES_RESPONSE__INIT;
	response.n_queues = ARRAY_LEN(services);
	response.queues = rows;
	rpc_reply(call, &response.base);
}

static const struct rpc_method mq_methods[] = {
	{ .name = "SubmitStream", .kind = RPC_BIDI_STREAM, .message = submit },
	{ .name = "Queues", .kind = RPC_UNARY, .message = queues },
};

/* ---- read model ---- */

static void keep_tokens(struct fake_shop *shop, const Rm__Consistency *consistency)
{
	size_t used = 0;
	shop->tokens[0] = '\0';
	for (size_t i = 0; consistency != NULL && i < consistency->n_tokens; i++)
		used += (size_t)snprintf(shop->tokens + used, sizeof(shop->tokens) - used, "%s=%s ",
		                         consistency->tokens[i]->topic,
		                         consistency->tokens[i]->entry_id);
}

static void get_stream(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct fake_shop *shop = ctx;
	const Rm__GetStreamRequest *request = (const Rm__GetStreamRequest *)message;
	for (size_t i = 0; i < request->n_items; i++) {
		const Rm__GetRequest *get = request->items[i]->request;
		Rm__Entity entity = RM__ENTITY__INIT;
		Rm__GetResult result = RM__GET_RESULT__INIT, *results[] = { &result };
		Rm__GetStreamResponse response = RM__GET_STREAM_RESPONSE__INIT;
		keep_tokens(shop, get->consistency);
		entity.id = FAKE_ID;
		entity.json = "{\"entity_id\": \"" FAKE_ID "\", \"name\": \"one\"}";
		result.tag = request->items[i]->tag;
		result.entity = strcmp(get->id, FAKE_ID) == 0 ? &entity : NULL;
		response.n_items = 1;
		response.items = results;
		rpc_send(call, &response.base);
	}
}

/* Two pages with one entity each. */
static void reply_page(struct rpc_call *call, const char *cursor)
{
	bool second = strcmp(cursor, "next") == 0;
	Rm__Entity entity = RM__ENTITY__INIT, *entities[] = { &entity };
	Rm__ListResponse response = RM__LIST_RESPONSE__INIT;
	entity.id = second ? "two" : "one";
	entity.json = second ? "{\"n\": 2}" : "{\"n\": 1}";
	response.n_entities = 1;
	response.entities = entities;
	response.cursor = second ? "" : "next";
	response.total = 2;
	rpc_reply(call, &response.base);
}

static void list(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__ListRequest *request = (const Rm__ListRequest *)message;
	keep_tokens(ctx, request->consistency);
	reply_page(call, request->cursor);
}

static void orders(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__OrdersRequest *request = (const Rm__OrdersRequest *)message;
	keep_tokens(ctx, request->consistency);
	reply_page(call, request->cursor);
}

static void mails(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	Rm__Mail mail = RM__MAIL__INIT, *rows[] = { &mail };
	Rm__MailsResponse response = RM__MAILS_RESPONSE__INIT;
	mail.entry_id = "5-1";
	mail.event_id = FAKE_ID;
	mail.json = "{\"recipient\": \"a@b\"}";
	response.n_mails = 1;
	response.mails = rows;
	rpc_reply(call, &response.base);
}

static void report(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	const Rm__ReportRequest *request = (const Rm__ReportRequest *)message;
	Rm__ReportResponse response = RM__REPORT_RESPONSE__INIT;
	response.json = strcmp(request->name, "orders") == 0 ? "[\"orders\"]" : "{\"all\": []}";
	rpc_reply(call, &response.base);
}

static const struct rpc_method rm_methods[] = {
	{ .name = "List", .kind = RPC_UNARY, .message = list },
	{ .name = "Unbilled", .kind = RPC_UNARY, .message = orders },
	{ .name = "Unshipped", .kind = RPC_UNARY, .message = orders },
	{ .name = "Delivered", .kind = RPC_UNARY, .message = orders },
	{ .name = "Mails", .kind = RPC_UNARY, .message = mails },
	{ .name = "Report", .kind = RPC_UNARY, .message = report },
	{ .name = "GetStream", .kind = RPC_BIDI_STREAM, .message = get_stream },
};

/* ---- event store ---- */

static void subscribe(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct fake_shop *shop = ctx;
	const Es__SubscribeRequest *request = (const Es__SubscribeRequest *)message;
	if (request->start == ES__START__START_AFTER)
		snprintf(shop->subscribed, sizeof(shop->subscribed), "%s/%s",
		         request->after->entry_id, request->after->topic);
	else
		keep(shop->subscribed, sizeof(shop->subscribed), "live");
	shop->subscriber = call;
	shop->subscriptions++;
}

static void subscription_ended(void *ctx, struct rpc_call *call)
{
	struct fake_shop *shop = ctx;
	if (shop->subscriber == call)
		shop->subscriber = NULL;
}

static void read_events(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const struct fake_shop *shop = ctx;
	(void)message;
	Es__Event event = ES__EVENT__INIT, large = ES__EVENT__INIT;
	Es__Event *events[] = { &event, &large, &large, &large };
	Es__ReadResponse response = ES__READ_RESPONSE__INIT;
	event.topic = large.topic = "order";
	event.entry_id = "90-1";
	event.event_type = "OrderPlaced";
	event.entity_id = FAKE_ID;
	event.event_data = "{\"status\": \"CREATED\"}";
	large.event_data = shop->large;
	response.n_events = shop->large != NULL ? ARRAY_LEN(events) : 1;
	response.events = events;
	rpc_send(call, &response.base);
	rpc_finish(call, NULL);
}

static void topics(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	Es__TopicsResponse response = ES__TOPICS_RESPONSE__INIT;
	rpc_reply(call, &response.base);
}

static const struct rpc_method es_methods[] = {
	{ .name = "Read", .kind = RPC_SERVER_STREAM, .message = read_events },
	{ .name = "Subscribe",
	  .kind = RPC_SERVER_STREAM,
	  .message = subscribe,
	  .ended = subscription_ended },
	{ .name = "Topics", .kind = RPC_UNARY, .message = topics },
};

void fake_shop_event(struct fake_shop *shop, const char *entry_id, const char *data)
{
	Es__Event event = ES__EVENT__INIT, *events[] = { &event };
	Es__SubscribeResponse response = ES__SUBSCRIBE_RESPONSE__INIT;
	event.topic = "customer";
	event.entry_id = entry_id;
	event.event_action = "entity_created";
	event.entity_id = FAKE_ID;
	event.entity_version = 1;
	event.event_data = data;
	response.n_events = 1;
	response.events = events;
	ASSERT(shop->subscriber != NULL);
	rpc_send(shop->subscriber, &response.base);
}

void fake_shop_drop(struct fake_shop *shop)
{
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "dropped");
	rpc_finish(shop->subscriber, &err);
	shop->subscriber = NULL; /* what comes now is for the next one */
}

void fake_shop_start(struct fake_shop *shop, struct loop *loop)
{
	int port;
	struct error err;
	*shop = (struct fake_shop){ .server = rpc_server_create(loop) };
	rpc_server_add(shop->server, &mq__message_queue__descriptor, mq_methods,
	               ARRAY_LEN(mq_methods), shop);
	rpc_server_add(shop->server, &rm__read_model__descriptor, rm_methods, ARRAY_LEN(rm_methods),
	               shop);
	rpc_server_add(shop->server, &es__event_store__descriptor, es_methods,
	               ARRAY_LEN(es_methods), shop);
	ASSERT(rpc_server_listen(shop->server, "127.0.0.1:0", &port, &err));
	snprintf(shop->target, sizeof(shop->target), "127.0.0.1:%d", port);
	rpc_server_start(shop->server);
	rpc_server_set_healthy(shop->server, true);
}

void fake_shop_destroy(struct fake_shop *shop)
{
	rpc_server_destroy(shop->server);
}
