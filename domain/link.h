/* link.h - a consuming stream that comes back.
 *
 *   closed --open, start message--> opening --a message, or 200 ms without an end--> up
 *      ^                                |                                           |
 *      '------ backoff 50 ms to 1 s ----'------------------- lost ------------------'
 *
 * What was sent on a stream that is lost is not sent again: unsettled deliveries come again. */
#ifndef DOMAIN_LINK_H
#define DOMAIN_LINK_H

#include "base/loop.h"
#include "base/rpc_client.h"

struct link;

struct link_options {
	const char *name; /* for the log */
	struct rpc_channel *channel;
	const ProtobufCServiceDescriptor *service;
	const char *method;
	const ProtobufCMessage *start; /* the first message; copied */
	void (*message)(void *arg, const ProtobufCMessage *message);
	void *arg;
};

struct link *link_create(struct loop *loop, const struct link_options *options);
bool link_up(const struct link *link);
/* Dropped while there is no stream. */
void link_send(struct link *link, const ProtobufCMessage *message);
/* Ends the stream when all is sent, and does not open it again. */
void link_close(struct link *link);
/* The stream is closed and gone. */
bool link_closed(const struct link *link);
/* Cancels what is left. */
void link_destroy(struct link *link);

#endif
