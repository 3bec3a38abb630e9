#include "read-model/service_internal.h"

#include "base/id.h"

#include <stdlib.h>
#include <string.h>

enum {
	PENDING_MAX = 4096, /* gets under way on one stream: then it rests */
	PENDING_LOW = 1024,
	QUEUED_MAX = 4 * 1024 * 1024, /* bytes that the client has not taken */
	MESSAGE_BYTES = 1024 * 1024   /* a response is sent when it has grown to this */
};

/* GetStream: the answers of one turn leave as one message. */
struct stream {
	struct read_model *model;
	struct rpc_call *call; /* NULL: ended */
	struct arena *arena;   /* of the results below */
	Rm__GetResult **results;
	size_t count, capacity;
	size_t bytes;
	size_t pending;
	bool paused;
	bool finishing;
	struct loop_task task;
	struct buffer text;
};

struct get {
	struct stream *stream;
	uint64_t tag;
	struct reading reading;
	char *name, *id; /* while it waits for the model; else NULL */
};

static void stream_free(struct stream *stream)
{
	loop_task_stop(stream->model->loop, &stream->task);
	arena_destroy(stream->arena);
	buffer_free(&stream->text);
	free(stream->results);
	free(stream);
}

static void flush(struct stream *stream)
{
	if (stream->count > 0 && stream->call != NULL) {
		Rm__GetStreamResponse response = RM__GET_STREAM_RESPONSE__INIT;
		response.items = stream->results;
		response.n_items = stream->count;
		rpc_send(stream->call, &response.base);
	}
	stream->count = stream->bytes = 0;
	arena_reset(stream->arena);
}

static void resume(struct stream *stream)
{
	if (stream->paused && stream->call != NULL && stream->pending < PENDING_LOW &&
	    rpc_queued_bytes(stream->call) < QUEUED_MAX) {
		stream->paused = false;
		rpc_resume(stream->call);
	}
}

static void end_of_turn(struct loop_task *task)
{
	struct stream *stream = OWNER(struct stream, task, task);
	flush(stream);
	resume(stream);
	if (stream->finishing && stream->pending == 0) {
		stream->finishing = false;
		rpc_finish(stream->call, NULL);
	}
}

static Rm__GetResult *add_result(struct stream *stream, uint64_t tag)
{
	if (stream->count == stream->capacity) {
		stream->capacity = stream->capacity > 0 ? 2 * stream->capacity : 64;
		stream->results =
		    realloc(stream->results, stream->capacity * sizeof(*stream->results));
		ASSERT(stream->results != NULL);
	}
	Rm__GetResult *result = arena_alloc(stream->arena, sizeof(*result));
	rm__get_result__init(result);
	result->tag = tag;
	stream->results[stream->count++] = result;
	loop_task_start(stream->model->loop, &stream->task);
	return result;
}

static void put_error(struct stream *stream, uint64_t tag, const struct error *err)
{
	Rm__GetResult *result = add_result(stream, tag);
	result->error = arena_alloc(stream->arena, sizeof(*result->error));
	rm__error__init(result->error);
	result->error->code = (uint32_t)error_grpc_status(err->code);
	result->error->message = arena_strdup(stream->arena, err->message);
}

static void put_entity(struct stream *stream, uint64_t tag, const struct model_store_entity *entity)
{
	Rm__GetResult *result = add_result(stream, tag);
	if (entity == NULL)
		return;
	buffer_clear(&stream->text);
	model_store_entity_json(entity, &stream->text);
	result->entity = arena_alloc(stream->arena, sizeof(*result->entity));
	rm__entity__init(result->entity);
	result->entity->id = arena_strdup(stream->arena, model_store_entity_id(entity));
	result->entity->version = model_store_entity_version(entity);
	result->entity->json = arena_copy(stream->arena, stream->text.bytes, stream->text.len);
	stream->bytes += stream->text.len;
}

static void got(void *arg, const struct model_store_entity *entity, const struct error *err)
{
	struct get *get = arg;
	struct stream *stream = get->stream;
	struct error invalid;
	uint64_t tag = get->tag;
	if (err == NULL && !reading_valid(&get->reading, &invalid))
		err = &invalid;
	reading_end(&get->reading);
	free(get);
	stream->pending--;
	if (stream->call == NULL) {
		if (stream->pending == 0)
			stream_free(stream);
		return;
	}
	if (err != NULL)
		put_error(stream, tag, err);
	else
		put_entity(stream, tag, entity);
	if (stream->bytes > MESSAGE_BYTES)
		flush(stream);
}

static void run(struct get *get, struct generation *from, const char *name, const char *id)
{
	reading_begin(&get->reading, from);
	model_store_get(from->store, name, id, got, get);
}

static void given(void *arg, struct generation *from, const struct error *err)
{
	struct get *get = arg;
	struct stream *stream = get->stream;
	char *name = get->name, *id = get->id;
	if (err != NULL || stream->call == NULL) {
		got(get, NULL, err);
	} else {
		run(get, from, name, id);
	}
	free(name);
	free(id);
}

static void reached(void *arg, const struct error *err)
{
	struct get *get = arg;
	given(get, get->stream->model->live, err);
}

static void start(struct stream *stream, const Rm__GetItem *item)
{
	struct error err;
	struct model_position position;
	unsigned wait_ms;
	const Rm__GetRequest *request = item->request;
	if (request == NULL) {
		error_set(&err, ERR_INVALID, "request: is missing");
		put_error(stream, item->tag, &err);
		return;
	}
	struct read_model *model = stream->model;
	const char *at = request->consistency == NULL ? "" : request->consistency->at;
	if (!name_check("name", request->name, &err) ||
	    !model_consistency(request->consistency, &position, &wait_ms, &err) ||
	    (at[0] == '\0' && !model_ready(model, &err))) {
		put_error(stream, item->tag, &err);
		return;
	}
	struct get *get = calloc(1, sizeof(*get));
	ASSERT(get != NULL);
	get->stream = stream;
	get->tag = item->tag;
	stream->pending++;
	struct generation *from = NULL;
	if (at[0] != '\0')
		from = moments_ask(model->moments, at, wait_ms, given, get);
	else if (projector_wait(model->live->projector, &position, wait_ms, reached, get))
		from = model->live;
	if (from != NULL) {
		run(get, from, request->name, request->id);
	} else {
		get->name = strdup(request->name);
		get->id = strdup(request->id);
		ASSERT(get->name != NULL && get->id != NULL);
	}
}

void model_stream_open(void *ctx, struct rpc_call *call)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->model = ctx;
	stream->call = call;
	stream->arena = arena_create();
	stream->task.fn = end_of_turn;
	buffer_init(&stream->text, RPC_MESSAGE_MAX);
	rpc_set_data(call, stream);
}

void model_stream_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)ctx;
	struct stream *stream = rpc_data(call);
	const Rm__GetStreamRequest *gets = (const Rm__GetStreamRequest *)request;
	for (size_t i = 0; i < gets->n_items; i++)
		start(stream, gets->items[i]);
	if (stream->pending > PENDING_MAX || rpc_queued_bytes(call) > QUEUED_MAX) {
		stream->paused = true;
		rpc_pause(call);
	}
}

void model_stream_half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	struct stream *stream = rpc_data(call);
	stream->finishing = true;
	loop_task_start(stream->model->loop, &stream->task);
}

void model_stream_drained(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	resume(rpc_data(call));
}

void model_stream_ended(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	struct stream *stream = rpc_data(call);
	stream->call = NULL;
	loop_task_stop(stream->model->loop, &stream->task);
	if (stream->pending == 0)
		stream_free(stream);
}
