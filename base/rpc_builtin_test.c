/* Health and reflection, as grpc_health_probe and grpcurl ask for them. */
#include "base/rpc_fixture.h"
#include "proto/health.pb-c.h"
#include "proto/reflection.pb-c.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

static int check(const char *service, struct error *err)
{
	Health__HealthCheckRequest request = HEALTH__HEALTH_CHECK_REQUEST__INIT;
	const ProtobufCMessage *answer;
	request.service = service;
	if (!rpc_unary_wait(fixture.channel, &health__health__descriptor, "Check", &request.base,
	                    WAIT_MS, fixture.arena, &answer, err))
		return -1;
	return (int)((const Health__HealthCheckResponse *)answer)->status;
}

enum {
	SERVING = HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
	NOT_SERVING = HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
	SERVICE_UNKNOWN = HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
};

START_TEST(health_is_what_the_server_says)
{
	static const char *const services[] = { "", "ordershop.eventstore.v1.EventStore",
		                                "grpc.health.v1.Health" };
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		ck_assert_int_eq(check(services[i], &err), NOT_SERVING);
	rpc_server_set_healthy(fixture.server, true);
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		ck_assert_int_eq(check(services[i], &err), SERVING);
	ck_assert_int_eq(check("nobody", &err), -1);
	ck_assert_int_eq(err.code, ERR_NOT_FOUND);
}
END_TEST

struct watched {
	unsigned messages, closed;
	int status;
};

static void on_status(void *arg, const ProtobufCMessage *response)
{
	struct watched *watched = arg;
	watched->messages++;
	watched->status = (int)((const Health__HealthCheckResponse *)response)->status;
}

static void on_watch_closed(void *arg, const struct error *err)
{
	(void)err;
	((struct watched *)arg)->closed++;
}

static const struct rpc_stream_events watch_events = { on_status, on_watch_closed };

static struct rpc_stream *watch(const char *service, struct watched *watched)
{
	Health__HealthCheckRequest request = HEALTH__HEALTH_CHECK_REQUEST__INIT;
	request.service = service;
	struct rpc_stream *stream = rpc_stream_open(fixture.channel, &health__health__descriptor,
	                                            "Watch", &watch_events, watched);
	rpc_stream_send(stream, &request.base);
	rpc_stream_end_sends(stream);
	return stream;
}

static void on_ended(void *arg)
{
	(*(unsigned *)arg)++;
}

START_TEST(watchers_hear_of_changes_and_are_let_go)
{
	struct watched all = { 0 }, unknown = { 0 }, gone = { 0 };
	unsigned ended = 0;
	watch("", &all);
	watch("nobody", &unknown);
	struct rpc_stream *leaving = watch("", &gone);
	fixture_wait(&all.messages, 1);
	fixture_wait(&unknown.messages, 1);
	fixture_wait(&gone.messages, 1);
	ck_assert_int_eq(all.status, NOT_SERVING);
	ck_assert_int_eq(unknown.status, SERVICE_UNKNOWN);
	rpc_stream_cancel(leaving);
	fixture_wait(&gone.closed, 1);
	rpc_server_set_healthy(fixture.server, true);
	rpc_server_set_healthy(fixture.server, true);
	fixture_wait(&all.messages, 2);
	ck_assert_int_eq(all.status, SERVING);
	rpc_server_shutdown(fixture.server, 5000, on_ended, &ended);
	fixture_wait(&ended, 1);
	fixture_wait(&all.closed, 1);
	ck_assert_uint_eq(all.messages, 3);
	ck_assert_int_eq(all.status, NOT_SERVING);
	ck_assert_uint_eq(unknown.messages, 1);
}
END_TEST

/* ---- reflection ---- */

struct reflected {
	unsigned messages, closed;
	unsigned services;
	bool has_store;
	size_t file_size;
	char file_start[64];
	int error_code;
};

