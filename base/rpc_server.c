#include "base/rpc_server_internal.h"

#include <ctype.h>
#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

/* Calls that gRPC may hand over at once; each costs a look in its completion queue. */
enum { POSTED_CALLS = 64 };
/* Ended calls that are kept for the next ones. */
enum { IDLE_CALLS = 256 };
/* All buffers of gRPC together. Its minimal stack has no limit for one message. */
enum { GRPC_MEMORY_MAX = 512 * 1024 * 1024 };

static void on_stopped(struct loop_tag *tag, bool ok);
static void on_accepted(struct loop_tag *tag, bool ok);

struct rpc_server *rpc_server_create(struct loop *loop)
{
	struct rpc_server *server = calloc(1, sizeof(*server));
	ASSERT(server != NULL);
	server->loop = loop;
	server->stopped_tag.done = on_stopped;
	server->scratch = arena_create();
	grpc_arg args[] = {
		/* No filters that we do without; client deadlines are needed. */
		RPC_ARG(GRPC_ARG_MINIMAL_STACK, 1),
		RPC_ARG(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 1),
		/* Two servers on one port would share its calls silently. */
		RPC_ARG(GRPC_ARG_ALLOW_REUSEPORT, 0),
		/* The probe opens the window to megabytes for a method that does not read. */
		RPC_ARG(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		RPC_ARG(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_MAX),
		/* Clients may ping every 5 s, also without calls. */
		RPC_ARG(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000),
		RPC_ARG(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		/* A client whose machine is gone: its calls end after a minute. */
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIME_MS, 40000),
		RPC_ARG(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000),
		{ .type = GRPC_ARG_POINTER, .key = (char *)GRPC_ARG_RESOURCE_QUOTA },
	};
	grpc_resource_quota *quota = grpc_resource_quota_create("server");
	grpc_resource_quota_resize(quota, GRPC_MEMORY_MAX);
	args[ARRAY_LEN(args) - 1].value.pointer.p = quota;
	args[ARRAY_LEN(args) - 1].value.pointer.vtable = grpc_resource_quota_arg_vtable();
	grpc_channel_args all = { .num_args = ARRAY_LEN(args), .args = args };
	server->server = grpc_server_create(&all, NULL);
	grpc_resource_quota_unref(quota);
	grpc_server_register_completion_queue(server->server, loop_queue(loop), NULL);
	server->builtin = rpc_builtin_create(server);
	return server;
}

/* ---- methods ---- */

static const ProtobufCMethodDescriptor *find_method(const ProtobufCServiceDescriptor *service,
                                                    const char *name)
{
	for (unsigned i = 0; i < service->n_methods; i++) {
		if (strcmp(service->methods[i].name, name) == 0)
			return &service->methods[i];
	}
	return NULL;
}

void rpc_server_add(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
                    const struct rpc_method *methods, size_t method_count, void *ctx)
{
	ASSERT(!server->started);
	ASSERT(method_count <= service->n_methods);
	struct rpc_service *entry = calloc(1, sizeof(*entry));
	ASSERT(entry != NULL);
	entry->descriptor = service;
	DL_APPEND(server->services, entry);
	for (size_t i = 0; i < method_count; i++) {
		const ProtobufCMethodDescriptor *method = find_method(service, methods[i].name);
		ASSERT(method != NULL);
		struct rpc_bound *bound = calloc(1, sizeof(*bound));
		ASSERT(bound != NULL);
		bound->path = rpc_method_path(service, method->name);
		bound->method = &methods[i];
		bound->input = method->input;
		bound->ctx = ctx;
		HASH_ADD_KEYPTR(hh, server->methods, bound->path, strlen(bound->path), bound);
	}
}

/* ---- addresses ---- */

/* gRPC removes the socket file of another server without a word: ask first whether one answers. */
static bool check_unix_path(const char *path, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, ERR_INVALID,
		                 "the path of a socket may have %zu bytes, this one has %zu: "
		                 "choose a shorter one, or host:port, instead of %s",
		                 sizeof(address.sun_path) - 1, strlen(path), path);
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, ERR_INTERNAL, "socket: %s", strerror(errno));
	bool answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	if (answered)
		return error_set(err, ERR_EXISTS, "%s is in use by another server", path);
	return true;
}

/* gRPC takes a missing port, or one above 65535, for another one. */
static bool check_port(const char *address, struct error *err)
{
	const char *colon = strrchr(address, ':');
	char *end = NULL;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
	if (colon != NULL && colon != address && isdigit((unsigned char)colon[1]) && *end == '\0' &&
	    port <= 65535)
		return true;
	return error_set(
	    err, ERR_INVALID,
	    "cannot listen on \"%s\": it must be host:port, with a port up to 65535, or "
	    "unix:/path",
	    address);
}

