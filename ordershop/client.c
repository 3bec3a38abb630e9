#include "ordershop/client.h"

#include "base/clock.h"
#include "base/when.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <string.h>

enum { CALL_TIMEOUT_MS = 10000 };

static const struct {
	const char *name;
	const ProtobufCServiceDescriptor *service;
} services_of[TARGETS] = {
	[TARGET_EVENT_STORE] = { "event store", &es__event_store__descriptor },
	[TARGET_MESSAGE_QUEUE] = { "message queue", &mq__message_queue__descriptor },
	[TARGET_READ_MODEL] = { "read model", &rm__read_model__descriptor },
};

void client_open(struct client *client, const struct config_option *options, size_t count)
{
	const char *data = config_string(options, count, "data");

	memset(client, 0, sizeof(*client));
	client->loop = loop_create();
	client->arena = arena_create();
	for (enum target i = 0; i < TARGETS; i++) {
		client->targets[i] = target_find(options, count, i, data);
		client->channels[i] = rpc_channel_create(client->loop, client->targets[i]);
	}
}

void client_close(struct client *client)
{
	for (size_t i = 0; i < TARGETS; i++)
		rpc_channel_destroy(client->channels[i]);
	loop_destroy(client->loop);
	arena_destroy(client->arena);
}

int client_run(const struct subcommand *self, const struct config_option *options, size_t count,
               client_function *function, void *arg)
{
	struct client client;
	struct error err;

	client_open(&client, options, count);
	bool done = function(&client, arg, &err);
	client_close(&client);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}

bool option_moment(const struct config_option *options, size_t count, const char *name,
                   struct entry_id *moment, const struct entry_id **out, struct error *err)
{
	const char *text = config_string(options, count, name);

	*out = text ? moment : NULL;
	return !text || moment_parse(text, clock_wall_us(), moment, err) ||
	       error_wrap(err, "--%s", name);
}

const ProtobufCServiceDescriptor *client_service(enum target target)
{
	return services_of[target].service;
}

bool client_wrap(const struct client *client, enum target target, struct error *err)
{
	const char *hint = "";

	if (strncmp(err->message, RPC_NO_CONNECTION, strlen(RPC_NO_CONNECTION)) == 0)
		hint = " (is the shop running? --data names its folder)";
	return error_wrap(err, "%s at %s%s", services_of[target].name, client->targets[target],
	                  hint);
}

bool client_call(struct client *client, enum target target, const char *method,
                 const ProtobufCMessage *request, const ProtobufCMessage **response,
                 struct error *err)
{
	if (rpc_unary_wait(client->channels[target], services_of[target].service, method, request,
	                   CALL_TIMEOUT_MS, client->arena, response, err))
		return true;
	return client_wrap(client, target, err);
}
