/* events.c - `ordershop events`: the log, as text or as JSON lines. */
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/when.h"
#include "ordershop/client.h"
#include "ordershop/command.h"
#include "ordershop/entity_name.h"
#include "ordershop/lines.h"
#include "proto/eventstore_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "all", .type = CONFIG_FLAG, .once = true, .help = "all topics in one order" },
	{ .name = "follow",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "go on with events as they happen" },
	{ .name = "from",
	  .placeholder = "ID|TIME",
	  .once = true,
	  .help = "start after this entry, or at this time" },
	{ .name = "limit",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "end after so many events; 0: no limit",
	  .fallback = "0",
	  .max = INT64_MAX },
	{ .name = "json", .type = CONFIG_FLAG, .once = true, .help = "one JSON object per line" },
	SHOP_OPTIONS,
};

struct listing {
	struct client client;
	bool json;
	uint64_t limit, printed;
	/* Set by the end of a stream. */
	bool failed, full;
	struct error error;
	/* Where to go on. */
	char topic[80], entry_id[ENTRY_ID_SIZE];
};

static bool flag(const char *name)
{
	return config_flag(options, ARRAY_LEN(options), name);
}

/* An entry id is the event's time. */
static const char *time_of(const Es__Event *event, char text[LINE_TIME_SIZE])
{
	struct entry_id id;
	struct error err;

	return entry_id_parse(event->entry_id, &id, &err) ? line_entry_time(id, text) : "";
}

static void print_text(const Es__Event *event)
{
	char when[LINE_TIME_SIZE];

	line_printf("%s %s %s %s %s v%" PRIu64 " %s", time_of(event, when), event->topic,
	            event->entry_id, *event->event_type ? event->event_type : event->event_action,
	            *event->entity_id ? event->entity_id : "-", event->entity_version,
	            event->event_data);
}

static void print_json(const Es__Event *event)
{
	char when[LINE_TIME_SIZE];
	struct buffer line;

	buffer_init(&line, LINE_MAX_BYTES);
	buffer_putc(&line, '{');
	line_string(&line, "time", time_of(event, when));
	line_string(&line, "topic", event->topic);
	line_string(&line, "entry_id", event->entry_id);
	line_string(&line, "event_id", event->event_id);
	line_string(&line, "event_action", event->event_action);
	line_string(&line, "event_type", event->event_type);
	line_string(&line, "entity_id", event->entity_id);
	buffer_printf(&line, "\"entity_version\":%" PRIu64 ",", event->entity_version);
	line_json(&line, "event_data", event->event_data);
	buffer_putc(&line, ',');
	line_json(&line, "metadata", *event->metadata ? event->metadata : "{}");
	buffer_putc(&line, '}');
	buffer_putc(&line, '\n');
	fwrite(line.bytes, 1, line.len, stdout);
	buffer_free(&line);
}

static void print_events(struct listing *listing, size_t count, Es__Event *const *events)
{
	for (size_t i = 0; i < count && !listing->full; i++) {
		if (listing->json)
			print_json(events[i]);
		else
			print_text(events[i]);
		snprintf(listing->topic, sizeof(listing->topic), "%s", events[i]->topic);
		snprintf(listing->entry_id, sizeof(listing->entry_id), "%s", events[i]->entry_id);
		listing->printed++;
		listing->full = listing->limit > 0 && listing->printed >= listing->limit;
	}
	/* The reader of our output may have gone (`| head`). */
	if (fflush(stdout) != 0 || ferror(stdout))
		listing->full = true;
	if (listing->full)
		loop_stop(listing->client.loop);
}

static void read_message(void *arg, const ProtobufCMessage *response)
{
	const Es__ReadResponse *read = (const void *)response;

	print_events(arg, read->n_events, read->events);
}

static void subscribe_message(void *arg, const ProtobufCMessage *response)
{
	const Es__SubscribeResponse *live = (const void *)response;

	print_events(arg, live->n_events, live->events);
}

static void stream_closed(void *arg, const struct error *err)
{
	struct listing *listing = arg;

	listing->failed = err != NULL;
	if (err)
		listing->error = *err;
	loop_stop(listing->client.loop);
}

