/* Rebuilds of the read model from a log as the shop writes it, and from one of entities that never change. */
#include "bench/bench.h"

#include "base/clock.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EVENTS = 1000000,
	DEPTH = 512,
	TIMEOUT_MS = 30000,
	POLL_MS = 10,
	REBUILD_MAX_S = 600,
	PROMISED = 200000
};

/* The events of one order, as the shop's services write them; of a type that no saga knows. */
enum { CUSTOMER, CART, ORDER, PRODUCT, INVENTORY, BILLING, SHIPPING, KINDS };
static const char *const topics[KINDS] = { "customer",  "cart",    "order",   "product",
	                                   "inventory", "billing", "shipping" };
static const struct step {
	int kind; /* KINDS: a mail */
	const char *word;
} steps[] = {
	{ CUSTOMER, "" },
	{ CART, "" },
	{ CART, "held" },
	{ ORDER, "CREATED" },
	{ INVENTORY, "" },
	{ ORDER, "IN_STOCK" },
	{ BILLING, "" },
	{ ORDER, "CLEARED" },
	{ KINDS, "" },
	{ SHIPPING, "0" },
	{ ORDER, "SHIPPED" },
	{ ORDER, "DELIVERED" },
	{ SHIPPING, "1760000000" },
	{ CART, "" },
};
enum { AT_A_TIME = 64, PRODUCTS = 1000 };

struct ids {
	char of[KINDS][37];
};

static void make_ids(struct ids *ids, uint64_t order)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		bool shared = kind == PRODUCT || kind == INVENTORY;
		snprintf(ids->of[kind], sizeof(ids->of[kind]), "%08x-be4c-4000-8000-%012llx", kind,
		         (unsigned long long)(shared ? order % PRODUCTS : order) & 0xFFFFFFFFFFFF);
	}
}

static void make_json(char *out, size_t size, const struct step *step, const struct ids *ids)
{
	const char *id = step->kind == KINDS ? "" : ids->of[step->kind];
	switch (step->kind) {
	case CUSTOMER:
		snprintf(
		    out, size,
		    "{\"entity_id\":\"%s\",\"name\":\"Somebody\",\"email\":\"%s@example.com\"}", id,
		    id);
		break;
	case CART:
		snprintf(out, size,
		         "{\"entity_id\":\"%s\",\"customer_id\":\"%s\",\"product_ids\":[\"%s\"],"
		         "\"order_id\":\"%s\"}",
		         id, ids->of[CUSTOMER], ids->of[PRODUCT],
		         step->word[0] == '\0' ? "" : ids->of[ORDER]);
		break;
	case ORDER:
		snprintf(
		    out, size,
		    "{\"entity_id\":\"%s\",\"cart_id\":\"%s\",\"status\":\"%s\","
		    "\"customer_id\":\"%s\",\"items\":[{\"product_id\":\"%s\",\"quantity\":1,"
		    "\"price\":1299}],\"shipping_fee\":450,\"total\":1749,\"fulfilment\":\"auto\","
		    "\"stock_held\":true}",
		    id, ids->of[CART], step->word, ids->of[CUSTOMER], ids->of[PRODUCT]);
		break;
	case INVENTORY:
		snprintf(out, size,
		         "{\"entity_id\":\"%s\",\"product_id\":\"%s\",\"amount\":100000}", id,
		         ids->of[PRODUCT]);
		break;
	case BILLING:
		snprintf(
		    out, size,
		    "{\"entity_id\":\"%s\",\"order_id\":\"%s\",\"amount\":1749,\"refunded\":false}",
		    id, ids->of[ORDER]);
		break;
	case SHIPPING:
		snprintf(out, size, "{\"entity_id\":\"%s\",\"order_id\":\"%s\",\"delivered\":%s}",
		         id, ids->of[ORDER], step->word);
		break;
	default:
		snprintf(
		    out, size,
		    "{\"recipient\":\"%s@example.com\",\"message\":\"We have received your payment "
		    "for order %s.\"}",
		    ids->of[CUSTOMER], ids->of[ORDER]);
	}
}

static void append_done(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	if (err == NULL && result->error != NULL)
		mux_load_failed(arg, result->error->message);
	mux_load_done(arg, item, err);
}

static void append_step(struct mux_load *load, const struct step *step, const struct ids *ids)
{
	char event_id[37], json[768];
	bool mail = step->kind == KINDS;
	const char *topic = mail ? "mail" : topics[step->kind];
	bench_uuid(event_id);
	make_json(json, sizeof(json), step, ids);
	Es__NewEvent event = ES__NEW_EVENT__INIT, *events[] = { &event };
	event.event_id = event_id;
	event.event_action = mail ? "mail_sent" : "entity_updated";
	event.event_data = json;
	event.event_type = "Measured";
	event.entity_id = mail ? "" : ids->of[step->kind];
	Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
	request.topic = topic;
	request.events = events;
	request.n_events = 1;
	Es__AppendItem append = ES__APPEND_ITEM__INIT;
	append.request = &request;
	rpc_mux_request(load->mux, &append.base, TIMEOUT_MS, append_done, load);
}

