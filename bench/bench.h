/* bench.h - `ordershop bench`: one table of what this build does on this machine.
 *
 * The order of the measurements matters: the idle ones run on a small shop, then the log is filled
 * with products (which no saga reacts to), projected, and the loads run on the large shop. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "bench/http_load.h"
#include "bench/shop_process.h"

#include "base/rpc_mux.h"

struct bench {
	struct shop_process shop;
	struct loop *loop;
	struct rpc_channel *store, *queue, *model;
	unsigned percent;  /* size of the measurements, 100: full */
	uint64_t products; /* in the log */
};

/* One row. `value` in `unit`; `at_least` (or, when `at_most`, at most) is what was promised. */
void bench_row(const char *work, double value, const char *unit, double limit, bool at_most,
               const char *note);
uint64_t bench_scaled(const struct bench *bench, uint64_t count);
/* Runs the loop for so long, so that its channels go on connecting. */
void bench_wait(struct bench *bench, unsigned wait_ms);
/* Waits until queues are empty and the read model is up to date. */
MUST_USE bool bench_settle(struct bench *bench, struct error *err);
/* A UUID that is unique within this run, cheap to make. */
void bench_uuid(char out[37]);

/* Keeps `in_flight` requests under way on a mux until `total` are answered. */
struct mux_load {
	struct bench *bench;
	struct rpc_mux *mux;
	uint64_t total;
	unsigned in_flight;
	/* Makes one request with rpc_mux_request(..., mux_load_done, load). */
	void (*request)(struct mux_load *load, uint64_t index);
	uint64_t started, finished, failures;
	struct error first_failure;
};
void mux_load_done(void *arg, const ProtobufCMessage *item, const struct error *err);
void mux_load_failed(struct mux_load *load, const char *message);
/* Requests per second; fails when one request did. */
MUST_USE bool mux_load_run(struct mux_load *load, double *per_second, struct error *err);

/* measure_store.c */
MUST_USE bool measure_append(struct bench *bench, struct error *err);
MUST_USE bool measure_projection(struct bench *bench, struct error *err);
/* measure_rebuild.c */
MUST_USE bool measure_rebuild(struct bench *bench, struct error *err);
MUST_USE bool measure_rebuild_distinct(struct bench *bench, struct error *err);
/* measure_queue.c */
MUST_USE bool measure_queue(struct bench *bench, struct error *err);
/* measure_rest.c */
MUST_USE bool measure_rest_idle(struct bench *bench, struct error *err);
MUST_USE bool measure_rest_load(struct bench *bench, struct error *err);
MUST_USE bool measure_order_visible(struct bench *bench, const char *work, struct error *err);
/* measure_orders.c */
MUST_USE bool measure_orders(struct bench *bench, struct error *err);

/* measure_history.c */
MUST_USE bool measure_simulator(struct bench *bench, struct error *err);
MUST_USE bool measure_generate(struct bench *bench, struct error *err);
MUST_USE bool measure_replay(struct bench *bench, struct error *err);

#define BENCH_PARTS                                                                                \
	"memory, post, visible, store, rest, queue, orders, rebuild, rebuild_distinct, "           \
	"simulator, generate, replay"
bool bench_part(const char *name);
/* Measures one part, or everything if `only` is "". The process's exit code. */
int bench_run(unsigned percent, const char *only);

#endif
