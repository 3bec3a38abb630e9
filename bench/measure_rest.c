/* The gateway: reads and writes of one entity, alone and with many connections. */
#include "bench/bench.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GETS = 300000, POSTS = 60000, SINGLE = 2000, ORDERS = 300, CONNECTIONS = 64, ID_LEN = 36 };
enum { POLLS_MAX = 20000 };

static void put_request(struct buffer *out, const char *method, const char *path, const char *body)
{
	buffer_printf(out, "%s %s HTTP/1.1\r\nHost: bench\r\n", method, path);
	if (body != NULL)
		buffer_printf(out,
		              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		              strlen(body), body);
	else
		buffer_puts(out, "\r\n");
}

static void post_customer(void *ctx, uint64_t index, struct buffer *out)
{
	char body[160];
	(void)ctx;
	snprintf(body, sizeof(body), "{\"name\":\"Customer %llu\",\"email\":\"c%llu@example.com\"}",
	         (unsigned long long)index, (unsigned long long)index);
	put_request(out, "POST", "/customer", body);
}

/* One request on a connection of its own; its answer's body in `answer`. */
struct single {
	const char *method, *path, *body;
	char answer[8192];
};

static void single_request(void *ctx, uint64_t index, struct buffer *out)
{
	const struct single *single = ctx;
	(void)index;
	put_request(out, single->method, single->path, single->body);
}

static void single_answer(void *ctx, uint64_t index, const char *body, size_t len)
{
	struct single *single = ctx;
	(void)index;
	snprintf(single->answer, sizeof(single->answer), "%.*s", (int)len, body);
}

static bool request_one(struct bench *bench, struct single *single, struct error *err)
{
	struct load_result result;
	struct http_load load = { .port = bench->shop.rest_port,
		                  .connections = 1,
		                  .requests = 1,
		                  .request = single_request,
		                  .answer = single_answer,
		                  .ctx = single };
	single->answer[0] = '\0';
	if (!http_load_run(&load, &result, err))
		return error_wrap(err, "%s %s", single->method, single->path);
	if (result.failures > 0)
		return error_set(err, ERR_INTERNAL, "%s %s: %.150s", single->method, single->path,
		                 single->answer);
	return true;
}

/* Creates one entity; its id in `id`. */
static bool create(struct bench *bench, const char *path, const char *body, char id[ID_LEN + 1],
                   struct error *err)
{
	struct single single = { "POST", path, body, "" };
	if (!request_one(bench, &single, err))
		return false;
	if (sscanf(single.answer, "{\"result\":[\"%36[0-9a-f-]", id) != 1 &&
	    sscanf(single.answer, "{\"result\": [\"%36[0-9a-f-]", id) != 1)
		return error_set(err, ERR_INTERNAL, "%s: no id in %.100s", path, single.answer);
	return true;
}

static bool load_row(struct bench *bench, const struct http_load *load, struct load_result *result,
                     struct error *err)
{
	(void)bench;
	if (!http_load_run(load, result, err))
		return false;
	if (result->failures > 0)
		return error_set(err, ERR_INTERNAL, "%llu of %llu answers were not 200",
		                 (unsigned long long)result->failures,
		                 (unsigned long long)result->count);
	return true;
}

bool measure_rest_idle(struct bench *bench, struct error *err)
{
	struct load_result result;
	struct http_load load = { .port = bench->shop.rest_port,
		                  .connections = 1,
		                  .requests = bench_scaled(bench, SINGLE),
		                  .request = post_customer };
	if (!load_row(bench, &load, &result, err))
		return error_wrap(err, "POST /customer");
	char note[64];
	snprintf(note, sizeof(note), "p50; p99 %.2f ms", result.p99_us / 1000);
	bench_row("REST POST of a customer, 1 connection", result.p50_us / 1000, "ms", 1.5, true,
	          note);
	return true;
}

static void get_entity(void *ctx, uint64_t index, struct buffer *out)
{
	(void)index;
	put_request(out, "GET", ctx, NULL);
}

