/* Subscriptions and groups: nothing is missed, repeated or out of order. */
#include "event-store/group.h"
#include "event-store/testing.h"

#include "base/rpc_mux.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends under way all the time, to several topics. */
struct load {
	struct rpc_mux *mux;
	size_t sent, done, failed;
	const char *prefix;
	size_t topics;
	const char *data;
};

static void load_done(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct load *load = arg;
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	load->done++;
	if (err != NULL || result->error != NULL)
		load->failed++;
}

static void load_start(struct load *load, const char *prefix, size_t topics, const char *data)
{
	*load = (struct load){ .prefix = prefix, .topics = topics, .data = data };
	load->mux = rpc_mux_create(testing.loop, testing.channel, &es__event_store__descriptor,
	                           "AppendStream", 100000);
}

static void load_send(struct load *load, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "%s-%zu", load->prefix, load->sent % load->topics);
		Es__AppendItem item = ES__APPEND_ITEM__INIT;
		item.request = testing_request(topic, "e", load->data, ES__EXPECT__EXPECT_ANY, 0);
		rpc_mux_request(load->mux, &item.base, 30000, load_done, load);
		load->sent++;
	}
}

static void load_end(struct load *load)
{
	testing_until(&load->done, load->sent);
	rpc_mux_destroy(load->mux);
	ck_assert_uint_eq(load->failed, 0);
	arena_reset(testing.arena);
}

static void check_order(const struct received *got)
{
	for (size_t i = 1; i < got->count; i++) {
		struct entry_id a, b;
		struct error err;
		ck_assert(entry_id_parse(got->ids[i - 1], &a, &err));
		ck_assert(entry_id_parse(got->ids[i], &b, &err));
		int order = entry_id_compare(a, b);
		if (order == 0)
			order = strcmp(got->topics[i - 1], got->topics[i]);
		ck_assert_msg(order < 0, "%zu: %s %s, then %s %s", i, got->ids[i - 1],
		              got->topics[i - 1], got->ids[i], got->topics[i]);
	}
}

START_TEST(one_topic_from_the_start)
{
	struct load load;
	load_start(&load, "one", 1, "{}");
	load_send(&load, 3000);
	testing_until(&load.done, 3000);
	struct received *got = testing_subscribe("one-0", ES__START__START_BEGINNING, NULL, NULL);
	for (int i = 0; i < 50; i++) {
		load_send(&load, 40);
		testing_until(&load.done, load.sent - 20);
	}
	testing_until(&got->count, 5000);
	testing_pause(50);
	ck_assert_uint_eq(got->count, 5000);
	ck_assert_uint_ge(got->lives, 1);
	check_order(got);
	testing_end(got);
	load_end(&load);
}
END_TEST

START_TEST(all_topics_in_one_order)
{
	struct load load;
	struct received *got = testing_subscribe(NULL, ES__START__START_LIVE, NULL, NULL);
	testing_until(&got->lives, 1);
	load_start(&load, "all", 7, "{}");
	for (int i = 0; i < 100; i++) {
		load_send(&load, 40);
		testing_until(&load.done, load.sent - 20);
		if (i == 50) { /* a second one joins in the middle, after the 100th */
			struct received *late = testing_subscribe(NULL, ES__START__START_AFTER,
			                                          got->ids[99], got->topics[99]);
			load_send(&load, 1000);
			testing_until(&late->count, 1500);
			ck_assert_str_eq(late->ids[0], got->ids[100]);
			check_order(late);
			testing_end(late);
		}
	}
	testing_until(&got->count, 5000);
	testing_pause(50);
	ck_assert_uint_eq(got->count, 5000);
	check_order(got);
	testing_end(got);
	load_end(&load);
}
END_TEST

START_TEST(live_only_brings_nothing_old)
{
	testing_append("new", "a", "{\"n\":0}");
	testing_pause(5);
	struct received *got = testing_subscribe("new", ES__START__START_LIVE, NULL, NULL);
	testing_until(&got->lives, 1);
	ck_assert_uint_eq(got->count, 0);
	testing_append("new", "a", "{\"n\":1}");
	testing_until(&got->count, 1);
	ck_assert_str_eq(got->data[0], "{\"n\":1}");
	testing_end(got);
}
END_TEST

