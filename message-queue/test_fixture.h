/* test_fixture.h - a queue with its Redis and clients, all on one loop, for the integration tests. */
#ifndef MESSAGE_QUEUE_TEST_FIXTURE_H
#define MESSAGE_QUEUE_TEST_FIXTURE_H

#include "base/rpc_mux.h"
#include "message-queue/service.h"
#include "proto/messagequeue.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "tests/support/redis_fixture.h"

#include <check.h>

struct fixture {
	struct redis_fixture redis;
	struct loop *loop;
	struct message_queue *service;
	char address[80];
	struct rpc_channel *channel;
	struct arena *arena;
	enum redis_fixture_disk disk;
	uint64_t max_pending, max_callers; /* for fixture_serve */
	uint32_t legacy_lease_ms;
};

void fixture_start(struct fixture *fixture);
void fixture_end(struct fixture *fixture);
/* The service alone: goes, as if killed; comes back on the same port. */
void fixture_serve(struct fixture *fixture);
void fixture_kill_service(struct fixture *fixture);

/* Runs the loop until `done` is true; fails the test after ms. */
void fixture_run(struct fixture *fixture, bool (*done)(void *arg), void *arg, unsigned ms);
void fixture_sleep(struct fixture *fixture, unsigned ms);

/* One unary call, waiting: NULL and *err on failure. */
const ProtobufCMessage *fixture_call(struct fixture *fixture,
                                     const ProtobufCServiceDescriptor *service, const char *method,
                                     const ProtobufCMessage *request, unsigned timeout_ms,
                                     struct error *err);

/* One unary call, not waiting. */
struct pending {
	bool done;
	struct error err; /* code ERR_NONE: ok */
	char text[2048];  /* result, payload, or error text of the result */
	char id[80];
	int error_code; /* of the result */
};
bool pending_done(void *pending);
void fixture_begin(struct fixture *fixture, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, unsigned timeout_ms,
                   struct pending *pending);

void fixture_expect(struct fixture *fixture, struct pending *pending, const char *text);
/* A UUID that ends with the number; the last 16 stay valid. */
const char *fixture_id(unsigned number);

/* A consumer that keeps what it got. */
enum { GOT_MAX = 512 };
struct worker {
	struct fixture *fixture;
	struct rpc_stream *stream;
	bool echo; /* settles at once, with the payload as result */
	size_t count;
	struct got {
		char id[80];
		char function[65];
		char payload[256];
		uint32_t attempt;
		bool redelivered;
	} got[GOT_MAX];
	size_t ended; /* leases, of which it was told */
	char last_ended[80];
	size_t wanted;
	bool closed;
	struct error err;
};
void worker_start(struct worker *worker, struct fixture *fixture, const char *service,
                  const char *function, uint32_t credits, uint32_t lease_ms, uint32_t max_attempts);
void worker_wait(struct worker *worker, size_t count); /* until it got so many in all */
void worker_settle(struct worker *worker, const char *function, const char *id, const char *result);
void worker_fail(struct worker *worker, const char *function, const char *id, const char *reason);
void worker_fail_for(struct worker *worker, const char *function, const char *id,
                     const char *reason, uint32_t delay_ms);
void worker_extend(struct worker *worker, const char *function, const char *id, uint32_t lease_ms);
void worker_vanish(struct worker *worker);

/* Sends to work/do. */
void fixture_send(struct fixture *fixture, const char *id, const char *payload);
void fixture_send_special(struct fixture *fixture, const char *id, Mq__Priority priority,
                          uint32_t delay_ms);
void fixture_begin_call(struct fixture *fixture, const char *id, const char *payload,
                        unsigned timeout_ms, struct pending *pending);
const Mq__OutcomeResponse *fixture_outcome(struct fixture *fixture, const char *id);
const Mq__QueueInfo *fixture_info(struct fixture *fixture); /* of work/do */

#endif
