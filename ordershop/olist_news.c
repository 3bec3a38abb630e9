/* olist_news.c - what the shop itself does with the orders, as it happens. */
#include "base/clock.h"
#include "ordershop/olist_orders.h"
#include "proto/eventstore_v1.pb-c.h"

#include <stdio.h>
#include <string.h>

enum {
	QUIET_MS = 1000, /* without news of an order its state is asked for */
	ASK_MAX = 256,
};

Shop__OrderStatus play_order_status(const struct json *entity)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(
	    &shop__order_status__descriptor, play_text(entity, "status"));

	return value ? (Shop__OrderStatus)value->value : SHOP__ORDER_STATUS__CREATED;
}

const char *play_status_name(Shop__OrderStatus status)
{
	return protobuf_c_enum_descriptor_get_value(&shop__order_status__descriptor, (int)status)
	    ->name;
}

static void take_news(struct play *play, const char *id, uint64_t version, const char *text)
{
	struct play_order *order;
	struct json *json;
	struct error err;

	HASH_FIND_STR(play->by_id, id, order);
	if (!order || (version != 0 && version <= order->version) ||
	    !json_parse(text, strlen(text), &json, &err))
		return;
	if (version > order->version)
		order->version = version;
	order->news_ms = play->news_ms = clock_monotonic_ms();
	if (play_order_status(json) != order->status) {
		order->status = play_order_status(json);
		order->acted = false;
	}
	order->placed = true;
	json_free(json);
	play_order_news(order);
}

static void event_message(void *arg, const ProtobufCMessage *response)
{
	const Es__SubscribeResponse *message = (const void *)response;
	struct play *play = arg;

	for (size_t i = 0; i < message->n_events; i++) {
		const Es__Event *event = message->events[i];

		snprintf(play->last_event, sizeof(play->last_event), "%s", event->entry_id);
		take_news(play, event->entity_id, event->entity_version, event->event_data);
	}
}

static void events_closed(void *arg, const struct error *err)
{
	struct play *play = arg;

	(void)err; /* the tick opens it again */
	play->events = NULL;
}

static void open_events(struct play *play)
{
	static const struct rpc_stream_events events = { event_message, events_closed };
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	Es__Position after = ES__POSITION__INIT;
	const char *topics[] = { "order" };

	request.topics = topics;
	request.n_topics = 1;
	after.topic = "order";
	after.entry_id = play->last_event;
	request.start = *play->last_event ? ES__START__START_AFTER : ES__START__START_BEGINNING;
	request.after = *play->last_event ? &after : NULL;
	play->events =
	    rpc_stream_open(play->client->channels[TARGET_EVENT_STORE],
	                    client_service(TARGET_EVENT_STORE), "Subscribe", &events, play);
	rpc_stream_send(play->events, &request.base);
	rpc_stream_end_sends(play->events);
}

bool play_news_mark(struct play *play, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;

	if (!client_call(play->client, TARGET_EVENT_STORE, "Topics", &request.base, &response, err))
		return false;
	topics = (const void *)response;
	for (size_t i = 0; i < topics->n_topics; i++) {
		if (strcmp(topics->topics[i]->topic, "order") == 0)
			snprintf(play->last_event, sizeof(play->last_event), "%s",
			         topics->topics[i]->last_id);
	}
	arena_reset(play->client->arena);
	return true;
}

static void model_answered(void *arg, const ProtobufCMessage *response, const struct error *err)
{
	const Rm__ListResponse *list = (const void *)response;

	for (size_t i = 0; !err && i < list->n_entities; i++)
		take_news(arg, list->entities[i]->id, list->entities[i]->version,
		          list->entities[i]->json);
}

/* For news that the subscription missed while it was broken. */
static void ask_about_quiet(struct play *play)
{
	Rm__GetManyRequest request = RM__GET_MANY_REQUEST__INIT;
	const char *ids[ASK_MAX];
	uint64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < play->next && request.n_ids < ASK_MAX; i++) {
		struct play_order *order = &play->orders[i];

		if (!order->active || order->under_way || now - order->news_ms < QUIET_MS)
			continue;
		order->news_ms = now;
		ids[request.n_ids++] = order->plan->id;
	}
	if (request.n_ids == 0)
		return;
	request.name = "order";
	request.ids = ids;
	rpc_unary(play->client->channels[TARGET_READ_MODEL], client_service(TARGET_READ_MODEL),
	          "GetMany", &request.base, QUIET_MS, model_answered, play);
}

void play_news_tick(struct play *play)
{
	if (!play->events)
		open_events(play);
	ask_about_quiet(play);
}

void play_news_end(struct play *play)
{
	if (play->events)
		rpc_stream_cancel(play->events);
}
