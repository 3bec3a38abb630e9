#include "gateway/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ROUTES_MAX = 32 };

static const int statuses[] = { 200, 400, 404, 405, 409, 413, 415, 429, 499, 500, 501, 503, 504 };
static const struct {
	uint64_t up_to_us;
	const char *label;
} buckets[] = {
	{ 500, "0.0005" },  { 1000, "0.001" },  { 2000, "0.002" }, { 5000, "0.005" },
	{ 10000, "0.01" },  { 25000, "0.025" }, { 50000, "0.05" }, { 100000, "0.1" },
	{ 250000, "0.25" }, { 1000000, "1" },   { 5000000, "5" },  { UINT64_MAX, "+Inf" },
};

struct row {
	atomic_uint_fast64_t by_status[ARRAY_LEN(statuses)];
	atomic_uint_fast64_t by_bucket[ARRAY_LEN(buckets)];
	atomic_uint_fast64_t sum_us;
};

struct metrics {
	struct row rows[ROUTES_MAX + 1]; /* the last: no route */
};

struct metrics *metrics_create(void)
{
	ASSERT(routes_count <= ROUTES_MAX);
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	ASSERT(metrics != NULL);
	return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
	free(metrics);
}

static void add(atomic_uint_fast64_t *counter, uint64_t amount)
{
	atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* One that is not in the table counts as 500: it should not be. */
static size_t status_index(int status)
{
	size_t fallback = 0;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (statuses[i] == status)
			return i;
		if (statuses[i] == 500)
			fallback = i;
	}
	return fallback;
}

void metrics_count(struct metrics *metrics, const struct route *route, int status,
                   uint64_t duration_us)
{
	struct row *row = &metrics->rows[route != NULL ? route - routes : ROUTES_MAX];
	size_t bucket = 0;
	while (duration_us > buckets[bucket].up_to_us)
		bucket++;
	add(&row->by_status[status_index(status)], 1);
	add(&row->by_bucket[bucket], 1);
	add(&row->sum_us, duration_us);
}

static void write_counts(const struct row *row, const char *method, const char *pattern,
                         struct buffer *out)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		uint64_t count = get(&row->by_status[i]);
		if (count > 0)
			buffer_printf(out,
			              "ordershop_http_requests_total{method=\"%s\",route=\"%s\","
			              "status=\"%d\"} %llu\n",
			              method, pattern, statuses[i], (unsigned long long)count);
	}
}

static void write_histogram(const struct row *row, const char *method, const char *pattern,
                            struct buffer *out)
{
	static const char name[] = "ordershop_http_request_duration_seconds";
	uint64_t total = 0;
	for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
		total += get(&row->by_bucket[i]);
	if (total == 0)
		return;
	uint64_t up_to = 0;
	for (size_t i = 0; i < ARRAY_LEN(buckets); i++) {
		up_to += get(&row->by_bucket[i]);
		/* Counters move meanwhile: the last bucket must equal the count. */
		if (i == ARRAY_LEN(buckets) - 1)
			total = up_to;
		buffer_printf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"%s\"} %llu\n", name,
		              method, pattern, buckets[i].label, (unsigned long long)up_to);
	}
	buffer_printf(out, "%s_sum{method=\"%s\",route=\"%s\"} %.6f\n", name, method, pattern,
	              (double)get(&row->sum_us) / 1e6);
	buffer_printf(out, "%s_count{method=\"%s\",route=\"%s\"} %llu\n", name, method, pattern,
	              (unsigned long long)total);
}

void metrics_write(const struct metrics *metrics, struct buffer *out)
{
	buffer_puts(out, "# HELP ordershop_http_requests_total Requests answered.\n"
	                 "# TYPE ordershop_http_requests_total counter\n");
	for (size_t i = 0; i < routes_count; i++)
		write_counts(&metrics->rows[i], routes[i].method, routes[i].pattern, out);
	write_counts(&metrics->rows[ROUTES_MAX], "", "none", out);
	buffer_puts(out, "# HELP ordershop_http_request_duration_seconds From the whole request to "
	                 "its answer.\n"
	                 "# TYPE ordershop_http_request_duration_seconds histogram\n");
	for (size_t i = 0; i < routes_count; i++)
		write_histogram(&metrics->rows[i], routes[i].method, routes[i].pattern, out);
	write_histogram(&metrics->rows[ROUTES_MAX], "", "none", out);
}
