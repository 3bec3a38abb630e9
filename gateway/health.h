/* health.h - is everybody well, asked once a second.
 *
 *   event-store, message-queue, read-model   grpc.health.v1 Check
 *   domain services with queues              one of their queues has a consumer: then all that they know have
 *   crm, which has none                      its consumer group does not stand still */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include "base/buffer.h"
#include "base/loop.h"
#include "base/rpc_client.h"

struct health;

struct health_options {
	struct rpc_channel *store, *queue, *model;
	void (*ready)(void *arg); /* may be NULL; once, when all are healthy for the first time */
	void *ready_arg;
};

struct health *health_create(struct loop *loop, const struct health_options *options);
void health_stop(struct health *health); /* asks no more; answers may still come */
/* The channels must have been destroyed before. NULL is fine. */
void health_destroy(struct health *health);
bool health_ok(const struct health *health);
/* {"status": "ok"|"degraded", "services": {"NAME": {"healthy": true, "detail": "..."}, ...}} */
void health_write(const struct health *health, struct buffer *out);
void health_write_metrics(const struct health *health, struct buffer *out);

#endif
