#include "gateway/feed.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	CLIENTS_MAX = 1000,
	MESSAGE_MAX = 16 * 1024 * 1024,
	BACKOFF_MS = 250,
	HEARTBEAT_MS = 15000, /* finds clients that vanished without a word */
	UNREAD_MAX = 256 * 1024,
	UNREAD_LOOK_MS = 20,
};

struct client {
	struct subscription *subscription;
	struct http_stream *stream;
	struct client *prev, *next;
};

/* A place in the log and those who read from it. */
struct subscription {
	struct feed *feed;
	bool own; /* of one client that catches up: ends with it, and reads no faster than it */
	struct client *clients;
	struct rpc_stream *stream; /* NULL: none, or closed */
	bool paused;
	char entry_id[ENTRY_ID_SIZE]; /* "": from now on */
	char topic[65];
	struct loop_timer timer; /* opens it again, or looks whether the client has read */
	struct subscription *prev, *next;
};

struct feed {
	struct loop *loop;
	struct rpc_channel *store;
	struct subscription *live;
	struct subscription *catching_up;
	size_t clients;
	struct loop_timer heartbeat;
	struct buffer text;
	bool stopping;
};

static void open_stream(struct subscription *subscription);

static void on_open_timer(void *arg)
{
	open_stream(arg);
}

static void drop_if_unused(struct subscription *subscription)
{
	if (subscription->clients != NULL)
		return;
	loop_timer_stop(subscription->feed->loop, &subscription->timer);
	if (subscription->stream != NULL) {
		rpc_stream_cancel(subscription->stream);
		return; /* on_closed goes on */
	}
	subscription->entry_id[0] = '\0';
	if (!subscription->own)
		return;
	DL_DELETE(subscription->feed->catching_up, subscription);
	free(subscription);
}

static void look_at_reader(void *arg)
{
	struct subscription *subscription = arg;
	if (subscription->stream == NULL || subscription->clients == NULL ||
	    subscription->feed->stopping)
		return;
	if (http_stream_unread(subscription->clients->stream) > UNREAD_MAX / 2) {
		loop_timer_start(subscription->feed->loop, &subscription->timer, UNREAD_LOOK_MS,
		                 look_at_reader, subscription);
		return;
	}
	subscription->paused = false;
	rpc_stream_resume(subscription->stream);
}

static void slow_down(struct subscription *subscription)
{
	if (!subscription->own || subscription->paused || subscription->clients == NULL ||
	    http_stream_unread(subscription->clients->stream) < UNREAD_MAX)
		return;
	subscription->paused = true;
	rpc_stream_pause(subscription->stream);
	loop_timer_start(subscription->feed->loop, &subscription->timer, UNREAD_LOOK_MS,
	                 look_at_reader, subscription);
}

/* JSON within one line, as the feed's framing asks for. */
static void write_data(struct buffer *out, const char *json)
{
	struct json *parsed;
	struct error ignored;
	if (json[0] != '\0' && strpbrk(json, "\r\n") == NULL) {
		buffer_puts(out, json);
	} else if (json_parse(json, strlen(json), &parsed, &ignored)) {
		json_write(out, parsed);
		json_free(parsed);
	} else {
		json_write_string(out, json, strlen(json));
	}
}

static void write_member(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, "\"%s\": ", name);
	json_write_string(out, text, strlen(text));
	buffer_puts(out, ", ");
}

void feed_write_event(struct buffer *out, const Es__Event *event)
{
	buffer_putc(out, '{');
	write_member(out, "topic", event->topic);
	write_member(out, "entry_id", event->entry_id);
	write_member(out, "action", event->event_action);
	write_member(out, "type", event->event_type);
	write_member(out, "entity_id", event->entity_id);
	buffer_printf(out,
	              "\"version\": %llu, \"data\": ", (unsigned long long)event->entity_version);
	write_data(out, event->event_data);
	buffer_putc(out, '}');
}

static void keep_position(struct subscription *subscription, const char *entry_id,
                          const char *topic)
{
	if (strlen(entry_id) >= sizeof(subscription->entry_id) ||
	    strlen(topic) >= sizeof(subscription->topic))
		return;
	strcpy(subscription->entry_id, entry_id);
	strcpy(subscription->topic, topic);
}

static void on_message(void *arg, const ProtobufCMessage *message)
{
	struct subscription *subscription = arg;
	const Es__SubscribeResponse *response = (const Es__SubscribeResponse *)message;
	struct buffer *text = &subscription->feed->text;
	struct client *client;
	if (subscription->feed->stopping)
		return; /* the clients have lost their streams */
	buffer_clear(text);
	for (size_t i = 0; i < response->n_events; i++) {
		const Es__Event *event = response->events[i];
		buffer_printf(text, "id: %s/%s\ndata: ", event->entry_id, event->topic);
		feed_write_event(text, event);
		buffer_puts(text, "\n\n");
		keep_position(subscription, event->entry_id, event->topic);
	}
	if (response->position != NULL && response->position->entry_id[0] != '\0')
		keep_position(subscription, response->position->entry_id,
		              response->position->topic);
	if (text->overflow) {
		log_error("feed_overflow", "events=%zu", response->n_events);
		return;
	}
	DL_FOREACH(subscription->clients, client)
	{
		if (text->len > 0)
			http_stream_send(client->stream, text->bytes, text->len);
	}
	slow_down(subscription);
}

static void on_closed(void *arg, const struct error *err)
{
	struct subscription *subscription = arg;
	subscription->stream = NULL;
	subscription->paused = false;
	if (subscription->clients == NULL || subscription->feed->stopping) {
		drop_if_unused(subscription);
		return;
	}
	log_warn("feed_lost", "after=%s error=\"%s\"", subscription->entry_id,
	         err != NULL ? err->message : "");
	loop_timer_start(subscription->feed->loop, &subscription->timer, BACKOFF_MS, on_open_timer,
	                 subscription);
}

