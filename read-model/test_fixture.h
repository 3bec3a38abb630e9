/* test_fixture.h - a read model beside a real event store and Redis, on one loop. For *_test.c. */
#ifndef READ_MODEL_TEST_FIXTURE_H
#define READ_MODEL_TEST_FIXTURE_H

#include "event-store/testing.h"
#include "proto/readmodel_v1.pb-c.h"
#include "read-model/service.h"

#include <check.h>

enum { FIXTURE_TIMEOUT_MS = 20000 };

struct fixture {
	struct read_model *model;
	struct rpc_channel *channel;
	const char *queue;           /* where the message queue listens; NULL: none */
	Rm__Consistency consistency; /* waits for the last append */
};
extern struct fixture fixture;

void fixture_setup(void); /* testing_start, and a model */
void fixture_teardown(void);
void fixture_serve(bool rebuild);
void fixture_unserve(void);

/* Events of an entity without a version check; fixture.consistency then waits for them. */
void fixture_append(const char *topic, const char *action, const char *id, const char *data);
void fixture_create(const char *topic, const char *id, const char *data);
/* c0, c1, ...: name n<i % 10>, email e<i % 100>. */
void fixture_create_customers(size_t count);
/* Orders o1 (billed as b1 and shipped as s1), o2, and o3 as older services write them. */
void fixture_create_shop(void);

/* NULL: *err says why. */
const ProtobufCMessage *fixture_ask(const char *method, const ProtobufCMessage *request,
                                    struct error *err);
const Rm__Entity *fixture_get(const char *name, const char *id); /* NULL: none */
size_t fixture_orders(const char *method); /* how many Unbilled, Unshipped, Delivered lists */
const char *fixture_report(const char *name);

#define FIXTURE_ORDER(id, status, customer)                                                        \
	"{\"entity_id\":\"" id "\",\"cart_id\":\"c1\",\"status\":\"" status                        \
	"\",\"customer_id\":\"" customer "\",\"items\":[{\"product_id\":\"p1\",\"quantity\":2,"    \
	"\"price\":5}],\"shipping_fee\":0,\"total\":10,\"fulfilment\":\"auto\",\"stock_held\":"    \
	"false}"

/* main() of a test program. */
int fixture_main(const char *name, const TTest *const *tests, size_t count);

#endif
