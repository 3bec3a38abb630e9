#include "read-model/test_fixture.h"

#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture fixture;
static Rm__Token token; /* of the last append */
static Rm__Token *tokens[] = { &token };

void fixture_serve(bool rebuild)
{
	struct error err;
	char event_store[64], target[64];
	const char *listen = "127.0.0.1:0";
	snprintf(event_store, sizeof(event_store), "127.0.0.1:%d", event_store_port(testing.store));
	struct read_model_options options = { .redis_url = testing.redis.url,
		                              .event_store = event_store,
		                              .message_queue = fixture.queue,
		                              .listen = &listen,
		                              .listen_count = 1,
		                              .rebuild = rebuild };
	if (!read_model_serve(testing.loop, &options, &fixture.model, &err))
		ck_abort_msg("%s", err.message);
	snprintf(target, sizeof(target), "127.0.0.1:%d", read_model_port(fixture.model));
	fixture.channel = rpc_channel_create(testing.loop, target);
	Rm__GetRequest request = RM__GET_REQUEST__INIT;
	request.name = "customer";
	for (int i = 0; fixture_ask("Get", &request.base, &err) == NULL; i++) {
		ck_assert_msg(i < 200 && err.code == ERR_UNAVAILABLE, "%s", err.message);
		testing_pause(20); /* no generation is live yet */
	}
}

static void stopped(void *arg)
{
	*(size_t *)arg = 1;
}

void fixture_unserve(void)
{
	size_t done = 0;
	rpc_channel_destroy(fixture.channel);
	read_model_stop(fixture.model, stopped, &done);
	testing_until(&done, 1);
	read_model_destroy(fixture.model);
}

void fixture_setup(void)
{
	testing_start();
	rm__token__init(&token);
	rm__consistency__init(&fixture.consistency);
	fixture_serve(false);
}

void fixture_teardown(void)
{
	fixture_unserve();
	testing_stop();
}

void fixture_append(const char *topic, const char *action, const char *id, const char *data)
{
	struct error err;
	Es__AppendRequest *request = testing_request(topic, id, data, ES__EXPECT__EXPECT_ANY, 0);
	request->events[0]->event_action = action;
	const Es__AppendResponse *response = testing_send(request, &err);
	if (response == NULL)
		ck_abort_msg("%s", err.message);
	token.topic = request->topic;
	token.entry_id = arena_strdup(testing.arena, response->events[0]->entry_id);
	fixture.consistency.tokens = tokens;
	fixture.consistency.n_tokens = 1;
}

void fixture_create(const char *topic, const char *id, const char *data)
{
	fixture_append(topic, "entity_created", id, data);
}

const ProtobufCMessage *fixture_ask(const char *method, const ProtobufCMessage *request,
                                    struct error *err)
{
	const ProtobufCMessage *response;
	if (!rpc_unary_wait(fixture.channel, &rm__read_model__descriptor, method, request,
	                    FIXTURE_TIMEOUT_MS, testing.arena, &response, err))
		return NULL;
	return response;
}

const Rm__Entity *fixture_get(const char *name, const char *id)
{
	struct error err;
	Rm__GetRequest request = RM__GET_REQUEST__INIT;
	request.name = name;
	request.id = id;
	request.consistency = &fixture.consistency;
	const Rm__GetResponse *response =
	    (const Rm__GetResponse *)fixture_ask("Get", &request.base, &err);
	if (response == NULL)
		ck_abort_msg("%s", err.message);
	return response->entity;
}

void fixture_create_customers(size_t count)
{
	for (size_t i = 0; i < count; i += 250) {
		Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
		struct error err;
		request.topic = "customer";
		request.events = arena_alloc(testing.arena, 250 * sizeof(*request.events));
		for (size_t k = i; k < i + 250 && k < count; k++) {
			char id[24], data[160];
			snprintf(id, sizeof(id), "c%zu", k);
			snprintf(data, sizeof(data),
			         "{\"entity_id\":\"c%zu\",\"name\":\"n%zu\",\"email\":\"e%zu\"}", k,
			         k % 10, k % 100);
			Es__NewEvent *event =
			    testing_request("customer", id, data, ES__EXPECT__EXPECT_ANY, 0)
			        ->events[0];
			event->event_action = "entity_created";
			request.events[request.n_events++] = event;
		}
		const Es__AppendResponse *response = testing_send(&request, &err);
		ck_assert_msg(response != NULL, "%s", err.message);
		token.topic = "customer";
		token.entry_id = response->events[response->n_events - 1]->entry_id;
	}
	fixture.consistency.tokens = tokens;
	fixture.consistency.n_tokens = 1;
}

size_t fixture_orders(const char *method)
{
	struct error err;
	Rm__OrdersRequest request = RM__ORDERS_REQUEST__INIT;
	request.consistency = &fixture.consistency;
	const Rm__ListResponse *response =
	    (const Rm__ListResponse *)fixture_ask(method, &request.base, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return response->n_entities;
}

const char *fixture_report(const char *name)
{
	struct error err;
	Rm__ReportRequest request = RM__REPORT_REQUEST__INIT;
	request.name = name;
	request.consistency = &fixture.consistency;
	const Rm__ReportResponse *response =
	    (const Rm__ReportResponse *)fixture_ask("Report", &request.base, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return response->json;
}

void fixture_create_shop(void)
{
	fixture_create("customer", "a", "{\"entity_id\":\"a\"}");
	fixture_create("product", "p1", "{\"entity_id\":\"p1\",\"price\":5}");
	fixture_create("product", "p2", "{\"entity_id\":\"p2\",\"price\":7}");
	fixture_create(
	    "cart", "c1",
	    "{\"entity_id\":\"c1\",\"customer_id\":\"a\",\"product_ids\":[\"p1\",\"p1\"]}");
	fixture_create("order", "o1", FIXTURE_ORDER("o1", "CREATED", "a"));
	fixture_create("order", "o2", FIXTURE_ORDER("o2", "CREATED", "a"));
	/* of an older service: no customer, no items */
	fixture_create("order", "o3",
	               "{\"entity_id\":\"o3\",\"cart_id\":\"c1\",\"status\":\"CREATED\"}");
	fixture_create("billing", "b1", "{\"entity_id\":\"b1\",\"order_id\":\"o1\",\"amount\":10}");
	fixture_create("shipping", "s1",
	               "{\"entity_id\":\"s1\",\"order_id\":\"o1\",\"delivered\":0}");
	fixture_append("mail", "mail_sent", "", "{\"recipient\":\"a@x\",\"message\":\"hi\"}");
}

int fixture_main(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 120);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
