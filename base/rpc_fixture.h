/* rpc_fixture.h - a server and a client on one loop, for the tests of base/rpc_*.
 *
 * The service is the event store's by its contract only; what its methods do is said here:
 *   Topics            answers at once
 *   ReadEntity        fails with the error that `topic` names, or never answers ("never")
 *   Read              sends `limit` messages with one event each, then OK
 *   Subscribe         sends until 1 MiB is queued, goes on when drained, never ends
 *   ReadEntityStream  answers each item by its tag and entity_id
 *   Consume           keeps what comes: counts messages, never answers by itself */
#ifndef BASE_RPC_FIXTURE_H
#define BASE_RPC_FIXTURE_H

#include "base/clock.h"
#include "base/rpc_client.h"
#include "base/rpc_mux.h"
#include "base/rpc_server.h"
#include "proto/eventstore_v1.pb-c.h"

#include <check.h>

#define STORE (&es__event_store__descriptor)

enum { WAIT_MS = 20000, SUBSCRIBE_BOUND = 1024 * 1024 };

struct fixture {
	struct loop *loop;
	struct rpc_server *server;
	struct rpc_channel *channel;
	struct arena *arena;
	char folder[64];
	char unix_address[96];
	char tcp_address[64];

	/* What the server saw. */
	unsigned opened, messages, half_closed, ended;
	struct rpc_call *last_call;
	uint64_t time_left_ms;
	char peer[128];
	bool mute; /* ReadEntityStream does not answer */
};
extern struct fixture fixture;

void fixture_setup(void);
void fixture_teardown(void);
/* A server listening on the fixture's addresses; the port of an earlier one is taken again. */
void fixture_serve(void);
/* Runs the loop until *counter is `wanted` or more; fails the test after WAIT_MS. */
void fixture_wait(const unsigned *counter, unsigned wanted);
void fixture_run_ms(unsigned ms);

/* The outcome of a unary call or a stream. */
struct outcome {
	unsigned messages;
	unsigned closed;
	struct error err; /* ERR_NONE: OK */
	char last_id[64]; /* entry id of the last event */
};
extern const struct rpc_stream_events outcome_events;
void outcome_unary(void *arg, const ProtobufCMessage *response, const struct error *err);
/* Calls ReadEntity with this topic and waits. */
void ask_entity(const char *topic, unsigned timeout_ms, struct outcome *outcome);

#endif
