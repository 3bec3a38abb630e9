/* The shapes of answers. */
#include "base/redis_internal.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

static const struct {
	const char *reply;
	const char *fits;    /* shapes, with spaces between them */
	const char *misfits; /* the same */
} cases[] = {
	{ ":7\r\n", "i . ?i", "a s () [i] ?s" },
	{ "$1\r\n7\r\n", "s . ?s", "i () [s]" },
	{ "$-1\r\n", ". ?i ?[s] ?(s)", "i s ()" },
	{ "*-1\r\n", "?[s]", "[s] ()" },
	{ "+OK\r\n", ".", "s i" },
	{ "*0\r\n", "a () [s] [si] [[s]]", "(s) i s" },
	{ "*1\r\n$1\r\na\r\n", "(s) [s] [.] (?s) .", "() (i) [i] [?i.] (ss) [ss] [[s]]" },
	{ "*2\r\n$1\r\na\r\n:1\r\n", "(si) [si] [.] (?s?i)", "[s] [i] (s) (sis) [sis] (is)" },
	{ "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n$-1\r\n", "[s?i] (sis?i) [s.]",
	  "[si] (sisi) [sis?i.]" },
	{ "*3\r\n*0\r\n*2\r\n:1\r\n*1\r\n:2\r\n:3\r\n", "([s](i[i])i) ([i](i(i))i) (..i)",
	  "([s](ii)i) [[s]] ([s](i[s])i) ([s](i[i]))" },
	{ "*2\r\n*1\r\n:1\r\n*1\r\n:2\r\n", "[(i)] [[i]] ([i][i]) [[i](i)]", "[[s]] [i] [[i](s)]" },
};

static void expect(const char *reply, const char *shapes, bool fits)
{
	struct arena *arena = arena_create();
	redisReader *reader = redis_reader_create();
	void *value = NULL;
	char copy[128], *rest = copy, *shape;
	reader->privdata = arena;
	ck_assert_int_eq(redisReaderFeed(reader, reply, strlen(reply)), REDIS_OK);
	ck_assert_int_eq(redisReaderGetReply(reader, &value), REDIS_OK);
	ck_assert_ptr_nonnull(value);
	strcpy(copy, shapes);
	while ((shape = strsep(&rest, " ")) != NULL) {
		struct error err = { 0 };
		ck_assert_msg(redis_check(value, shape, NULL, &err) == fits, "%s, %s", reply,
		              shape);
		ck_assert_int_eq(err.code, fits ? ERR_NONE : ERR_UNAVAILABLE);
	}
	redisReaderFree(reader);
	arena_destroy(arena);
}

START_TEST(shapes)
{
	expect(cases[_i].reply, cases[_i].fits, true);
	expect(cases[_i].reply, cases[_i].misfits, false);
}
END_TEST

START_TEST(errors_fit_nothing)
{
	expect("-ERR no\r\n", ". i s ?s [] ()", false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis_value");
	TCase *all = tcase_create("all");
	tcase_add_loop_test(all, shapes, 0, ARRAY_LEN(cases));
	tcase_add_test(all, errors_fit_nothing);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
