/* The service eventstore.EventStore, for clients of the original shop. Its events are those of the
 * same log; entity id and version follow from event_data.entity_id. */
#include "event-store/service_internal.h"

#include "base/json.h"
#include "event-store/check.h"
#include "event-store/feed.h"
#include "event-store/reader.h"
#include "proto/eventstore.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { GET_BYTES = 64 * 1024 * 1024, UNREAD_BYTES = 1024 * 1024, GROUP_CREDITS = 256 };

/* --- publish --- */

/* The fields of event_info that have a place of their own. */
static const struct {
	const char *name;
	size_t offset;
	size_t min, max;
} known[] = {
	{ "event_id", offsetof(Es__NewEvent, event_id), 1, EVENT_NAME_MAX },
	{ "event_action", offsetof(Es__NewEvent, event_action), 1, EVENT_WORD_MAX },
	{ "event_data", offsetof(Es__NewEvent, event_data), 1, EVENT_DATA_MAX },
	{ "event_type", offsetof(Es__NewEvent, event_type), 0, EVENT_WORD_MAX },
};
enum { KNOWN_NEEDED = 3 };

/* The text of a string or a number; NULL: it is neither. */
static const char *text_of(const struct json *value, struct arena *arena)
{
	if (json_kind(value) == JSON_STRING)
		return json_text(value);
	if (json_kind(value) != JSON_NUMBER)
		return NULL;
	struct buffer number;
	buffer_init(&number, 64);
	json_write(&number, value);
	const char *text = arena_copy(arena, number.bytes, number.len);
	buffer_free(&number);
	return text;
}

static bool set_known(Es__NewEvent *event, const char *name, const char *text, bool *is_known,
                      struct error *err)
{
	*is_known = false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].name, name) != 0)
			continue;
		size_t len = strlen(text);
		if (len < known[i].min || len > known[i].max)
			return error_set(err, ERR_INVALID,
			                 "event_info.%s: must have %zu to %zu bytes, has %zu", name,
			                 known[i].min, known[i].max, len);
		*(const char **)(void *)((char *)event + known[i].offset) = text;
		*is_known = true;
	}
	return true;
}

/* What has no place of its own is kept as metadata. */
static bool read_info(const struct json *info, struct arena *arena, Es__NewEvent *event,
                      struct error *err)
{
	struct buffer rest;
	bool ok = true;
	buffer_init(&rest, METADATA_MAX);
	for (const struct json *field = json_first(info); ok && field != NULL;
	     field = json_next(field)) {
		const char *name = json_name(field), *text = text_of(field, arena);
		bool is_known;
		if (text == NULL) {
			ok = error_set(err, ERR_INVALID,
			               "event_info.%.40s: must be a string or a number, is %s",
			               name, json_kind_name(json_kind(field)));
			break;
		}
		ok = set_known(event, name, text, &is_known, err);
		if (!ok || is_known)
			continue;
		buffer_putc(&rest, rest.len == 0 ? '{' : ',');
		json_write_string(&rest, name, strlen(name));
		buffer_putc(&rest, ':');
		json_write_string(&rest, text, strlen(text));
	}
	for (size_t i = 0; ok && i < KNOWN_NEEDED; i++) {
		if (json_member(info, known[i].name) == NULL)
			ok =
			    error_set(err, ERR_INVALID, "event_info.%s: is missing", known[i].name);
	}
	if (ok && rest.len > 0) {
		buffer_putc(&rest, '}');
		event->metadata = arena_copy(arena, rest.bytes, rest.len);
		if (rest.overflow)
			ok = error_set(err, ERR_INVALID,
			               "event_info: further fields must have at most %d bytes",
			               METADATA_MAX);
	}
	buffer_free(&rest);
	return ok;
}

/* event_data must be JSON; its entity_id, if there is one, names the entity. */
static bool read_entity(struct arena *arena, Es__NewEvent *event, struct error *err)
{
	struct json *data;
	if (!json_parse(event->event_data, strlen(event->event_data), &data, err))
		return error_wrap(err, "event_info.event_data");
	const struct json *id =
	    json_kind(data) == JSON_OBJECT ? json_member(data, "entity_id") : NULL;
	const char *text = id != NULL ? text_of(id, arena) : NULL;
	bool ok = true;
	if (text != NULL && strlen(text) > EVENT_NAME_MAX)
		ok = error_set(err, ERR_INVALID,
		               "event_info.event_data.entity_id: must have at most %d bytes",
		               EVENT_NAME_MAX);
	else if (text != NULL)
		event->entity_id = arena_strdup(arena, text);
	json_free(data);
	return ok;
}

struct publish {
	struct rpc_call *call; /* NULL: ended */
	bool answered;
};

static void published(void *arg, const struct log_outcome *outcome)
{
	struct publish *publish = arg;
	publish->answered = true;
	if (publish->call == NULL) {
		free(publish);
		return;
	}
	EsCompat__PublishResponse response = ES_COMPAT__PUBLISH_RESPONSE__INIT;
	if (outcome->err != NULL) {
		rpc_finish(publish->call, outcome->err);
		return;
	}
	response.entry_id = outcome->events[0]->entry_id;
	rpc_reply(publish->call, &response.base);
}

