#include "message-queue/test_fixture.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <string.h>

#define LEGACY (&mq_compat__message_queue__descriptor)

static struct fixture fixture;

static void setup(void)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture.legacy_lease_ms = 300;
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_end(&fixture);
}

static const char *send(const char *method, const char *id, const char *payload)
{
	MqCompat__SendRequest request = MQ_COMPAT__SEND_REQUEST__INIT;
	struct error err;
	request.service_name = "work";
	request.func_name = "do";
	request.msg_id = id;
	request.payload = payload;
	const ProtobufCMessage *response =
	    fixture_call(&fixture, LEGACY, method, &request.base, 3000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return ((const MqCompat__SendResponse *)response)->msg_id;
}

static MqCompat__ReceiveRequest receive_request(const char *id, int32_t timeout_s)
{
	MqCompat__ReceiveRequest request = MQ_COMPAT__RECEIVE_REQUEST__INIT;
	request.service_name = "work";
	request.func_name = "do";
	request.msg_id = id;
	request.timeout = timeout_s;
	return request;
}

static const MqCompat__ReceiveResponse *receive(const char *method, const char *id,
                                                int32_t timeout_s)
{
	MqCompat__ReceiveRequest request = receive_request(id, timeout_s);
	struct error err;
	const ProtobufCMessage *response =
	    fixture_call(&fixture, LEGACY, method, &request.base, 5000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return (const MqCompat__ReceiveResponse *)response;
}

static const MqCompat__GetResponse *get(const char *method, const char *id)
{
	MqCompat__GetRequest request = MQ_COMPAT__GET_REQUEST__INIT;
	struct error err;
	request.service_name = "work";
	request.func_name = "do";
	request.msg_id = id;
	const ProtobufCMessage *response =
	    fixture_call(&fixture, LEGACY, method, &request.base, 3000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return (const MqCompat__GetResponse *)response;
}

static bool ack(const char *method, const char *id, const char *payload)
{
	MqCompat__AckRequest request = MQ_COMPAT__ACK_REQUEST__INIT;
	struct error err;
	request.service_name = "work";
	request.func_name = "do";
	request.msg_id = id;
	request.payload = payload;
	const ProtobufCMessage *response =
	    fixture_call(&fixture, LEGACY, method, &request.base, 3000, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	return ((const MqCompat__AckResponse *)response)->success;
}

START_TEST(the_whole_walk)
{
	static const char request[] = "{\"params\": {\"name\":  \"Ada\"}}";
	static const char result[] = "{\"result\":  [\"x\"]}";
	ck_assert(!get("get_msg", "")->payload);
	const char *id = send("send_msg", "", request);
	ck_assert_uint_eq(strlen(id), 36);
	ck_assert(get("get_msg", "")->payload);
	ck_assert_str_eq(get("get_msg", "")->msg_id, id);
	ck_assert(!get("get_rsp", id)->payload);

	const MqCompat__ReceiveResponse *message = receive("recv_msg", "", 1);
	ck_assert_str_eq(message->payload, request);
	ck_assert_str_eq(message->msg_id, id);
	ck_assert(!get("get_msg", "")->payload);
	ck_assert(ack("ack_msg", id, ""));
	ck_assert(!ack("ack_msg", id, ""));
	ck_assert_str_eq(send("send_rsp", id, result), id);

	ck_assert(get("get_rsp", id)->payload);
	ck_assert_str_eq(get("get_rsp", id)->msg_id, id);
	const MqCompat__ReceiveResponse *response = receive("recv_rsp", id, 1);
	ck_assert_str_eq(response->payload, result);
	ck_assert_str_eq(response->msg_id, id);
	ck_assert(!ack("ack_rsp", id, "{}"));
	ck_assert(ack("ack_rsp", id, result));
	ck_assert(!ack("ack_rsp", id, result));
	ck_assert(!get("get_rsp", id)->payload);
}
END_TEST

START_TEST(nothing_comes)
{
	const MqCompat__ReceiveResponse *message = receive("recv_msg", "", 1);
	ck_assert_str_eq(message->payload, "");
	ck_assert_str_eq(message->msg_id, "");
	message = receive("recv_rsp", "some-id", 1);
	ck_assert_str_eq(message->payload, "");
	ck_assert_str_eq(message->msg_id, "some-id");
	ck_assert(!ack("ack_msg", "unknown", ""));
	ck_assert(!ack("ack_rsp", "unknown", "x"));
	ck_assert(!ack("ack_msg", "", ""));
}
END_TEST

START_TEST(order_is_kept_and_waiting_ends)
{
	struct pending waiting;
	MqCompat__ReceiveRequest request = receive_request("", 0);
	fixture_begin(&fixture, LEGACY, "recv_msg", &request.base, 10000, &waiting);
	fixture_sleep(&fixture, 50);
	char first[80];
	snprintf(first, sizeof(first), "%s", send("send_msg", "", "\"1\""));
	fixture_run(&fixture, pending_done, &waiting, 2000);
	ck_assert_str_eq(waiting.text, "\"1\"");
	ck_assert_str_eq(waiting.id, first);
	for (int i = 2; i <= 5; i++) {
		char payload[16];
		snprintf(payload, sizeof(payload), "%d", i);
		send("send_msg", "", payload);
	}
	for (int i = 2; i <= 5; i++) {
		char payload[16];
		snprintf(payload, sizeof(payload), "%d", i);
		ck_assert_str_eq(receive("recv_msg", "", 1)->payload, payload);
	}
}
END_TEST

START_TEST(vanished_receiver_swallows_nothing)
{
	struct pending gone;
	MqCompat__ReceiveRequest request = receive_request("", 0);
	fixture_begin(&fixture, LEGACY, "recv_msg", &request.base, 100, &gone);
	fixture_run(&fixture, pending_done, &gone, 2000);
	ck_assert_int_eq(gone.err.code, ERR_DEADLINE);
	fixture_sleep(&fixture, 50);
	send("send_msg", "", "\"here\"");
	ck_assert_str_eq(receive("recv_msg", "", 1)->payload, "\"here\"");
}
END_TEST

START_TEST(unacknowledged_message_returns)
{
	const char *id = send("send_msg", "", "\"again\"");
	ck_assert_str_eq(receive("recv_msg", "", 1)->msg_id, id);
	const MqCompat__ReceiveResponse *again = receive("recv_msg", "", 3);
	ck_assert_str_eq(again->msg_id, id);
	ck_assert(ack("ack_msg", id, ""));
	fixture_sleep(&fixture, 1000);
	ck_assert(!get("get_msg", "")->payload);
}
END_TEST

START_TEST(response_before_acknowledgement)
{
	const char *id = send("send_msg", "", "1");
	receive("recv_msg", "", 1);
	send("send_rsp", id, "{\"result\": 1}");
	ck_assert_str_eq(receive("recv_rsp", id, 1)->payload, "{\"result\": 1}");
	ck_assert(ack("ack_msg", id, ""));
	const char *other = send("send_msg", "", "1");
	receive("recv_msg", "", 1);
	send("send_rsp", other, "{\"result\": 2}");
	fixture_sleep(&fixture, 1000); /* never acknowledged, but answered: done */
	ck_assert(!get("get_msg", "")->payload);
}
END_TEST

static void expect_call(struct pending *pending, const char *text, int error_code)
{
	fixture_run(&fixture, pending_done, pending, 5000);
	ck_assert_msg(pending->err.code == ERR_NONE, "%s", pending->err.message);
	ck_assert_str_eq(pending->text, text);
	ck_assert_int_eq(pending->error_code, error_code);
}

START_TEST(native_call_of_a_legacy_service)
{
	static const struct {
		const char *response, *text;
		int error_code;
	} cases[] = {
		{ "{\"result\": [\"a\", {\"b\": 1}]}", "[\"a\",{\"b\":1}]", 0 },
		{ "{\"error\": \"no such product\"}", "no such product", 2 },
		{ "{\"result\": null}", "null", 0 },
		{ "[1]", "[1]", 0 },
		{ "no json", "the service's response is not JSON", 2 },
	};
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct pending pending;
		char id[40];
		snprintf(id, sizeof(id), "11111111-2222-4333-8444-%012u", i);
		fixture_begin_call(&fixture, id, "{\"params\": 1}", 5000, &pending);
		const MqCompat__ReceiveResponse *message = receive("recv_msg", "", 2);
		ck_assert_str_eq(message->msg_id, id);
		ck_assert_str_eq(message->payload, "{\"params\": 1}");
		ck_assert(ack("ack_msg", id, ""));
		fixture_sleep(&fixture, 20);
		ck_assert(!pending.done);
		send("send_rsp", id, cases[i].response);
		expect_call(&pending, cases[i].text, cases[i].error_code);
		struct pending again;
		fixture_begin_call(&fixture, id, "{\"params\": 1}", 5000, &again);
		expect_call(&again, cases[i].text, cases[i].error_code);
	}
}
END_TEST

START_TEST(legacy_call_of_a_native_service)
{
	static struct worker worker = { .echo = true };
	worker_start(&worker, &fixture, "work", "do", 10, 0, 0);
	const char *id = send("send_msg", "", "[1, 2]");
	ck_assert_str_eq(receive("recv_rsp", id, 2)->payload, "{\"result\": [1, 2]}");
	ck_assert(ack("ack_rsp", id, "{\"result\": [1, 2]}"));
	worker_vanish(&worker);
}
END_TEST

START_TEST(failed_native_service_answers_legacy_caller)
{
	static struct worker worker;
	worker_start(&worker, &fixture, "work", "do", 10, 0, 1);
	const char *id = send("send_msg", "", "1");
	worker_wait(&worker, 1);
	worker_fail(&worker, "do", id, "broken \"pipe\"");
	ck_assert_str_eq(receive("recv_rsp", id, 2)->payload,
	                 "{\"error\": \"the message was parked: broken \\\"pipe\\\"\"}");
	worker_vanish(&worker);
}
END_TEST

START_TEST(wrong_requests_are_refused)
{
	struct error err = { 0 };
	MqCompat__SendRequest sent = MQ_COMPAT__SEND_REQUEST__INIT;
	sent.service_name = "a_b:c";
	sent.func_name = "do";
	sent.payload = "1";
	ck_assert_ptr_null(fixture_call(&fixture, LEGACY, "send_msg", &sent.base, 1000, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
	sent.service_name = "work";
	ck_assert_ptr_null(fixture_call(&fixture, LEGACY, "send_rsp", &sent.base, 1000, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "msg_id"));
	MqCompat__ReceiveRequest request = receive_request("", -1);
	ck_assert_ptr_null(fixture_call(&fixture, LEGACY, "recv_msg", &request.base, 1000, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("compat");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_whole_walk);
	tcase_add_test(tcase, nothing_comes);
	tcase_add_test(tcase, order_is_kept_and_waiting_ends);
	tcase_add_test(tcase, vanished_receiver_swallows_nothing);
	tcase_add_test(tcase, unacknowledged_message_returns);
	tcase_add_test(tcase, response_before_acknowledgement);
	tcase_add_test(tcase, native_call_of_a_legacy_service);
	tcase_add_test(tcase, legacy_call_of_a_native_service);
	tcase_add_test(tcase, failed_native_service_answers_legacy_caller);
	tcase_add_test(tcase, wrong_requests_are_refused);
	Suite *suite = suite_create("compat");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
