/* An import, and who reads its topics already. */
#include "event-store/testing_import.h"

#include <string.h>

static struct received *subscribe_to(const char *first, const char *second, Es__Start start)
{
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	const char *topics[] = { first, second };
	request.topics = topics;
	request.n_topics = 2;
	request.start = start;
	struct received *got = testing_subscribe_to(&request);
	testing_until(&got->lives, 1);
	return got;
}

/* Who reads already: the history comes, or the subscription ends with the reason. */
START_TEST(live_readers)
{
	enum { PAIRS = 1500 };
	testing_append("now", "a", "{}");
	struct received *single = testing_subscribe("past", ES__START__START_BEGINNING, NULL, NULL);
	struct received *before = subscribe_to("past", "older", ES__START__START_BEGINNING);
	struct received *passed = subscribe_to("past", "now", ES__START__START_BEGINNING);
	struct received *live = subscribe_to("past", "now", ES__START__START_LIVE);
	struct received *others = subscribe_to("now", "elsewhere", ES__START__START_BEGINNING);
	testing_until(&single->lives, 1);

	struct importing *call = importing_begun("readers", "past", "older");
	importing_send_pairs(call, "older", "past", PAIRS);
	importing_finish(call);
	testing_until(&single->count, PAIRS);
	testing_until(&before->count, 2 * PAIRS);
	testing_until(&passed->ended, 1);
	ck_assert_int_eq(passed->err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(passed->err.message, "a history was imported before"));
	ck_assert_uint_eq(passed->count, 1);
	for (unsigned i = 0; i < PAIRS; i++) {
		ck_assert_str_eq(single->ids[i], importing_event("past", i)->entry_id);
		ck_assert_str_eq(before->ids[2 * i], single->ids[i]);
		ck_assert_str_eq(before->ids[2 * i + 1], single->ids[i]);
		ck_assert_str_eq(before->topics[2 * i], "older");
		ck_assert_str_eq(before->topics[2 * i + 1], "past");
	}

	/* the others go on */
	testing_append("past", "e0", "{}");
	testing_append("now", "a", "{}");
	testing_until(&single->count, PAIRS + 1);
	testing_until(&before->count, 2 * PAIRS + 1);
	testing_until(&live->count, 2);
	testing_until(&others->count, 2);
	struct received *again = subscribe_to("past", "now", ES__START__START_BEGINNING);
	testing_until(&again->count, PAIRS + 3);
	struct received *readers[] = { single, before, passed, live, others, again };
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		testing_end(readers[i]);
}
END_TEST

/* A topic that is in the registry already: its history is there before the registry tells of it. */
START_TEST(a_history_is_no_live_event)
{
	enum { PAIRS = 50 };
	struct importing *call = importing_begun("early", "ahead", "behind");
	importing_send_pairs(call, "ahead", "behind", PAIRS);
	importing_until(call, 2 * PAIRS);
	importing_refuses_append("ahead", "locked by the import early");
	importing_refuses_append("behind", "locked by the import early");
	struct received *both = subscribe_to("ahead", "behind", ES__START__START_BEGINNING);
	struct received *other = testing_subscribe("else", ES__START__START_BEGINNING, NULL, NULL);
	testing_until(&other->lives, 1);
	importing_publish("behind");
	for (size_t i = 1; i <= 10; i++) {
		testing_append("else", "a", "{}");
		testing_until(&other->count, i);
	}
	ck_assert_uint_eq(both->count, 0);
	importing_finish(call);
	testing_append("behind", "e0", "{}");
	testing_until(&both->count, 2 * PAIRS + 1);
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		ck_assert_str_eq(both->topics[i], i % 2 == 0 ? "ahead" : "behind");
	testing_end(both);
	testing_end(other);
}
END_TEST

/* Who repeats the finish tells nobody once more: one that failed and began anew has it all. */
START_TEST(readers_are_told_once)
{
	testing_append("today", "a", "{}");
	struct importing *call = importing_begun("once", "once", NULL);
	importing_send_history(call, "once", 0, 10);
	importing_finish(call);
	struct received *reader = subscribe_to("once", "today", ES__START__START_BEGINNING);
	testing_until(&reader->count, 11);
	char *before = testing_redis_text("XRANGE topics - +");
	testing_redis("HSET import:{once} state published");
	testing_redis("HSET entities:{once} %s !once", "");
	importing_finish(importing_begun("once", "once", NULL));
	ck_assert_str_eq(testing_redis_text("XRANGE topics - +"), before);
	testing_append("once", "e0", "{}");
	testing_until(&reader->count, 12);
	testing_end(reader);
}
END_TEST

/* All topics, in a store that has something already. */
START_TEST(readers_of_all_topics)
{
	struct received *all = testing_subscribe(NULL, ES__START__START_BEGINNING, NULL, NULL);
	testing_append("present", "a", "{}");
	testing_until(&all->lives, 1);
	struct importing *call = importing_begun("all", "unseen", NULL);
	importing_send_history(call, "unseen", 0, 10);
	importing_finish(call);
	testing_until(&all->ended, 1);
	ck_assert_int_eq(all->err.code, ERR_CONFLICT);
	testing_end(all);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import_readers");
	TCase *tests = tcase_create("import_readers");
	tcase_add_unchecked_fixture(tests, testing_start, testing_stop);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, live_readers);
	tcase_add_test(tests, readers_of_all_topics);
	tcase_add_test(tests, a_history_is_no_live_event);
	tcase_add_test(tests, readers_are_told_once);
	suite_add_tcase(suite, tests);
	return testing_main(suite);
}
