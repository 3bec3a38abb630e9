/* Calls over one stream, answered by an echo consumer in this process. */
#include "bench/bench.h"

#include "proto/messagequeue_v1.pb-c.h"

enum { CALLS = 100000, DEPTH = 128, TIMEOUT_MS = 30000 };

struct echo {
	struct rpc_stream *stream;
	bool closed;
};

static void echo_message(void *arg, const ProtobufCMessage *message)
{
	struct echo *echo = arg;
	const Mq__ConsumeResponse *response = (const Mq__ConsumeResponse *)message;
	Mq__Result result = MQ__RESULT__INIT;
	Mq__Settle settles[DEPTH], *pointers[DEPTH];
	result.result = "true";
	for (size_t done = 0; done < response->n_deliveries;) {
		Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
		for (; done < response->n_deliveries && request.n_settles < DEPTH; done++) {
			Mq__Settle *settle = &settles[request.n_settles];
			mq__settle__init(settle);
			settle->message_id = response->deliveries[done]->message->message_id;
			settle->function = response->deliveries[done]->message->function;
			settle->result = &result;
			pointers[request.n_settles++] = settle;
		}
		request.settles = pointers;
		rpc_stream_send(echo->stream, &request.base);
	}
}

static void echo_closed(void *arg, const struct error *err)
{
	(void)err;
	((struct echo *)arg)->closed = true;
}

static void call_done(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	const Mq__SubmitResult *result = (const Mq__SubmitResult *)item;
	if (err == NULL && (result->result == NULL || result->result->error != NULL))
		mux_load_failed(arg, result->result != NULL ? result->result->error->message
		                                            : "a call without result");
	mux_load_done(arg, item, err);
}

static void call_one(struct mux_load *load, uint64_t index)
{
	char id[37];
	(void)index;
	bench_uuid(id);
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = "bench";
	message.function = "echo";
	message.message_id = id;
	message.payload = "{\"params\":{\"name\":\"somebody\",\"email\":\"somebody@example.com\"}}";
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	rpc_mux_request(load->mux, &item.base, TIMEOUT_MS, call_done, load);
}

bool measure_queue(struct bench *bench, struct error *err)
{
	static const struct rpc_stream_events events = { echo_message, echo_closed };
	struct echo echo = { 0 };
	echo.stream = rpc_stream_open(bench->queue, &mq__message_queue__descriptor, "Consume",
	                              &events, &echo);
	const char *functions[] = { "echo" };
	Mq__ConsumeStart start = MQ__CONSUME_START__INIT;
	start.service = "bench";
	start.functions = functions;
	start.n_functions = 1;
	start.credits = DEPTH * 2;
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	request.start = &start;
	rpc_stream_send(echo.stream, &request.base);

	struct mux_load load = { .bench = bench,
		                 .total = bench_scaled(bench, CALLS),
		                 .in_flight = DEPTH,
		                 .request = call_one };
	load.mux = rpc_mux_create(bench->loop, bench->queue, &mq__message_queue__descriptor,
	                          "SubmitStream", DEPTH * 2);
	double rate;
	bool ok = mux_load_run(&load, &rate, err);
	rpc_mux_destroy(load.mux);
	if (!echo.closed)
		rpc_stream_cancel(echo.stream);
	if (!ok)
		return error_wrap(err, "queue");
	bench_row("queue Call round trip over streams, 128 in flight", rate, "/s", 25000, false,
	          "");
	return true;
}