bool rpc_server_listen(struct rpc_server *server, const char *address, int *port, struct error *err)
{
	static const char unix_prefix[] = "unix:";
	ASSERT(!server->started);
	bool is_unix = strncmp(address, unix_prefix, strlen(unix_prefix)) == 0;
	if (is_unix ? !check_unix_path(address + strlen(unix_prefix), err)
	            : !check_port(address, err))
		return false;
	grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
	int taken = grpc_server_add_http2_port(server->server, address, plain);
	grpc_server_credentials_release(plain);
	if (taken == 0)
		return error_set(err, ERR_EXISTS, "cannot listen on %s: in use, or no such address",
		                 address);
	if (port != NULL)
		*port = taken;
	return true;
}

/* ---- taking calls ---- */

static void post_call(struct rpc_server *server)
{
	struct rpc_call *call = server->idle;
	if (call != NULL) {
		DL_DELETE(server->idle, call);
		server->idle_count--;
	} else {
		call = rpc_call_create(server);
		call->accepted.done = on_accepted;
	}
	DL_APPEND(server->posted, call);
	server->posted_count++;
	grpc_call_error error = grpc_server_request_call(
	    server->server, &call->call, &call->details, &call->metadata, loop_queue(server->loop),
	    loop_queue(server->loop), &call->accepted);
	ASSERT(error == GRPC_CALL_OK);
}

static void report(void *arg)
{
	struct rpc_server *server = arg;
	void (*done)(void *) = server->done;
	server->done = NULL;
	if (done != NULL)
		done(server->done_arg);
}

static void report_if_ended(struct rpc_server *server)
{
	if (!server->stopped || server->live_count > 0 || server->posted_count > 0)
		return;
	server->ended = true;
	/* By the timer: `done` may destroy the server, which has callers here. */
	loop_timer_start(server->loop, &server->grace, 0, report, server);
}

static void on_accepted(struct loop_tag *tag, bool ok)
{
	struct rpc_call *call = OWNER(struct rpc_call, accepted, tag);
	struct rpc_server *server = call->server;
	DL_DELETE(server->posted, call);
	server->posted_count--;
	if (!ok) {
		rpc_call_destroy(call);
		report_if_ended(server);
		return;
	}
	DL_APPEND(server->live, call);
	server->live_count++;
	if (!server->stopping)
		post_call(server);
	struct rpc_bound *bound;
	HASH_FIND(hh, server->methods, GRPC_SLICE_START_PTR(call->details.method),
	          GRPC_SLICE_LENGTH(call->details.method), bound);
	call->bound = bound;
	rpc_call_begin(call);
}

void rpc_server_recycle(struct rpc_server *server, struct rpc_call *call)
{
	if (server->stopping || server->idle_count == IDLE_CALLS) {
		rpc_call_destroy(call);
	} else {
		DL_PREPEND(server->idle, call);
		server->idle_count++;
	}
	report_if_ended(server);
}

void rpc_server_start(struct rpc_server *server)
{
	ASSERT(!server->started);
	server->started = true;
	grpc_server_start(server->server);
	for (int i = 0; i < POSTED_CALLS; i++)
		post_call(server);
}

void rpc_server_set_healthy(struct rpc_server *server, bool healthy)
{
	if (server->healthy == healthy || server->stopping)
		return;
	server->healthy = healthy;
	rpc_builtin_health_changed(server->builtin);
}

/* ---- the end ---- */

static void on_stopped(struct loop_tag *tag, bool ok)
{
	struct rpc_server *server = OWNER(struct rpc_server, stopped_tag, tag);
	(void)ok;
	server->stopped = true;
	report_if_ended(server);
}

static void cancel_all(void *arg)
{
	struct rpc_server *server = arg;
	grpc_server_cancel_all_calls(server->server);
}

void rpc_server_shutdown(struct rpc_server *server, unsigned grace_ms, void (*done)(void *arg),
                         void *arg)
{
	ASSERT(!server->stopping);
	rpc_server_set_healthy(server, false);
	rpc_builtin_stopping(server->builtin);
	server->stopping = true;
	server->done = done;
	server->done_arg = arg;
	grpc_server_shutdown_and_notify(server->server, loop_queue(server->loop),
	                                &server->stopped_tag);
	loop_timer_start(server->loop, &server->grace, grace_ms, cancel_all, server);
}

void rpc_server_destroy(struct rpc_server *server)
{
	if (server == NULL)
		return;
	if (!server->stopping)
		rpc_server_shutdown(server, 0, NULL, NULL);
	if (!server->ended) {
		grpc_server_cancel_all_calls(server->server);
		loop_drain_until(server->loop, &server->ended);
	}
	loop_timer_stop(server->loop, &server->grace);
	report(server);
	grpc_server_destroy(server->server);
	struct rpc_call *call, *next_call;
	DL_FOREACH_SAFE(server->idle, call, next_call)
	{
		rpc_call_destroy(call);
	}
	struct rpc_service *service, *next_service;
	DL_FOREACH_SAFE(server->services, service, next_service)
	{
		free(service);
	}
	struct rpc_bound *bound, *next_bound;
	HASH_ITER(hh, server->methods, bound, next_bound)
	{
		HASH_DEL(server->methods, bound);
		free(bound->path);
		free(bound);
	}
	rpc_builtin_destroy(server->builtin);
	arena_destroy(server->scratch);
	free(server);
}
