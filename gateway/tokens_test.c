#include "gateway/tokens.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(the_highest_of_a_topic_counts)
{
	struct tokens tokens = { 0 };
	Rm__Consistency consistency;
	tokens_note(&tokens, "cart", "100-5");
	tokens_note(&tokens, "order", "99-1");
	tokens_note(&tokens, "cart", "100-4");
	tokens_note(&tokens, "cart", "99-9");
	tokens_note(&tokens, "cart", "nonsense");
	tokens_pick(&tokens, (const char *const[]){ "cart", "shipping", NULL }, &consistency);
	ck_assert_uint_eq(consistency.n_tokens, 1);
	ck_assert_str_eq(consistency.tokens[0]->topic, "cart");
	ck_assert_str_eq(consistency.tokens[0]->entry_id, "100-5");
	tokens_note(&tokens, "cart", "100-10");
	tokens_pick(&tokens, NULL, &consistency);
	ck_assert_uint_eq(consistency.n_tokens, 2);
	ck_assert_str_eq(consistency.tokens[0]->entry_id, "100-10");
}
END_TEST

START_TEST(the_table_is_bounded)
{
	struct tokens tokens = { 0 };
	Rm__Consistency consistency;
	char topic[200];
	for (int i = 0; i < TOKENS_TOPICS + 10; i++) {
		snprintf(topic, sizeof(topic), "topic%d", i);
		tokens_note(&tokens, topic, "1-0");
	}
	memset(topic, 'a', sizeof(topic) - 1);
	tokens_note(&tokens, topic, "1-0");
	tokens_pick(&tokens, NULL, &consistency);
	ck_assert_uint_eq(consistency.n_tokens, TOKENS_TOPICS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tokens");
	TCase *tests = tcase_create("tokens");
	tcase_add_test(tests, the_highest_of_a_topic_counts);
	tcase_add_test(tests, the_table_is_bounded);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
