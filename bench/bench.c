#include "bench/bench.h"

#include "base/clock.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SETTLE_TIMEOUT_S = 300, QUIET_MS = 100, UNARY_TIMEOUT_MS = 10000 };

void bench_row(const char *work, double value, const char *unit, double limit, bool at_most,
               const char *note)
{
	char promised[64] = "";
	const char *verdict = "";
	if (limit > 0) {
		bool met = at_most ? value <= limit : value >= limit;
		snprintf(promised, sizeof(promised), "%s %'.*f", at_most ? "at most" : "at least",
		         limit < 10 ? 1 : 0, limit);
		verdict = met ? "met" : "MISSED";
	}
	printf("| %-58s | %'10.*f %-8s | %-17s | %-6s | %s\n", work, value < 10 ? 2 : 0, value,
	       unit, promised, verdict, note);
	fflush(stdout);
}

uint64_t bench_scaled(const struct bench *bench, uint64_t count)
{
	uint64_t scaled = count * bench->percent / 100;
	return scaled > 0 ? scaled : 1;
}

void bench_uuid(char out[37])
{
	static uint64_t counter;
	counter++;
	snprintf(out, 37, "%08x-%04x-4000-8000-%012llx", (unsigned)getpid(), 0xbe4cU,
	         (unsigned long long)counter);
}

struct wait {
	struct loop *loop;
	bool over;
};

static void wait_over(void *arg)
{
	struct wait *wait = arg;
	wait->over = true;
	loop_stop(wait->loop);
}

void bench_wait(struct bench *bench, unsigned wait_ms)
{
	struct loop_timer timer = { 0 };
	struct wait wait = { .loop = bench->loop };
	loop_timer_start(bench->loop, &timer, wait_ms, wait_over, &wait);
	while (!wait.over)
		loop_run(bench->loop);
}

static bool settled(struct bench *bench, struct arena *arena, bool *answer, struct error *err)
{
	const ProtobufCMessage *response;
	Rm__CheckpointsRequest checkpoints = RM__CHECKPOINTS_REQUEST__INIT;
	if (!rpc_unary_wait(bench->model, &rm__read_model__descriptor, "Checkpoints",
	                    &checkpoints.base, UNARY_TIMEOUT_MS, arena, &response, err))
		return error_wrap(err, "Checkpoints");
	uint64_t waiting = 0;
	const Rm__CheckpointsResponse *model = (const Rm__CheckpointsResponse *)response;
	for (size_t i = 0; i < model->n_checkpoints; i++)
		waiting += model->checkpoints[i]->lag;
	Mq__QueuesRequest queues = MQ__QUEUES_REQUEST__INIT;
	if (!rpc_unary_wait(bench->queue, &mq__message_queue__descriptor, "Queues", &queues.base,
	                    UNARY_TIMEOUT_MS, arena, &response, err))
		return error_wrap(err, "Queues");
	const Mq__QueuesResponse *all = (const Mq__QueuesResponse *)response;
	for (size_t i = 0; i < all->n_queues; i++)
		waiting += all->queues[i]->depth + all->queues[i]->in_flight;
	*answer = waiting == 0;
	return true;
}

bool bench_settle(struct bench *bench, struct error *err)
{
	struct arena *arena = arena_create();
	uint64_t end = clock_monotonic_us() + SETTLE_TIMEOUT_S * 1000000ULL;
	bool ok = true;
	/* Three quiet looks in a row: sagas rest for moments between two steps. */
	for (unsigned quiet = 0; ok && quiet < 3;) {
		bool now = false;
		ok = settled(bench, arena, &now, err);
		quiet = now ? quiet + 1 : 0;
		if (ok && clock_monotonic_us() > end)
			ok = error_set(err, ERR_DEADLINE, "the shop is not at rest after %d s",
			               SETTLE_TIMEOUT_S);
		arena_reset(arena);
		bench_wait(bench, QUIET_MS);
	}
	arena_destroy(arena);
	return ok;
}

void mux_load_failed(struct mux_load *load, const char *message)
{
	if (load->failures++ == 0)
		error_set(&load->first_failure, ERR_INTERNAL, "%s", message);
}

static void fill(struct mux_load *load)
{
	while (load->started < load->total && load->started - load->finished < load->in_flight)
		load->request(load, load->started++);
}

