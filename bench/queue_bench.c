/* The queue alone: a caller and an echo consumer in one process against a queue in another.
 *
 *   queue_bench serve unix:///tmp/redis.sock 127.0.0.1:50052
 *   queue_bench load 127.0.0.1:50052 128 500000 */
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/rpc_mux.h"
#include "message-queue/service.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
	struct loop *loop;
	struct rpc_channel *channel;
	struct loop_timer again;
	struct rpc_stream *consumer;
	struct rpc_mux *mux;
	uint64_t total, started, finished, failures;
	uint64_t *took_us;
	char prefix[UUID_SIZE];
};
struct request {
	struct load *load;
	uint64_t started_us;
};

static void echo(void *arg, const ProtobufCMessage *response)
{
	struct load *load = arg;
	const Mq__ConsumeResponse *deliveries = (const Mq__ConsumeResponse *)response;
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	Mq__Settle **settles = calloc(deliveries->n_deliveries, sizeof(*settles));
	Mq__Settle *memory = calloc(deliveries->n_deliveries, sizeof(*memory));
	Mq__Result *results = calloc(deliveries->n_deliveries, sizeof(*results));
	ASSERT(settles != NULL && memory != NULL && results != NULL);
	for (size_t i = 0; i < deliveries->n_deliveries; i++) {
		memory[i] = (Mq__Settle)MQ__SETTLE__INIT;
		results[i] = (Mq__Result)MQ__RESULT__INIT;
		results[i].result = deliveries->deliveries[i]->message->payload;
		memory[i].message_id = deliveries->deliveries[i]->message->message_id;
		memory[i].function = "echo";
		memory[i].result = &results[i];
		settles[i] = &memory[i];
	}
	request.settles = settles;
	request.n_settles = deliveries->n_deliveries;
	rpc_stream_send(load->consumer, &request.base);
	free(settles);
	free(memory);
	free(results);
}

static void consume(void *arg);

/* The queue may be killed and started again under load: nothing is lost. */
static void closed(void *arg, const struct error *err)
{
	struct load *load = arg;
	if (load->finished == load->total)
		return;
	fprintf(stderr, "consumer: %s\n", err != NULL ? err->message : "closed");
	loop_timer_start(load->loop, &load->again, 100, consume, load);
}

static void consume(void *arg)
{
	static const struct rpc_stream_events events = { echo, closed };
	struct load *load = arg;
	load->consumer = rpc_stream_open(load->channel, &mq__message_queue__descriptor, "Consume",
	                                 &events, load);
	const char *function = "echo";
	Mq__ConsumeStart begin = MQ__CONSUME_START__INIT;
	begin.service = "bench";
	begin.functions = &function;
	begin.n_functions = 1;
	begin.credits = 1024;
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	request.start = &begin;
	rpc_stream_send(load->consumer, &request.base);
}

static void answered(void *arg, const ProtobufCMessage *item, const struct error *err);

static void start(struct load *load)
{
	if (load->started == load->total)
		return;
	struct request *request = malloc(sizeof(*request));
	ASSERT(request != NULL);
	*request = (struct request){ load, clock_monotonic_us() };
	char id[UUID_SIZE], number[16];
	memcpy(id, load->prefix, sizeof(id));
	snprintf(number, sizeof(number), "%012llx", (unsigned long long)load->started++);
	memcpy(id + 24, number, 12);
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "bench";
	message.function = "echo";
	message.message_id = id;
	message.payload = "{\"params\": {\"name\": \"Ada Lovelace\", \"email\": "
	                  "\"ada@example.com\", \"note\": \"one of about two hundred bytes, as "
	                  "commands of the shop have, with some words to fill it\"}}";
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	rpc_mux_request(load->mux, &item.base, 30000, answered, request);
}

static void answered(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct request *request = arg;
	struct load *load = request->load;
	const Mq__SubmitResult *result = (const Mq__SubmitResult *)item;
	if (err != NULL || result->result == NULL || result->result->error != NULL) {
		if (load->failures++ == 0)
			fprintf(stderr, "%s\n",
			        err != NULL              ? err->message
			        : result->result == NULL ? "no result"
			                                 : result->result->error->message);
	}
	load->took_us[load->finished++] = clock_monotonic_us() - request->started_us;
	free(request);
	if (load->finished == load->total)
		loop_stop(load->loop);
	else
		start(load);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static int run_load(const char *target, unsigned in_flight, uint64_t total)
{
	struct load load = { .loop = loop_create(), .total = total };
	load.took_us = calloc(total, sizeof(*load.took_us));
	ASSERT(load.took_us != NULL);
	uuid_v4(load.prefix);
	load.channel = rpc_channel_create(load.loop, target);
	consume(&load);
	load.mux = rpc_mux_create(load.loop, load.channel, &mq__message_queue__descriptor,
	                          "SubmitStream", 100000);
	uint64_t from_us = clock_monotonic_us();
	for (unsigned i = 0; i < in_flight; i++)
		start(&load);
	loop_run(load.loop);
	double seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
	qsort(load.took_us, total, sizeof(*load.took_us), compare);
	printf("%u in flight: %.0f/s, p50 %llu us, p99 %llu us, failed %llu\n", in_flight,
	       (double)total / seconds, (unsigned long long)load.took_us[total / 2],
	       (unsigned long long)load.took_us[total * 99 / 100],
	       (unsigned long long)load.failures);
	rpc_mux_destroy(load.mux);
	rpc_channel_destroy(load.channel);
	loop_destroy(load.loop);
	free(load.took_us);
	return load.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static struct loop *serving;

static void on_signal(int number)
{
	(void)number;
	loop_stop(serving);
}

static int serve(const char *redis_url, const char *address)
{
	struct error err;
	struct message_queue *queue = NULL;
	struct message_queue_options options = { .redis_url = redis_url,
		                                 .listen = &address,
		                                 .listen_count = 1 };
	serving = loop_create();
	log_init("message-queue", LOG_INFO);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (!message_queue_serve(serving, &options, &queue, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return EXIT_FAILURE;
	}
	loop_run(serving);
	message_queue_destroy(queue);
	loop_destroy(serving);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "load") == 0)
		return run_load(argv[2], (unsigned)atoi(argv[3]), strtoull(argv[4], NULL, 10));
	fprintf(stderr, "queue_bench serve REDIS ADDRESS | load ADDRESS IN_FLIGHT COUNT\n");
	return EXIT_FAILURE;
}
