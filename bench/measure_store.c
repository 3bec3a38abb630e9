/* Appends, with raw pipelined XADD in the same run as the yardstick, and the projection of them. */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/redis.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <stdio.h>

enum { APPENDS = 200000, DEPTH = 128, TIMEOUT_MS = 30000, POLL_MS = 5 };

struct xadd_load {
	struct bench *bench;
	struct redis *redis;
	struct redis_command command;
	uint64_t started, finished, total, failures;
};

static void product_json(char *out, size_t size, const char *id)
{
	snprintf(out, size,
	         "{\"entity_id\":\"%s\",\"name\":\"A product of the benchmark, with a name\","
	         "\"price\":1299}",
	         id);
}

static void xadd_done(void *arg, const struct redis_value *value, const struct error *err);

static void xadd_fill(struct xadd_load *load)
{
	while (load->started < load->total && load->started - load->finished < DEPTH) {
		char id[37], json[256];
		load->started++;
		bench_uuid(id);
		product_json(json, sizeof(json), id);
		const char *words[] = { "XADD",
			                "yardstick",
			                "*",
			                "event_id",
			                id,
			                "event_action",
			                "entity_created",
			                "event_data",
			                json,
			                "event_type",
			                "ProductCreated",
			                "entity_id",
			                id,
			                "entity_version",
			                "1",
			                "metadata",
			                "{}" };
		redis_command_clear(&load->command);
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			redis_arg(&load->command, words[i]);
		redis_queue(load->redis, &load->command, xadd_done, load);
	}
}

static void xadd_done(void *arg, const struct redis_value *value, const struct error *err)
{
	struct xadd_load *load = arg;
	if (err != NULL || redis_value_kind(value) == REDIS_ERROR)
		load->failures++;
	load->finished++;
	xadd_fill(load);
	if (load->finished == load->total)
		loop_stop(load->bench->loop);
}

static bool measure_yardstick(struct bench *bench, double *per_second, struct error *err)
{
	char url[128];
	snprintf(url, sizeof(url), "unix://%s/redis.sock", bench->shop.folder);
	struct xadd_load load = { .bench = bench, .total = bench_scaled(bench, APPENDS) };
	if (!redis_create(bench->loop, url, NULL, 0, TIMEOUT_MS, &load.redis, err))
		return false;
	redis_command_init(&load.command);
	uint64_t begin = clock_monotonic_us();
	xadd_fill(&load);
	while (load.finished < load.total)
		loop_run(bench->loop);
	*per_second = (double)load.total * 1e6 / (double)(clock_monotonic_us() - begin);
	redis_command_clear(&load.command);
	redis_arg(&load.command, "DEL");
	redis_arg(&load.command, "yardstick");
	const struct redis_value *value;
	bool ok = load.failures == 0 || error_set(err, ERR_UNAVAILABLE, "XADD failed");
	ok = ok && redis_wait(load.redis, &load.command, 0, &value, err);
	redis_command_free(&load.command);
	redis_destroy(load.redis);
	return ok;
}

static void append_done(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	if (err == NULL && result->error != NULL)
		mux_load_failed(arg, result->error->message);
	mux_load_done(arg, item, err);
}

static void append_one(struct mux_load *load, uint64_t index)
{
	char event_id[37], id[37], json[256];
	(void)index;
	bench_uuid(event_id);
	bench_uuid(id);
	product_json(json, sizeof(json), id);
	Es__NewEvent event = ES__NEW_EVENT__INIT;
	event.event_id = event_id;
	event.event_action = "entity_created";
	event.event_data = json;
	event.event_type = "ProductCreated";
	event.entity_id = id;
	event.expect = ES__EXPECT__EXPECT_NONE;
	Es__NewEvent *events[] = { &event };
	Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
	request.topic = "product";
	request.events = events;
	request.n_events = 1;
	Es__AppendItem append = ES__APPEND_ITEM__INIT;
	append.request = &request;
	rpc_mux_request(load->mux, &append.base, TIMEOUT_MS, append_done, load);
}

bool measure_append(struct bench *bench, struct error *err)
{
	/* Only the store is measured: who subscribes to everything rests. */
	if (!shop_process_control(&bench->shop, "stop", "read-model", err) ||
	    !shop_process_control(&bench->shop, "stop", "gateway", err))
		return false;
	double yardstick, rate;
	if (!measure_yardstick(bench, &yardstick, err))
		return error_wrap(err, "yardstick");
	struct mux_load load = { .bench = bench,
		                 .total = bench_scaled(bench, APPENDS),
		                 .in_flight = DEPTH,
		                 .request = append_one };
	load.mux = rpc_mux_create(bench->loop, bench->store, &es__event_store__descriptor,
	                          "AppendStream", DEPTH * 2);
	bool ok = mux_load_run(&load, &rate, err);
	rpc_mux_destroy(load.mux);
	if (!ok)
		return error_wrap(err, "append");
	bench->products += load.total;
	bench_row("yardstick: raw XADD, 128 pipelined", yardstick, "/s", 0, false, "");
	char note[64];
	snprintf(note, sizeof(note), "%.0f %% of the yardstick", rate * 100 / yardstick);
	bench_row("Append over one stream, 128 in flight", rate, "events/s", 60000, false, note);
	return true;
}

static bool read_lag(struct bench *bench, struct arena *arena, uint64_t *lag, struct error *err)
{
	Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
	const ProtobufCMessage *response;
	if (!rpc_unary_wait(bench->model, &rm__read_model__descriptor, "Checkpoints", &request.base,
	                    TIMEOUT_MS, arena, &response, err))
		return false;
	const Rm__CheckpointsResponse *checkpoints = (const Rm__CheckpointsResponse *)response;
	*lag = 0;
	for (size_t i = 0; i < checkpoints->n_checkpoints; i++)
		*lag += checkpoints->checkpoints[i]->lag;
	return true;
}

bool measure_projection(struct bench *bench, struct error *err)
{
	/* From the order to start, so the start of the process is part of it. */
	struct arena *arena = arena_create();
	uint64_t begin = clock_monotonic_us(), end = begin + 120000000, lag = 1;
	bool ok = shop_process_control(&bench->shop, "start", "read-model", err);
	while (ok && lag > 0 && clock_monotonic_us() < end) {
		struct error not_yet;
		if (!read_lag(bench, arena, &lag, &not_yet))
			lag = 1;
		arena_reset(arena);
		bench_wait(bench, POLL_MS);
	}
	uint64_t took_us = clock_monotonic_us() - begin;
	arena_destroy(arena);
	if (!ok)
		return false;
	if (lag > 0)
		return error_set(err, ERR_DEADLINE, "the projection has not caught up in 120 s");
	bench_row("projection of a backlog", (double)bench->products * 1e6 / (double)took_us,
	          "events/s", 100000, false, "with the start of the process");
	return shop_process_control(&bench->shop, "start", "gateway", err);
}