static void publish_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const EsCompat__PublishRequest *request = (const EsCompat__PublishRequest *)message;
	struct event_store *store = ctx;
	struct arena *arena = rpc_call_arena(call);
	struct json *info = NULL;
	struct error err;
	Es__NewEvent event = ES__NEW_EVENT__INIT, *events = &event;
	Es__AppendRequest append = ES__APPEND_REQUEST__INIT;
	bool ok = name_check("event_topic", request->event_topic, &err);
	if (ok && !json_parse(request->event_info, strlen(request->event_info), &info, &err))
		ok = error_wrap(&err, "event_info");
	if (ok && (json_kind(info) != JSON_OBJECT || json_count(info) == 0))
		ok = error_set(&err, ERR_INVALID, "event_info: must be a JSON object with fields");
	if (ok && read_info(info, arena, &event, &err) && read_entity(arena, &event, &err)) {
		struct publish *publish = calloc(1, sizeof(*publish));
		ASSERT(publish != NULL);
		publish->call = call;
		rpc_set_data(call, publish);
		append.topic = request->event_topic;
		append.n_events = 1;
		append.events = &events;
		log_append_checked(store->log, &append, published, publish);
	} else {
		rpc_finish(call, &err);
	}
	json_free(info);
}

static void publish_ended(void *ctx, struct rpc_call *call)
{
	struct publish *publish = rpc_data(call);
	(void)ctx;
	if (publish == NULL)
		return;
	publish->call = NULL;
	if (publish->answered)
		free(publish);
}

/* --- subscribe, unsubscribe --- */

struct compat_stream {
	struct watch watch;
	struct event_store *store;
	struct rpc_call *call;
	const char *topic;                   /* in the request */
	struct feed *feed;                   /* without a group */
	struct group_member *member;         /* with one */
	struct entry_id sent[GROUP_CREDITS]; /* to be acknowledged when the client took them */
	size_t sent_count;
	struct compat_stream *prev, *next;
};

static void notify(struct rpc_call *call, const struct event *event)
{
	EsCompat__Notification notification = ES_COMPAT__NOTIFICATION__INIT;
	notification.event_id = event->message.event_id;
	notification.event_ts = (double)(event->id.ms * 1000 + event->id.us) / 1e6;
	notification.event_action = event->message.event_action;
	notification.event_data = event->message.event_data;
	rpc_send(call, &notification.base);
}

static void pump(void *arg)
{
	struct compat_stream *stream = arg;
	while (!rpc_ended(stream->call) && rpc_queued_bytes(stream->call) < UNREAD_BYTES) {
		struct event_slice *slice = feed_take(stream->feed);
		if (slice == NULL)
			return;
		for (size_t i = 0; i < slice->count; i++)
			notify(stream->call, slice->events[i]);
		event_slice_unref(slice);
	}
}

static void group_deliver(void *arg, struct event *const *events,
                          const struct group_attempt *attempts, size_t count)
{
	struct compat_stream *stream = arg;
	(void)attempts;
	for (size_t i = 0; i < count; i++) {
		notify(stream->call, events[i]);
		if (stream->sent_count < GROUP_CREDITS)
			stream->sent[stream->sent_count++] = events[i]->id;
	}
}

static void group_failed(void *arg, const struct error *err)
{
	struct compat_stream *stream = arg;
	rpc_finish(stream->call, err);
}

static void subscribe_compat(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	static const struct group_events events = { group_deliver, group_failed };
	const EsCompat__SubscribeRequest *request = (const EsCompat__SubscribeRequest *)message;
	struct event_store *store = ctx;
	struct error err;
	bool grouped = request->group_name[0] != '\0';
	if (!name_check("event_topic", request->event_topic, &err) ||
	    (grouped && !name_check("group_name", request->group_name, &err))) {
		rpc_finish(call, &err);
		return;
	}
	struct compat_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->store = store;
	stream->call = call;
	stream->topic = request->event_topic;
	rpc_set_data(call, stream);
	DL_APPEND(store->compat_streams, stream);
	watch_begin(&store->readers, &stream->watch, call);
	if (grouped) {
		struct group_join join = { .topic = request->event_topic,
			                   .group = request->group_name,
			                   .live = true,
			                   .credits = GROUP_CREDITS,
			                   .lease_ms = GROUP_LEASE_MS };
		stream->member = groups_join(store->groups, &join, &events, stream);
	} else {
		struct feed_options options = { .topics = &stream->topic,
			                        .topic_count = 1,
			                        .live_only = true,
			                        .after_topic = "" };
		stream->feed =
		    feed_create(store->loop, store->store, store->tail, &options, pump, stream);
	}
}

static void subscribe_compat_drained(void *ctx, struct rpc_call *call)
{
	struct compat_stream *stream = rpc_data(call);
	(void)ctx;
	if (stream == NULL)
		return;
	if (stream->feed != NULL) {
		pump(stream);
	} else if (rpc_queued_bytes(call) == 0) {
		for (size_t i = 0; i < stream->sent_count; i++)
			group_ack(stream->member, stream->sent[i]);
		stream->sent_count = 0;
	}
}

