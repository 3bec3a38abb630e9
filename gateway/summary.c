#include "gateway/summary.h"
#include "base/clock.h"
#include "gateway/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/eventstore_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

enum {
	FRESH_US = 500000,
	RECENT_EVENTS = 40,
	ORDER_EVENTS = 80,          /* in which the recent orders are looked for */
	LIST_MAX = 2 * 1024 * 1024, /* what would not fit is left out */
	TEXT_MAX = 2 * LIST_MAX + 64 * 1024,
};

static const char *const statuses[] = { "CREATED",   "IN_STOCK", "OUT_OF_STOCK", "CLEARED",
	                                "UNCLEARED", "SHIPPED",  "DELIVERED",    "CANCELLED" };
enum { STATUSES = ARRAY_LEN(statuses), ENTITIES_MAX = 16 };

struct count {
	struct summary *summary;
	uint64_t value;
	char label[24];
};

struct summary {
	struct gateway *gateway;
	struct exchange *waiting; /* for the one that is being made */
	unsigned pending;         /* answers that it needs */
	struct error error;       /* the first of them that failed */
	uint64_t made_us;
	struct count entities[ENTITIES_MAX], orders[STATUSES];
	struct buffer events, recent_orders; /* JSON lists without brackets */
	struct buffer text;
};

static void write_counts(struct buffer *out, const struct count *counts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buffer_printf(out, "%s\"%s\": %llu", i > 0 ? ", " : "", counts[i].label,
		              (unsigned long long)counts[i].value);
}

static void answer(struct summary *summary, struct exchange *exchange)
{
	struct buffer copy;
	if (summary->error.code != ERR_NONE) {
		exchange_fail(exchange, &summary->error);
		return;
	}
	buffer_init(&copy, TEXT_MAX);
	buffer_append(&copy, summary->text.bytes, summary->text.len);
	exchange_answer(exchange, 200, "application/json", &copy);
}

static void arrived(struct summary *summary, const struct error *failure)
{
	if (failure != NULL && summary->error.code == ERR_NONE)
		summary->error = *failure;
	if (--summary->pending > 0)
		return;
	struct buffer *out = &summary->text;
	buffer_clear(out);
	buffer_puts(out, "{\"counts\": {");
	write_counts(out, summary->entities, route_entities_count);
	buffer_puts(out, "}, \"orders\": {");
	write_counts(out, summary->orders, STATUSES);
	buffer_puts(out, "}, \"recent_orders\": [");
	buffer_append(out, summary->recent_orders.bytes, summary->recent_orders.len);
	buffer_puts(out, "], \"recent_events\": [");
	buffer_append(out, summary->events.bytes, summary->events.len);
	buffer_puts(out, "]}");
	ASSERT(!out->overflow);
	summary->made_us = clock_monotonic_us();
	struct exchange *exchange = summary->waiting;
	summary->waiting = NULL;
	while (exchange != NULL) {
		struct exchange *next = exchange->next;
		answer(summary, exchange);
		exchange = next;
	}
}

static void on_count(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct count *count = arg;
	if (failure == NULL)
		count->value = ((const Rm__ListResponse *)message)->total;
	arrived(count->summary, failure);
}

static void ask_count(struct summary *summary, struct count *count, const char *label,
                      const char *name, const char *status)
{
	Rm__ListRequest request = RM__LIST_REQUEST__INIT;
	Rm__Filter filter = RM__FILTER__INIT;
	Rm__Filter *filters[] = { &filter };
	count->summary = summary;
	snprintf(count->label, sizeof(count->label), "%s", label);
	request.name = name;
	request.limit = 1;
	if (status != NULL) {
		filter.field = "status";
		filter.n_values = 1;
		filter.values = &status;
		request.n_filters = 1;
		request.filters = filters;
	}
	summary->pending++;
	rpc_unary(summary->gateway->model.channel, &rm__read_model__descriptor, "List",
	          &request.base, QUERY_TIMEOUT_MS, on_count, count);
}

/* ---- the latest events, newest first ---- */

static void list_event(struct buffer *list, const Es__Event *event)
{
	size_t before = list->len;
	if (before > 0)
		buffer_puts(list, ", ");
	feed_write_event(list, event);
	if (list->overflow)
		buffer_cut(list, before);
}

static void on_events(void *arg, const ProtobufCMessage *message)
{
	struct summary *summary = arg;
	const Es__ReadResponse *response = (const Es__ReadResponse *)message;
	for (size_t i = 0; i < response->n_events; i++)
		list_event(&summary->events, response->events[i]);
}

/* Each order once, as its latest event has it. */
static void on_order_events(void *arg, const ProtobufCMessage *message)
{
	struct summary *summary = arg;
	const Es__ReadResponse *response = (const Es__ReadResponse *)message;
	struct buffer *out = &summary->recent_orders;
	for (size_t i = 0; i < response->n_events; i++) {
		char key[UUID_SIZE + 32];
		snprintf(key, sizeof(key), "\"entity_id\": \"%s\", \"version\"",
		         response->events[i]->entity_id);
		if (out->len == 0 || strstr(out->bytes, key) == NULL)
			list_event(out, response->events[i]);
	}
}

static void on_read_closed(void *arg, const struct error *err)
{
	arrived(arg, err);
}

static void ask_events(struct summary *summary, const char *topic, uint64_t limit,
                       const struct rpc_stream_events *events)
{
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	request.n_topics = topic != NULL ? 1 : 0;
	request.topics = &topic;
	request.backward = true;
	request.limit = limit;
	summary->pending++;
	struct rpc_stream *stream = rpc_stream_open(
	    summary->gateway->store, &es__event_store__descriptor, "Read", events, summary);
	rpc_stream_send(stream, &request.base);
	rpc_stream_end_sends(stream);
}

static void make(struct summary *summary)
{
	static const struct rpc_stream_events all = { on_events, on_read_closed };
	static const struct rpc_stream_events orders = { on_order_events, on_read_closed };
	summary->error.code = ERR_NONE;
	buffer_clear(&summary->events);
	buffer_clear(&summary->recent_orders);
	for (size_t i = 0; i < route_entities_count; i++)
		ask_count(summary, &summary->entities[i], route_entities[i].plural,
		          route_entities[i].name, NULL);
	for (size_t i = 0; i < STATUSES; i++)
		ask_count(summary, &summary->orders[i], statuses[i], "order", statuses[i]);
	ask_events(summary, NULL, RECENT_EVENTS, &all);
	ask_events(summary, "order", ORDER_EVENTS, &orders);
}

void summary_run(struct summary *summary, struct exchange *exchange)
{
	if (summary->pending == 0 && summary->made_us > 0 && summary->error.code == ERR_NONE &&
	    clock_monotonic_us() - summary->made_us < FRESH_US) {
		answer(summary, exchange);
		return;
	}
	exchange->next = summary->waiting;
	summary->waiting = exchange;
	if (summary->pending == 0)
		make(summary);
}

struct summary *summary_create(struct gateway *gateway)
{
	ASSERT(route_entities_count <= ENTITIES_MAX);
	struct summary *summary = calloc(1, sizeof(*summary));
	ASSERT(summary != NULL);
	summary->gateway = gateway;
	buffer_init(&summary->events, LIST_MAX);
	buffer_init(&summary->recent_orders, LIST_MAX);
	buffer_init(&summary->text, TEXT_MAX);
	return summary;
}

void summary_destroy(struct summary *summary)
{
	if (summary == NULL)
		return;
	buffer_free(&summary->events);
	buffer_free(&summary->recent_orders);
	buffer_free(&summary->text);
	free(summary);
}
