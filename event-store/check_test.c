#include "event-store/check.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(json_objects)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{ "{}", true },
		{ " {\"a\": [1, -2.5e+10, true, false, null, \"\\u00e4\\n\"], \"b\":{} }\n", true },
		{ "{\"a\":\"\xc3\xa4\"}", true },
		{ "", false },
		{ " ", false },
		{ "[]", false },
		{ "1", false },
		{ "{", false },
		{ "{}}", false },
		{ "{} x", false },
		{ "{\"a\"}", false },
		{ "{\"a\":}", false },
		{ "{\"a\":1,}", false },
		{ "{a:1}", false },
		{ "{\"a\":01}", false },
		{ "{\"a\":-}", false },
		{ "{\"a\":1.}", false },
		{ "{\"a\":1e}", false },
		{ "{\"a\":tru}", false },
		{ "{\"a\":\"\\x\"}", false },
		{ "{\"a\":\"\\u12g4\"}", false },
		{ "{\"a\":\"\\u0000\"}", false },
		{ "{\"a\":\"\n\"}", false },
		{ "{\"a\":\"", false },
		{ "{\"a\":\"\xff\"}", false },
		{ "{\"a\":[1}", false },
		{ "{\"a\":1,\"a\":2}", false },
		{ "{\"a\":1,\"b\":{\"a\":2},\"c\":[{\"a\":3}]}", true },
		{ "{\"a\":1,\"\\u0061\":2}", false },
		{ "{\"b\":[{\"a\":1,\"a\":2}]}", false },
		{ "{\"a\":1e308}", true },
		{ "{\"a\":1e309}", false },
		{ "{\"a\":\"\\ud83d\\ude00\"}", true },
		{ "{\"a\":\"\\ud83d\"}", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(check_json_object(rows[i].text, strlen(rows[i].text)) ==
		                  rows[i].valid,
		              "%s", rows[i].text);
}
END_TEST

/* More than are compared while the text is scanned. */
START_TEST(json_many_names)
{
	for (int twice = 0; twice < 2; twice++) {
		char text[400] = "{";
		for (int i = 0; i < 20; i++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "\"n%d\":%d,",
			         twice == 1 && i == 19 ? 0 : i, i);
		strcpy(text + strlen(text) - 1, "}");
		ck_assert_int_eq(check_json_object(text, strlen(text)), twice == 0);
	}
}
END_TEST

START_TEST(json_depth)
{
	char text[200];
	for (int depth = 30; depth <= 34; depth++) {
		strcpy(text, "{\"a\":");
		for (int i = 1; i < depth; i++)
			strcat(text, "[");
		for (int i = 1; i < depth; i++)
			strcat(text, "]");
		strcat(text, depth == 1 ? "1}" : "}");
		ck_assert(check_json_object(text, strlen(text)) == (depth <= 32));
	}
}
END_TEST

/* Each row breaks one limit of a request that is right otherwise. */
START_TEST(limits)
{
	enum row {
		FINE,
		TOPIC,
		ID,
		ACTION,
		TYPE,
		ENTITY,
		DATA,
		METADATA,
		EXPECT,
		NO_ENTITY,
		NEVER,
		ROWS
	};
	static const char *const says[ROWS] = { NULL,
		                                "topic",
		                                "event_id",
		                                "event_action",
		                                "event_type",
		                                "entity_id",
		                                "event_data",
		                                "metadata",
		                                "expect",
		                                "expect",
		                                "event_id and nothing else" };
	char *large = calloc(1, EVENT_DATA_MAX + 100);
	memset(large, ' ', EVENT_DATA_MAX + 50);
	memcpy(large, "{}", 2);
	char word[EVENT_NAME_MAX + 2];
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	for (int row = FINE; row < ROWS; row++) {
		Es__NewEvent event = ES__NEW_EVENT__INIT, *events = &event;
		Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
		struct error err;
		size_t bytes;
		request.topic = row == TOPIC ? "a b" : "cart";
		request.n_events = 1;
		request.events = &events;
		event.event_id = row == ID ? "1" : "8b1f4c4e-55a3-4c0e-9a51-52c51d3c4d8e";
		event.event_action = row == ACTION ? "" : "entity_created";
		event.event_type = row == TYPE ? word : "";
		event.entity_id = row == ENTITY ? word : row == NO_ENTITY ? "" : "e";
		event.event_data = row == DATA ? large : "{}";
		event.metadata = row == METADATA ? "[]" : "";
		event.expect = row == EXPECT  ? (Es__Expect)5
		               : row == NEVER ? ES__EXPECT__EXPECT_NEVER
		                              : ES__EXPECT__EXPECT_NONE;
		bool ok = check_append(&request, &bytes, &err);
		ck_assert_msg(ok == (says[row] == NULL), "row %d", row);
		if (!ok)
			ck_assert_msg(strstr(err.message, says[row]) != NULL, "row %d: %s", row,
			              err.message);
	}
	free(large);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("check");
	TCase *tests = tcase_create("check");
	tcase_add_test(tests, json_objects);
	tcase_add_test(tests, json_many_names);
	tcase_add_test(tests, json_depth);
	tcase_add_test(tests, limits);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