static void subscribe_compat_ended(void *ctx, struct rpc_call *call)
{
	struct compat_stream *stream = rpc_data(call);
	(void)ctx;
	if (stream == NULL)
		return;
	DL_DELETE(stream->store->compat_streams, stream);
	watch_end(&stream->store->readers, &stream->watch);
	if (stream->member != NULL)
		group_leave(stream->member);
	feed_destroy(stream->feed);
	free(stream);
}

static void unsubscribe_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const EsCompat__UnsubscribeRequest *request = (const EsCompat__UnsubscribeRequest *)message;
	EsCompat__UnsubscribeResponse response = ES_COMPAT__UNSUBSCRIBE_RESPONSE__INIT;
	struct event_store *store = ctx;
	struct compat_stream *stream, *next;
	DL_FOREACH_SAFE(store->compat_streams, stream, next)
	{
		if (strcmp(stream->topic, request->event_topic) == 0 &&
		    strcmp(rpc_peer(stream->call), rpc_peer(call)) == 0)
			rpc_finish(stream->call, NULL);
	}
	response.success = true;
	rpc_reply(call, &response.base);
}

/* --- get --- */

struct get {
	struct watch watch;
	struct rpc_call *call;
	struct reader *reader;
	struct buffer json;
};

static void write_field(struct buffer *json, const char *name, const char *value)
{
	buffer_printf(json, "\"%s\":", name);
	json_write_string(json, value, strlen(value));
}

static void write_event(struct buffer *json, const struct event *event)
{
	const Es__Event *message = &event->message;
	buffer_puts(json, json->len == 0 ? "[[" : ",[");
	json_write_string(json, message->entry_id, strlen(message->entry_id));
	buffer_puts(json, ",{");
	write_field(json, "event_id", message->event_id);
	buffer_putc(json, ',');
	write_field(json, "event_action", message->event_action);
	buffer_putc(json, ',');
	write_field(json, "event_data", message->event_data);
	buffer_putc(json, ',');
	write_field(json, "event_type", message->event_type);
	buffer_putc(json, ',');
	write_field(json, "entity_id", message->entity_id);
	buffer_printf(json, ",\"entity_version\":\"%llu\",",
	              (unsigned long long)message->entity_version);
	write_field(json, "metadata", message->metadata);
	buffer_puts(json, "}]");
}

static void got_slice(void *arg, struct event_slice *slice, const struct error *err)
{
	struct get *get = arg;
	struct error large;
	for (size_t i = 0; slice != NULL && i < slice->count; i++)
		write_event(&get->json, slice->events[i]);
	bool end = slice == NULL;
	event_slice_unref(slice);
	if (err == NULL && get->json.overflow) {
		error_set(&large, ERR_EXHAUSTED,
		          "the topic has more than %d bytes; read it in parts with "
		          "ordershop.eventstore.v1.EventStore.Read",
		          GET_BYTES);
		err = &large;
	}
	if (err != NULL) {
		rpc_finish(get->call, err);
	} else if (end) {
		EsCompat__GetResponse response = ES_COMPAT__GET_RESPONSE__INIT;
		if (get->json.len > 0)
			buffer_putc(&get->json, ']');
		response.events = get->json.len > 0 ? get->json.bytes : "";
		rpc_reply(get->call, &response.base);
	} else {
		reader_next(get->reader, got_slice, get);
	}
}

static void get_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const EsCompat__GetRequest *request = (const EsCompat__GetRequest *)message;
	struct event_store *store = ctx;
	struct store_range range = { .from = ENTRY_ID_FIRST, .to = ENTRY_ID_LAST };
	struct error err;
	if (!name_check("event_topic", request->event_topic, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct get *get = calloc(1, sizeof(*get));
	ASSERT(get != NULL);
	get->call = call;
	buffer_init(&get->json, GET_BYTES);
	rpc_set_data(call, get);
	watch_begin(&store->readers, &get->watch, call);
	get->reader = reader_create(store->store, false);
	reader_add(get->reader, request->event_topic, &range);
	reader_next(get->reader, got_slice, get);
}

static void get_ended(void *ctx, struct rpc_call *call)
{
	struct event_store *store = ctx;
	struct get *get = rpc_data(call);
	if (get == NULL)
		return;
	watch_end(&store->readers, &get->watch);
	reader_destroy(get->reader);
	buffer_free(&get->json);
	free(get);
}

static const struct rpc_method methods[] = {
	{ "publish", RPC_UNARY, .message = publish_message, .ended = publish_ended },
	{ "subscribe", RPC_SERVER_STREAM, .message = subscribe_compat,
	  .drained = subscribe_compat_drained, .ended = subscribe_compat_ended },
	{ "unsubscribe", RPC_UNARY, .message = unsubscribe_message },
	{ "get", RPC_UNARY, .message = get_message, .ended = get_ended },
};

void compat_add(struct event_store *store)
{
	rpc_server_add(store->server, &es_compat__event_store__descriptor, methods,
	               ARRAY_LEN(methods), store);
}
