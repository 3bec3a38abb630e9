/* The method Subscribe: a feed, and a client that takes what it can. */
#include "event-store/service_internal.h"

#include "base/log.h"
#include "event-store/feed.h"

#include <stdlib.h>
#include <string.h>

enum {
	UNREAD_BYTES = 1024 * 1024, /* that the client has not taken; then the feed waits */
	MESSAGE_BYTES = 1024 * 1024 /* of one message, unless a single event is larger */
};

struct subscription {
	struct watch watch;
	struct rpc_call *call;
	struct feed *feed;
	bool told_live;
	bool has_position;
	char entry_id[ENTRY_ID_SIZE];
	char topic[80];
};

/* Packs events[first..] up to the bound of a message; returns the index after the last one. */
static size_t pack_some(const struct event_slice *slice, size_t first, bool live,
                        struct rpc_packed **packed)
{
	size_t bytes = 0, end = first;
	Es__Event **events = malloc((slice->count - first) * sizeof(*events));
	ASSERT(events != NULL);
	while (end < slice->count &&
	       (end == first || bytes + slice->events[end]->bytes <= MESSAGE_BYTES)) {
		bytes += slice->events[end]->bytes;
		events[end - first] = &slice->events[end]->message;
		end++;
	}
	Es__Position position = ES__POSITION__INIT;
	position.entry_id = slice->events[end - 1]->message.entry_id;
	position.topic = slice->events[end - 1]->message.topic;
	Es__SubscribeResponse response = ES__SUBSCRIBE_RESPONSE__INIT;
	response.events = events;
	response.n_events = end - first;
	response.position = &position;
	response.live = live && end == slice->count;
	*packed = rpc_pack(&response.base);
	free(events);
	return end;
}

/* Only the live tail brings one slice to many: then it is packed once for all. */
static void pack_slice(struct event_slice *slice, bool live)
{
	size_t capacity = 0;
	for (size_t i = 0; i < slice->count;) {
		if (slice->packed_count == capacity) {
			capacity = capacity == 0 ? 1 : capacity * 2;
			slice->packed =
			    realloc((void *)slice->packed, capacity * sizeof(*slice->packed));
			ASSERT(slice->packed != NULL);
		}
		i = pack_some(slice, i, live, &slice->packed[slice->packed_count++]);
	}
}

static void send_live(struct subscription *subscription)
{
	Es__Position position = ES__POSITION__INIT;
	position.entry_id = subscription->entry_id;
	position.topic = subscription->topic;
	Es__SubscribeResponse response = ES__SUBSCRIBE_RESPONSE__INIT;
	response.live = true;
	if (subscription->has_position)
		response.position = &position;
	rpc_send(subscription->call, &response.base);
}

static void pump(void *arg)
{
	struct subscription *subscription = arg;
	struct rpc_call *call = subscription->call;
	struct error err;
	if (feed_failed(subscription->feed, &err)) {
		if (!rpc_ended(call))
			rpc_finish(call, &err);
		return;
	}
	while (!rpc_ended(call) && rpc_queued_bytes(call) < UNREAD_BYTES) {
		struct event_slice *slice = feed_take(subscription->feed);
		bool live = feed_live(subscription->feed);
		if (slice == NULL) {
			if (live && !subscription->told_live)
				send_live(subscription);
			subscription->told_live = live;
			return;
		}
		if (slice->packed_count == 0)
			pack_slice(slice, live);
		for (size_t i = 0; i < slice->packed_count; i++)
			rpc_send_packed(call, slice->packed[i]);
		const Es__Event *last = &slice->events[slice->count - 1]->message;
		strncpy(subscription->entry_id, last->entry_id, ENTRY_ID_SIZE - 1);
		strncpy(subscription->topic, last->topic, sizeof(subscription->topic) - 1);
		subscription->has_position = true;
		subscription->told_live = live;
		event_slice_unref(slice);
	}
}

static bool check(const Es__SubscribeRequest *request, struct feed_options *options,
                  struct error *err)
{
	enum { TOPICS_MAX = 256 };
	*options = (struct feed_options){ .topics = (const char *const *)request->topics,
		                          .topic_count = request->n_topics,
		                          .after_topic = "" };
	if (request->n_topics > TOPICS_MAX)
		return error_set(err, ERR_INVALID, "topics: must be at most %d, are %zu",
		                 TOPICS_MAX, request->n_topics);
	for (size_t i = 0; i < request->n_topics; i++) {
		if (!name_check("topics", request->topics[i], err))
			return false;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(request->topics[i], request->topics[k]) == 0)
				return error_set(err, ERR_INVALID, "topics: \"%s\" is there twice",
				                 request->topics[i]);
		}
	}
	switch (request->start) {
	case ES__START__START_BEGINNING:
		return true;
	case ES__START__START_LIVE:
		options->live_only = true;
		return true;
	case ES__START__START_AFTER:
		if (request->after == NULL)
			return error_set(err, ERR_INVALID, "after: is needed with START_AFTER");
		if (request->after->topic[0] != '\0' &&
		    !name_check("after.topic", request->after->topic, err))
			return false;
		options->after_topic = request->after->topic;
		return entry_id_parse(request->after->entry_id, &options->after, err) ||
		       error_wrap(err, "after.entry_id");
	default:
		return error_set(err, ERR_INVALID, "start: must be 0 to 2, is %d",
		                 (int)request->start);
	}
}

void subscribe_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct event_store *store = ctx;
	struct feed_options options;
	struct error err;
	if (!check((const Es__SubscribeRequest *)request, &options, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	ASSERT(subscription != NULL);
	subscription->call = call;
	rpc_set_data(call, subscription);
	watch_begin(&store->readers, &subscription->watch, call);
	subscription->feed =
	    feed_create(store->loop, store->store, store->tail, &options, pump, subscription);
}

void subscribe_drained(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	if (rpc_data(call) != NULL)
		pump(rpc_data(call));
}

void subscribe_ended(void *ctx, struct rpc_call *call)
{
	struct event_store *store = ctx;
	struct subscription *subscription = rpc_data(call);
	if (subscription == NULL)
		return;
	watch_end(&store->readers, &subscription->watch);
	feed_destroy(subscription->feed);
	free(subscription);
}
