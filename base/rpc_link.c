#include "base/rpc_link.h"

#include "base/backoff.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { STEADY_MS = 200 };

struct rpc_link {
	struct loop *loop;
	struct rpc_link_options options;
	uint8_t *start;
	size_t start_len;
	struct rpc_stream *stream; /* NULL: closed */
	bool up, closing, destroyed;
	struct backoff backoff;
	struct loop_timer timer; /* until it is up, or is opened again */
};

static void open_stream(void *arg);

static void come_up(void *arg)
{
	struct rpc_link *link = arg;
	loop_timer_stop(link->loop, &link->timer);
	link->up = true;
	backoff_reset(&link->backoff);
	log_info("link_up", "link=%s", link->options.name);
}

static void on_message(void *arg, const ProtobufCMessage *message)
{
	struct rpc_link *link = arg;
	if (!link->up)
		come_up(link);
	link->options.message(link->options.arg, message);
}

static void link_free(struct rpc_link *link)
{
	loop_timer_stop(link->loop, &link->timer);
	free(link->start);
	free(link);
}

static void on_closed(void *arg, const struct error *err)
{
	struct rpc_link *link = arg;
	link->stream = NULL;
	if (link->destroyed) {
		link_free(link);
		return;
	}
	if (link->up && !link->closing)
		log_warn("link_lost", "link=%s reason=\"%s\"", link->options.name,
		         err == NULL ? "ended by the server" : err->message);
	link->up = false;
	loop_timer_stop(link->loop, &link->timer);
	if (link->closing)
		return;
	loop_timer_start(link->loop, &link->timer, backoff_ms(&link->backoff), open_stream, link);
}

static void open_stream(void *arg)
{
	static const struct rpc_stream_events events = { on_message, on_closed };
	struct rpc_link *link = arg;
	link->stream = rpc_stream_open(link->options.channel, link->options.service,
	                               link->options.method, &events, link);
	rpc_stream_send_bytes(link->stream, link->start, link->start_len);
	loop_timer_start(link->loop, &link->timer, STEADY_MS, come_up, link);
}

struct rpc_link *rpc_link_create(struct loop *loop, const struct rpc_link_options *options)
{
	struct rpc_link *link = calloc(1, sizeof(*link));
	ASSERT(link != NULL);
	link->loop = loop;
	link->options = *options;
	link->options.start = NULL;
	link->start_len = protobuf_c_message_get_packed_size(options->start);
	link->start = malloc(link->start_len + 1);
	ASSERT(link->start != NULL);
	protobuf_c_message_pack(options->start, link->start);
	open_stream(link);
	return link;
}

bool rpc_link_up(const struct rpc_link *link)
{
	return link->up;
}

void rpc_link_send(struct rpc_link *link, const ProtobufCMessage *message)
{
	if (link->stream != NULL)
		rpc_stream_send(link->stream, message);
}

void rpc_link_close(struct rpc_link *link)
{
	if (link->closing)
		return;
	link->closing = true;
	loop_timer_stop(link->loop, &link->timer);
	if (link->stream != NULL)
		rpc_stream_end_sends(link->stream);
}

bool rpc_link_closed(const struct rpc_link *link)
{
	return link->closing && link->stream == NULL;
}

void rpc_link_destroy(struct rpc_link *link)
{
	if (link == NULL)
		return;
	link->destroyed = true;
	loop_timer_stop(link->loop, &link->timer);
	if (link->stream != NULL)
		rpc_stream_cancel(link->stream);
	else
		link_free(link);
}
