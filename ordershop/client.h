/* client.h - a command's connections to a running shop. */
#ifndef ORDERSHOP_CLIENT_H
#define ORDERSHOP_CLIENT_H

#include "base/rpc_client.h"
#include "ordershop/targets.h"

struct client {
	struct loop *loop;
	struct arena *arena; /* of responses; reset it when they are no longer needed */
	const char *targets[TARGETS];
	struct rpc_channel *channels[TARGETS];
};

/* `options` hold SHOP_OPTIONS. Connects when first used. */
void client_open(struct client *client, const struct config_option *options, size_t count);
void client_close(struct client *client);

/* One call, at most 10 s. An error says which service, where, and what to do. */
MUST_USE bool client_call(struct client *client, enum target target, const char *method,
                          const ProtobufCMessage *request, const ProtobufCMessage **response,
                          struct error *err);
const ProtobufCServiceDescriptor *client_service(enum target target);
/* Puts service and address before the message. Always returns false. */
bool client_wrap(const struct client *client, enum target target, struct error *err);

#endif
