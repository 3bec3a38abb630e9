/* The read model beside a real event store and Redis. */
#include "read-model/test_fixture.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_json(const char *name, const char *id, const char *json)
{
	const Rm__Entity *entity = fixture_get(name, id);
	ck_assert_ptr_nonnull(entity);
	ck_assert_str_eq(entity->json, json);
	ck_assert_str_eq(entity->id, id);
}

START_TEST(reads_see_what_their_token_names)
{
	fixture_create("customer", "a", "{\"entity_id\":\"a\",\"name\":\"Ann\",\"email\":\"a@x\"}");
	expect_json("customer", "a", "{\"entity_id\":\"a\",\"name\":\"Ann\",\"email\":\"a@x\"}");
	for (int i = 0; i < 100; i++) {
		char data[64];
		snprintf(data, sizeof(data), "{\"entity_id\":\"p\",\"name\":\"n\",\"price\":%d}",
		         i);
		fixture_append("product", "entity_updated", "p", data);
		expect_json("product", "p", data);
	}
	ck_assert_uint_eq(fixture_get("product", "p")->version, 100);
	fixture_append("customer", "entity_deleted", "a", "{\"entity_id\":\"a\"}");
	ck_assert_ptr_null(fixture_get("customer", "a"));
	ck_assert_ptr_null(fixture_get("customer", "nobody"));
	ck_assert_ptr_null(fixture_get("nothing", "nobody"));
	fixture_create("parcel", "x", "{\"weight\": 3.5, \"to\": [\"a\"]}");
	expect_json("parcel", "x", "{\"weight\": 3.5, \"to\": [\"a\"]}");
	fixture_create("customer", "b",
	               "{\"entity_id\":\"b\",\"name\":\"B \\\"q\\\"\",\"vip\":true}");
	expect_json("customer", "b",
	            "{\"entity_id\":\"b\",\"name\":\"B \\\"q\\\"\",\"email\":\"\",\"vip\":true}");
	fixture_create("order", "o", FIXTURE_ORDER("o", "CREATED", "b"));
	expect_json("order", "o", FIXTURE_ORDER("o", "CREATED", "b"));
}
END_TEST

START_TEST(a_token_of_the_future_ends_in_time)
{
	struct error err;
	Rm__GetRequest request = RM__GET_REQUEST__INIT;
	request.name = "customer";
	request.id = "a";
	request.consistency = &fixture.consistency;
	fixture_create("customer", "a", "{}");
	fixture.consistency.tokens[0]->entry_id = "9000000000000-0";
	fixture.consistency.wait_ms = 100;
	ck_assert_ptr_null(fixture_ask("Get", &request.base, &err));
	ck_assert_int_eq(err.code, ERR_DEADLINE);
	fixture.consistency.tokens[0]->entry_id = "nonsense";
	ck_assert_ptr_null(fixture_ask("Get", &request.base, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "consistency.tokens[0]"));
	fixture.consistency.wait_ms = 60001;
	ck_assert_ptr_null(fixture_ask("Get", &request.base, &err));
	ck_assert_int_eq(err.code, ERR_INVALID);
}
END_TEST

