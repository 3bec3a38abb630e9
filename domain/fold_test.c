#include "domain/history_fixture.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

static void fold_history(size_t count, uint64_t start_ms, const struct line *extra,
                         char hash[DIGEST_TEXT_SIZE])
{
	struct log log;
	log_open(&log, NULL);
	log.start_ms = start_ms;
	log_add_history(&log, count);
	if (extra != NULL)
		log_add(&log, extra);
	fold_hash(invariants_fold(log.all), hash);
	log_close(&log);
}

START_TEST(equal_logs_have_equal_hashes)
{
	static const struct line changes[] = {
		{ UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("500") },
		{ UPDATED("product", "ProductUpdated"), .id = "$P", .data = PRODUCT("501") },
		{ .topic = "product",
		  .type = "ProductDeleted",
		  .action = ENTITY_DELETED,
		  .id = "$P",
		  .data = PRODUCT("500") },
		{ .topic = "mail",
		  .type = "MailSent",
		  .action = "mail_sent",
		  .data = "{\"recipient\":\"a@b\",\"message\":\"x\"}" },
		{ .topic = "mail",
		  .type = "MailSent",
		  .action = "mail_sent",
		  .data = "{\"recipient\":\"a@b\",\"message\":\"y\"}" },
		{ CREATED("parcel", "Packed"), .id = "1", .data = "{\"weight\":1}" },
		{ CREATED("parcel", "Packed"), .id = "1", .data = "{\"weight\":2}" },
	};
	char hashes[ARRAY_LEN(changes) + 2][DIGEST_TEXT_SIZE], again[DIGEST_TEXT_SIZE];
	size_t count = ARRAY_LEN(changes);
	for (size_t i = 0; i < count; i++) {
		fold_history(ALL, 1000, &changes[i], hashes[i]);
		fold_history(ALL, 5000, &changes[i], again);
		ck_assert_str_eq(hashes[i], again);
	}
	fold_history(ALL, 1000, NULL, hashes[count]);
	fold_history(0, 1000, NULL, hashes[count + 1]);
	for (size_t i = 0; i < count + 2; i++) {
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(strcmp(hashes[i], hashes[j]) != 0, "%zu and %zu", i, j);
	}
	/* Of nothing at all. */
	ck_assert_str_eq(hashes[count + 1],
	                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(a_fold_is_the_last_of_each)
{
	struct log log;
	char id[UUID_SIZE];
	struct buffer json;
	log_open(&log, NULL);
	log_add_history(&log, ALL);
	const struct line parcel = { CREATED("parcel", "Packed"), .id = "1", .data = "{\"w\":1}" };
	log_add(&log, &parcel);
	const struct fold *fold = invariants_fold(log.all);
	history_id('K', id);
	const struct fold_entity *cart = fold_find(fold, "cart", id);
	ck_assert_uint_eq(cart->version, 3);
	ck_assert_uint_eq(cart->first.ms, 1003);
	ck_assert_uint_eq(cart->last.ms, 1000 + ALL - 1);
	ck_assert(cart->topic == fold_topic_find(fold, "cart") && cart->topic->living == 1);
	buffer_init(&json, 4096);
	fold_entity_write(cart, &json);
	ck_assert_str_eq(json.bytes, history_text(log.arena, CART("")));
	buffer_clear(&json);
	fold_entity_write(fold_find(fold, "parcel", "1"), &json);
	ck_assert_str_eq(json.bytes, "{\"w\":1}");
	buffer_free(&json);
	ck_assert_ptr_null(fold_find(fold, "cart", "x"));
	ck_assert_ptr_null(fold_find(fold, "x", id));
	ck_assert_uint_eq(fold_events(fold), ALL + 1);
	ck_assert_str_eq(fold_topics(fold)->name, "customer");
	log_close(&log);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fold");
	TCase *all = tcase_create("all");
	tcase_add_test(all, equal_logs_have_equal_hashes);
	tcase_add_test(all, a_fold_is_the_last_of_each);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
