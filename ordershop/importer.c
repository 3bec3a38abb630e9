#include "ordershop/importer.h"
#include "proto/eventstore_v1.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	BATCH_EVENTS = 500, /* of one message; 1000 are allowed */
	BATCH_BYTES = 1024 * 1024,
	UNDER_WAY_MAX = 8000, /* events */
};

struct importer {
	struct client *client;
	struct rpc_stream *stream; /* NULL: ended */
	struct error failure;
	bool begun;
	bool answered; /* since the last look began */
	bool waiting;
	uint64_t sent, done;
	uint64_t resumed;
	bool finished; /* all topics, at the first answer */
	struct arena *arena;
	Es__Event *events[BATCH_EVENTS];
	size_t count, bytes;
};

/* ---- The stream -------------------------------------------------------------------------- */

static void note_topics(struct importer *importer, const Es__ImportResponse *response)
{
	importer->resumed = 0;
	importer->finished = true;
	for (size_t i = 0; i < response->n_topics; i++) {
		importer->resumed += response->topics[i]->events;
		importer->finished = importer->finished && response->topics[i]->finished;
	}
}

static void on_message(void *arg, const ProtobufCMessage *message)
{
	const Es__ImportResponse *response = (const void *)message;
	struct importer *importer = arg;

	if (!importer->begun)
		note_topics(importer, response);
	importer->begun = true;
	importer->done = response->events;
	importer->answered = true;
	if (importer->waiting)
		loop_stop(importer->client->loop);
}

static void on_closed(void *arg, const struct error *err)
{
	struct importer *importer = arg;

	importer->stream = NULL;
	if (err)
		importer->failure = *err;
	if (importer->waiting)
		loop_stop(importer->client->loop);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Until the next answer, or only for what is there by now. */
static void look(struct importer *importer, bool wait)
{
	struct loop *loop = importer->client->loop;
	struct loop_timer timer = { 0 };

	importer->answered = false;
	importer->waiting = wait;
	if (!wait)
		loop_timer_start(loop, &timer, 0, stop, loop);
	if (!wait || importer->stream)
		loop_run(loop);
	importer->waiting = false;
}

static bool failed(struct importer *importer, struct error *err)
{
	if (importer->stream)
		return false;
	if (importer->failure.code == ERR_NONE)
		error_set(&importer->failure, ERR_UNAVAILABLE, "the import ended too early");
	*err = importer->failure;
	return !client_wrap(importer->client, TARGET_EVENT_STORE, err);
}

/* Until the server has ended the call. */
static bool end(struct importer *importer, struct error *err)
{
	while (importer->stream)
		look(importer, true);
	if (importer->failure.code == ERR_NONE)
		return true;
	*err = importer->failure;
	return client_wrap(importer->client, TARGET_EVENT_STORE, err);
}

/* ---- Begin ------------------------------------------------------------------------------- */

static void send_start(struct importer *importer, const char *import_id, const char *const *topics,
                       size_t count)
{
	static const struct rpc_stream_events events = { on_message, on_closed };
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	Es__ImportStart start = ES__IMPORT_START__INIT;

	start.import_id = import_id;
	start.topics = (const char **)topics;
	start.n_topics = count;
	request.start = &start;
	importer->stream =
	    rpc_stream_open(importer->client->channels[TARGET_EVENT_STORE],
	                    client_service(TARGET_EVENT_STORE), "Import", &events, importer);
	rpc_stream_send(importer->stream, &request.base);
}

bool importer_begin(struct client *client, const char *import_id, const char *const *topics,
                    size_t count, struct importer **out, struct error *err)
{
	struct importer *importer = calloc(1, sizeof(*importer));

	ASSERT(importer);
	importer->client = client;
	importer->arena = arena_create();
	send_start(importer, import_id, topics, count);
	do {
		look(importer, true);
	} while (importer->stream && !importer->answered);
	if (failed(importer, err)) {
		importer_destroy(importer);
		if (err->code == ERR_PRECONDITION)
			error_wrap(err, "this needs a shop without events, such as a new one by "
			                "ordershop run --data DIR");
		return false;
	}
	*out = importer;
	return true;
}

void importer_destroy(struct importer *importer)
{
	if (!importer)
		return;
	if (importer->stream) {
		rpc_stream_cancel(importer->stream);
		while (importer->stream)
			look(importer, true);
	}
	arena_destroy(importer->arena);
	free(importer);
}

uint64_t importer_resumed(const struct importer *importer)
{
	return importer->resumed;
}

bool importer_was_finished(const struct importer *importer)
{
	return importer->finished;
}

bool importer_is_open(const struct importer *importer)
{
	return importer->stream != NULL;
}

/* ---- Events ------------------------------------------------------------------------------ */

static const char *copy(struct importer *importer, const char *text)
{
	importer->bytes += strlen(text);
	return arena_strdup(importer->arena, text);
}

static Es__Event *take(struct importer *importer, const struct event *event, const char *data)
{
	Es__Event *taken = arena_alloc(importer->arena, sizeof(*taken));

	es__event__init(taken);
	taken->topic = copy(importer, event->topic);
	taken->entry_id = copy(importer, event->entry_id);
	taken->event_id = copy(importer, event->event_id);
	taken->event_action = copy(importer, event->action);
	taken->event_data = copy(importer, data);
	taken->event_type = copy(importer, event->type);
	taken->entity_id = copy(importer, event->entity_id ? event->entity_id : "");
	taken->entity_version = event->version;
	taken->metadata = copy(importer, event->metadata ? event->metadata : "");
	return taken;
}

static void send_batch(struct importer *importer, Es__ImportRequest *request)
{
	request->n_events = importer->count;
	request->events = importer->events;
	rpc_stream_send(importer->stream, &request->base);
	importer->sent += importer->count;
	importer->count = importer->bytes = 0;
	arena_reset(importer->arena);
}

bool importer_add(struct importer *importer, const struct event *event, const char *data,
                  struct error *err)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;

	importer->events[importer->count++] = take(importer, event, data);
	if (importer->count < BATCH_EVENTS && importer->bytes < BATCH_BYTES)
		return true;
	if (failed(importer, err))
		return false;
	send_batch(importer, &request);
	look(importer, false);
	while (importer->stream && importer->sent - importer->done > UNDER_WAY_MAX)
		look(importer, true);
	return !failed(importer, err);
}

bool importer_finish(struct importer *importer, const struct importer_group *groups, size_t count,
                     struct error *err)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;
	Es__ImportFinish finish = ES__IMPORT_FINISH__INIT;
	Es__GroupCheckpoint *checkpoints = calloc(count + 1, sizeof(*checkpoints));
	Es__GroupCheckpoint **pointers = calloc(count + 1, sizeof(Es__GroupCheckpoint *));

	ASSERT(checkpoints && pointers);
	for (size_t i = 0; i < count; i++) {
		es__group_checkpoint__init(&checkpoints[i]);
		checkpoints[i].topic = groups[i].topic;
		checkpoints[i].group = groups[i].group;
		checkpoints[i].checkpoint = groups[i].checkpoint;
		pointers[i] = &checkpoints[i];
	}
	finish.groups = pointers;
	finish.n_groups = count;
	request.finish = &finish;
	if (importer->stream)
		send_batch(importer, &request);
	free(pointers);
	free(checkpoints);
	return end(importer, err);
}

bool importer_abandon(struct importer *importer, struct error *err)
{
	Es__ImportRequest request = ES__IMPORT_REQUEST__INIT;

	request.abandon = true;
	if (importer->stream)
		rpc_stream_send(importer->stream, &request.base);
	return end(importer, err);
}
