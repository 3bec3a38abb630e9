/* client.h - a command's connections to a running shop. */
#ifndef ORDERSHOP_CLIENT_H
#define ORDERSHOP_CLIENT_H

#include "base/id.h"
#include "base/rpc_client.h"
#include "ordershop/command.h"
#include "ordershop/targets.h"

struct client {
	struct loop *loop;
	struct arena *arena; /* of responses; reset it when they are no longer needed */
	const char *data;    /* the shop's folder */
	const char *targets[TARGETS];
	enum target_origin origins[TARGETS];
	struct rpc_channel *channels[TARGETS];
};

/* `options` hold SHOP_OPTIONS. Connects when first used. */
void client_open(struct client *client, const struct config_option *options, size_t count);
void client_close(struct client *client);

/* What a command does with the shop. On failure the error is the command's. */
typedef bool client_function(struct client *client, void *arg, struct error *err);
/* Connects, calls it, closes. Returns EXIT_OK, or EXIT_FAILED after the error is printed. */
int client_run(const struct subcommand *self, const struct config_option *options, size_t count,
               client_function *function, void *arg);

/* The moment that an option gives (when.h): `*out` is `*moment`, or NULL if it is not given. ERR_INVALID names the
 * option. */
MUST_USE bool option_moment(const struct config_option *options, size_t count, const char *name,
                            struct entry_id *moment, const struct entry_id **out,
                            struct error *err);

/* One call, at most 10 s. An error says which service, where, and what to do. */
MUST_USE bool client_call(struct client *client, enum target target, const char *method,
                          const ProtobufCMessage *request, const ProtobufCMessage **response,
                          struct error *err);
const ProtobufCServiceDescriptor *client_service(enum target target);
/* Puts service and address before the message. Always returns false. */
bool client_wrap(const struct client *client, enum target target, struct error *err);

#endif
