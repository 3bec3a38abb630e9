/* rpc_server_internal.h - what the files of the server share.
 *
 *   rpc_server.c   addresses, the method table, taking calls, shutdown
 *   rpc_call.c     the life of one call
 *   rpc_builtin.c  health and reflection: ordinary services of ours */
#ifndef BASE_RPC_SERVER_INTERNAL_H
#define BASE_RPC_SERVER_INTERNAL_H

#include "base/rpc_server.h"
#include "base/rpc_wire.h"

#include <uthash.h>

struct rpc_service {
	const ProtobufCServiceDescriptor *descriptor;
	struct rpc_service *prev, *next;
};

/* A row of a method table with what is needed to run it. */
struct rpc_bound {
	char *path; /* the key */
	const struct rpc_method *method;
	const ProtobufCMessageDescriptor *input;
	void *ctx;
	UT_hash_handle hh;
};

struct rpc_server {
	struct loop *loop;
	grpc_server *server;
	struct rpc_service *services;
	struct rpc_bound *methods;
	struct rpc_builtin *builtin;
	bool started;
	bool healthy;

	/* Calls are `posted` to gRPC, `live` between their arrival and their end, or `idle`. */
	struct rpc_call *posted;
	struct rpc_call *live;
	struct rpc_call *idle;
	size_t live_count;
	size_t posted_count;
	size_t idle_count;
	struct arena *scratch; /* of one message of a bidirectional call */

	bool stopping;
	bool stopped; /* gRPC has given all up */
	bool ended;   /* and so have we */
	struct loop_tag stopped_tag;
	struct loop_timer grace; /* then of the report */
	void (*done)(void *arg);
	void *done_arg;
};

struct rpc_call {
	struct rpc_server *server;
	struct rpc_call *prev, *next;
	const struct rpc_bound *bound; /* NULL: unknown method */
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	struct loop_tag accepted, received, sent, closed;
	struct loop_task flush;
	unsigned batches; /* that have not completed; the call lives as long as there are any */

	grpc_byte_buffer *incoming;
	struct rpc_outbox outbox;
	int cancelled;
	bool reading, sending, paused;
	bool got_message;
	bool half_close_waits; /* came while paused */
	bool announce, metadata_sent;
	bool finishing, status_sent;
	bool over; /* no more sends: the status is out, or the client has gone */
	int status;
	unsigned retry_after_ms; /* goes with the status; 0: no hint */
	char *status_text;       /* owned; NULL: none */
	const char *trailer;     /* the key of one more hint; NULL: none */
	uint64_t trailer_number;
	uint64_t writing_since_ms; /* the message that gRPC has */

	struct arena *arena;       /* NULL until needed */
	ProtobufCMessage *request; /* of a server stream, which may live long: not in an arena */
	char *peer;
	void *data;
};

/* rpc_call.c */
struct rpc_call *rpc_call_create(struct rpc_server *server);
void rpc_call_destroy(struct rpc_call *call);
/* The call has arrived: from posted to live. */
void rpc_call_begin(struct rpc_call *call);

/* rpc_server.c */
/* The call is over and out of the live list: keep it for the next one, or free it. */
void rpc_server_recycle(struct rpc_server *server, struct rpc_call *call);

/* rpc_builtin.c */
struct rpc_builtin *rpc_builtin_create(struct rpc_server *server);
void rpc_builtin_destroy(struct rpc_builtin *builtin);
/* Tells those who watch. */
void rpc_builtin_health_changed(struct rpc_builtin *builtin);
/* Lets those who watch go. */
void rpc_builtin_stopping(struct rpc_builtin *builtin);

#endif
