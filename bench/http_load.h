/* http_load.h - closed-loop HTTP/1.1 load: each connection sends its next request when the answer
 * to the last is there. One thread, epoll, a few microseconds per request, so that the server and
 * not the generator is measured. */
#ifndef BENCH_HTTP_LOAD_H
#define BENCH_HTTP_LOAD_H

#include "base/buffer.h"

struct http_load {
	int port;
	unsigned connections;
	uint64_t requests; /* of all connections together */
	/* Appends the whole request number `index` to `out`. */
	void (*request)(void *ctx, uint64_t index, struct buffer *out);
	/* May be NULL. The body lives during the call. */
	void (*answer)(void *ctx, uint64_t index, const char *body, size_t len);
	void *ctx;
};

struct load_result {
	uint64_t count;
	uint64_t failures; /* answers that are not 200 */
	double seconds;
	double p50_us;
	double p99_us;
};

MUST_USE bool http_load_run(const struct http_load *load, struct load_result *result,
                            struct error *err);

/* Sorts `latencies_us` and fills the percentiles. */
void load_percentiles(struct load_result *result, uint32_t *latencies_us, size_t count);

#endif
