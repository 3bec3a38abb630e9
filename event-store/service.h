/* service.h - the event store as a service: starts it, and stops it. */
#ifndef EVENT_STORE_SERVICE_H
#define EVENT_STORE_SERVICE_H

#include "base/loop.h"

struct event_store_options {
	const char *redis_url;
	const char *const *listen; /* addresses as rpc_server_listen has them */
	size_t listen_count;
	/* A client that takes nothing for so long is dropped; 0: WATCH_STUCK_MS. */
	unsigned stuck_ms;
};

struct event_store;

/* Refuses a Redis that may throw away events. The loop is run by the caller; the service is healthy
 * while Redis answers. */
MUST_USE bool event_store_serve(struct loop *loop, const struct event_store_options *options,
                                struct event_store **out, struct error *err);
/* The port that was taken for options.listen[0]. */
int event_store_port(const struct event_store *store);
/* Takes no new calls, answers those under way, then calls `done`. */
void event_store_stop(struct event_store *store, void (*done)(void *arg), void *arg);
void event_store_destroy(struct event_store *store); /* the loop must not be running */

#endif