static void open_stream(struct subscription *subscription)
{
	static const struct rpc_stream_events events = { on_message, on_closed };
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	Es__Position after = ES__POSITION__INIT;
	request.start = ES__START__START_LIVE;
	if (subscription->entry_id[0] != '\0') {
		after.entry_id = subscription->entry_id;
		after.topic = subscription->topic;
		request.start = ES__START__START_AFTER;
		request.after = &after;
	}
	subscription->stream =
	    rpc_stream_open(subscription->feed->store, &es__event_store__descriptor, "Subscribe",
	                    &events, subscription);
	rpc_stream_send(subscription->stream, &request.base);
	rpc_stream_end_sends(subscription->stream);
}

/* ---- clients ---- */

static void on_client_gone(void *arg)
{
	struct client *client = arg;
	struct subscription *subscription = client->subscription;
	DL_DELETE(subscription->clients, client);
	subscription->feed->clients--;
	if (client->stream != NULL)
		http_stream_close(client->stream);
	free(client);
	drop_if_unused(subscription);
}

/* On the HTTP thread. */
static void on_stream_closed(void *arg, struct http_stream *stream)
{
	(void)stream;
	struct client *client = arg;
	loop_post(client->subscription->feed->loop, on_client_gone, client);
}

static bool read_position(const char *text, struct subscription *subscription, struct error *err)
{
	const char *slash = strchr(text, '/');
	struct entry_id id;
	size_t len = slash != NULL ? (size_t)(slash - text) : 0;
	if (len == 0 || len >= sizeof(subscription->entry_id) ||
	    strlen(slash + 1) >= sizeof(subscription->topic))
		return error_set(err, ERR_INVALID,
		                 "Last-Event-ID: must be an id of this feed, <entry id>/<topic>");
	memcpy(subscription->entry_id, text, len);
	subscription->entry_id[len] = '\0';
	strcpy(subscription->topic, slash + 1);
	return (entry_id_parse(subscription->entry_id, &id, err) &&
	        name_check("topic", subscription->topic, err)) ||
	       error_wrap(err, "Last-Event-ID");
}

static struct subscription *subscription_create(struct feed *feed, bool own)
{
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	ASSERT(subscription != NULL);
	subscription->feed = feed;
	subscription->own = own;
	return subscription;
}

void feed_open(struct feed *feed, struct exchange *exchange)
{
	struct subscription *subscription = feed->live;
	struct error err;
	if (feed->stopping || feed->clients >= CLIENTS_MAX) {
		if (feed->stopping)
			error_set(&err, ERR_UNAVAILABLE, "the gateway stops");
		else
			error_set(&err, ERR_UNAVAILABLE, "%d clients read the feed already",
			          CLIENTS_MAX);
		exchange_fail(exchange, &err);
		return;
	}
	if (exchange->last_event[0] != '\0') {
		subscription = subscription_create(feed, true);
		if (!read_position(exchange->last_event, subscription, &err)) {
			free(subscription);
			exchange_fail(exchange, &err);
			return;
		}
		DL_APPEND(feed->catching_up, subscription);
	}
	struct client *client = calloc(1, sizeof(*client));
	ASSERT(client != NULL);
	client->subscription = subscription;
	DL_APPEND(subscription->clients, client);
	feed->clients++;
	client->stream =
	    http_answer_stream(exchange->request, "text/event-stream", on_stream_closed, client);
	http_stream_send(client->stream, "retry: 1000\n\n", 13);
	exchange_done(exchange, 200);
	if (subscription->stream == NULL && subscription->timer.heap_index == 0)
		open_stream(subscription);
}

static void send_to_all(struct subscription *subscription, const char *text, bool close)
{
	struct client *client;
	DL_FOREACH(subscription->clients, client)
	{
		if (client->stream == NULL)
			continue;
		http_stream_send(client->stream, text, strlen(text));
		if (close) {
			http_stream_close(client->stream);
			client->stream = NULL;
		}
	}
}

static void on_heartbeat(void *arg)
{
	struct feed *feed = arg;
	struct subscription *subscription;
	send_to_all(feed->live, ":\n\n", false);
	DL_FOREACH(feed->catching_up, subscription)
	send_to_all(subscription, ":\n\n", false);
	loop_timer_start(feed->loop, &feed->heartbeat, HEARTBEAT_MS, on_heartbeat, feed);
}

size_t feed_clients(const struct feed *feed)
{
	return feed->clients;
}

struct feed *feed_create(struct loop *loop, struct rpc_channel *store)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	ASSERT(feed != NULL);
	feed->loop = loop;
	feed->store = store;
	buffer_init(&feed->text, MESSAGE_MAX);
	feed->live = subscription_create(feed, false);
	loop_timer_start(loop, &feed->heartbeat, HEARTBEAT_MS, on_heartbeat, feed);
	return feed;
}

void feed_stop(struct feed *feed)
{
	struct subscription *subscription;
	feed->stopping = true;
	send_to_all(feed->live, "", true);
	DL_FOREACH(feed->catching_up, subscription)
	send_to_all(subscription, "", true);
}

void feed_destroy(struct feed *feed)
{
	if (feed == NULL)
		return;
	ASSERT(feed->clients == 0);
	loop_timer_stop(feed->loop, &feed->heartbeat);
	loop_timer_stop(feed->loop, &feed->live->timer);
	free(feed->live);
	buffer_free(&feed->text);
	free(feed);
}
