/* Clients that stop reading: they are dropped with the reason, and others are not. */
#include "event-store/service_internal.h"
#include "event-store/testing.h"
#include "proto/eventstore.pb-c.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

enum { EVENTS = 30, EVENT_BYTES = 512 * 1024, STUCK_MS = 3000 };

static void append_large(const char *topic)
{
	char *data = malloc(EVENT_BYTES + 16);
	memset(data, 'x', EVENT_BYTES + 8);
	memcpy(data, "{\"x\":\"", 6);
	strcpy(data + EVENT_BYTES, "\"}");
	for (int i = 0; i < EVENTS; i++)
		testing_append(topic, "e", data);
	free(data);
}

static size_t reader_count(void)
{
	const struct watch *watch;
	size_t count = 0;
	DL_FOREACH(testing.store->readers.first, watch)
	{
		count++;
	}
	return count;
}

static void until_readers(size_t count)
{
	for (int i = 0; i < 1000 && reader_count() != count; i++)
		testing_pause(20);
	ck_assert_uint_eq(reader_count(), count);
}

static void check_dropped(struct received *reader)
{
	rpc_stream_resume(reader->stream);
	testing_until(&reader->ended, 1);
	ck_assert_msg(reader->err.code == ERR_EXHAUSTED, "%s", reader->err.message);
	ck_assert_msg(strstr(reader->err.message, "the client took no message for 3000 ms") != NULL,
	              "%s", reader->err.message);
	ck_assert_uint_lt(reader->count, EVENTS);
}

START_TEST(a_subscriber_that_stops_reading_is_told)
{
	struct received *idle = testing_subscribe("quiet", ES__START__START_BEGINNING, NULL, NULL);
	struct received *reading =
	    testing_subscribe("loud", ES__START__START_BEGINNING, NULL, NULL);
	struct received *stuck = testing_subscribe("loud", ES__START__START_BEGINNING, NULL, NULL);
	testing_until(&stuck->lives, 1);
	rpc_stream_pause(stuck->stream);
	append_large("loud");
	testing_until(&reading->count, EVENTS);
	until_readers(2);
	check_dropped(stuck);

	/* it goes on after what it has */
	size_t had = stuck->count;
	struct received *again =
	    had == 0 ? testing_subscribe("loud", ES__START__START_BEGINNING, NULL, NULL)
	             : testing_subscribe("loud", ES__START__START_AFTER, stuck->ids[had - 1], "");
	testing_until(&again->count, EVENTS - had);
	for (size_t i = 0; i < EVENTS; i++)
		ck_assert_str_eq(i < had ? stuck->ids[i] : again->ids[i - had], reading->ids[i]);
	testing_append("quiet", "e", "{}");
	testing_until(&idle->count, 1);
	struct received *readers[] = { idle, reading, stuck, again };
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		testing_end(readers[i]);
}
END_TEST

/* What it had goes to another member, in order. */
START_TEST(a_member_that_stops_reading_is_told)
{
	struct received *stuck = testing_consume("work", "g", ES__START__START_BEGINNING, 100);
	testing_append("work", "first", "{}");
	testing_until(&stuck->count, 1);
	testing_ack(stuck, 0, 1);
	rpc_stream_pause(stuck->stream);
	append_large("work");
	until_readers(0);
	struct received *other = testing_consume("work", "g", ES__START__START_BEGINNING, 100);
	testing_until(&other->count, EVENTS);
	for (size_t i = 1; i < EVENTS; i++)
		ck_assert_int_lt(strcmp(other->ids[i - 1], other->ids[i]), 0);
	check_dropped(stuck);
	testing_ack(other, 0, EVENTS);
	testing_end(other);
	testing_end(stuck);
}
END_TEST

static struct received *begin_reading(const char *topic)
{
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	request.topics = &topic;
	request.n_topics = 1;
	return testing_open_read(&request);
}

START_TEST(a_read_that_stops_is_told)
{
	append_large("past");
	struct received *stuck = begin_reading("past");
	rpc_stream_pause(stuck->stream);
	until_readers(1);
	until_readers(0);
	check_dropped(stuck);
	testing_end(stuck);
}
END_TEST

