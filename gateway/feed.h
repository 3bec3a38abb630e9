/* feed.h - events to browsers as they happen (Server-Sent Events).
 *
 *   event store --one subscription, live--> all clients that came without a position
 *               --one subscription each---> clients that come back with Last-Event-ID
 *
 * There is a subscription only while somebody reads. The id of an event is its position,
 * "<entry id>/<topic>", so a client that comes back continues where it was. One that reads too slowly is
 * disconnected by base/http, and then comes back. */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include "gateway/gateway.h"

#include "proto/eventstore_v1.pb-c.h"

struct feed;

struct feed *feed_create(struct loop *loop, struct rpc_channel *store);
/* All clients must have gone (the HTTP server is destroyed before). NULL is fine. */
void feed_destroy(struct feed *feed);
/* On the loop: answers the exchange with a stream. */
void feed_open(struct feed *feed, struct exchange *exchange);
size_t feed_clients(const struct feed *feed);
/* Ends all streams; they are gone when the HTTP server is destroyed. */
void feed_stop(struct feed *feed);

/* One event as JSON object, as the feed and the summary show it. */
void feed_write_event(struct buffer *out, const Es__Event *event);

#endif
