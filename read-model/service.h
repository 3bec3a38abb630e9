/* service.h - the read model as a process: projector, gRPC service, queue functions. */
#ifndef READ_MODEL_SERVICE_H
#define READ_MODEL_SERVICE_H

#include "base/loop.h"

struct read_model_options {
	const char *redis_url;
	const char *event_store;   /* where it listens */
	const char *message_queue; /* NULL: no queue functions */
	const char *const *listen; /* addresses as rpc_server_listen has them */
	size_t listen_count;
	bool rebuild; /* build a new generation beside the live one, then change over */
};

struct read_model;

/* Starts to listen and returns; the caller runs the loop. Needs Redis to find the generation; the
 * event store and the queue may come later. Health is SERVING once a generation has caught up with
 * the log. */
MUST_USE bool read_model_serve(struct loop *loop, const struct read_model_options *options,
                               struct read_model **out, struct error *err);
/* The port of the first address. */
int read_model_port(const struct read_model *model);
void read_model_stop(struct read_model *model, void (*done)(void *arg), void *arg);
void read_model_destroy(struct read_model *model); /* the loop must not be running */

#endif
