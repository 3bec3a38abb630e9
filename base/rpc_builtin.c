#include "base/rpc_server_internal.h"
#include "proto/health.pb-c.h"
#include "proto/reflection.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What protoc wrote: a FileDescriptorSet of all contracts. */
extern const char contracts_descriptor_set[];
extern const char contracts_descriptor_set_end[];

struct watcher {
	struct rpc_call *call;
	bool known; /* its service is one of ours */
	struct watcher *prev, *next;
};

struct rpc_builtin {
	struct rpc_server *server;
	struct watcher *watchers;
};

static bool service_known(const struct rpc_server *server, const char *name)
{
	const struct rpc_service *service;
	DL_FOREACH(server->services, service)
	{
		if (strcmp(service->descriptor->name, name) == 0)
			return true;
	}
	return name[0] == '\0';
}

/* ---- health ---- */

static Health__HealthCheckResponse health_now(const struct rpc_builtin *builtin, bool known)
{
	Health__HealthCheckResponse response = HEALTH__HEALTH_CHECK_RESPONSE__INIT;
	if (!known)
		response.status = HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
	else if (builtin->server->healthy)
		response.status = HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	else
		response.status = HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
	return response;
}

static void health_check(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct rpc_builtin *builtin = ctx;
	const char *name = ((const Health__HealthCheckRequest *)message)->service;
	if (!service_known(builtin->server, name)) {
		struct error err;
		error_set(&err, ERR_NOT_FOUND, "there is no service %s here", name);
		rpc_finish(call, &err);
		return;
	}
	Health__HealthCheckResponse response = health_now(builtin, true);
	rpc_reply(call, &response.base);
}

static void health_watch(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct rpc_builtin *builtin = ctx;
	const char *name = ((const Health__HealthCheckRequest *)message)->service;
	struct watcher *watcher = malloc(sizeof(*watcher));
	ASSERT(watcher != NULL);
	*watcher = (struct watcher){ call, service_known(builtin->server, name), NULL, NULL };
	DL_APPEND(builtin->watchers, watcher);
	rpc_set_data(call, watcher);
	Health__HealthCheckResponse response = health_now(builtin, watcher->known);
	rpc_send(call, &response.base);
}

static void health_unwatch(void *ctx, struct rpc_call *call)
{
	struct rpc_builtin *builtin = ctx;
	struct watcher *watcher = rpc_data(call);
	if (watcher == NULL)
		return;
	DL_DELETE(builtin->watchers, watcher);
	free(watcher);
}

static const struct rpc_method health_methods[] = {
	{ .name = "Check", .kind = RPC_UNARY, .message = health_check },
	{ .name = "Watch",
	  .kind = RPC_SERVER_STREAM,
	  .message = health_watch,
	  .ended = health_unwatch },
};

void rpc_builtin_health_changed(struct rpc_builtin *builtin)
{
	struct watcher *watcher;
	DL_FOREACH(builtin->watchers, watcher)
	{
		Health__HealthCheckResponse response = health_now(builtin, watcher->known);
		if (watcher->known)
			rpc_send(watcher->call, &response.base);
	}
}

void rpc_builtin_stopping(struct rpc_builtin *builtin)
{
	struct watcher *watcher;
	DL_FOREACH(builtin->watchers, watcher)
	{
		rpc_finish(watcher->call, NULL);
	}
}

/* ---- descriptors: just enough of the wire format to find names in them ---- */

struct bytes {
	const uint8_t *at;
	const uint8_t *end;
};

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

