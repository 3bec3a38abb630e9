#include "tests/fuzz/fake.h"

#include "base/rpc_server.h"
#include "base/rpc_wire.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { METHODS_MAX = 64, CALLS_MAX = 16 };

struct bound {
	const struct rpc_method *method;
	const ProtobufCMessageDescriptor *input;
	void *ctx;
};

struct rpc_call {
	const struct bound *bound;
	struct arena *arena;
	ProtobufCMessage *request; /* of a server stream */
	void *data;
	uint64_t time_left_ms;
	size_t queued;
	bool got_message, half_closed, half_close_waits, paused, finishing, over;
	struct rpc_call *prev, *next;
};

struct rpc_packed {
	unsigned refs;
	size_t size;
};

struct rpc_server {
	struct bound methods[METHODS_MAX];
	size_t method_count;
};

static struct rpc_server *the_server;
static struct rpc_call *calls;
static unsigned call_count;

static void end(struct rpc_call *call)
{
	call->over = true;
	if (call->bound->method->ended != NULL)
		call->bound->method->ended(call->bound->ctx, call);
	DL_DELETE(calls, call);
	call_count--;
	if (call->request != NULL)
		protobuf_c_message_free_unpacked(call->request, NULL);
	arena_destroy(call->arena);
	free(call);
}

/* ---- the server ---- */

struct rpc_server *rpc_server_create(struct loop *loop)
{
	(void)loop;
	ASSERT(the_server == NULL);
	the_server = calloc(1, sizeof(*the_server));
	ASSERT(the_server != NULL);
	return the_server;
}

void rpc_server_destroy(struct rpc_server *server)
{
	if (server == NULL)
		return;
	while (calls != NULL)
		end(calls);
	free(server);
	the_server = NULL;
}

/* Methods count in the order of the contracts. */
void rpc_server_add(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
                    const struct rpc_method *methods, size_t method_count, void *ctx)
{
	for (unsigned i = 0; i < service->n_methods; i++) {
		size_t k = 0;
		while (k < method_count && strcmp(methods[k].name, service->methods[i].name) != 0)
			k++;
		ASSERT(k < method_count && server->method_count < METHODS_MAX);
		server->methods[server->method_count++] =
		    (struct bound){ &methods[k], service->methods[i].input, ctx };
	}
}

bool rpc_server_listen(struct rpc_server *server, const char *address, int *port, struct error *err)
{
	(void)server;
	(void)address;
	(void)err;
	if (port != NULL)
		*port = 1;
	return true;
}

void rpc_server_start(struct rpc_server *server)
{
	(void)server;
}

void rpc_server_set_healthy(struct rpc_server *server, bool healthy)
{
	ASSERT(server == the_server);
	(void)healthy;
}

void rpc_server_shutdown(struct rpc_server *server, unsigned grace_ms, void (*done)(void *arg),
                         void *arg)
{
	(void)server;
	(void)grace_ms;
	while (calls != NULL)
		end(calls);
	done(arg);
}

/* ---- what clients do ---- */

void fake_rpc_open(unsigned which, unsigned deadline_ms)
{
	if (call_count == CALLS_MAX)
		return;
	struct rpc_call *call = calloc(1, sizeof(*call));
	ASSERT(call != NULL);
	call->bound = &the_server->methods[which % the_server->method_count];
	call->arena = arena_create();
	call->time_left_ms = deadline_ms > 0 ? deadline_ms : UINT64_MAX;
	DL_APPEND(calls, call);
	call_count++;
	if (call->bound->method->open != NULL)
		call->bound->method->open(call->bound->ctx, call);
}

static struct rpc_call *find(unsigned which)
{
	struct rpc_call *call = calls;
	for (which = call_count > 0 ? which % call_count : 0; which > 0; which--)
		call = call->next;
	return call;
}

static void finish_with(struct rpc_call *call, const char *message)
{
	struct error err;
	error_set(&err, ERR_INVALID, "%s", message);
	rpc_finish(call, &err);
}

static void deliver(struct rpc_call *call, const uint8_t *bytes, size_t len)
{
	const struct rpc_method *method = call->bound->method;
	struct arena *scratch = method->kind == RPC_UNARY ? call->arena : arena_create();
	ProtobufCMessage *request = protobuf_c_message_unpack(
	    call->bound->input, method->kind == RPC_SERVER_STREAM ? NULL : arena_allocator(scratch),
	    len, bytes);
	if (method->kind == RPC_SERVER_STREAM)
		call->request = request;
	if (request == NULL || rpc_find_bad_text(request) != NULL)
		finish_with(call, "the message is not sound");
	else
		method->message(call->bound->ctx, call, request);
	if (method->kind != RPC_UNARY)
		arena_destroy(scratch);
}

