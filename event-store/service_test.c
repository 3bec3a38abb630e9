/* The methods, as a client meets them. */
#include "event-store/testing.h"

#include "base/rpc_mux.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(append_gives_ids_and_versions)
{
	const Es__Appended *one = testing_append("cart", "a", "{\"n\":1}");
	const Es__Appended *two = testing_append("cart", "a", "{\"n\":2}");
	struct entry_id first, second;
	struct error err;
	ck_assert_uint_eq(one->version, 1);
	ck_assert_uint_eq(two->version, 2);
	ck_assert(!one->duplicate && !two->duplicate);
	ck_assert(entry_id_parse(one->entry_id, &first, &err));
	ck_assert(entry_id_parse(two->entry_id, &second, &err));
	ck_assert_int_lt(entry_id_compare(first, second), 0);
}
END_TEST

START_TEST(append_repeated_answers_the_same)
{
	struct error err;
	Es__AppendRequest *request = testing_request("cart", "b", "{}", ES__EXPECT__EXPECT_NONE, 0);
	const Es__AppendResponse *one = testing_send(request, &err);
	const Es__AppendResponse *two = testing_send(request, &err);
	ck_assert(one != NULL && two != NULL);
	ck_assert_str_eq(one->events[0]->entry_id, two->events[0]->entry_id);
	ck_assert_uint_eq(two->events[0]->version, 1);
	ck_assert(two->events[0]->duplicate);
}
END_TEST