static void on_reflection(void *arg, const ProtobufCMessage *message)
{
	struct reflected *reflected = arg;
	const Reflection__ServerReflectionResponse *response =
	    (const Reflection__ServerReflectionResponse *)message;
	reflected->messages++;
	reflected->error_code = 0;
	reflected->file_size = 0;
	switch (response->message_response_case) {
	case REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE:
		for (size_t i = 0; i < response->list_services_response->n_service; i++) {
			reflected->services++;
			if (strcmp(response->list_services_response->service[i]->name,
			           "ordershop.eventstore.v1.EventStore") == 0)
				reflected->has_store = true;
		}
		break;
	case REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE: {
		const ProtobufCBinaryData *file =
		    &response->file_descriptor_response->file_descriptor_proto[0];
		reflected->file_size = file->len;
		memcpy(reflected->file_start, file->data, sizeof(reflected->file_start));
		break;
	}
	case REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE:
		reflected->error_code = response->error_response->error_code;
		break;
	default:
		ck_abort_msg("no answer");
	}
}

static void on_reflection_closed(void *arg, const struct error *err)
{
	ck_assert_ptr_null(err);
	((struct reflected *)arg)->closed++;
}

START_TEST(reflection_serves_the_contracts)
{
	static const struct rpc_stream_events events = { on_reflection, on_reflection_closed };
	static const struct {
		const char *symbol;
		bool known;
	} symbols[] = {
		{ "ordershop.eventstore.v1.EventStore", true },
		{ "ordershop.eventstore.v1.EventStore.Append", true },
		{ "ordershop.eventstore.v1.Event", true },
		{ "ordershop.eventstore.v1.Event.topic", true },
		{ "ordershop.messagequeue.v1.OutcomeResponse.State", true },
		{ "ordershop.messagequeue.v1.OutcomeResponse.State.DEAD", true },
		{ "eventstore.EventStore", true },
		{ "grpc.health.v1.Health", true },
		{ "ordershop.eventstore.v1.EventStore.Forget", false },
		{ "ordershop.eventstore.v1", false },
		{ "Event", false },
		{ "", false },
	};
	struct reflected reflected = { 0 };
	unsigned sent = 0;
	struct rpc_stream *stream =
	    rpc_stream_open(fixture.channel, &reflection__server_reflection__descriptor,
	                    "ServerReflectionInfo", &events, &reflected);
	Reflection__ServerReflectionRequest request = REFLECTION__SERVER_REFLECTION_REQUEST__INIT;
	request.message_request_case =
	    REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
	request.list_services = "*";
	rpc_stream_send(stream, &request.base);
	fixture_wait(&reflected.messages, ++sent);
	ck_assert_uint_eq(reflected.services, 3);
	ck_assert(reflected.has_store);

	request.message_request_case =
	    REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
	for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
		request.file_containing_symbol = symbols[i].symbol;
		rpc_stream_send(stream, &request.base);
		fixture_wait(&reflected.messages, ++sent);
		ck_assert_msg((reflected.file_size > 0) == symbols[i].known, "%s",
		              symbols[i].symbol);
		ck_assert_int_eq(reflected.error_code, symbols[i].known ? 0 : 5);
	}
	request.message_request_case =
	    REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
	request.file_by_filename = "eventstore_v1.proto";
	rpc_stream_send(stream, &request.base);
	fixture_wait(&reflected.messages, ++sent);
	ck_assert_int_eq(memcmp(reflected.file_start,
	                        "\x0a\x13"
	                        "eventstore_v1.proto",
	                        21),
	                 0);
	request.message_request_case =
	    REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE;
	rpc_stream_send(stream, &request.base);
	fixture_wait(&reflected.messages, ++sent);
	ck_assert_int_eq(reflected.error_code, 5);
	rpc_stream_end_sends(stream);
	fixture_wait(&reflected.closed, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rpc builtin");
	TCase *all = tcase_create("all");
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, fixture_setup, fixture_teardown);
	tcase_add_test(all, health_is_what_the_server_says);
	tcase_add_test(all, watchers_hear_of_changes_and_are_let_go);
	tcase_add_test(all, reflection_serves_the_contracts);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