void fake_rpc_message(unsigned which, const uint8_t *bytes, size_t len)
{
	struct rpc_call *call = find(which);
	if (call == NULL || rpc_ended(call) || call->paused || call->half_closed ||
	    (call->got_message && call->bound->method->kind != RPC_BIDI_STREAM))
		return;
	call->got_message = true;
	deliver(call, bytes, len);
}

static void half_close(struct rpc_call *call)
{
	const struct rpc_method *method = call->bound->method;
	if (method->kind != RPC_BIDI_STREAM)
		finish_with(call, "the call ended without its request");
	else if (method->half_close != NULL)
		method->half_close(call->bound->ctx, call);
}

void fake_rpc_half_close(unsigned which)
{
	struct rpc_call *call = find(which);
	if (call == NULL || rpc_ended(call) || call->half_closed ||
	    (call->got_message && call->bound->method->kind != RPC_BIDI_STREAM))
		return;
	call->half_closed = true;
	call->half_close_waits = call->paused;
	if (!call->paused)
		half_close(call);
}

void fake_rpc_cancel(unsigned which)
{
	struct rpc_call *call = find(which);
	if (call != NULL)
		call->over = true;
}

void fake_rpc_drained(unsigned which)
{
	struct rpc_call *call = find(which);
	if (call == NULL || rpc_ended(call) || call->queued == 0)
		return;
	call->queued = 0;
	if (call->bound->method->drained != NULL)
		call->bound->method->drained(call->bound->ctx, call);
}

bool fake_rpc_settle(void)
{
	struct rpc_call *call, *next;
	bool some = false;
	DL_FOREACH_SAFE(calls, call, next)
	{
		if (!rpc_ended(call))
			continue;
		end(call);
		some = true;
	}
	return some;
}

/* ---- what methods call ---- */

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return call->arena;
}

void rpc_set_data(struct rpc_call *call, void *data)
{
	call->data = data;
}

void *rpc_data(struct rpc_call *call)
{
	return call->data;
}

const char *rpc_peer(struct rpc_call *call)
{
	(void)call;
	return "ipv4:127.0.0.1:4711";
}

uint64_t rpc_time_left_ms(struct rpc_call *call)
{
	return call->time_left_ms;
}

bool rpc_ended(struct rpc_call *call)
{
	return call->over || call->finishing;
}

static size_t packed_size(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(size + 1);
	ASSERT(bytes != NULL);
	ASSERT(protobuf_c_message_pack(message, bytes) == size);
	free(bytes);
	return size;
}

void rpc_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	size_t size = packed_size(message);
	if (!rpc_ended(call))
		call->queued += size + 1;
}

void rpc_finish(struct rpc_call *call, const struct error *err)
{
	if (err != NULL)
		fuzz_check_error(err);
	call->finishing = true;
}

void rpc_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	rpc_send(call, message);
	rpc_finish(call, NULL);
}

void rpc_abort(struct rpc_call *call, const struct error *err)
{
	rpc_finish(call, err);
}

void rpc_set_trailer(struct rpc_call *call, const char *key, uint64_t number)
{
	(void)call;
	(void)key;
	(void)number;
}

uint64_t rpc_stuck_ms(struct rpc_call *call)
{
	return call->queued > 0 ? 1 : 0;
}

size_t rpc_queued_bytes(struct rpc_call *call)
{
	return call->queued;
}

void rpc_pause(struct rpc_call *call)
{
	call->paused = true;
}

void rpc_resume(struct rpc_call *call)
{
	call->paused = false;
	if (!call->half_close_waits || rpc_ended(call))
		return;
	call->half_close_waits = false;
	half_close(call);
}

struct rpc_packed *rpc_pack(const ProtobufCMessage *message)
{
	struct rpc_packed *packed = malloc(sizeof(*packed));
	ASSERT(packed != NULL);
	packed->refs = 1;
	packed->size = packed_size(message);
	return packed;
}

struct rpc_packed *rpc_packed_ref(struct rpc_packed *packed)
{
	packed->refs++;
	return packed;
}

void rpc_packed_unref(struct rpc_packed *packed)
{
	if (packed != NULL && --packed->refs == 0)
		free(packed);
}

void rpc_send_packed(struct rpc_call *call, struct rpc_packed *packed)
{
	if (!rpc_ended(call))
		call->queued += packed->size + 1;
}
