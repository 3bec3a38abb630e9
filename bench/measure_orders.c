/* Orders through all states, by commands over the queue; the log tells when the next is due. */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
	ORDERS = 10000,
	IN_FLIGHT = 32,
	PRODUCTS = 50,
	PRICE = 700 /* as in `steps` */,
	CARTS_PER_CALL = 250
};
enum { TIMEOUT_MS = 60000, PAYLOAD_MAX = 4 << 20, STALL_MS = 30000 };

/* What is sent for an order when its event comes. Ids that follow from the order's are made by the
 * name in `derive`. */
static const struct step {
	const char *event_type;
	const char *service, *function;
	const char *field, *derive; /* the id's field; NULL: the order's own id */
	const char *more;
} steps[] = {
	{ "OrderInStock", "billing-service", "create_billings", "order_id", NULL,
	  "\"amount\":700" },
	{ "OrderShipped", "shipping-service", "update_shipping", "entity_id", "shipping",
	  "\"delivered\":1500000000" },
	{ "OrderDelivered", NULL, NULL, NULL, NULL, NULL },
};

struct order {
	char id[UUID_SIZE];
	UT_hash_handle hh;
};

struct orders {
	struct bench *bench;
	struct rpc_mux *mux;
	struct rpc_stream *events;
	char (*ids)[UUID_SIZE]; /* of carts, or whatever the last call made */
	size_t id_count, id_capacity;
	size_t total, started, finished;
	struct order *open;
	struct loop_timer stall;
	bool calling; /* during preparation */
	struct error err;
};

static void orders_failed(struct orders *orders, const char *message)
{
	if (orders->err.code == ERR_NONE)
		error_set(&orders->err, ERR_INTERNAL, "%s", message);
	loop_stop(orders->bench->loop);
}

static void submit(struct orders *orders, const char *service, const char *function,
                   const char *payload, rpc_mux_done *done)
{
	char id[37];
	bench_uuid(id);
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = service;
	message.function = function;
	message.message_id = id;
	message.payload = payload;
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	item.sending = MQ__SENDING__FIRST;
	rpc_mux_request(orders->mux, &item.base, TIMEOUT_MS, done, orders);
}

/* NULL after orders_failed. */
static const char *outcome(struct orders *orders, const ProtobufCMessage *item,
                           const struct error *err)
{
	const Mq__SubmitResult *result = (const Mq__SubmitResult *)item;
	const char *problem = err != NULL                     ? err->message
	                      : result->result == NULL        ? "no result"
	                      : result->result->error != NULL ? result->result->error->message
	                                                      : NULL;
	if (problem == NULL)
		return result->result->result;
	orders_failed(orders, problem);
	return NULL;
}

static void ids_made(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct orders *orders = arg;
	struct json *list;
	const char *text = outcome(orders, item, err);
	if (text != NULL && json_parse(text, strlen(text), &list, &orders->err)) {
		for (const struct json *id = json_first(list); id != NULL; id = json_next(id)) {
			ASSERT(orders->id_count < orders->id_capacity);
			snprintf(orders->ids[orders->id_count++], UUID_SIZE, "%s", json_text(id));
		}
		json_free(list);
	}
	orders->calling = false;
	loop_stop(orders->bench->loop);
}

/* Creates entities from a payload and waits; their ids are appended to orders->ids. */
static bool create_all(struct orders *orders, const char *service, const char *function,
                       const struct buffer *payload)
{
	orders->calling = true;
	submit(orders, service, function, payload->bytes, ids_made);
	while (orders->calling)
		loop_run(orders->bench->loop);
	return orders->err.code == ERR_NONE;
}

static bool prepare(struct orders *orders)
{
	struct buffer payload;
	char customer[UUID_SIZE], products[PRODUCTS][UUID_SIZE];
	buffer_init(&payload, PAYLOAD_MAX);
	buffer_puts(&payload, "{\"params\":{\"name\":\"bench\",\"email\":\"b@example.com\"}}");
	bool ok = create_all(orders, "customer-service", "create_customers", &payload);
	memcpy(customer, orders->ids[0], UUID_SIZE);
	orders->id_count = 0;

	buffer_clear(&payload);
	for (unsigned i = 0; i < PRODUCTS; i++)
		buffer_printf(&payload, "%s{\"name\":\"p%u\",\"price\":%d}",
		              i == 0 ? "{\"params\":[" : ",", i, PRICE);
	buffer_puts(&payload, "]}");
	ok = ok && create_all(orders, "product-service", "create_products", &payload);
	memcpy(products, orders->ids, sizeof(products));
	orders->id_count = 0;

	buffer_clear(&payload);
	for (unsigned i = 0; i < PRODUCTS; i++)
		buffer_printf(&payload, "%s{\"product_id\":\"%s\",\"amount\":100000000}",
		              i == 0 ? "{\"params\":[" : ",", products[i]);
	buffer_puts(&payload, "]}");
	ok = ok && create_all(orders, "inventory-service", "create_inventories", &payload);
	orders->id_count = 0;

	while (ok && orders->id_count < orders->total) {
		buffer_clear(&payload);
		size_t first = orders->id_count;
		for (size_t i = first; i < orders->total && i < first + CARTS_PER_CALL; i++)
			buffer_printf(
			    &payload, "%s{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}",
			    i == first ? "{\"params\":[" : ",", customer, products[i % PRODUCTS]);
		buffer_puts(&payload, "]}");
		ok = create_all(orders, "cart-service", "create_carts", &payload);
	}
	buffer_free(&payload);
	return ok;
}

