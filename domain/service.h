/* service.h - one domain service as a process: commands from the queue, events to and from the
 * store, health on addresses of its own. It holds nothing that is not in the store. */
#ifndef DOMAIN_SERVICE_H
#define DOMAIN_SERVICE_H

#include "base/loop.h"

struct domain_options {
	const char *service;       /* "customer", as in services.c */
	const char *event_store;   /* "127.0.0.1:50051", "unix:/path" */
	const char *message_queue; /* the same */
	const char *read_model;    /* the same */
	const char *const *listen; /* for health; may be none */
	size_t listen_count;
};

struct domain;

/* Starts and returns; the caller runs the loop. Health is SERVING while all streams to the store
 * and the queue stand; they are opened again when lost. ERR_NOT_FOUND: no such service. */
MUST_USE bool domain_serve(struct loop *loop, const struct domain_options *options,
                           struct domain **out, struct error *err);
/* Takes no more work, finishes what is in flight, at most 4 s, then calls `done`. */
void domain_stop(struct domain *domain, void (*done)(void *arg), void *arg);
void domain_destroy(struct domain *domain); /* the loop must not be running */

#endif