void mux_load_done(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct mux_load *load = arg;
	(void)item;
	if (err != NULL)
		mux_load_failed(load, err->message);
	load->finished++;
	fill(load);
	if (load->finished == load->total)
		loop_stop(load->bench->loop);
}

bool mux_load_run(struct mux_load *load, double *per_second, struct error *err)
{
	uint64_t begin = clock_monotonic_us();
	fill(load);
	while (load->finished < load->total)
		loop_run(load->bench->loop);
	*per_second = (double)load->total * 1e6 / (double)(clock_monotonic_us() - begin);
	if (load->failures > 0) {
		*err = load->first_failure;
		return error_wrap(err, "%llu of %llu failed", (unsigned long long)load->failures,
		                  (unsigned long long)load->total);
	}
	return true;
}

static bool measure_memory(struct bench *bench, const char *work, double limit, struct error *err)
{
	(void)err;
	bench_row(work, shop_process_memory_mib(&bench->shop), "MiB", limit, true,
	          "resident, all processes but redis-server");
	return true;
}

static bool measure_memory_idle(struct bench *bench, struct error *err)
{
	return measure_memory(bench, "resident memory, idle", 150, err);
}

static bool measure_memory_loaded(struct bench *bench, struct error *err)
{
	return measure_memory(bench, "resident memory after the load", 250, err);
}

static bool measure_visible_idle(struct bench *bench, struct error *err)
{
	return measure_order_visible(bench, "POST /order to IN_STOCK visible, idle", err);
}

static bool measure_visible_large(struct bench *bench, struct error *err)
{
	return measure_order_visible(bench, "the same with more than 100,000 entities", err);
}

static bool measure_store(struct bench *bench, struct error *err)
{
	return measure_append(bench, err) && measure_projection(bench, err);
}

/* In this order; the shop comes to rest after each. */
static const struct {
	const char *part;
	bool (*run)(struct bench *bench, struct error *err);
} parts[] = {
	{ "memory", measure_memory_idle },
	{ "post", measure_rest_idle },
	{ "visible", measure_visible_idle },
	{ "store", measure_store },
	{ "rest", measure_rest_load },
	{ "queue", measure_queue },
	{ "orders", measure_orders },
	{ "visible", measure_visible_large },
	{ "memory", measure_memory_loaded },
	{ "rebuild", measure_rebuild },
	{ "rebuild_distinct", measure_rebuild_distinct },
	{ "simulator", measure_simulator },
	{ "generate", measure_generate },
	{ "replay", measure_replay },
};

static bool measure_all(struct bench *bench, const char *only, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		bool wanted = only[0] == '\0' || strcmp(only, parts[i].part) == 0;
		if (wanted && !(parts[i].run(bench, err) && bench_settle(bench, err)))
			return false;
	}
	return true;
}

bool bench_part(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcmp(name, parts[i].part) == 0)
			return true;
	}
	return false;
}

static void open_channels(struct bench *bench)
{
	char target[64];
	bench->loop = loop_create();
	snprintf(target, sizeof(target), "127.0.0.1:%d", bench->shop.store_port);
	bench->store = rpc_channel_create(bench->loop, target);
	snprintf(target, sizeof(target), "127.0.0.1:%d", bench->shop.queue_port);
	bench->queue = rpc_channel_create(bench->loop, target);
	snprintf(target, sizeof(target), "127.0.0.1:%d", bench->shop.model_port);
	bench->model = rpc_channel_create(bench->loop, target);
}

int bench_run(unsigned percent, const char *only)
{
	struct bench bench = { .percent = percent };
	struct error err;
	if (!shop_process_start(&bench.shop, &err)) {
		fprintf(stderr, "ordershop bench: %s\n", err.message);
		return 1;
	}
	printf("| %-58s | %-19s | %-17s | %-6s | %s\n", "work", "measured", "promised", "",
	       "notes");
	printf("|%s|%s|%s|%s|---\n", "------------------------------------------------------------",
	       "---------------------", "-------------------", "--------");
	sleep(2);
	open_channels(&bench);
	bool ok = measure_all(&bench, only, &err);
	if (!ok)
		fprintf(stderr, "ordershop bench: %s\n", err.message);
	rpc_channel_destroy(bench.store);
	rpc_channel_destroy(bench.queue);
	rpc_channel_destroy(bench.model);
	loop_destroy(bench.loop);
	shop_process_stop(&bench.shop);
	return ok ? 0 : 1;
}
