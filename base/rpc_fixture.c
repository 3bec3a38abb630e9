#include "base/rpc_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture fixture;

/* ---- the service ---- */

static void saw_open(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	fixture.opened++;
	fixture.last_call = call;
	fixture.time_left_ms = rpc_time_left_ms(call);
	snprintf(fixture.peer, sizeof(fixture.peer), "%s", rpc_peer(call));
}

static void saw_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)call;
	(void)message;
	fixture.messages++;
}

static void saw_half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	fixture.half_closed++;
	rpc_finish(call, NULL);
}

static void saw_end(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	fixture.ended++;
	if (fixture.last_call == call)
		fixture.last_call = NULL;
}

static void answer_topics(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	saw_message(ctx, call, message);
	Es__TopicInfo *info = arena_alloc(rpc_call_arena(call), sizeof(*info));
	Es__TopicsResponse response = ES__TOPICS_RESPONSE__INIT;
	es__topic_info__init(info);
	info->topic = "order";
	info->length = 7;
	response.n_topics = 1;
	response.topics = &info;
	rpc_reply(call, &response.base);
}

static void answer_entity(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReadEntityRequest *request = (const Es__ReadEntityRequest *)message;
	Es__ReadEntityResponse response = ES__READ_ENTITY_RESPONSE__INIT;
	struct error err;
	saw_message(ctx, call, message);
	if (strcmp(request->topic, "never") == 0)
		return;
	for (int code = ERR_NONE + 1; code < ERR_CODES; code++) {
		if (strcmp(request->topic, error_name((enum error_code)code)) != 0)
			continue;
		error_set(&err, (enum error_code)code, "as asked: ä %% \n %s", request->topic);
		rpc_finish(call, &err);
		rpc_reply(call, &response.base); /* too late: dropped */
		return;
	}
	rpc_reply(call, &response.base);
}

static void send_event(struct rpc_call *call, uint64_t number, const char *data)
{
	char id[24];
	Es__Event event = ES__EVENT__INIT, *events = &event;
	Es__ReadResponse response = ES__READ_RESPONSE__INIT;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)number);
	event.entry_id = id;
	event.event_data = data;
	response.n_events = 1;
	response.events = &events;
	rpc_send(call, &response.base);
}

static void answer_read(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	saw_message(ctx, call, message);
	uint64_t limit = ((const Es__ReadRequest *)message)->limit;
	for (uint64_t i = 1; i <= limit; i++)
		send_event(call, i, "{}");
	rpc_finish(call, NULL);
}

static void push(void *ctx, struct rpc_call *call)
{
	static const char data[1000] = { [0 ... 998] = 'x' };
	(void)ctx;
	uint64_t number = (uint64_t)(uintptr_t)rpc_data(call);
	while (rpc_queued_bytes(call) < SUBSCRIBE_BOUND)
		send_event(call, ++number, data);
	rpc_set_data(call, (void *)(uintptr_t)number);
}

static void answer_subscribe(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	saw_message(ctx, call, message);
	push(ctx, call);
}

static void answer_items(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReadEntityStreamRequest *request = (const Es__ReadEntityStreamRequest *)message;
	saw_message(ctx, call, message);
	for (size_t i = 0; i < request->n_items && !fixture.mute; i++) {
		Es__Event event = ES__EVENT__INIT;
		Es__ReadEntityResult result = ES__READ_ENTITY_RESULT__INIT, *results = &result;
		Es__ReadEntityStreamResponse response = ES__READ_ENTITY_STREAM_RESPONSE__INIT;
		event.entity_id = request->items[i]->entity_id;
		result.tag = request->items[i]->tag;
		result.event = &event;
		response.n_items = 1;
		response.items = &results;
		rpc_send(call, &response.base);
	}
}

static const struct rpc_method methods[] = {
	{ .name = "Append" },
	{ .name = "AppendStream", .kind = RPC_BIDI_STREAM },
	{ .name = "Read",
	  .kind = RPC_SERVER_STREAM,
	  .open = saw_open,
	  .message = answer_read,
	  .ended = saw_end },
	{ .name = "ReadEntity", .open = saw_open, .message = answer_entity, .ended = saw_end },
	{ .name = "ReadEntityStream",
	  .kind = RPC_BIDI_STREAM,
	  .open = saw_open,
	  .message = answer_items,
	  .half_close = saw_half_close,
	  .ended = saw_end },
	{ .name = "Subscribe",
	  .kind = RPC_SERVER_STREAM,
	  .open = saw_open,
	  .message = answer_subscribe,
	  .drained = push,
	  .ended = saw_end },
	{ .name = "Consume",
	  .kind = RPC_BIDI_STREAM,
	  .open = saw_open,
	  .message = saw_message,
	  .half_close = saw_half_close,
	  .ended = saw_end },
	{ .name = "Topics", .open = saw_open, .message = answer_topics, .ended = saw_end },
};