/* Some orders are under way at a time. */
static void append_of_orders(struct mux_load *load, uint64_t index)
{
	const uint64_t round = AT_A_TIME * ARRAY_LEN(steps);
	struct ids ids;
	make_ids(&ids, index / round * AT_A_TIME + index % AT_A_TIME);
	append_step(load, &steps[index % round / AT_A_TIME], &ids);
}

static void append_customer(struct mux_load *load, uint64_t index)
{
	struct ids ids;
	make_ids(&ids, EVENTS + index); /* others than those of the orders */
	append_step(load, &steps[0], &ids);
}

/* ---- rebuilding ---- */

static const ProtobufCMessage *ask_model(struct bench *bench, const char *method,
                                         const ProtobufCMessage *request, struct arena *arena,
                                         struct error *err)
{
	const ProtobufCMessage *response;
	return rpc_unary_wait(bench->model, &rm__read_model__descriptor, method, request,
	                      TIMEOUT_MS, arena, &response, err)
	           ? response
	           : NULL;
}

/* Of "model:<number>". */
static uint64_t generation_of(const char *projection)
{
	const char *colon = strchr(projection, ':');
	return colon == NULL ? 0 : strtoull(colon + 1, NULL, 10);
}

/* How many events the live projection has, if it is this one, or one that was begun when this was given up. */
static bool live_events(struct bench *bench, const char *projection, struct arena *arena,
                        uint64_t *events, struct error *err)
{
	Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
	const Rm__CheckpointsResponse *found = (const Rm__CheckpointsResponse *)ask_model(
	    bench, "Checkpoints", &request.base, arena, err);
	*events = 0;
	for (size_t i = 0; found != NULL && i < found->n_checkpoints; i++) {
		const Rm__Checkpoint *at = found->checkpoints[i];
		if (at->live && generation_of(at->projection) >= generation_of(projection))
			*events = at->events;
	}
	return found != NULL;
}

static bool rebuild(struct bench *bench, struct arena *arena, double *per_second, struct error *err)
{
	Rm__RebuildRequest request = RM__REBUILD_REQUEST__INIT;
	uint64_t begin = clock_monotonic_us(), events = 0;
	const Rm__RebuildResponse *begun =
	    (const Rm__RebuildResponse *)ask_model(bench, "Rebuild", &request.base, arena, err);
	if (begun == NULL)
		return false;
	while (events == 0) {
		if (!live_events(bench, begun->projection, arena, &events, err))
			return false;
		if (clock_monotonic_us() - begin > REBUILD_MAX_S * 1000000ULL)
			return error_set(err, ERR_DEADLINE, "%s is not live after %d s",
			                 begun->projection, REBUILD_MAX_S);
		bench_wait(bench, POLL_MS);
	}
	*per_second = (double)events * 1e6 / (double)(clock_monotonic_us() - begin);
	return true;
}

static bool measure(struct bench *bench, const char *work,
                    void (*append)(struct mux_load *load, uint64_t index), struct error *err)
{
	/* whoever follows everything rests while the log is written */
	if (!shop_process_control(&bench->shop, "stop", "read-model", err) ||
	    !shop_process_control(&bench->shop, "stop", "gateway", err))
		return false;
	struct mux_load load = { .bench = bench,
		                 .total = bench_scaled(bench, EVENTS),
		                 .in_flight = DEPTH,
		                 .request = append };
	double rate;
	load.mux = rpc_mux_create(bench->loop, bench->store, &es__event_store__descriptor,
	                          "AppendStream", DEPTH * 2);
	bool ok = mux_load_run(&load, &rate, err);
	rpc_mux_destroy(load.mux);
	struct arena *arena = arena_create();
	ok = ok && shop_process_control(&bench->shop, "start", "read-model", err) &&
	     bench_settle(bench, err) && rebuild(bench, arena, &rate, err);
	arena_destroy(arena);
	if (!ok)
		return error_wrap(err, "%s", work);
	bench_row(work, rate, "events/s", PROMISED, false, "from the request to the first answer");
	return shop_process_control(&bench->shop, "start", "gateway", err);
}

bool measure_rebuild(struct bench *bench, struct error *err)
{
	return measure(bench, "rebuild of the read model, a log of orders", append_of_orders, err);
}

bool measure_rebuild_distinct(struct bench *bench, struct error *err)
{
	return measure(bench, "the same, a log of customers that never change", append_customer,
	               err);
}
