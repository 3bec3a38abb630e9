#include "ordershop/log_reader.h"

#include "ordershop/lines.h"
#include "proto/eventstore_v1.pb-c.h"

#include <string.h>

struct reading {
	struct client *client;
	const struct log_range *range;
	log_function *each;
	void *arg;
	struct rpc_stream *stream;
	struct arena *arena;    /* of one event */
	uint64_t events;        /* within the range */
	struct entry_id beyond; /* the first event after `until` */
	bool enough, failed, closed;
	struct error error;
};

/* False: nothing more is wanted. */
static bool read_event(struct reading *reading, const Es__Event *event)
{
	const struct log_range *range = reading->range;
	struct entry_id entry;
	struct error err;

	if (!entry_id_parse(event->entry_id, &entry, &reading->error)) {
		reading->failed = true;
		return false;
	}
	if (range->until && entry_id_compare(entry, *range->until) > 0) {
		reading->beyond = entry;
		return range->backward;
	}
	reading->events++;
	if (range->entity_id && strcmp(event->entity_id, range->entity_id) != 0)
		return true;
	arena_reset(reading->arena);
	const struct event read = {
		.event_id = event->event_id,
		.topic = event->topic,
		.entry_id = event->entry_id,
		.type = event->event_type,
		.action = event->event_action,
		.entity_id = event->entity_id,
		.version = event->entity_version,
		.state = entity_read(reading->arena, event->topic, event->event_data, &err),
		.metadata = event->metadata,
	};
	return reading->each(reading->arg, &read, event->event_data);
}

static void message(void *arg, const ProtobufCMessage *response)
{
	struct reading *reading = arg;
	const Es__ReadResponse *read = (const void *)response;

	for (size_t i = 0; i < read->n_events && !reading->enough; i++)
		reading->enough = !read_event(reading, read->events[i]);
	if (reading->enough)
		rpc_stream_cancel(reading->stream);
}

static void closed(void *arg, const struct error *err)
{
	struct reading *reading = arg;

	if (err && !reading->enough) {
		reading->failed = true;
		reading->error = *err;
		(void)client_wrap(reading->client, TARGET_EVENT_STORE, &reading->error);
	}
	reading->closed = true;
	loop_stop(reading->client->loop);
}

static void send_request(struct reading *reading)
{
	const struct log_range *range = reading->range;
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	Es__Position after = ES__POSITION__INIT;
	char start[ENTRY_ID_SIZE];

	request.topics = (const char **)&range->topic;
	request.n_topics = range->topic ? 1 : 0;
	request.backward = range->backward;
	if (range->backward && range->until) { /* the start is exclusive */
		struct entry_id next = { range->until->ms, range->until->us + 1 };
		if (next.us == 0)
			next.ms++;
		entry_id_format(next, start);
		after.entry_id = start;
		request.after = &after;
	}
	rpc_stream_send(reading->stream, &request.base);
	rpc_stream_end_sends(reading->stream);
}

static bool read_log(struct reading *reading, struct error *err)
{
	static const struct rpc_stream_events events = { .message = message, .closed = closed };
	struct client *client = reading->client;

	reading->arena = arena_create();
	reading->stream =
	    rpc_stream_open(client->channels[TARGET_EVENT_STORE],
	                    client_service(TARGET_EVENT_STORE), "Read", &events, reading);
	send_request(reading);
	while (!reading->closed) /* others on this loop may stop it too */
		loop_run(client->loop);
	arena_destroy(reading->arena);
	if (reading->failed)
		*err = reading->error;
	return !reading->failed;
}

bool log_read_range(struct client *client, const struct log_range *range, log_function *each,
                    void *arg, struct error *err)
{
	struct reading reading = { .client = client, .range = range, .each = each, .arg = arg };

	return read_log(&reading, err);
}

/* Of a moment before the first event. */
static bool nothing_yet(const struct reading *reading, struct error *err)
{
	char first[LINE_TIME_SIZE], entry[ENTRY_ID_SIZE];

	if (reading->beyond.ms == 0)
		return error_set(err, ERR_NOT_FOUND,
		                 "nothing had happened by then: there are no events yet");
	entry_id_format(reading->beyond, entry);
	return error_set(err, ERR_NOT_FOUND,
	                 "nothing had happened by then: the first event is at %s (%s)",
	                 line_entry_time(reading->beyond, first), entry);
}

bool log_read(struct client *client, const struct entry_id *until, log_function *each, void *arg,
              struct error *err)
{
	const struct log_range all = { .until = until };
	struct reading reading = { .client = client, .range = &all, .each = each, .arg = arg };

	if (!read_log(&reading, err))
		return false;
	return !until || reading.events > 0 || nothing_yet(&reading, err);
}
