/* service.h - the message queue as a process: RPC services on one side, Redis on the other. */
#ifndef MESSAGE_QUEUE_SERVICE_H
#define MESSAGE_QUEUE_SERVICE_H

#include "base/loop.h"

struct message_queue_options {
	const char *redis_url;
	const char *const *listen; /* "127.0.0.1:50052", "unix:/path" */
	size_t listen_count;
	const char *instance;      /* NULL: host name and first address */
	uint64_t max_pending;      /* messages per queue; 0: 1,000,000 */
	uint64_t max_callers;      /* that wait at a time; 0: 200,000 */
	uint32_t legacy_lease_ms;  /* of a message taken with recv_msg; 0: 10,000 */
	unsigned redis_timeout_ms; /* 0: 5,000 */
};

struct message_queue;

/* Starts to listen and returns; the caller runs the loop. Health is SERVING while Redis answers. */
MUST_USE bool message_queue_serve(struct loop *loop, const struct message_queue_options *options,
                                  struct message_queue **out, struct error *err);
/* The port of the first address. */
int message_queue_port(const struct message_queue *service);
/* Ends the streams, returns what consumers hold; `done` is called when no call is left. */
void message_queue_stop(struct message_queue *service, void (*done)(void *arg), void *arg);
void message_queue_destroy(struct message_queue *service); /* the loop must not be running */

#endif