START_TEST(orders_and_reports)
{
	fixture_create_shop();
	ck_assert_uint_eq(fixture_orders("Unbilled"), 2);
	ck_assert_uint_eq(fixture_orders("Unshipped"), 2);
	ck_assert_uint_eq(fixture_orders("Delivered"), 0);
	fixture_append("shipping", "entity_updated", "s1",
	               "{\"entity_id\":\"s1\",\"order_id\":\"o1\",\"delivered\":1600000000}");
	ck_assert_uint_eq(fixture_orders("Delivered"), 1);
	const char *all = fixture_report("");
	static const char *const members[] = {
		"\"customers\":[{", "\"products\":[{", "\"inventory\":[]",
		"\"orders\":[{",    "\"mails\":[[\"",  "\"event_action\":\"mail_sent\""
	};
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		ck_assert_msg(strstr(all, members[i]) != NULL, "%s in %s", members[i], all);
	all = fixture_report("orders");
	struct error err;
	struct json *json;
	ck_assert_msg(json_parse(all, strlen(all), &json, &err), "%s: %s", err.message, all);
	ck_assert_uint_eq(json_count(json), 3);
	for (const struct json *o = json_first(json); o != NULL; o = json_next(o)) {
		bool first = strcmp(json_text(json_member(o, "entity_id")), "o1") == 0;
		const struct json *customer = json_member(o, "customer");
		ck_assert_str_eq(json_text(json_member(customer, "entity_id")), "a");
		ck_assert_uint_eq(json_count(json_member(o, "products")), 1);
		ck_assert_uint_eq(json_count(json_member(o, "billings")), first ? 1 : 0);
		ck_assert_uint_eq(json_count(json_member(o, "shippings")), first ? 1 : 0);
		ck_assert_int_eq(json_kind(json_member(o, "cart")), JSON_OBJECT);
	}
	json_free(json);
}
END_TEST

START_TEST(mails_in_pages)
{
	struct error err;
	for (int i = 0; i < 7; i++)
		fixture_append("mail", "mail_sent", "",
		               "{\"recipient\":\"a@x\",\"message\":\"hi\"}");
	Rm__MailsRequest request = RM__MAILS_REQUEST__INIT;
	request.limit = 3;
	request.consistency = &fixture.consistency;
	size_t count = 0, pages = 0;
	do {
		const Rm__MailsResponse *page =
		    (const Rm__MailsResponse *)fixture_ask("Mails", &request.base, &err);
		ck_assert_msg(page != NULL, "%s", err.message);
		count += page->n_mails;
		pages++;
		request.cursor = page->cursor;
	} while (request.cursor[0] != '\0');
	ck_assert_uint_eq(count, 7);
	ck_assert_uint_eq(pages, 3);
}
END_TEST

/* ---- lives ---- */

