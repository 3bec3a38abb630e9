#include "ordershop/client.h"

#include "base/clock.h"
#include "base/when.h"
#include "ordershop/control.h"
#include "ordershop/data_folder.h"
#include "ordershop/lines.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

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
	memset(client, 0, sizeof(*client));
	client->data = config_string(options, count, "data");
	client->loop = loop_create();
	client->arena = arena_create();
	for (enum target i = 0; i < TARGETS; i++) {
		client->targets[i] =
		    target_find(options, count, i, client->data, &client->origins[i]);
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

/* gRPC takes no longer path either, but does not say so. */
static bool socket_too_long(const char *target)
{
	static const char scheme[] = "unix:";

	return strncmp(target, scheme, strlen(scheme)) == 0 &&
	       strlen(target) - strlen(scheme) >= sizeof(((struct sockaddr_un *)0)->sun_path);
}

/* Of the shop that the folder names: is only this service away? */
static bool shop_runs(const char *data)
{
	char control[PATH_MAX];
	struct buffer answer;
	struct error err;
	bool runs;

	buffer_init(&answer, LINE_MAX_BYTES);
	runs = data_folder_address(data, "control", control, sizeof(control)) &&
	       (control_ask(control, "status", &answer, &err) || err.code != ERR_UNAVAILABLE);
	buffer_free(&answer);
	return runs;
}

static bool nobody_there(const struct client *client, enum target target, struct error *err)
{
	const char *name = services_of[target].name, *at = client->targets[target];
	char tried[96];

	switch (client->origins[target]) {
	case ORIGIN_OPTION:
		return error_wrap(err, "%s at %s (is it running?)", name, at);
	case ORIGIN_ENVIRONMENT:
		return error_wrap(err, "%s at %s (is it running? The environment names it)", name,
		                  at);
	case ORIGIN_USUAL_PORT:
		snprintf(tried, sizeof(tried), ", and nothing answers at %.60s", at);
		return data_folder_idle(client->data, tried, err);
	case ORIGIN_ADDRESSES:
		if (shop_runs(client->data))
			return error_wrap(err, "%s at %s (stopped? See ordershop status)", name,
			                  at);
		break;
	case ORIGIN_NAMED_FOLDER:
		break;
	}
	return data_folder_idle(client->data, "", err);
}

bool client_wrap(const struct client *client, enum target target, struct error *err)
{
	const char *at = client->targets[target];

	if (socket_too_long(at) && client->origins[target] == ORIGIN_OPTION)
		return error_set(err, ERR_INVALID,
		                 "%s: the path of a socket may have %zu bytes, this one has %zu; "
		                 "name it by a shorter one, as a link in /tmp",
		                 services_of[target].name,
		                 sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
		                 strlen(at) - strlen("unix:"));
	if (socket_too_long(at) ||
	    strncmp(err->message, RPC_NO_CONNECTION, strlen(RPC_NO_CONNECTION)) == 0)
		return nobody_there(client, target, err);
	return error_wrap(err, "%s at %s", services_of[target].name, at);
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