static void run_stream(struct listing *listing, const char *method,
                       const struct rpc_stream_events *events, const ProtobufCMessage *request)
{
	struct rpc_stream *stream =
	    rpc_stream_open(listing->client.channels[TARGET_EVENT_STORE],
	                    client_service(TARGET_EVENT_STORE), method, events, listing);

	rpc_stream_send(stream, request);
	rpc_stream_end_sends(stream);
	loop_run(listing->client.loop);
}

/* What stands in the log. */
static void read_log(struct listing *listing, const char *topic, struct when from)
{
	static const struct rpc_stream_events events = { .message = read_message,
		                                         .closed = stream_closed };
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	Es__Position after = ES__POSITION__INIT;

	request.n_topics = topic ? 1 : 0;
	request.topics = (const char **)&topic;
	request.limit = listing->limit;
	request.from_time_ms = from.time_ms;
	after.entry_id = from.entry_id;
	if (*from.entry_id)
		request.after = &after;
	run_stream(listing, "Read", &events, &request.base);
}

/* What comes after it; ends only by an error, the limit or a signal. */
static void follow_log(struct listing *listing, const char *topic, struct when from)
{
	static const struct rpc_stream_events events = { .message = subscribe_message,
		                                         .closed = stream_closed };
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	Es__Position after = ES__POSITION__INIT;
	char start[ENTRY_ID_SIZE];

	request.n_topics = topic ? 1 : 0;
	request.topics = (const char **)&topic;
	after.topic = listing->topic;
	after.entry_id = listing->entry_id;
	if (!*listing->entry_id) { /* nothing yet: from where the reading began */
		after.topic = "";
		after.entry_id = from.entry_id;
		if (from.time_ms > 0) {
			entry_id_format((struct entry_id){ .ms = from.time_ms }, start);
			after.entry_id = start;
		}
	}
	request.start = *after.entry_id ? ES__START__START_AFTER : ES__START__START_BEGINNING;
	request.after = *after.entry_id ? &after : NULL;
	run_stream(listing, "Subscribe", &events, &request.base);
}

/* Silence could be a mistake as well. */
static void say_nothing_there(struct when from)
{
	char when[LINE_TIME_SIZE];

	fprintf(stderr, "there are no events");
	if (*from.entry_id)
		fprintf(stderr, " after %s", from.entry_id);
	else if (from.time_ms > 0)
		fprintf(stderr, " from %sZ on", line_time(from.time_ms, when));
	fprintf(stderr, flag("follow") ? " yet; waiting for them\n" : " yet\n");
}

/* Reads, then follows when asked to. */
static bool list_events(struct listing *listing, const char *topic, struct when from,
                        const struct subcommand *self, struct error *err)
{
	read_log(listing, topic, from);
	/* Nothing was printed: because nothing happened, or because the name is wrong? */
	if (!listing->failed && topic && listing->printed == 0 &&
	    !entity_topic_check(&listing->client, topic, err)) {
		if (!flag("follow"))
			return false;
		(void)command_fail(self, "%s", err->message); /* it may come */
	}
	if (!listing->failed && listing->printed == 0)
		say_nothing_there(from);
	if (!listing->failed && !listing->full && flag("follow"))
		follow_log(listing, topic, from);
	if (!listing->failed || listing->full)
		return true;
	*err = listing->error;
	return client_wrap(&listing->client, TARGET_EVENT_STORE, err);
}

int events_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct listing listing = { 0 };
	const char *topic, *text;
	struct when from;
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 2 || (argc == 2) == flag("all"))
		return command_misuse(self, "give one topic, or --all");
	topic = argc == 2 ? argv[1] : NULL;
	if (topic && !name_check("topic", topic, &err))
		return command_misuse(self, "%s", err.message);
	text = config_string(options, ARRAY_LEN(options), "from");
	if (!when_parse(text ? text : "", clock_wall_us() / 1000, &from, &err))
		return command_misuse(self, "--from: %s", err.message);
	listing.limit = (uint64_t)config_integer(options, ARRAY_LEN(options), "limit");
	listing.json = flag("json");
	client_open(&listing.client, options, ARRAY_LEN(options));
	done = list_events(&listing, topic, from, self, &err);
	client_close(&listing.client);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