START_TEST(append_refuses)
{
	static const struct {
		Es__Expect expect;
		uint64_t version;
		const char *data;
		enum error_code code;
		const char *says;
	} rows[] = {
		{ ES__EXPECT__EXPECT_NONE, 0, "{}", ERR_CONFLICT, "has version 1, expected none" },
		{ ES__EXPECT__EXPECT_EXACT, 0, "{}", ERR_CONFLICT, "has version 1, expected 0" },
		{ ES__EXPECT__EXPECT_EXACT, 2, "{}", ERR_CONFLICT, "has version 1, expected 2" },
		{ ES__EXPECT__EXPECT_ANY, 0, "[]", ERR_INVALID,
		  "event_data: must be a JSON object, is a list" },
		{ ES__EXPECT__EXPECT_ANY, 0, "", ERR_INVALID,
		  "event_data: must be a JSON object, is empty" },
		{ ES__EXPECT__EXPECT_ANY, 0, "{\"a\":}", ERR_INVALID,
		  "event_data: must be a JSON object: not valid JSON at line 1, column 6" },
		{ ES__EXPECT__EXPECT_ANY, 0, "{\"a\":\"\\u0000\"}", ERR_INVALID,
		  "\\u0000 is not allowed" },
		{ ES__EXPECT__EXPECT_ANY, 0, "{\"a\":\"\xff\"}", ERR_INVALID, "event_data" },
	};
	struct error err;
	testing_append("refuse", "a", "{}");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert(testing_send(testing_request("refuse", "a", rows[i].data, rows[i].expect,
		                                       rows[i].version),
		                       &err) == NULL);
		ck_assert_msg(err.code == rows[i].code, "row %zu: %s", i, err.message);
		ck_assert_msg(strstr(err.message, rows[i].says) != NULL, "row %zu: %s", i,
		              err.message);
	}
	Es__AppendRequest *request =
	    testing_request("refuse", "new", "{}", ES__EXPECT__EXPECT_EXISTS, 0);
	ck_assert(testing_send(request, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	request = testing_request("not a topic", "a", "{}", ES__EXPECT__EXPECT_ANY, 0);
	ck_assert(testing_send(request, &err) == NULL);
	ck_assert_ptr_nonnull(strstr(err.message, "topic"));
	request = testing_request("refuse", "a", "{}", ES__EXPECT__EXPECT_ANY, 0);
	request->n_events = 0;
	ck_assert(testing_send(request, &err) == NULL);
	ck_assert_ptr_nonnull(strstr(err.message, "events: must be 1 to 256"));
}
END_TEST

START_TEST(append_is_all_or_nothing)
{
	struct error err;
	Es__AppendRequest *request =
	    testing_request("atomic", "a", "{}", ES__EXPECT__EXPECT_NONE, 0);
	Es__AppendRequest *other =
	    testing_request("atomic", "b", "{}", ES__EXPECT__EXPECT_EXISTS, 0);
	Es__NewEvent *events[] = { request->events[0], other->events[0] };
	request->n_events = 2;
	request->events = events;
	ck_assert(testing_send(request, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(err.message, "events[1]"));
	events[1]->expect = ES__EXPECT__EXPECT_ANY;
	const Es__AppendResponse *response = testing_send(request, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert_uint_eq(response->n_events, 2);
	ck_assert_uint_eq(response->events[0]->version, 1);
	/* one of them known, one new */
	other = testing_request("atomic", "c", "{}", ES__EXPECT__EXPECT_ANY, 0);
	events[1] = other->events[0];
	ck_assert(testing_send(request, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_PRECONDITION);
}
END_TEST

static Es__AppendRequest *give_up(const char *topic, const char *event_id)
{
	Es__AppendRequest *request = testing_request(topic, "", "{}", ES__EXPECT__EXPECT_NEVER, 0);
	request->events[0]->event_action = "";
	request->events[0]->event_type = "";
	request->events[0]->event_data = "";
	if (event_id != NULL)
		request->events[0]->event_id = event_id;
	return request;
}

START_TEST(an_event_that_is_given_up_comes_never)
{
	struct error err;
	testing_append("void", "a", "{}");
	Es__AppendRequest *late = testing_request("void", "a", "{}", ES__EXPECT__EXPECT_ANY, 0);
	Es__AppendRequest *never = give_up("void", late->events[0]->event_id);
	for (int again = 0; again < 2; again++) {
		const Es__AppendResponse *response = testing_send(never, &err);
		ck_assert_msg(response != NULL, "%s", err.message);
		ck_assert_str_eq(response->events[0]->entry_id, "");
		ck_assert_int_eq(response->events[0]->duplicate, again);
		ck_assert(testing_send(late, &err) == NULL);
		ck_assert_int_eq(err.code, ERR_EXISTS);
		ck_assert_ptr_nonnull(strstr(err.message, "events[0].event_id: is void"));
	}
	/* Also among others, and as what an event should follow. */
	Es__AppendRequest *more = testing_request("void", "b", "{}", ES__EXPECT__EXPECT_ANY, 0);
	Es__NewEvent *events[] = { more->events[0], late->events[0] };
	more->n_events = 2;
	more->events = events;
	ck_assert(testing_send(more, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_EXISTS);
	ck_assert_ptr_nonnull(strstr(err.message, "events[1].event_id: is void"));
	Es__AppendRequest *next = testing_request("void", "a", "{}", ES__EXPECT__EXPECT_EXACT, 1);
	next->events[0]->after_event_id = late->events[0]->event_id;
	ck_assert(testing_send(next, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	/* Neither the topic nor the entity has moved. */
	ck_assert_uint_eq(testing_append("void", "a", "{}")->version, 2);
	ck_assert_str_eq(testing_redis_text("XLEN events:{void}"), "2");
}
END_TEST

START_TEST(an_event_that_is_there_cannot_be_given_up)
{
	struct error err;
	Es__AppendRequest *first = testing_request("kept", "a", "{}", ES__EXPECT__EXPECT_ANY, 0);
	const Es__AppendResponse *there = testing_send(first, &err);
	ck_assert_msg(there != NULL, "%s", err.message);
	const Es__AppendResponse *response =
	    testing_send(give_up("kept", first->events[0]->event_id), &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert(response->events[0]->duplicate);
	ck_assert_str_eq(response->events[0]->entry_id, there->events[0]->entry_id);
	ck_assert_ptr_nonnull(testing_send(first, &err));
}
END_TEST

/* Before the topic has any event; in one call of Redis with what comes late. */
START_TEST(the_first_event_of_a_topic_can_be_given_up)
{
	struct error err;
	ck_assert_ptr_nonnull(testing_send(give_up("early", NULL), &err));
	const Es__Appended *first = testing_append("early", "a", "{}");
	ck_assert_uint_eq(first->version, 1);
	Es__AppendRequest *two = give_up("early", NULL);
	Es__NewEvent *events[] = { two->events[0], two->events[0] };
	two->n_events = 2;
	two->events = events;
	ck_assert(testing_send(two, &err) == NULL);
	ck_assert_ptr_nonnull(strstr(err.message, "EXPECT_NEVER must be alone in its request"));
}
END_TEST

START_TEST(deleted_entity_begins_again)
{
	struct error err;
	testing_append("gone", "a", "{}");
	Es__AppendRequest *request =
	    testing_request("gone", "a", "{}", ES__EXPECT__EXPECT_EXACT, 1);
	request->events[0]->event_action = "entity_deleted";
	ck_assert(testing_send(request, &err) != NULL);
	request = testing_request("gone", "a", "{}", ES__EXPECT__EXPECT_EXISTS, 0);
	ck_assert(testing_send(request, &err) == NULL);
	request = testing_request("gone", "a", "{}", ES__EXPECT__EXPECT_NONE, 0);
	const Es__AppendResponse *response = testing_send(request, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert_uint_eq(response->events[0]->version, 3);
}
END_TEST

/* Two writers count the same versions: the number alone does not say whose event made it. */
START_TEST(exact_version_of_a_given_event)
{
	struct error err;
	testing_append("after", "a", "{}");
	Es__AppendRequest *mine = testing_request("after", "a", "{}", ES__EXPECT__EXPECT_EXACT, 1);
	Es__AppendRequest *theirs =
	    testing_request("after", "a", "{}", ES__EXPECT__EXPECT_EXACT, 1);
	Es__AppendRequest *next = testing_request("after", "a", "{}", ES__EXPECT__EXPECT_EXACT, 2);
	next->events[0]->after_event_id = mine->events[0]->event_id;
	ck_assert(testing_send(theirs, &err) != NULL);
	ck_assert(testing_send(mine, &err) == NULL);
	ck_assert(testing_send(next, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(err.message, "version 2 of entity \"a\""));
	next->events[0]->after_event_id = theirs->events[0]->event_id;
	ck_assert_msg(testing_send(next, &err) != NULL, "%s", err.message);
	/* It is there, but made another version. */
	mine->events[0]->after_event_id = theirs->events[0]->event_id;
	mine->events[0]->expected_version = 3;
	ck_assert(testing_send(mine, &err) == NULL);
	ck_assert_int_eq(err.code, ERR_CONFLICT);
	mine->events[0]->after_event_id = "x";
	ck_assert(testing_send(mine, &err) == NULL);
	ck_assert_ptr_nonnull(strstr(err.message, "after_event_id: must be a UUID"));
	mine->events[0]->after_event_id = theirs->events[0]->event_id;
	mine->events[0]->expect = ES__EXPECT__EXPECT_ANY;
	ck_assert(testing_send(mine, &err) == NULL);
	ck_assert_ptr_nonnull(strstr(err.message, "after_event_id: needs EXPECT_EXACT"));
}
END_TEST

struct answers {
	size_t count, conflicts;
	uint64_t last_version;
};

static void answered(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct answers *answers = arg;
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	ck_assert_msg(err == NULL, "%s", err != NULL ? err->message : "");
	answers->count++;
	if (result->error != NULL) {
		ck_assert_uint_eq(result->error->code, 10);
		answers->conflicts++;
		return;
	}
	ck_assert_uint_eq(result->events[0]->version, answers->last_version + 1);
	answers->last_version = result->events[0]->version;
}

/* Exact versions in a row, all under way at once: applied in the order sent. */
START_TEST(stream_applies_in_order)
{
	struct answers answers = { 0 };
	struct rpc_mux *mux = rpc_mux_create(testing.loop, testing.channel,
	                                     &es__event_store__descriptor, "AppendStream", 4096);
	const char *before = "";
	for (size_t i = 0; i < 1000; i++) {
		Es__AppendItem item = ES__APPEND_ITEM__INIT;
		item.request = testing_request("row", "a", "{}", ES__EXPECT__EXPECT_EXACT, i);
		item.request->events[0]->after_event_id = before;
		before = item.request->events[0]->event_id;
		rpc_mux_request(mux, &item.base, 10000, answered, &answers);
		item.request = testing_request("row", "a", "{}", ES__EXPECT__EXPECT_NONE, 0);
		if (i > 0)
			rpc_mux_request(mux, &item.base, 10000, answered, &answers);
	}
	testing_until(&answers.count, 1999);
	ck_assert_uint_eq(answers.last_version, 1000);
	ck_assert_uint_eq(answers.conflicts, 999);
	rpc_mux_destroy(mux);
}
END_TEST

START_TEST(read_topic_and_all)
{
	const char *topic = "read-a";
	char *ids[6];
	for (int i = 0; i < 6; i++) {
		char data[32];
		snprintf(data, sizeof(data), "{\"n\":%d}", i);
		ids[i] = arena_strdup(
		    testing.arena,
		    testing_append(i % 2 == 0 ? "read-a" : "read-b", "e", data)->entry_id);
	}
	Es__ReadRequest request = ES__READ_REQUEST__INIT;
	request.n_topics = 1;
	request.topics = &topic;
	struct received *got = testing_read(&request);
	ck_assert_uint_eq(got->count, 3);
	ck_assert_str_eq(got->data[2], "{\"n\":4}");
	testing_end(got);

	const char *both[] = { "read-b", "read-a" };
	Es__Position after = ES__POSITION__INIT;
	request.n_topics = 2;
	request.topics = both;
	got = testing_read(&request);
	ck_assert_uint_eq(got->count, 6);
	for (int i = 0; i < 6; i++)
		ck_assert_str_eq(got->ids[i], ids[i]);
	testing_end(got);
	request.backward = true;
	request.limit = 4;
	got = testing_read(&request);
	ck_assert_uint_eq(got->count, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_str_eq(got->ids[i], ids[5 - i]);
	testing_end(got);
	after.entry_id = ids[2];
	after.topic = "read-a";
	request.after = &after;
	got = testing_read(&request);
	ck_assert_uint_eq(got->count, 2);
	ck_assert_str_eq(got->ids[0], ids[1]);
	testing_end(got);
	request.backward = false;
	request.limit = 0;
	got = testing_read(&request);
	ck_assert_uint_eq(got->count, 3);
	ck_assert_str_eq(got->ids[0], ids[3]);
	testing_end(got);
	request.n_topics = 0;
	request.after = NULL;
	request.from_time_ms = strtoull(ids[0], NULL, 10);
	got = testing_read(&request);
	ck_assert_uint_ge(got->count, 6);
	ck_assert_int_eq(got->err.code, ERR_NONE);
	testing_end(got);
	topic = "nothing";
	request.n_topics = 1;
	request.topics = &topic;
	got = testing_read(&request);
	ck_assert_uint_eq(got->count, 0);
	ck_assert_int_eq(got->err.code, ERR_NONE);
	testing_end(got);
}
END_TEST

static const Es__ReadEntityResponse *read_entity(const char *entity, bool history)
{
	struct error err;
	const ProtobufCMessage *response;
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	request.topic = "state";
	request.entity_id = entity;
	request.history = history;
	if (!rpc_unary_wait(testing.channel, &es__event_store__descriptor, "ReadEntity",
	                    &request.base, 5000, testing.arena, &response, &err))
		ck_abort_msg("%s", err.message);
	return (const Es__ReadEntityResponse *)response;
}

static void got_entity(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	const Es__ReadEntityResult *result = (const Es__ReadEntityResult *)item;
	ck_assert_ptr_null(err);
	if (result->event != NULL)
		ck_assert_str_eq(result->event->event_data, "{\"n\":2}");
	*(size_t *)arg += result->event != NULL ? 100 : result->error != NULL ? 10 : 1;
}

START_TEST(read_entities)
{
	testing_append("state", "a", "{\"n\":1}");
	testing_append("state", "b", "{}");
	testing_append("state", "a", "{\"n\":2}");
	const Es__ReadEntityResponse *response = read_entity("a", false);
	ck_assert_uint_eq(response->n_events, 1);
	ck_assert_str_eq(response->events[0]->event_data, "{\"n\":2}");
	ck_assert_uint_eq(response->events[0]->entity_version, 2);
	ck_assert_str_eq(response->events[0]->event_type, "Changed");
	ck_assert_uint_eq(read_entity("c", false)->n_events, 0);
	ck_assert_uint_eq(read_entity("a", true)->n_events, 2);

	size_t sum = 0;
	struct rpc_mux *mux = rpc_mux_create(testing.loop, testing.channel,
	                                     &es__event_store__descriptor, "ReadEntityStream", 16);
	const char *topics[] = { "state", "state", "no topic" }, *ids[] = { "a", "never", "x" };
	for (int i = 0; i < 3; i++) {
		Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
		item.topic = topics[i];
		item.entity_id = ids[i];
		rpc_mux_request(mux, &item.base, 5000, got_entity, &sum);
	}
	testing_until(&sum, 111);
	ck_assert_uint_eq(sum, 111);
	rpc_mux_destroy(mux);
}
END_TEST

static void check_told(const char *last_id, bool brief)
{
	struct error err;
	const ProtobufCMessage *message;
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	request.brief = brief;
	ck_assert(rpc_unary_wait(testing.channel, &es__event_store__descriptor, "Topics",
	                         &request.base, 5000, testing.arena, &message, &err));
	const Es__TopicsResponse *response = (const Es__TopicsResponse *)message;
	for (size_t i = 0; i < response->n_topics; i++) {
		const Es__TopicInfo *topic = response->topics[i];
		if (strcmp(topic->topic, "told") != 0)
			continue;
		ck_assert_uint_eq(topic->length, 2);
		ck_assert_str_eq(topic->last_id, last_id);
		ck_assert((topic->bytes == 0) == brief);
		ck_assert_uint_eq(topic->n_groups, brief ? 0 : 1);
		return;
	}
	ck_abort_msg("the topic is not told");
}

START_TEST(topics_tell)
{
	testing_append("told", "a", "{}");
	const Es__Appended *last = testing_append("told", "b", "{}");
	struct received *got = testing_consume("told", "g", ES__START__START_BEGINNING, 1);
	testing_until(&got->count, 1);
	check_told(last->entry_id, false);
	check_told(last->entry_id, true);
	testing_end(got);
}
END_TEST

START_TEST(redis_that_evicts_is_refused)
{
	const char *policy[] = { "CONFIG", "SET", "maxmemory-policy", "allkeys-lru" };
	const char *memory[] = { "CONFIG", "SET", "maxmemory", "1gb" };
	const char *back[] = { "CONFIG", "SET", "maxmemory", "0" };
	const char *listen = "127.0.0.1:0";
	struct event_store_options options = { testing.redis.url, &listen, 1, 0 };
	struct event_store *store;
	struct error err;
	free(redis_fixture_command(&testing.redis, policy, 4));
	free(redis_fixture_command(&testing.redis, memory, 4));
	ck_assert(!event_store_serve(testing.loop, &options, &store, &err));
	ck_assert_int_eq(err.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(err.message, "noeviction"));
	free(redis_fixture_command(&testing.redis, back, 4));
	testing_append("cart", "after", "{}");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service");
	TCase *tests = tcase_create("methods");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, append_gives_ids_and_versions);
	tcase_add_test(tests, append_repeated_answers_the_same);
	tcase_add_test(tests, append_refuses);
	tcase_add_test(tests, append_is_all_or_nothing);
	tcase_add_test(tests, an_event_that_is_given_up_comes_never);
	tcase_add_test(tests, an_event_that_is_there_cannot_be_given_up);
	tcase_add_test(tests, the_first_event_of_a_topic_can_be_given_up);
	tcase_add_test(tests, exact_version_of_a_given_event);
	tcase_add_test(tests, deleted_entity_begins_again);
	tcase_add_test(tests, stream_applies_in_order);
	tcase_add_test(tests, read_topic_and_all);
	tcase_add_test(tests, read_entities);
	tcase_add_test(tests, topics_tell);
	tcase_add_test(tests, redis_that_evicts_is_refused);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
