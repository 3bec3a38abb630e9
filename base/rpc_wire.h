/* rpc_wire.h - what both ends of a call share: messages to slices and back, and the outbox.
 *
 * Private to base/rpc_*. */
#ifndef BASE_RPC_WIRE_H
#define BASE_RPC_WIRE_H

#include "base/arena.h"
#include "base/loop.h"

#include <grpc/grpc.h>

/* A grpc_arg of a table; gRPC copies the key. */
#define RPC_ARG(name, number)                                                                      \
	{                                                                                          \
		.type = GRPC_ARG_INTEGER, .key = (char *)(name), .value.integer = (number)         \
	}

/* The messages of one call that wait for their write: gRPC takes one at a time. */
struct rpc_outbox {
	struct rpc_letter *first;
	size_t bytes;             /* of all, with the one that is being written */
	size_t writing;           /* bytes of that one */
	grpc_byte_buffer *buffer; /* that one */
};

/* Takes over the slice. */
void rpc_outbox_put(struct rpc_outbox *outbox, grpc_slice slice);
/* Fills `op` with the first message. While more follow, gRPC is told to wait for them with its
 * write. After the batch started, rpc_outbox_started; when it completed, rpc_outbox_done. */
void rpc_outbox_take(struct rpc_outbox *outbox, grpc_op *op);
void rpc_outbox_started(struct rpc_outbox *outbox);
void rpc_outbox_done(struct rpc_outbox *outbox);
void rpc_outbox_clear(struct rpc_outbox *outbox);

grpc_slice rpc_slice_pack(const ProtobufCMessage *message);

/* NULL when the bytes are no such message. `bytes` stays the caller's. */
ProtobufCMessage *rpc_unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *bytes,
                             ProtobufCAllocator *allocator);

/* protobuf-c takes strings as they come, but they must be UTF-8. The first field, at any depth, that
 * is not; NULL: all are. */
const ProtobufCFieldDescriptor *rpc_find_bad_text(const ProtobufCMessage *message);

/* "/package.Service/method", to be freed. */
char *rpc_method_path(const ProtobufCServiceDescriptor *service, const char *method);

void rpc_start_batch(grpc_call *call, const grpc_op *ops, size_t count, struct loop_tag *tag);

#endif
