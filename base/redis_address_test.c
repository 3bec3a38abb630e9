/* What needs no server: URLs, and where in a cluster a command goes. */
#include "base/redis_internal.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(wrong_urls_are_refused)
{
	static const char *const wrong[] = { "",
		                             "localhost",
		                             "redis://",
		                             "redis://:80",
		                             "redis://h:99999",
		                             "redis://h:6379/x",
		                             "unix://",
		                             "unix:///s?x=1",
		                             "redis://%zz@h",
		                             "redis://h:1,",
		                             "h:1,redis://h:2",
		                             "redis://h:1?replicas=0",
		                             "redis://h:1?replicas=17",
		                             "sentinel://h:1",
		                             "sentinel://h:1/",
		                             "sentinel://redis://h:1/m",
		                             "sentinel:///m" };
	struct error err;
	struct redis *redis;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ck_assert_msg(!redis_create(NULL, wrong[i], NULL, 0, 100, &redis, &err), "%s",
		              wrong[i]);
		ck_assert_int_eq(err.code, ERR_INVALID);
	}
}
END_TEST

START_TEST(a_socket_has_a_limit)
{
	struct error err;
	struct redis *redis;
	char url[128] = "unix:///";
	size_t start = strlen(url);
	memset(url + start, 'x', 107); /* with the slash one too many */
	ck_assert(!redis_create(NULL, url, NULL, 0, 100, &redis, &err));
	ck_assert_msg(strstr(err.message, "may have 107 bytes, this one has 108") != NULL, "%s",
	              err.message);
}
END_TEST

START_TEST(slots_of_commands)
{
	static const struct {
		const char *words, *key; /* NULL: none */
	} rows[] = {
		{ "GET 123456789", "123456789" },
		{ "HSET entities:{order} f v", "order" },
		{ "FCALL f 2 a{x}b c", "x" },
		{ "FCALL_RO f 1 k", "k" },
		{ "FCALL f 0 k", NULL },
		{ "XREAD COUNT 3 STREAMS events:{cart} 0", "cart" },
		{ "MEMORY USAGE k", "k" },
		{ "XINFO STREAM k", "k" },
		{ "GET {}k", "{}k" },
		{ "GET {k", "{k" },
		{ "GET {a}{b}", "a" },
		{ "TIME", NULL },
		{ "WAIT 1 2", NULL },
		{ "XREAD COUNT 3", NULL },
		{ "FCALL f", NULL },
		{ "GET", NULL },
	};
	ck_assert_int_eq(redis_slot_of_key("123456789", 9), 12739); /* from the specification */
	ck_assert_int_eq(redis_slot_of_key("{user1000}.a", 12), redis_slot_of_key("user1000", 8));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct redis_command command;
		char words[128];
		const char *key = rows[i].key;
		redis_command_init(&command);
		snprintf(words, sizeof(words), "%s", rows[i].words);
		for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL;)
			redis_arg(&command, word);
		int slot = redis_slot_of_args(command.args.bytes, command.args.len);
		ck_assert_msg(slot == (key == NULL ? -1 : redis_slot_of_key(key, strlen(key))),
		              "%s: %d", rows[i].words, slot);
		redis_command_free(&command);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis address");
	TCase *tcase = tcase_create("address");
	tcase_add_test(tcase, wrong_urls_are_refused);
	tcase_add_test(tcase, a_socket_has_a_limit);
	tcase_add_test(tcase, slots_of_commands);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
