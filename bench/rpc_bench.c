/* rpc_bench.c - what one hop costs: a server and a client, a process and a thread each.
 *
 * `rpc_bench [SECONDS [WAY]]` prints one line per way of asking: unary, mux or events. */
#include "base/clock.h"
#include "base/rpc_client.h"
#include "base/rpc_mux.h"
#include "base/rpc_server.h"
#include "proto/eventstore_v1.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 4096, TIMEOUT_MS = 10000, EVENTS_PER_MESSAGE = 64 };

/* ---- the server ---- */

static void answer_topics(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	Es__TopicsResponse response = ES__TOPICS_RESPONSE__INIT;
	rpc_reply(call, &response.base);
}

static void answer_items(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReadEntityStreamRequest *request = (const Es__ReadEntityStreamRequest *)message;
	struct arena *arena = ctx;
	Es__ReadEntityStreamResponse response = ES__READ_ENTITY_STREAM_RESPONSE__INIT;
	response.n_items = request->n_items;
	response.items = arena_alloc(arena, request->n_items * sizeof(*response.items));
	for (size_t i = 0; i < request->n_items; i++) {
		response.items[i] = arena_alloc(arena, sizeof(*response.items[i]));
		es__read_entity_result__init(response.items[i]);
		response.items[i]->tag = request->items[i]->tag;
	}
	rpc_send(call, &response.base);
	arena_reset(arena);
}

static void push(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	Es__Event event = ES__EVENT__INIT, *events[EVENTS_PER_MESSAGE];
	Es__SubscribeResponse response = ES__SUBSCRIBE_RESPONSE__INIT;
	event.topic = "order";
	event.entry_id = "1700000000000-0";
	event.event_id = "2f1e5c2e-6b1c-4a56-9a52-0c7d3c8e9f10";
	event.event_data = "{\"entity_id\": \"2f1e5c2e-6b1c-4a56-9a52-0c7d3c8e9f10\"}";
	for (size_t i = 0; i < EVENTS_PER_MESSAGE; i++)
		events[i] = &event;
	response.n_events = EVENTS_PER_MESSAGE;
	response.events = events;
	while (rpc_queued_bytes(call) < 256 * 1024)
		rpc_send(call, &response.base);
}

static void push_first(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)message;
	push(ctx, call);
}

static const struct rpc_method methods[] = {
	{ .name = "Append" },
	{ .name = "AppendStream", .kind = RPC_BIDI_STREAM },
	{ .name = "Read", .kind = RPC_SERVER_STREAM },
	{ .name = "ReadEntity" },
	{ .name = "ReadEntityStream", .kind = RPC_BIDI_STREAM, .message = answer_items },
	{ .name = "Subscribe", .kind = RPC_SERVER_STREAM, .message = push_first, .drained = push },
	{ .name = "Consume", .kind = RPC_BIDI_STREAM },
	{ .name = "Topics", .message = answer_topics },
};

/* In a process of its own; writes the TCP port to `ready`. */
static void serve(const char *path, int ready)
{
	struct arena *arena = arena_create();
	struct loop *loop = loop_create();
	struct rpc_server *server = rpc_server_create(loop);
	struct error err;
	int port = 0;
	rpc_server_add(server, &es__event_store__descriptor, methods, ARRAY_LEN(methods), arena);
	if (!rpc_server_listen(server, path, NULL, &err) ||
	    !rpc_server_listen(server, "127.0.0.1:0", &port, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(EXIT_FAILURE);
	}
	rpc_server_start(server);
	if (write(ready, &port, sizeof(port)) != sizeof(port))
		exit(EXIT_FAILURE);
	loop_run(loop); /* until killed */
}

/* ---- the client ---- */

struct work {
	const char *name;
	unsigned in_flight;
	void (*ask)(struct work *work);
	struct loop *loop;
	struct rpc_channel *channel;
	struct rpc_mux *mux;
	uint64_t answers;
	uint64_t until_us;
	unsigned waiting;
	bool failed;
};

static void answered(void *arg, const ProtobufCMessage *response, const struct error *err)
{
	struct work *work = arg;
	(void)response;
	work->waiting--;
	work->answers++;
	if (err != NULL) {
		fprintf(stderr, "%s: %s\n", work->name, err->message);
		work->failed = true;
	}
	if (!work->failed && clock_monotonic_us() < work->until_us)
		work->ask(work);
	else if (work->waiting == 0)
		loop_stop(work->loop);
}

static void ask_unary(struct work *work)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	work->waiting++;
	rpc_unary(work->channel, &es__event_store__descriptor, "Topics", &request.base, TIMEOUT_MS,
	          answered, work);
}