static uint64_t read_varint(struct bytes *from)
{
	uint64_t value = 0;
	for (unsigned shift = 0; from->at < from->end && shift < 64; shift += 7) {
		uint8_t byte = *from->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	return value;
}

/* The next field that holds bytes; the others are stepped over. */
static bool next_field(struct bytes *from, unsigned *number, struct bytes *value)
{
	while (from->at < from->end) {
		uint64_t key = read_varint(from);
		size_t left = (size_t)(from->end - from->at), skip = 0;
		if ((key & 7) == WIRE_BYTES) {
			uint64_t len = read_varint(from);
			left = (size_t)(from->end - from->at);
			ASSERT(len <= left); /* protoc wrote it */
			*number = (unsigned)(key >> 3);
			*value = (struct bytes){ from->at, from->at + len };
			from->at += len;
			return true;
		}
		if ((key & 7) == WIRE_VARINT)
			read_varint(from);
		else
			skip = (key & 7) == WIRE_64BIT ? 8 : 4;
		ASSERT(skip <= left);
		from->at += skip;
	}
	return false;
}

static bool field_of(struct bytes message, unsigned wanted, struct bytes *value)
{
	unsigned number;
	while (next_field(&message, &number, value)) {
		if (number == wanted)
			return true;
	}
	*value = (struct bytes){ NULL, NULL };
	return false;
}

static bool is(struct bytes value, const char *text, size_t len)
{
	return (size_t)(value.end - value.at) == len &&
	       (len == 0 || memcmp(value.at, text, len) == 0);
}

/* What can hold named things, and in which field. Field 1 is the name in all of them. */
enum holder { HOLDS_FILE, HOLDS_MESSAGE, HOLDS_ENUM, HOLDS_SERVICE, HOLDS_NOTHING };
static const struct {
	enum holder in;
	unsigned field;
	enum holder kind;
} holdings[] = {
	{ HOLDS_FILE, 4, HOLDS_MESSAGE },    /* message_type */
	{ HOLDS_FILE, 5, HOLDS_ENUM },       /* enum_type */
	{ HOLDS_FILE, 6, HOLDS_SERVICE },    /* service */
	{ HOLDS_MESSAGE, 2, HOLDS_NOTHING }, /* field */
	{ HOLDS_MESSAGE, 3, HOLDS_MESSAGE }, /* nested_type */
	{ HOLDS_MESSAGE, 4, HOLDS_ENUM },    /* enum_type */
	{ HOLDS_ENUM, 2, HOLDS_NOTHING },    /* value */
	{ HOLDS_SERVICE, 2, HOLDS_NOTHING }, /* method */
};

/* Whether `symbol`, such as "Outer.Inner.field", names something inside. */
static bool holds_symbol(struct bytes message, enum holder kind, const char *symbol)
{
	size_t first = strcspn(symbol, ".");
	unsigned number;
	struct bytes value, name;
	while (next_field(&message, &number, &value)) {
		for (size_t i = 0; i < ARRAY_LEN(holdings); i++) {
			if (holdings[i].in != kind || holdings[i].field != number ||
			    !field_of(value, 1, &name) || !is(name, symbol, first))
				continue;
			if (symbol[first] == '\0' ||
			    holds_symbol(value, holdings[i].kind, symbol + first + 1))
				return true;
		}
	}
	return false;
}

static bool file_holds(struct bytes file, const char *symbol)
{
	struct bytes package;
	field_of(file, 2, &package);
	size_t len = (size_t)(package.end - package.at);
	if (len == 0)
		return holds_symbol(file, HOLDS_FILE, symbol);
	return strncmp(symbol, (const char *)package.at, len) == 0 && symbol[len] == '.' &&
	       holds_symbol(file, HOLDS_FILE, symbol + len + 1);
}

static bool find_file(const char *filename, const char *symbol, struct bytes *file)
{
	struct bytes set = { (const uint8_t *)contracts_descriptor_set,
		             (const uint8_t *)contracts_descriptor_set_end };
	unsigned number;
	struct bytes name;
	while (next_field(&set, &number, file)) {
		if (filename != NULL && field_of(*file, 1, &name) &&
		    is(name, filename, strlen(filename)))
			return true;
		if (symbol != NULL && file_holds(*file, symbol))
			return true;
	}
	return false;
}

/* ---- reflection ---- */

static void list_services(const struct rpc_server *server, struct rpc_call *call,
                          Reflection__ServerReflectionResponse *response)
{
	enum { SERVICES_MAX = 64 };
	Reflection__ServiceResponse entries[SERVICES_MAX];
	Reflection__ServiceResponse *pointers[SERVICES_MAX];
	Reflection__ListServiceResponse list = REFLECTION__LIST_SERVICE_RESPONSE__INIT;
	const struct rpc_service *service;
	DL_FOREACH(server->services, service)
	{
		ASSERT(list.n_service < SERVICES_MAX);
		Reflection__ServiceResponse *entry = &entries[list.n_service];
		reflection__service_response__init(entry);
		entry->name = service->descriptor->name;
		pointers[list.n_service++] = entry;
	}
	list.service = pointers;
	response->message_response_case =
	    REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	response->list_services_response = &list;
	rpc_send(call, &response->base);
	response->list_services_response = NULL; /* sent; it ends here */
}

static void send_file(struct rpc_call *call, Reflection__ServerReflectionResponse *response,
                      const char *filename, const char *symbol)
{
	Reflection__FileDescriptorResponse files = REFLECTION__FILE_DESCRIPTOR_RESPONSE__INIT;
	Reflection__ErrorResponse error = REFLECTION__ERROR_RESPONSE__INIT;
	struct bytes file;
	ProtobufCBinaryData data;
	if (find_file(filename, symbol, &file)) {
		data = (ProtobufCBinaryData){ (size_t)(file.end - file.at), (uint8_t *)file.at };
		files.n_file_descriptor_proto = 1;
		files.file_descriptor_proto = &data;
		response->message_response_case =
		    REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
		response->file_descriptor_response = &files;
	} else {
		error.error_code = error_grpc_status(ERR_NOT_FOUND);
		error.error_message = "no contract has it";
		response->message_response_case =
		    REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
		response->error_response = &error;
	}
	rpc_send(call, &response->base);
	response->error_response = NULL; /* sent; either ends here */
}

static void reflect(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct rpc_builtin *builtin = ctx;
	Reflection__ServerReflectionRequest *request =
	    (Reflection__ServerReflectionRequest *)message;
	Reflection__ServerReflectionResponse response =
	    REFLECTION__SERVER_REFLECTION_RESPONSE__INIT;
	response.valid_host = request->host;
	response.original_request = request;
	switch (request->message_request_case) {
	case REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		list_services(builtin->server, call, &response);
		break;
	case REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		send_file(call, &response, request->file_by_filename, NULL);
		break;
	case REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		send_file(call, &response, NULL, request->file_containing_symbol);
		break;
	default: /* extensions: proto3 has none */
		send_file(call, &response, NULL, NULL);
		break;
	}
}

static void reflection_end(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	rpc_finish(call, NULL);
}

static const struct rpc_method reflection_methods[] = {
	{ .name = "ServerReflectionInfo",
	  .kind = RPC_BIDI_STREAM,
	  .message = reflect,
	  .half_close = reflection_end },
};

struct rpc_builtin *rpc_builtin_create(struct rpc_server *server)
{
	struct rpc_builtin *builtin = calloc(1, sizeof(*builtin));
	ASSERT(builtin != NULL);
	builtin->server = server;
	rpc_server_add(server, &health__health__descriptor, health_methods,
	               ARRAY_LEN(health_methods), builtin);
	rpc_server_add(server, &reflection__server_reflection__descriptor, reflection_methods,
	               ARRAY_LEN(reflection_methods), builtin);
	return builtin;
}

void rpc_builtin_destroy(struct rpc_builtin *builtin)
{
	free(builtin);
}