/* A client of the original shop, or one that takes its messages one by one. */
struct other {
	struct rpc_stream *stream;
	size_t count, ended;
	struct error err;
};

static void took_one(void *arg, const ProtobufCMessage *message)
{
	struct other *other = arg;
	(void)message;
	other->count++;
	rpc_stream_pause(other->stream);
}

static void other_ended(void *arg, const struct error *err)
{
	struct other *other = arg;
	other->err = err != NULL ? *err : (struct error){ 0 };
	other->ended = 1;
}

static const struct rpc_stream_events events_of_other = { took_one, other_ended };

START_TEST(one_of_the_original_shop_that_stops_is_told)
{
	struct other stuck = { 0 };
	EsCompat__SubscribeRequest request = ES_COMPAT__SUBSCRIBE_REQUEST__INIT;
	request.event_topic = "old";
	stuck.stream = rpc_stream_open(testing.channel, &es_compat__event_store__descriptor,
	                               "subscribe", &events_of_other, &stuck);
	rpc_stream_send(stuck.stream, &request.base);
	rpc_stream_end_sends(stuck.stream);
	until_readers(1);
	testing_append("old", "e", "{}");
	testing_until(&stuck.count, 1);
	append_large("old");
	until_readers(0);
	for (size_t had = 0; !stuck.ended; had = stuck.count) {
		rpc_stream_resume(stuck.stream);
		while (!stuck.ended && stuck.count == had)
			testing_pause(10);
	}
	ck_assert_msg(stuck.err.code == ERR_EXHAUSTED, "%s", stuck.err.message);
	ck_assert_uint_lt(stuck.count, EVENTS + 1);
}
END_TEST

/* Slow is not stuck: all of it takes twice as long as one message may. */
START_TEST(one_that_takes_a_message_now_and_then_is_kept)
{
	struct other slow = { 0 };
	const char *topic = "slow";
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	request.topics = &topic;
	request.n_topics = 1;
	append_large(topic);
	slow.stream = rpc_stream_open(testing.channel, &es__event_store__descriptor, "Subscribe",
	                              &events_of_other, &slow);
	rpc_stream_send(slow.stream, &request.base);
	rpc_stream_end_sends(slow.stream);
	for (size_t had = 1; had < EVENTS; had++) {
		testing_until(&slow.count, had);
		ck_assert_msg(!slow.ended, "%s", slow.err.message);
		testing_pause(2 * STUCK_MS / EVENTS);
		rpc_stream_resume(slow.stream);
	}
	testing_until(&slow.count, EVENTS);
	rpc_stream_cancel(slow.stream);
	testing_until(&slow.ended, 1);
}
END_TEST

/* The store itself was stopped: its clients had no chance meanwhile. */
START_TEST(time_asleep_does_not_count)
{
	append_large("asleep");
	struct received *reader = begin_reading("asleep");
	rpc_stream_pause(reader->stream);
	testing_pause(500); /* now a message is under way */
	struct timespec nap = { STUCK_MS / 1000, 500000000 };
	nanosleep(&nap, NULL);
	rpc_stream_resume(reader->stream);
	testing_until(&reader->ended, 1);
	ck_assert_msg(reader->err.code == ERR_NONE, "%s", reader->err.message);
	ck_assert_uint_eq(reader->count, EVENTS);
	testing_end(reader);
}
END_TEST

static void start(void)
{
	testing.stuck_ms = STUCK_MS;
	testing_start();
}

int main(void)
{
	Suite *suite = suite_create("watch");
	TCase *tests = tcase_create("watch");
	tcase_add_unchecked_fixture(tests, start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_subscriber_that_stops_reading_is_told);
	tcase_add_test(tests, a_member_that_stops_reading_is_told);
	tcase_add_test(tests, a_read_that_stops_is_told);
	tcase_add_test(tests, one_of_the_original_shop_that_stops_is_told);
	tcase_add_test(tests, one_that_takes_a_message_now_and_then_is_kept);
	tcase_add_test(tests, time_asleep_does_not_count);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