static void ask_mux(struct work *work)
{
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	item.topic = "order";
	item.entity_id = "2f1e5c2e-6b1c-4a56-9a52-0c7d3c8e9f10";
	work->waiting++;
	rpc_mux_request(work->mux, &item.base, TIMEOUT_MS, answered, work);
}

static void on_events(void *arg, const ProtobufCMessage *response)
{
	struct work *work = arg;
	work->answers += ((const Es__SubscribeResponse *)response)->n_events;
	if (clock_monotonic_us() > work->until_us)
		loop_stop(work->loop);
}

static void ask_stream(struct work *work)
{
	static const struct rpc_stream_events events = { .message = on_events };
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	struct rpc_stream *stream = rpc_stream_open(work->channel, &es__event_store__descriptor,
	                                            "Subscribe", &events, work);
	rpc_stream_send(stream, &request.base);
	rpc_stream_end_sends(stream);
}

static double cpu_us(pid_t process)
{
	clockid_t clock;
	struct timespec used = { 0 };
	if (clock_getcpuclockid(process, &clock) == 0)
		clock_gettime(clock, &used);
	return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static void measure(struct work work, pid_t server, const char *target, double seconds)
{
	work.loop = loop_create();
	work.channel = rpc_channel_create(work.loop, target);
	work.mux = rpc_mux_create(work.loop, work.channel, &es__event_store__descriptor,
	                          "ReadEntityStream", IN_FLIGHT_MAX);
	double server_us = cpu_us(server), client_us = cpu_us(getpid());
	uint64_t start_us = clock_monotonic_us();
	work.until_us = start_us + (uint64_t)(seconds * 1e6);
	for (unsigned i = 0; i < work.in_flight; i++)
		work.ask(&work);
	loop_run(work.loop);
	double took = (double)(clock_monotonic_us() - start_us) / 1e6;
	server_us = cpu_us(server) - server_us;
	client_us = cpu_us(getpid()) - client_us;
	double answers = (double)work.answers;
	printf("%-6s %-4.4s %5u in flight %9.0f /s  CPU us: client %5.2f server %5.2f\n", work.name,
	       target, work.in_flight, answers / took, client_us / answers, server_us / answers);
	fflush(stdout);
	rpc_mux_destroy(work.mux);
	rpc_channel_destroy(work.channel);
	loop_destroy(work.loop);
}

int main(int argc, char **argv)
{
	static const struct work works[] = {
		{ .name = "unary", .in_flight = 1, .ask = ask_unary },
		{ .name = "unary", .in_flight = 128, .ask = ask_unary },
		{ .name = "mux", .in_flight = 1, .ask = ask_mux },
		{ .name = "mux", .in_flight = 128, .ask = ask_mux },
		{ .name = "mux", .in_flight = 1024, .ask = ask_mux },
		{ .name = "events", .in_flight = 1, .ask = ask_stream },
	};
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	char tcp[32], path[64];
	int ready[2], port;
	snprintf(path, sizeof(path), "unix:/tmp/rpc_bench.%d", (int)getpid());
	if (pipe(ready) != 0)
		return EXIT_FAILURE;
	pid_t server = fork();
	if (server == 0)
		serve(path, ready[1]);
	if (server < 0 || read(ready[0], &port, sizeof(port)) != sizeof(port))
		return EXIT_FAILURE;
	snprintf(tcp, sizeof(tcp), "127.0.0.1:%d", port);
	for (size_t i = 0; i < ARRAY_LEN(works); i++) {
		if (argc > 2 && strcmp(argv[2], works[i].name) != 0)
			continue;
		measure(works[i], server, path, seconds);
		measure(works[i], server, tcp, seconds);
	}
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	unlink(path + strlen("unix:"));
	return EXIT_SUCCESS;
}
