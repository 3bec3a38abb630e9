/* metrics.h - what the gateway counts, in Prometheus's text format. Counting is free of locks. */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "base/buffer.h"
#include "gateway/routes.h"

struct metrics;

struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics); /* NULL is fine */
/* From any thread. `route` NULL: none was found. */
void metrics_count(struct metrics *metrics, const struct route *route, int status,
                   uint64_t duration_us);
/* Requests by route and status, and the latency histogram. */
void metrics_write(const struct metrics *metrics, struct buffer *out);

#endif