static uint64_t lag(const char **projection)
{
	struct error err;
	Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
	const Rm__CheckpointsResponse *response =
	    (const Rm__CheckpointsResponse *)fixture_ask("Checkpoints", &request.base, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert_uint_eq(response->n_checkpoints, 1);
	*projection = response->checkpoints[0]->projection;
	return response->checkpoints[0]->lag;
}

START_TEST(goes_on_after_restarts)
{
	const char *projection;
	fixture_create_shop();
	ck_assert_uint_eq(fixture_orders("Unbilled"), 2);
	fixture_unserve();
	fixture_create("order", "o4", FIXTURE_ORDER("o4", "CREATED", "a"));
	fixture_serve(false);
	testing_pause(200);
	ck_assert_uint_eq(fixture_orders("Unbilled"), 3);
	ck_assert_uint_eq(lag(&projection), 0);
	ck_assert_str_eq(projection, "model:1");
	redis_fixture_kill(&testing.redis);
	testing_pause(300);
	redis_fixture_restart(&testing.redis);
	testing_pause(1500);
	fixture_create("order", "o5", FIXTURE_ORDER("o5", "CREATED", "a"));
	ck_assert_uint_eq(fixture_orders("Unbilled"), 4);
	ck_assert_uint_eq(lag(&projection), 0);
}
END_TEST

static const char *redis_says(const char *command, const char *key, const char *field)
{
	const char *argv[] = { command, key, field };
	char *text = redis_fixture_command(&testing.redis, argv, field == NULL ? 2 : 3);
	const char *copy = arena_strdup(testing.arena, text);
	free(text);
	return copy;
}

/* Asks the live model every few ms until `projection` is it; each answer must be `report`. */
static void until_live(const char *projection, const char *report)
{
	for (int i = 0; i < 2000; i++) {
		struct error err;
		Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
		ck_assert_str_eq(fixture_report(""), report);
		const Rm__CheckpointsResponse *response =
		    (const Rm__CheckpointsResponse *)fixture_ask("Checkpoints", &request.base,
		                                                 &err);
		ck_assert_msg(response != NULL, "%s", err.message);
		ck_assert(response->checkpoints[0]->live);
		if (strcmp(response->checkpoints[0]->projection, projection) == 0)
			return;
		testing_pause(5);
	}
	ck_abort_msg("%s never became live", projection);
}

START_TEST(a_rebuild_changes_over)
{
	const char *projection, *before;
	struct error err;
	Rm__RebuildRequest request = RM__REBUILD_REQUEST__INIT;
	fixture_create_shop();
	fixture_create_customers(3000);
	fixture_get("customer", "c0");
	before = fixture_report("");
	const Rm__RebuildResponse *response =
	    (const Rm__RebuildResponse *)fixture_ask("Rebuild", &request.base, &err);
	ck_assert_msg(response != NULL, "%s", err.message);
	ck_assert_str_eq(response->projection, "model:2");
	until_live("model:2", before);
	ck_assert_str_eq(redis_says("HGET", "model:live", "drop:1"), "1");
	fixture_create("order", "o9", FIXTURE_ORDER("o9", "CREATED", "a"));
	ck_assert_uint_eq(fixture_orders("Unbilled"), 3);
	fixture_unserve();
	fixture_serve(true);
	testing_pause(100);
	before = fixture_report("");
	until_live("model:3", before);
	ck_assert_uint_eq(lag(&projection), 0);
	ck_assert_str_eq(projection, "model:3");
}
END_TEST

START_TEST(an_emptied_redis_is_filled_again)
{
	struct error err;
	fixture_create_shop();
	const char *before = fixture_report("");
	redis_says("DEL", "model:live", NULL);
	redis_says("DEL", "{model:1}checkpoint", NULL);
	redis_says("DEL", "{model:1}order_ids", NULL);
	testing_pause(1200);
	Rm__GetRequest request = RM__GET_REQUEST__INIT;
	request.name = "customer";
	for (int i = 0; fixture_ask("Get", &request.base, &err) == NULL; i++) {
		ck_assert_msg(i < 400 && err.code == ERR_UNAVAILABLE, "%s", err.message);
		testing_pause(20);
	}
	ck_assert_str_eq(fixture_report(""), before);
	ck_assert_str_eq(redis_says("HGET", "model:live", "generation"), "2");
}
END_TEST

START_TEST(a_log_from_an_older_copy_leads_to_a_rebuild)
{
	fixture_create_shop();
	fixture_create("customer", "gone", "{\"entity_id\":\"gone\"}");
	ck_assert_ptr_nonnull(fixture_get("customer", "gone"));
	const char *last = fixture.consistency.tokens[0]->entry_id;
	redis_says("XDEL", "events:{customer}", last);
	/* new events have later ids than the checkpoint: only their number tells */
	fixture_create("product", "p9", "{\"entity_id\":\"p9\",\"price\":1}");
	ck_assert_ptr_nonnull(fixture_get("product", "p9"));
	for (int i = 0; fixture_get("customer", "gone") != NULL; i++) {
		ck_assert_int_lt(i, 400);
		testing_pause(50);
	}
	ck_assert_ptr_nonnull(fixture_get("product", "p9"));
	ck_assert_ptr_nonnull(fixture_get("customer", "a"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { reads_see_what_their_token_names,
		                       a_token_of_the_future_ends_in_time,
		                       orders_and_reports,
		                       mails_in_pages,
		                       goes_on_after_restarts,
		                       a_rebuild_changes_over,
		                       an_emptied_redis_is_filled_again,
		                       a_log_from_an_older_copy_leads_to_a_rebuild };
	return fixture_main("read model", tests, ARRAY_LEN(tests));
}
