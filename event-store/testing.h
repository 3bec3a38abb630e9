/* testing.h - an event store with a Redis of its own, and a client, on one loop. For *_test.c. */
#ifndef EVENT_STORE_TESTING_H
#define EVENT_STORE_TESTING_H

#include "base/id.h"
#include "base/rpc_client.h"
#include "event-store/service.h"
#include "proto/eventstore_v1.pb-c.h"
#include "tests/support/redis_fixture.h"

#include <check.h>

struct testing {
	struct redis_fixture redis;
	struct loop *loop;
	struct event_store *store;
	struct rpc_channel *channel;
	struct arena *arena;
	unsigned stuck_ms; /* of the next store */
};
extern struct testing testing;

/* Runs the suite in this process; what main returns. */
int testing_main(Suite *suite);
void testing_start(void);
void testing_stop(void);
void testing_restart_store(void); /* keeps Redis */

/* Runs the loop until *count reaches `enough`; fails the test after 20 s. */
void testing_until(const size_t *count, size_t enough);
void testing_pause(unsigned ms); /* runs the loop so long */

/* An append of one event; `version` SIZE_MAX: any. Fails the test when it fails. */
const Es__Appended *testing_append(const char *topic, const char *entity, const char *data);
/* The same as a request, with a new event id; in the arena. */
Es__AppendRequest *testing_request(const char *topic, const char *entity, const char *data,
                                   Es__Expect expect, uint64_t version);
/* NULL: *err says why. */
const Es__AppendResponse *testing_send(const Es__AppendRequest *request, struct error *err);

/* Any unary method; fails the test when it fails, or with `err`: NULL. In the arena. */
const void *testing_call(const char *method, const ProtobufCMessage *request, struct error *err);
/* `format` is a command for Redis without spaces in its arguments. */
void testing_redis(const char *format, ...) PRINTF(1, 2);
char *testing_redis_text(const char *format, ...) PRINTF(1, 2); /* in the arena */

/* Events that a stream brought: of Read, Subscribe or Consume. */
struct received {
	struct rpc_stream *stream;
	size_t count; /* events */
	size_t messages;
	size_t lives;     /* messages with `live` */
	size_t ended;     /* 1: closed */
	struct error err; /* of the end */
	char (*ids)[ENTRY_ID_SIZE];
	char (*topics)[32];
	char (*data)[64];
	unsigned *attempts;
	bool *redelivered;
};
struct received *testing_subscribe(const char *topic, Es__Start start, const char *after,
                                   const char *after_topic);
struct received *testing_subscribe_to(const Es__SubscribeRequest *request);
struct received *testing_open_read(const Es__ReadRequest *request);
struct received *testing_read(const Es__ReadRequest *request); /* to its end */
struct received *testing_consume(const char *topic, const char *group, Es__Start start,
                                 unsigned credits);
void testing_ack(struct received *consumer, size_t first, size_t count);
void testing_nack(struct received *consumer, size_t index, bool park);
/* With the lease of a delivery. */
struct received *testing_consume_for(const char *topic, const char *group, uint32_t lease_ms);
void testing_end(struct received *received); /* cancels, waits for the end, frees */

#endif
