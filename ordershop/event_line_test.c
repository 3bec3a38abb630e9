#include "ordershop/event_line.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

static struct arena *arena;
static struct buffer line;

static void setup(void)
{
	arena = arena_create();
	buffer_init(&line, EVENT_LINE_MAX);
}

static void teardown(void)
{
	buffer_free(&line);
	arena_destroy(arena);
}

static const struct event plain = {
	.topic = "order",
	.entry_id = "1700000000000-12",
	.event_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	.action = "entity_created",
	.type = "OrderPlaced",
	.entity_id = "7d444840-9dc0-11d1-b245-5ffdce74fad2",
	.version = 1,
	.metadata = "{\"actor\":\"ann\"}",
};

START_TEST(a_line_has_a_fixed_form)
{
	event_line_write(&line, &plain, "{\"total\":5}");
	ck_assert_str_eq(line.bytes,
	                 "{\"topic\":\"order\",\"entry_id\":\"1700000000000-12\",\"event_id\":"
	                 "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\",\"action\":\"entity_created\","
	                 "\"type\":\"OrderPlaced\",\"entity_id\":"
	                 "\"7d444840-9dc0-11d1-b245-5ffdce74fad2\",\"version\":1,"
	                 "\"metadata\":{\"actor\":\"ann\"},\"data\":{\"total\":5}}");
}
END_TEST

/* Metadata and data as they may come, and as they are read back (NULL: the same). */
static const struct {
	const char *metadata, *data, *metadata_read, *data_read;
} texts[] = {
	{ "{}", "{}", NULL, NULL },
	{ NULL, "{\"a\":1}", "{}", NULL },
	{ "", "{\"a\":1}", "{}", NULL },
	{ "{ \"a\" : [1, {\"b\":\"}\"}] }", "{\"x\":\"\\\"}{\",\"y\":1.50}", NULL, NULL },
	{ "{\"a\":\n1}", "{\r\n\"b\":2}", "{\"a\": 1}", "{  \"b\":2}" },
	{ "no JSON", "{\"broken\"", NULL, NULL },
	{ "[1]", "", NULL, NULL },
	{ "{}", "{\"name\":\"\xc3\xa4\\u00e4\\n\"}", NULL, NULL },
	{ "{} {}", "two\nlines \"and\" quotes \\", NULL, NULL },
};

START_TEST(what_is_written_is_read)
{
	struct event event = plain, read;
	const char *data;
	struct error err;
	event.metadata = texts[_i].metadata;
	event.type = "T\"\n\xc3\xa4";
	event.version = UINT64_MAX;
	event_line_write(&line, &event, texts[_i].data);
	ck_assert_ptr_null(strchr(line.bytes, '\n'));
	ck_assert_msg(event_line_read(line.bytes, line.len, arena, &read, &data, &err), "%s",
	              err.message);
	ck_assert_str_eq(read.topic, event.topic);
	ck_assert_str_eq(read.entry_id, event.entry_id);
	ck_assert_str_eq(read.event_id, event.event_id);
	ck_assert_str_eq(read.action, event.action);
	ck_assert_str_eq(read.type, event.type);
	ck_assert_str_eq(read.entity_id, event.entity_id);
	ck_assert(read.version == UINT64_MAX);
	ck_assert_str_eq(read.metadata, texts[_i].metadata_read != NULL ? texts[_i].metadata_read
	                                                                : texts[_i].metadata);
	ck_assert_str_eq(data, texts[_i].data_read != NULL ? texts[_i].data_read : texts[_i].data);
}
END_TEST

/* What is cut off anywhere, or altered in one byte, is refused, or it is another line. */
START_TEST(nothing_else_is_read)
{
	struct event read;
	const char *data;
	struct error err;
	event_line_write(&line, &plain, "{\"total\":5,\"name\":\"x\\n\"}");
	for (size_t cut = 0; cut < line.len; cut++)
		ck_assert(!event_line_read(line.bytes, cut, arena, &read, &data, &err));
	for (size_t i = 0; i < line.len; i++) {
		struct buffer again;
		char was = line.bytes[i];
		line.bytes[i] = was == '"' ? 'x' : '"';
		if (event_line_read(line.bytes, line.len, arena, &read, &data, &err)) {
			buffer_init(&again, EVENT_LINE_MAX);
			event_line_write(&again, &read, data);
			ck_assert_str_eq(again.bytes, line.bytes);
			buffer_free(&again);
		} else {
			ck_assert_msg(strstr(err.message, "at byte ") != NULL, "%s", err.message);
		}
		line.bytes[i] = was;
	}
}
END_TEST

START_TEST(errors_name_the_member)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{ "", "at byte 0: topic: must be" },
		{ "{\"topic\":5", "at byte 9: topic: must be a string in UTF-8" },
		{ "{\"topic\":\"a\",\"type\":", "at byte 12: entry_id: must be the next member" },
	};
	struct event read;
	const char *data;
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ck_assert(!event_line_read(wrong[i].text, strlen(wrong[i].text), arena, &read,
		                           &data, &err));
		ck_assert_msg(strncmp(err.message, wrong[i].said, strlen(wrong[i].said)) == 0, "%s",
		              err.message);
	}
}
END_TEST

START_TEST(a_hash_is_of_the_lines_in_order)
{
	char ab[DIGEST_TEXT_SIZE], ba[DIGEST_TEXT_SIZE], joined[DIGEST_TEXT_SIZE];
	struct log_hash *hash = log_hash_create();
	log_hash_text(hash, ab);
	ck_assert_str_eq(ab, "0000000000000000000000000000000000000000000000000000000000000000");
	log_hash_add(hash, "a", 1);
	log_hash_add(hash, "b", 1);
	log_hash_text(hash, ab);
	log_hash_destroy(hash);
	hash = log_hash_create();
	log_hash_add(hash, "b", 1);
	log_hash_add(hash, "a", 1);
	log_hash_text(hash, ba);
	log_hash_destroy(hash);
	hash = log_hash_create();
	log_hash_add(hash, "ab", 2);
	log_hash_text(hash, joined);
	log_hash_destroy(hash);
	ck_assert_str_ne(ab, ba);
	ck_assert_str_ne(ab, joined);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event_line");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, a_line_has_a_fixed_form);
	tcase_add_loop_test(all, what_is_written_is_read, 0, (int)ARRAY_LEN(texts));
	tcase_add_test(all, nothing_else_is_read);
	tcase_add_test(all, errors_name_the_member);
	tcase_add_test(all, a_hash_is_of_the_lines_in_order);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