START_TEST(slow_reader_goes_back_to_the_log)
{
	enum { SIZE = 20000 };
	struct load load;
	char *data = calloc(1, SIZE + 16);
	memset(data, 'x', SIZE);
	memcpy(data, "{\"x\":\"", 6);
	strcpy(data + SIZE, "\"}");
	struct received *got = testing_subscribe("slow-0", ES__START__START_BEGINNING, NULL, NULL);
	testing_until(&got->lives, 1);
	rpc_stream_pause(got->stream);
	load_start(&load, "slow", 1, data);
	for (int i = 0; i < 15; i++) {
		load_send(&load, 100);
		testing_until(&load.done, load.sent);
		arena_reset(testing.arena);
	}
	ck_assert_uint_lt(got->count, 1000);
	rpc_stream_resume(got->stream);
	testing_until(&got->count, 1500);
	testing_pause(50);
	ck_assert_uint_eq(got->count, 1500);
	check_order(got);
	testing_append("slow-0", "e", "{}");
	testing_until(&got->count, 1501);
	testing_end(got);
	load_end(&load);
	free(data);
}
END_TEST

START_TEST(subscription_outlives_redis)
{
	struct received *got = testing_subscribe("outage", ES__START__START_BEGINNING, NULL, NULL);
	testing_append("outage", "a", "{\"n\":1}");
	testing_until(&got->count, 1);
	redis_fixture_kill(&testing.redis);
	struct error err;
	ck_assert(testing_send(testing_request("outage", "a", "{}", ES__EXPECT__EXPECT_ANY, 0),
	                       &err) == NULL);
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	redis_fixture_restart(&testing.redis);
	testing_pause(1500);
	testing_append("outage", "a", "{\"n\":2}");
	testing_until(&got->count, 2);
	ck_assert_str_eq(got->data[1], "{\"n\":2}");
	testing_end(got);
}
END_TEST

START_TEST(group_acknowledges_and_goes_on)
{
	for (int i = 0; i < 10; i++)
		testing_append("work", "a", "{}");
	struct received *got = testing_consume("work", "w", ES__START__START_BEGINNING, 4);
	testing_until(&got->count, 4);
	testing_pause(50);
	ck_assert_uint_eq(got->count, 4);
	testing_ack(got, 0, 4);
	testing_until(&got->count, 8);
	testing_ack(got, 4, 2);
	testing_until(&got->count, 10);
	testing_end(got); /* 6 are done */
	testing_pause(50);
	got = testing_consume("work", "w", ES__START__START_LIVE, 100);
	testing_until(&got->count, 4);
	testing_pause(50);
	ck_assert_uint_eq(got->count, 4);
	testing_restart_store();
	testing_end(got);
	got = testing_consume("work", "w", ES__START__START_LIVE, 100);
	testing_until(&got->count, 4);
	ck_assert(got->redelivered[0]); /* this store does not know; the one before has */
	testing_ack(got, 0, 4);
	testing_append("work", "a", "{\"n\":11}");
	testing_until(&got->count, 5);
	ck_assert_str_eq(got->data[4], "{\"n\":11}");
	ck_assert(!got->redelivered[4]);
	testing_end(got);
}
END_TEST

START_TEST(group_repeats_and_parks)
{
	testing_append("bad", "a", "{\"n\":1}");
	testing_append("bad", "a", "{\"n\":2}");
	testing_append("bad", "b", "{\"n\":3}");
	struct received *got = testing_consume("bad", "g", ES__START__START_BEGINNING, 1);
	testing_until(&got->count, 1);
	testing_nack(got, 0, false);
	/* the second event of a waits for the first; b does not */
	testing_until(&got->count, 2);
	ck_assert_str_eq(got->data[1], "{\"n\":3}");
	testing_ack(got, 1, 1);
	testing_until(&got->count, 3);
	ck_assert_str_eq(got->data[2], "{\"n\":1}");
	ck_assert_uint_eq(got->attempts[2], 2);
	ck_assert(!got->redelivered[1] && got->redelivered[2]);
	testing_nack(got, 2, true);
	testing_until(&got->count, 4);
	ck_assert_str_eq(got->data[3], "{\"n\":2}");
	testing_ack(got, 3, 1);
	testing_pause(100);
	const char *checkpoint[] = { "HGET", "groups:{bad}", "g" };
	char *text = redis_fixture_command(&testing.redis, checkpoint, 3);
	ck_assert_str_eq(text, got->ids[1]);
	free(text);
	testing_end(got);
}
END_TEST