static void command_done(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	outcome(arg, item, err);
}

/* The order's id is chosen here, so that its events are known from the first. */
static void start_order(struct orders *orders)
{
	char payload[256];
	struct order *order = calloc(1, sizeof(*order));
	ASSERT(order != NULL);
	uuid_v4(order->id);
	HASH_ADD_STR(orders->open, id, order);
	snprintf(payload, sizeof(payload), "{\"params\":{\"entity_id\":\"%s\",\"cart_id\":\"%s\"}}",
	         order->id, orders->ids[orders->started++]);
	submit(orders, "order-service", "create_orders", payload, command_done);
}

static void stalled(void *arg)
{
	orders_failed(arg, "no order has moved for 30 s");
}

static void fill(struct orders *orders)
{
	while (orders->started < orders->total && orders->started - orders->finished < IN_FLIGHT)
		start_order(orders);
}

static void take_event(struct orders *orders, const Es__Event *event)
{
	struct order *order;
	HASH_FIND_STR(orders->open, event->entity_id, order);
	const struct step *step = NULL;
	for (size_t i = 0; order != NULL && i < ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i].event_type, event->event_type) == 0)
			step = &steps[i];
	}
	if (step == NULL)
		return;
	if (step->service == NULL) {
		HASH_DEL(orders->open, order);
		free(order);
		orders->finished++;
		return;
	}
	char payload[256], id[UUID_SIZE];
	if (step->derive != NULL)
		uuid_v5(id, order->id, step->derive, NULL);
	else
		memcpy(id, order->id, UUID_SIZE);
	snprintf(payload, sizeof(payload), "{\"params\":{\"%s\":\"%s\",%s}}", step->field, id,
	         step->more);
	submit(orders, step->service, step->function, payload, command_done);
}

static void events_message(void *arg, const ProtobufCMessage *message)
{
	struct orders *orders = arg;
	const Es__SubscribeResponse *response = (const Es__SubscribeResponse *)message;
	if (response->n_events == 0)
		return;
	loop_timer_start(orders->bench->loop, &orders->stall, STALL_MS, stalled, orders);
	for (size_t i = 0; i < response->n_events; i++)
		take_event(orders, response->events[i]);
	fill(orders);
	if (orders->finished == orders->total)
		loop_stop(orders->bench->loop);
}

static void events_closed(void *arg, const struct error *err)
{
	struct orders *orders = arg;
	orders->events = NULL;
	if (orders->finished < orders->total)
		orders_failed(orders, err != NULL ? err->message : "the subscription ended");
	loop_stop(orders->bench->loop);
}

static void run_orders(struct orders *orders)
{
	static const struct rpc_stream_events events = { events_message, events_closed };
	const char *topics[] = { "order" };
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	request.topics = topics;
	request.n_topics = 1;
	request.start = ES__START__START_BEGINNING; /* so that none is missed */
	orders->events = rpc_stream_open(orders->bench->store, &es__event_store__descriptor,
	                                 "Subscribe", &events, orders);
	rpc_stream_send(orders->events, &request.base);
	rpc_stream_end_sends(orders->events);
	loop_timer_start(orders->bench->loop, &orders->stall, STALL_MS, stalled, orders);
	fill(orders);
	while (orders->finished < orders->total && orders->err.code == ERR_NONE)
		loop_run(orders->bench->loop);
	loop_timer_stop(orders->bench->loop, &orders->stall);
}

bool measure_orders(struct bench *bench, struct error *err)
{
	struct orders orders = { .bench = bench, .total = bench_scaled(bench, ORDERS) };
	orders.id_capacity = orders.total + CARTS_PER_CALL;
	orders.ids = calloc(orders.id_capacity, sizeof(*orders.ids));
	ASSERT(orders.ids != NULL);
	orders.mux = rpc_mux_create(bench->loop, bench->queue, &mq__message_queue__descriptor,
	                            "SubmitStream", IN_FLIGHT * 4);
	uint64_t begin = 0;
	if (prepare(&orders) && bench_settle(bench, &orders.err)) {
		begin = clock_monotonic_us();
		run_orders(&orders);
	}
	double seconds = (double)(clock_monotonic_us() - begin) / 1e6;
	while (orders.events != NULL) {
		rpc_stream_cancel(orders.events);
		loop_run(bench->loop);
	}
	/* The log is ahead of the last answers. */
	while (rpc_mux_waiting(orders.mux) > 0 && orders.err.code == ERR_NONE)
		bench_wait(bench, 1);
	rpc_mux_destroy(orders.mux);
	struct order *order, *next;
	HASH_ITER(hh, orders.open, order, next)
	{
		HASH_DEL(orders.open, order);
		free(order);
	}
	free(orders.ids);
	if (orders.err.code != ERR_NONE) {
		*err = orders.err;
		return error_wrap(err, "orders");
	}
	bench_row("orders through all states, 32 in flight", (double)orders.total / seconds, "/s",
	          2000, false, "");
	return true;
}
