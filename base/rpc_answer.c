/* What methods call: facts about a call, its messages and its end. */
#include "base/rpc_server_internal.h"

#include "base/clock.h"

#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

struct rpc_packed {
	unsigned refs;
	grpc_slice slice;
};

struct arena *rpc_call_arena(struct rpc_call *call)
{
	if (call->arena == NULL)
		call->arena = arena_create();
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
	if (call->peer == NULL)
		call->peer = grpc_call_get_peer(call->call);
	return call->peer;
}

uint64_t rpc_time_left_ms(struct rpc_call *call)
{
	gpr_timespec at = call->details.deadline;
	if (gpr_time_cmp(at, gpr_inf_future(at.clock_type)) == 0)
		return UINT64_MAX;
	gpr_timespec left = gpr_time_sub(at, gpr_now(at.clock_type));
	if (left.tv_sec < 0)
		return 0;
	return (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_nsec / 1000000;
}

bool rpc_ended(struct rpc_call *call)
{
	return call->over || call->finishing;
}

static void send_slice(struct rpc_call *call, grpc_slice slice)
{
	rpc_outbox_put(&call->outbox, slice);
	if (!call->sending)
		loop_task_start(call->server->loop, &call->flush);
}

void rpc_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	if (!rpc_ended(call))
		send_slice(call, rpc_slice_pack(message));
}

void rpc_send_packed(struct rpc_call *call, struct rpc_packed *packed)
{
	if (!rpc_ended(call))
		send_slice(call, grpc_slice_ref(packed->slice));
}

void rpc_finish(struct rpc_call *call, const struct error *err)
{
	if (rpc_ended(call))
		return;
	call->finishing = true;
	if (err != NULL) {
		call->status = error_grpc_status(err->code);
		call->retry_after_ms = error_retry_after_ms(err->code);
		call->status_text = strdup(err->message);
	}
	if (!call->sending)
		loop_task_start(call->server->loop, &call->flush);
}

void rpc_set_trailer(struct rpc_call *call, const char *key, uint64_t number)
{
	call->trailer = key;
	call->trailer_number = number;
}

void rpc_abort(struct rpc_call *call, const struct error *err)
{
	if (call->over || call->status_sent)
		return;
	if (!call->finishing) {
		call->finishing = true;
		call->status = error_grpc_status(err->code);
		call->status_text = strdup(err->message);
	}
	call->status_sent = true;
	rpc_outbox_clear(&call->outbox);
	grpc_call_cancel_with_status(call->call, (grpc_status_code)call->status,
	                             call->status_text != NULL ? call->status_text : "", NULL);
}

void rpc_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	rpc_send(call, message);
	rpc_finish(call, NULL);
}

size_t rpc_queued_bytes(struct rpc_call *call)
{
	return call->outbox.bytes;
}

uint64_t rpc_stuck_ms(struct rpc_call *call)
{
	return call->outbox.writing > 0 ? clock_monotonic_ms() - call->writing_since_ms : 0;
}

struct rpc_packed *rpc_pack(const ProtobufCMessage *message)
{
	struct rpc_packed *packed = malloc(sizeof(*packed));
	ASSERT(packed != NULL);
	packed->refs = 1;
	packed->slice = rpc_slice_pack(message);
	return packed;
}

struct rpc_packed *rpc_packed_ref(struct rpc_packed *packed)
{
	packed->refs++;
	return packed;
}

void rpc_packed_unref(struct rpc_packed *packed)
{
	if (packed == NULL || --packed->refs > 0)
		return;
	grpc_slice_unref(packed->slice);
	free(packed);
}
