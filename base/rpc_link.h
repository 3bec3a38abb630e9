/* rpc_link.h - a consuming stream that comes back.
 *
 *   closed --open, start message--> opening --a message, or 200 ms without an end--> up
 *      ^                                |                                           |
 *      '------ backoff 50 ms to 1 s ----'------------------- lost ------------------'
 *
 * What was sent on a stream that is lost is not sent again: unsettled deliveries come again. */
#ifndef BASE_RPC_LINK_H
#define BASE_RPC_LINK_H

#include "base/rpc_client.h"

struct rpc_link;

struct rpc_link_options {
	const char *name; /* for the log */
	struct rpc_channel *channel;
	const ProtobufCServiceDescriptor *service;
	const char *method;
	const ProtobufCMessage *start; /* the first message; copied */
	void (*message)(void *arg, const ProtobufCMessage *message);
	void *arg;
};

struct rpc_link *rpc_link_create(struct loop *loop, const struct rpc_link_options *options);
bool rpc_link_up(const struct rpc_link *link);
/* Dropped while there is no stream. */
void rpc_link_send(struct rpc_link *link, const ProtobufCMessage *message);
/* Ends the stream when all is sent, and does not open it again. */
void rpc_link_close(struct rpc_link *link);
/* The stream is closed and gone. */
bool rpc_link_closed(const struct rpc_link *link);
/* Cancels what is left. */
void rpc_link_destroy(struct rpc_link *link);

#endif
