/* append_bench - events per second through AppendStream, beside raw pipelined XADD.
 *
 *   append_bench [seconds] [items in flight] [bytes of data]
 *
 * Three processes: a private Redis (AOF always), the event store, and this client. */
#include "base/clock.h"
#include "base/id.h"
#include "base/redis.h"
#include "base/rpc_mux.h"
#include "event-store/service.h"
#include "proto/eventstore_v1.pb-c.h"
#include "tests/support/redis_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMEOUT_MS = 10000, ENTITIES = 10000 };

struct bench {
	struct loop *loop;
	struct rpc_mux *mux;
	uint64_t end_us;
	size_t in_flight, waiting, done, failed;
	char *data;
	char prefix[25]; /* of the event ids */
	uint64_t next;
};

static void send_one(struct bench *bench);

static void answered(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct bench *bench = arg;
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	bench->waiting--;
	if (err != NULL || result->error != NULL) {
		if (bench->failed++ == 0)
			fprintf(stderr, "%s\n",
			        err != NULL ? err->message : result->error->message);
	} else {
		bench->done++;
	}
	if (clock_monotonic_us() < bench->end_us)
		send_one(bench);
	else if (bench->waiting == 0)
		loop_stop(bench->loop);
}

static void send_one(struct bench *bench)
{
	char event_id[UUID_SIZE], entity_id[UUID_SIZE];
	Es__NewEvent event = ES__NEW_EVENT__INIT, *events = &event;
	Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
	Es__AppendItem item = ES__APPEND_ITEM__INIT;
	unsigned long long n = (unsigned long long)bench->next++;
	snprintf(event_id, sizeof(event_id), "%.24s%012llx", bench->prefix, n);
	snprintf(entity_id, sizeof(entity_id), "%.24s%012llx", bench->prefix, n % ENTITIES);
	event.event_id = event_id;
	event.event_action = "entity_updated";
	event.event_type = "Updated";
	event.event_data = bench->data;
	event.entity_id = entity_id;
	event.expect = ES__EXPECT__EXPECT_EXACT;
	event.expected_version = n / ENTITIES;
	event.metadata = "{\"correlation_id\":\"8b1f4c4e-55a3-4c0e-9a51-52c51d3c4d8e\"}";
	request.topic = "bench";
	request.events = &events;
	request.n_events = 1;
	item.request = &request;
	bench->waiting++;
	rpc_mux_request(bench->mux, &item.base, TIMEOUT_MS, answered, bench);
}

static double cpu_s(int who)
{
	struct rusage usage;
	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double redis_cpu_s(struct redis_fixture *redis)
{
	static const char *const fields[] = { "used_cpu_user:", "used_cpu_sys:" };
	const char *words[] = { "INFO", "cpu" };
	char *text = redis_fixture_command(redis, words, 2);
	double sum = 0;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *at = strstr(text, fields[i]);
		sum += at != NULL ? atof(at + strlen(fields[i])) : 0;
	}
	free(text);
	return sum;
}

