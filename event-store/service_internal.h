/* service_internal.h - what the files with RPC methods share. */
#ifndef EVENT_STORE_SERVICE_INTERNAL_H
#define EVENT_STORE_SERVICE_INTERNAL_H

#include "base/rpc_server.h"
#include "event-store/group.h"
#include "event-store/log.h"
#include "event-store/service.h"
#include "event-store/tail.h"
#include "event-store/watch.h"

struct append_stream;
struct compat_stream;

struct event_store {
	struct loop *loop;
	struct store *store;
	struct log *log;
	struct tail *tail;
	struct groups *groups;
	struct rpc_server *server;
	int port;
	bool healthy;
	bool ping_waits;
	struct loop_timer health;
	struct append_stream *unsent; /* with answers that leave when the batch is settled */
	struct compat_stream *compat_streams;
	struct watches readers;
	uint64_t stuck_ms;
};

/* Methods by file; the tables are in service.c and compat.c. */
void append_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void append_ended(void *ctx, struct rpc_call *call);
void append_stream_open(void *ctx, struct rpc_call *call);
void append_stream_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void append_stream_half_close(void *ctx, struct rpc_call *call);
void append_stream_drained(void *ctx, struct rpc_call *call);
void append_stream_ended(void *ctx, struct rpc_call *call);
void append_settled(void *ctx);

void read_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void read_drained(void *ctx, struct rpc_call *call);
void read_ended(void *ctx, struct rpc_call *call);
void read_entity_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void read_entity_ended(void *ctx, struct rpc_call *call);
void read_entities_open(void *ctx, struct rpc_call *call);
void read_entities_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void read_entities_half_close(void *ctx, struct rpc_call *call);
void read_entities_ended(void *ctx, struct rpc_call *call);

void subscribe_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void subscribe_drained(void *ctx, struct rpc_call *call);
void subscribe_ended(void *ctx, struct rpc_call *call);

void consume_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void consume_half_close(void *ctx, struct rpc_call *call);
void consume_ended(void *ctx, struct rpc_call *call);

void list_parked_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void replay_parked_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void drop_parked_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void parked_ended(void *ctx, struct rpc_call *call);

void topics_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request);
void topics_ended(void *ctx, struct rpc_call *call);

void import_open(void *ctx, struct rpc_call *call);
void import_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message);
void import_half_close(void *ctx, struct rpc_call *call);
void import_drained(void *ctx, struct rpc_call *call);
void import_ended(void *ctx, struct rpc_call *call);

/* compat.c */
void compat_add(struct event_store *store);

#endif
