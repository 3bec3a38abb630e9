/* saga_runtime.h - runs the reactions of a service to events.
 *
 *   event --> react --> loads, lists, calls --> react --> ... --> done, all messages on disk --> ack
 *               ^                                 |
 *               '----- what failed for now is tried again, with a backoff of at most 1 s
 *
 * An event whose commands take long, because their service is down or its queue is long, is kept by asking
 * for more time: it is parked only when it takes down its consumer again and again, or stands still with it.
 *
 * An event whose command was parked is parked too, with that reason: nothing that follows from it
 * happens without an answer by the rule.
 *
 * Each topic has one stream from the event store, in the consumer group named as the service: the
 * instances of a service share the events. An event that is not acknowledged when its consumer
 * dies comes again; message ids are derived from the event's, so nothing happens twice. Commands
 * to the own service run in this process. */
#ifndef DOMAIN_SAGA_RUNTIME_H
#define DOMAIN_SAGA_RUNTIME_H

#include "domain/runtime.h"

struct saga_runtime;

/* All must outlive it. */
struct saga_options {
	const struct service *service;
	struct runtime *runtime;
	struct domain_store *store;
	struct rpc_channel *event_store;
	struct rpc_channel *queue;
	struct rpc_channel *read_model;
	uint64_t extend_ms; /* how often what takes long asks for more time; 0: 10,000 */
};

struct saga_runtime *saga_runtime_create(struct loop *loop, const struct saga_options *options);
void saga_runtime_destroy(struct saga_runtime *sagas);
/* All streams stand. */
bool saga_runtime_up(const struct saga_runtime *sagas);
/* Takes no more events; the streams end when the reactions in progress have. */
void saga_runtime_drain(struct saga_runtime *sagas);
bool saga_runtime_idle(const struct saga_runtime *sagas); /* nothing runs */
bool saga_runtime_drained(const struct saga_runtime *sagas);

#endif