/* Serves until it is killed. */
static void serve(const char *url, int ready)
{
	struct error err;
	const char *listen = "127.0.0.1:0";
	struct event_store_options options = { url, &listen, 1 };
	struct event_store *store;
	struct loop *loop = loop_create();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!event_store_serve(loop, &options, &store, &err)) {
		fprintf(stderr, "%s\n", err.message);
		_exit(1);
	}
	int port = event_store_port(store);
	if (write(ready, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	loop_run(loop);
}

struct raw {
	struct redis *redis;
	struct redis_command command;
	struct loop *loop;
	uint64_t end_us;
	size_t waiting, done;
};

static void raw_send(struct raw *raw);

static void raw_done(void *arg, const struct redis_value *value, const struct error *err)
{
	struct raw *raw = arg;
	(void)value;
	(void)err;
	raw->waiting--;
	raw->done++;
	if (clock_monotonic_us() < raw->end_us)
		raw_send(raw);
	else if (raw->waiting == 0)
		loop_stop(raw->loop);
}

static void raw_send(struct raw *raw)
{
	raw->waiting++;
	redis_queue(raw->redis, &raw->command, raw_done, raw);
}

static double raw_xadd(const char *url, const char *data, size_t depth, double seconds)
{
	struct raw raw = { .loop = loop_create() };
	struct error err;
	const char *words[] = { "XADD",
		                "raw",
		                "*",
		                "event_id",
		                "8b1f4c4e-55a3-4c0e-9a51-52c51d3c4d8e",
		                "event_action",
		                "entity_updated",
		                "event_data",
		                data,
		                "event_type",
		                "Updated",
		                "entity_id",
		                "8b1f4c4e-55a3-4c0e-9a51-52c51d3c4d8e",
		                "entity_version",
		                "1",
		                "metadata",
		                "{}" };
	if (!redis_create(raw.loop, url, NULL, 0, TIMEOUT_MS, &raw.redis, &err))
		exit(1);
	redis_command_init(&raw.command);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		redis_arg(&raw.command, words[i]);
	uint64_t start = clock_monotonic_us();
	raw.end_us = start + (uint64_t)(seconds * 1e6);
	for (size_t i = 0; i < depth; i++)
		raw_send(&raw);
	loop_run(raw.loop);
	double rate = (double)raw.done * 1e6 / (double)(clock_monotonic_us() - start);
	redis_command_free(&raw.command);
	redis_destroy(raw.redis);
	loop_destroy(raw.loop);
	return rate;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	struct bench bench = { .in_flight = argc > 2 ? (size_t)atol(argv[2]) : 128 };
	size_t size = argc > 3 ? (size_t)atol(argv[3]) : 200;
	struct redis_fixture redis;
	int ready[2], port;
	redis_fixture_start(&redis, REDIS_FIXTURE_ALWAYS);
	if (pipe(ready) != 0)
		return 1;
	pid_t child = fork();
	if (child == 0) {
		serve(redis.url, ready[1]);
		_exit(0);
	}
	if (read(ready[0], &port, sizeof(port)) != sizeof(port))
		return 1;
	bench.data = calloc(1, size + 16);
	memset(bench.data, 'x', size);
	memcpy(bench.data, "{\"x\":\"", 6);
	memcpy(bench.data + size - 2, "\"}", 3);
	char uuid[UUID_SIZE], target[64];
	uuid_v4(uuid);
	memcpy(bench.prefix, uuid, 24);
	snprintf(target, sizeof(target), "127.0.0.1:%d", port);

	printf("raw XADD, %zu in flight      %10.0f events/s\n", bench.in_flight,
	       raw_xadd(redis.url, bench.data, bench.in_flight, seconds / 2));
	bench.loop = loop_create();
	struct rpc_channel *channel = rpc_channel_create(bench.loop, target);
	bench.mux = rpc_mux_create(bench.loop, channel, &es__event_store__descriptor,
	                           "AppendStream", bench.in_flight * 2);
	uint64_t start = clock_monotonic_us();
	double cpu = cpu_s(RUSAGE_SELF), redis_before = redis_cpu_s(&redis);
	bench.end_us = start + (uint64_t)(seconds * 1e6);
	for (size_t i = 0; i < bench.in_flight; i++)
		send_one(&bench);
	loop_run(bench.loop);
	double took = (double)(clock_monotonic_us() - start) / 1e6;
	printf("AppendStream, %zu in flight  %10.0f events/s, %zu failed\n", bench.in_flight,
	       (double)bench.done / took, bench.failed);
	printf("client processor time        %10.2f us/event\n",
	       (cpu_s(RUSAGE_SELF) - cpu) * 1e6 / (double)bench.done);
	printf("redis processor time         %10.2f us/event\n",
	       (redis_cpu_s(&redis) - redis_before) * 1e6 / (double)bench.done);
	rpc_mux_destroy(bench.mux);
	rpc_channel_destroy(channel);
	loop_destroy(bench.loop);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("store processor time         %10.2f us/event\n",
	       cpu_s(RUSAGE_CHILDREN) * 1e6 / (double)bench.done);
	redis_fixture_destroy(&redis);
	return 0;
}
