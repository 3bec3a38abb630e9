/* service.h - the gateway: REST, the live page and its feed, on one port.
 *
 *   HTTP thread                             loop's thread
 *   route, check --- one post per turn ---> commands to the queue, queries to the read model
 *   answer  <------- http_answer ---------- results
 *
 * No durable state: it may be killed at any moment, and several can run side by side. */
#ifndef GATEWAY_SERVICE_H
#define GATEWAY_SERVICE_H

#include "base/loop.h"

struct gateway;

struct gateway_options {
	const char *host; /* NULL: "127.0.0.1" */
	int port;         /* 0: any free one */
	/* Targets as in rpc_client.h. */
	const char *event_store;
	const char *message_queue;
	const char *read_model;
	/* NULL, or called once on the loop when every service is healthy for the first time. */
	void (*ready)(void *arg);
	void *ready_arg;
};

/* Starts and returns; the caller runs the loop. ERR_EXISTS when the port is in use. */
MUST_USE bool gateway_serve(struct loop *loop, const struct gateway_options *options,
                            struct gateway **out, struct error *err);
int gateway_port(const struct gateway *gateway);
/* Takes no new requests, answers what is under way, ends the feeds; then calls `done` on the loop. */
void gateway_stop(struct gateway *gateway, void (*done)(void *arg), void *arg);
void gateway_destroy(struct gateway *gateway); /* NULL is fine; after gateway_stop's `done` */

#endif