START_TEST(group_remembers_attempts_without_members)
{
	testing_append("poison", "a", "{\"n\":1}");
	testing_append("poison", "b", "{\"n\":2}");
	for (unsigned attempt = 1; attempt <= GROUP_ATTEMPTS; attempt++) {
		/* a consumer that dies of its first event */
		struct received *got =
		    testing_consume("poison", "g", ES__START__START_BEGINNING, 1);
		testing_until(&got->count, 1);
		ck_assert_str_eq(got->data[0], "{\"n\":1}");
		ck_assert_uint_eq(got->attempts[0], attempt);
		testing_end(got);
	}
	struct received *got = testing_consume("poison", "g", ES__START__START_BEGINNING, 1);
	testing_until(&got->count, 1);
	ck_assert_str_eq(got->data[0], "{\"n\":2}");
	testing_end(got);
}
END_TEST

START_TEST(a_group_that_failed_can_be_joined_later)
{
	const char *const spoil[] = { "SET", "groups:{wrong}", "x" };
	const char *const repair[] = { "DEL", "groups:{wrong}" };
	testing_append("wrong", "a", "{\"n\":1}");
	free(redis_fixture_command(&testing.redis, spoil, 3));
	for (int i = 0; i < 20; i++) {
		struct received *one = testing_consume("wrong", "g", ES__START__START_BEGINNING, 1);
		struct received *two = testing_consume("wrong", "g", ES__START__START_BEGINNING, 1);
		testing_until(&one->ended, 1);
		testing_until(&two->ended, 1);
		ck_assert_int_eq(one->err.code, ERR_INTERNAL);
		ck_assert_int_eq(two->err.code, ERR_INTERNAL);
		testing_end(one);
		testing_end(two);
	}
	free(redis_fixture_command(&testing.redis, repair, 2));
	struct received *got = testing_consume("wrong", "g", ES__START__START_BEGINNING, 1);
	testing_until(&got->count, 1);
	ck_assert_str_eq(got->data[0], "{\"n\":1}");
	ck_assert_uint_eq(got->attempts[0], 1);
	testing_end(got);
}
END_TEST

START_TEST(group_members_share)
{
	struct load load;
	struct received *one = testing_consume("share-0", "s", ES__START__START_BEGINNING, 50);
	struct received *two = testing_consume("share-0", "s", ES__START__START_BEGINNING, 50);
	load_start(&load, "share", 1, "{}");
	size_t acked[2] = { 0, 0 }, total = 0;
	struct received *members[] = { one, two };
	for (int i = 0; i < 400; i++) {
		char entity[16];
		snprintf(entity, sizeof(entity), "e%d", i);
		testing_append("share-0", entity, "{}");
		for (int m = 0; m < 2; m++) {
			if (members[m]->count > acked[m]) {
				testing_ack(members[m], acked[m], members[m]->count - acked[m]);
				acked[m] = members[m]->count;
			}
		}
	}
	testing_pause(200);
	total = one->count + two->count;
	ck_assert_uint_eq(total, 400);
	ck_assert_uint_gt(one->count, 0);
	ck_assert_uint_gt(two->count, 0);
	/* what one had goes to the other */
	size_t before = two->count;
	size_t open = one->count - acked[0];
	testing_end(one);
	testing_until(&two->count, before + open);
	testing_end(two);
	load_end(&load);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flow");
	TCase *tests = tcase_create("streams");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, one_topic_from_the_start);
	tcase_add_test(tests, all_topics_in_one_order);
	tcase_add_test(tests, live_only_brings_nothing_old);
	tcase_add_test(tests, slow_reader_goes_back_to_the_log);
	tcase_add_test(tests, subscription_outlives_redis);
	tcase_add_test(tests, group_acknowledges_and_goes_on);
	tcase_add_test(tests, group_repeats_and_parks);
	tcase_add_test(tests, group_remembers_attempts_without_members);
	tcase_add_test(tests, a_group_that_failed_can_be_joined_later);
	tcase_add_test(tests, group_members_share);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
