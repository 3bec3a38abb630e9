/* The service of the original, as its clients use it. */
#include "event-store/testing.h"

#include "proto/eventstore.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ProtobufCMessage *ask(struct rpc_channel *channel, const char *method,
                                   const ProtobufCMessage *request, struct error *err)
{
	const ProtobufCMessage *response;
	return rpc_unary_wait(channel, &es_compat__event_store__descriptor, method, request, 5000,
	                      testing.arena, &response, err)
	           ? response
	           : NULL;
}

static const char *publish(const char *topic, const char *info, struct error *err)
{
	EsCompat__PublishRequest request = ES_COMPAT__PUBLISH_REQUEST__INIT;
	request.event_topic = topic;
	request.event_info = info;
	const ProtobufCMessage *response = ask(testing.channel, "publish", &request.base, err);
	return response != NULL ? ((const EsCompat__PublishResponse *)response)->entry_id : NULL;
}

struct seen {
	struct rpc_stream *stream;
	size_t count, ended;
	enum error_code code;
	double ts;
	char action[32];
	char data[64];
};

static void notified(void *arg, const ProtobufCMessage *message)
{
	struct seen *seen = arg;
	const EsCompat__Notification *notification = (const EsCompat__Notification *)message;
	seen->count++;
	seen->ts = notification->event_ts;
	strncpy(seen->action, notification->event_action, sizeof(seen->action) - 1);
	strncpy(seen->data, notification->event_data, sizeof(seen->data) - 1);
}

static void closed(void *arg, const struct error *err)
{
	struct seen *seen = arg;
	seen->ended = 1;
	seen->code = err != NULL ? err->code : ERR_NONE;
}

static const struct rpc_stream_events events = { notified, closed };

static void subscribe(struct seen *seen, struct rpc_channel *channel, const char *topic,
                      const char *group)
{
	EsCompat__SubscribeRequest request = ES_COMPAT__SUBSCRIBE_REQUEST__INIT;
	*seen = (struct seen){ 0 };
	request.event_topic = topic;
	request.group_name = group;
	seen->stream = rpc_stream_open(channel, &es_compat__event_store__descriptor, "subscribe",
	                               &events, seen);
	rpc_stream_send(seen->stream, &request.base);
	rpc_stream_end_sends(seen->stream);
}

static const char one[] =
    "{\"event_id\":\"e1\",\"event_action\":\"entity_created\","
    "\"event_data\":\"{\\\"entity_id\\\":\\\"x\\\",\\\"name\\\":\\\"\xc3\xa4\\\"}\"}";
static const char two[] = "{\"event_id\":2,\"event_action\":\"mail_sent\",\"event_data\":\"[1]\","
                          "\"extra\":7}";

START_TEST(publish_and_get)
{
	struct error err;
	EsCompat__GetRequest request = ES_COMPAT__GET_REQUEST__INIT;
	request.event_topic = "old";
	const ProtobufCMessage *response = ask(testing.channel, "get", &request.base, &err);
	ck_assert_str_eq(((const EsCompat__GetResponse *)response)->events, "");
	const char *first = publish("old", one, &err);
	ck_assert_msg(first != NULL, "%s", err.message);
	ck_assert_msg(publish("old", two, &err) != NULL, "%s", err.message);
	response = ask(testing.channel, "get", &request.base, &err);
	const char *text = ((const EsCompat__GetResponse *)response)->events;
	ck_assert_msg(strncmp(text, "[[\"", 3) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, first));
	ck_assert_ptr_nonnull(strstr(text, "\"event_data\":\"{\\\"entity_id\\\":\\\"x\\\""));
	ck_assert_ptr_nonnull(strstr(text, "\"entity_id\":\"x\",\"entity_version\":\"1\""));
	ck_assert_ptr_nonnull(strstr(text, "\"event_id\":\"2\""));
	ck_assert_ptr_nonnull(strstr(text, "extra"));
}
END_TEST

START_TEST(publish_refuses)
{
	static const struct {
		const char *info, *says;
	} rows[] = {
		{ "", "event_info" },
		{ "[]", "event_info: must be a JSON object" },
		{ "{}", "event_info: must be a JSON object" },
		{ "{\"event_id\":\"a\"}", "event_info.event_action: is missing" },
		{ "{\"event_id\":{}}", "event_info.event_id: must be a string or a number" },
		{ "{\"event_id\":\"a\",\"event_action\":\"b\",\"event_data\":\"{\"}",
		  "event_info.event_data" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err;
		ck_assert(publish("old", rows[i].info, &err) == NULL);
		ck_assert_msg(err.code == ERR_INVALID && strstr(err.message, rows[i].says) != NULL,
		              "row %zu: %s", i, err.message);
	}
}
END_TEST

START_TEST(subscribe_and_unsubscribe)
{
	struct error err;
	struct seen here, there;
	struct rpc_channel *other;
	char target[64];
	publish("sub", one, &err);
	snprintf(target, sizeof(target), "127.0.0.1:%d", event_store_port(testing.store));
	other = rpc_channel_create(testing.loop, target);
	subscribe(&here, testing.channel, "sub", "");
	subscribe(&there, other, "sub", "");
	testing_pause(300);
	ck_assert_uint_eq(here.count, 0);
	const char *id = publish("sub", two, &err);
	testing_until(&here.count, 1);
	testing_until(&there.count, 1);
	ck_assert_str_eq(here.action, "mail_sent");
	ck_assert_str_eq(here.data, "[1]");
	struct entry_id entry;
	ck_assert(entry_id_parse(id, &entry, &err));
	ck_assert_double_eq_tol(here.ts, (double)entry.ms / 1e3 + (double)entry.us / 1e6, 1e-6);

	EsCompat__UnsubscribeRequest request = ES_COMPAT__UNSUBSCRIBE_REQUEST__INIT;
	request.event_topic = "sub";
	const ProtobufCMessage *response = ask(testing.channel, "unsubscribe", &request.base, &err);
	ck_assert(((const EsCompat__UnsubscribeResponse *)response)->success);
	testing_until(&here.ended, 1);
	ck_assert_int_eq(here.code, ERR_NONE);
	ck_assert_uint_eq(there.ended, 0);
	rpc_channel_destroy(other);
}
END_TEST

START_TEST(groups_share)
{
	struct error err;
	struct seen a, b;
	char info[160];
	subscribe(&a, testing.channel, "shared", "g");
	subscribe(&b, testing.channel, "shared", "g");
	testing_pause(300);
	for (int i = 0; i < 40; i++) {
		snprintf(info, sizeof(info),
		         "{\"event_id\":\"s%d\",\"event_action\":\"a\",\"event_data\":\"{}\"}", i);
		ck_assert(publish("shared", info, &err) != NULL);
	}
	testing_pause(200);
	ck_assert_uint_eq(a.count + b.count, 40);
	rpc_stream_cancel(a.stream);
	rpc_stream_cancel(b.stream);
	testing_until(&a.ended, 1);
	testing_until(&b.ended, 1);
	testing_pause(50);
	/* what came while nobody was there waits for the group */
	publish("shared", two, &err);
	subscribe(&a, testing.channel, "shared", "g");
	testing_until(&a.count, 1);
	ck_assert_str_eq(a.action, "mail_sent");
	rpc_stream_cancel(a.stream);
	testing_until(&a.ended, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compat");
	TCase *tests = tcase_create("methods");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, publish_and_get);
	tcase_add_test(tests, publish_refuses);
	tcase_add_test(tests, subscribe_and_unsubscribe);
	tcase_add_test(tests, groups_share);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