bool measure_rest_load(struct bench *bench, struct error *err)
{
	char id[ID_LEN + 1], path[64], note[96];
	struct load_result result;
	if (!create(bench, "/customer", "{\"name\":\"read\",\"email\":\"r@example.com\"}", id, err))
		return false;
	snprintf(path, sizeof(path), "/customer/%s", id);
	struct http_load gets = { .port = bench->shop.rest_port,
		                  .connections = CONNECTIONS,
		                  .requests = bench_scaled(bench, GETS),
		                  .request = get_entity,
		                  .ctx = path };
	if (!load_row(bench, &gets, &result, err))
		return error_wrap(err, "GET");
	snprintf(note, sizeof(note), "p50 %.2f ms, p99 %.2f ms", result.p50_us / 1000,
	         result.p99_us / 1000);
	bench_row("REST GET of one entity, 64 connections", (double)result.count / result.seconds,
	          "/s", 50000, false, note);

	struct http_load posts = { .port = bench->shop.rest_port,
		                   .connections = CONNECTIONS,
		                   .requests = bench_scaled(bench, POSTS),
		                   .request = post_customer };
	if (!load_row(bench, &posts, &result, err))
		return error_wrap(err, "POST");
	snprintf(note, sizeof(note), "p50 %.2f ms, p99 %.2f ms", result.p50_us / 1000,
	         result.p99_us / 1000);
	double rate = (double)result.count / result.seconds;
	uint64_t begin = clock_monotonic_us();
	if (!bench_settle(bench, err))
		return false;
	double rest_s = (double)(clock_monotonic_us() - begin) / 1e6;
	bench_row("REST POST of a customer, 64 connections", rate, "/s", 20000, false, note);
	bench_row("the same until every mail is sent and projected",
	          (double)result.count / (result.seconds + rest_s), "/s", 0, false, "");
	return true;
}

bool measure_order_visible(struct bench *bench, const char *work, struct error *err)
{
	char customer[ID_LEN + 1], product[ID_LEN + 1], cart[ID_LEN + 1], order[ID_LEN + 1];
	char body[256], path[64];
	if (!create(bench, "/customer", "{\"name\":\"o\",\"email\":\"o@example.com\"}", customer,
	            err) ||
	    !create(bench, "/product", "{\"name\":\"o\",\"price\":100}", product, err))
		return false;
	snprintf(body, sizeof(body), "{\"product_id\":\"%s\",\"amount\":1000000}", product);
	if (!create(bench, "/inventory", body, cart, err))
		return false;
	size_t count = bench_scaled(bench, ORDERS);
	uint32_t *latencies_us = calloc(count, sizeof(*latencies_us));
	ASSERT(latencies_us != NULL);
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		snprintf(body, sizeof(body), "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}",
		         customer, product);
		ok = create(bench, "/cart", body, cart, err);
		snprintf(body, sizeof(body), "{\"cart_id\":\"%s\"}", cart);
		uint64_t begin = clock_monotonic_us();
		ok = ok && create(bench, "/order", body, order, err);
		snprintf(path, sizeof(path), "/order/%s", order);
		struct single get = { "GET", path, NULL, "" };
		for (unsigned polls = 0; ok && strstr(get.answer, "IN_STOCK") == NULL; polls++) {
			ok = request_one(bench, &get, err);
			if (ok && polls == POLLS_MAX)
				ok =
				    error_set(err, ERR_DEADLINE, "order %s is not IN_STOCK", order);
		}
		latencies_us[i] = (uint32_t)(clock_monotonic_us() - begin);
	}
	struct load_result result = { 0 };
	load_percentiles(&result, latencies_us, count);
	free(latencies_us);
	if (!ok)
		return error_wrap(err, "order");
	char note[64];
	snprintf(note, sizeof(note), "p50; p99 %.2f ms", result.p99_us / 1000);
	bench_row(work, result.p50_us / 1000, "ms", 5, true, note);
	return true;
}