/* ---- the fixture ---- */

void fixture_serve(void)
{
	struct error err;
	int port;
	fixture.server = rpc_server_create(fixture.loop);
	rpc_server_add(fixture.server, STORE, methods, ARRAY_LEN(methods), &fixture);
	ck_assert(rpc_server_listen(fixture.server, fixture.unix_address, NULL, &err));
	ck_assert(rpc_server_listen(fixture.server, fixture.tcp_address, &port, &err));
	snprintf(fixture.tcp_address, sizeof(fixture.tcp_address), "127.0.0.1:%d", port);
	rpc_server_start(fixture.server);
}

void fixture_setup(void)
{
	memset(&fixture, 0, sizeof(fixture));
	strcpy(fixture.folder, "/tmp/rpc_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fixture.folder));
	snprintf(fixture.unix_address, sizeof(fixture.unix_address), "unix:%s/socket",
	         fixture.folder);
	strcpy(fixture.tcp_address, "127.0.0.1:0");
	fixture.loop = loop_create();
	fixture.arena = arena_create();
	fixture_serve();
	fixture.channel = rpc_channel_create(fixture.loop, fixture.unix_address);
}

void fixture_teardown(void)
{
	rpc_channel_destroy(fixture.channel);
	rpc_server_destroy(fixture.server);
	arena_destroy(fixture.arena);
	loop_destroy(fixture.loop);
	unlink(fixture.unix_address + strlen("unix:"));
	rmdir(fixture.folder);
}

struct waiting {
	const unsigned *counter;
	unsigned wanted;
};

static bool stop_when_reached(void *arg)
{
	const struct waiting *waiting = arg;
	if (*waiting->counter >= waiting->wanted)
		loop_stop(fixture.loop);
	return false;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(fixture.loop);
}

void fixture_wait(const unsigned *counter, unsigned wanted)
{
	struct waiting waiting = { counter, wanted };
	struct loop_timer timer = { 0 };
	loop_add_hook(fixture.loop, stop_when_reached, &waiting);
	loop_timer_start(fixture.loop, &timer, WAIT_MS, stop, NULL);
	loop_run(fixture.loop);
	loop_timer_stop(fixture.loop, &timer);
	loop_remove_hook(fixture.loop, stop_when_reached, &waiting);
	ck_assert_uint_ge(*counter, wanted);
}

void fixture_run_ms(unsigned ms)
{
	struct loop_timer timer = { 0 };
	loop_timer_start(fixture.loop, &timer, ms, stop, NULL);
	loop_run(fixture.loop);
}

/* ---- outcomes ---- */

static void on_message(void *arg, const ProtobufCMessage *response)
{
	struct outcome *outcome = arg;
	outcome->messages++;
	if (response->descriptor != &es__read_response__descriptor &&
	    response->descriptor != &es__subscribe_response__descriptor)
		return;
	const Es__Event *event = ((const Es__ReadResponse *)response)->events[0];
	snprintf(outcome->last_id, sizeof(outcome->last_id), "%s", event->entry_id);
	ck_assert_uint_eq(strtoul(event->entry_id, NULL, 10), outcome->messages);
}

static void on_closed(void *arg, const struct error *err)
{
	struct outcome *outcome = arg;
	ck_assert_uint_eq(outcome->closed, 0);
	outcome->closed++;
	if (err != NULL)
		outcome->err = *err;
}

const struct rpc_stream_events outcome_events = { on_message, on_closed };

void outcome_unary(void *arg, const ProtobufCMessage *response, const struct error *err)
{
	ck_assert((response == NULL) == (err != NULL));
	if (response != NULL)
		on_message(arg, response);
	on_closed(arg, err);
}

void ask_entity(const char *topic, unsigned timeout_ms, struct outcome *outcome)
{
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	*outcome = (struct outcome){ 0 };
	request.topic = topic;
	rpc_unary(fixture.channel, STORE, "ReadEntity", &request.base, timeout_ms, outcome_unary,
	          outcome);
	fixture_wait(&outcome->closed, 1);
}
