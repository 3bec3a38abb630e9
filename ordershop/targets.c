#include "ordershop/targets.h"
#include "ordershop/data_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *option;
	const char *key; /* in DATA/addresses */
	const char *host_env, *port_env;
	const char *port;
} rows[TARGETS] = {
	{ "event_store", "event-store", "EVENT_STORE_HOSTNAME", "EVENT_STORE_PORTNR", "50051" },
	{ "message_queue", "message-queue", "MESSAGE_QUEUE_HOSTNAME", "MESSAGE_QUEUE_PORTNR",
	  "50052" },
	{ "read_model", "read-model", "READ_MODEL_HOSTNAME", "READ_MODEL_PORTNR", "50053" },
};

/* Who names a folder means the shop in it, running or not, and no other. */
static bool data_is_given(const struct config_option *options, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(options[i].name, "data") == 0)
			return strcmp(options[i].source, "default") != 0;
	}
	return false;
}

static enum target_origin find(const struct config_option *options, size_t count,
                               enum target target, const char *data, char out[PATH_MAX])
{
	const char *given = config_string(options, count, rows[target].option);
	const char *host = getenv(rows[target].host_env);
	const char *port = getenv(rows[target].port_env);
	bool environment = host || port;

	if (given) {
		snprintf(out, PATH_MAX, "%s", given);
		return ORIGIN_OPTION;
	}
	if (data && data_folder_address(data, rows[target].key, out, PATH_MAX))
		return ORIGIN_ADDRESSES;
	if (!environment && data && data_is_given(options, count)) {
		snprintf(out, PATH_MAX, "unix:%s/%s.sock", data, rows[target].key);
		return ORIGIN_NAMED_FOLDER;
	}
	snprintf(out, PATH_MAX, "%s:%s", host ? host : "127.0.0.1",
	         port ? port : rows[target].port);
	return environment ? ORIGIN_ENVIRONMENT : ORIGIN_USUAL_PORT;
}

const char *target_find(const struct config_option *options, size_t count, enum target target,
                        const char *data, enum target_origin *origin)
{
	static char found[TARGETS][PATH_MAX];
	enum target_origin from = find(options, count, target, data, found[target]);

	if (origin)
		*origin = from;
	return found[target];
}
