#include "base/when.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

/* 2024-05-01T12:30:00.123456Z */
#define NOW_US UINT64_C(1714566600123456)
#define DAY_MS UINT64_C(1714521600000)

static const struct {
	const char *text;
	uint64_t ms, us; /* of the last moment that counts */
} good[] = {
	{ "2024-05-01", DAY_MS, 999 },
	{ "2024-05-01T00:01", DAY_MS + 60000, 999 },
	{ "2024-05-01T00:01Z", DAY_MS + 60000, 999 },
	{ "2024-05-01 00:01", DAY_MS + 60000, 999 },
	{ "2024-05-01T00:00:01", DAY_MS + 1000, 999 },
	{ "2024-05-01 00:00:01", DAY_MS + 1000, 999 },
	{ "2024-05-01T00:00:01Z", DAY_MS + 1000, 999 },
	{ "2024-05-01T00:00:01.5", DAY_MS + 1500, 999 },
	{ "2024-05-01T00:00:01.123Z", DAY_MS + 1123, 999 },
	{ "2024-05-01T00:00:01.123456Z", DAY_MS + 1123, 456 },
	{ "2024-05-01T00:00:01.1234", DAY_MS + 1123, 400 },
	{ "2024-05-01T00:00:01.123456789Z", DAY_MS + 1123, 456 },
	{ "1714521600000-7", DAY_MS, 7 },
	{ "1-0", 1, 0 },
	{ "0s", NOW_US / 1000, 999 },
	{ "90s", NOW_US / 1000 - 90000, 999 },
	{ "2h", NOW_US / 1000 - 7200000, 999 },
	{ "3d", NOW_US / 1000 - 259200000, 999 },
};

START_TEST(a_moment_is_read)
{
	struct entry_id last;
	struct error err;
	ck_assert_msg(moment_parse(good[_i].text, NOW_US, &last, &err), "%s", err.message);
	ck_assert_uint_eq(last.ms, good[_i].ms);
	ck_assert_uint_eq(last.us, good[_i].us);
}
END_TEST

static const struct {
	const char *text, *said;
} wrong[] = {
	{ "", "is empty" },
	{ "noon", "is no entry id" },
	{ "2024-05-01Z", "is no entry id" },
	{ "2024-05-01.5", "is no entry id" },
	{ "2024-05-01T12", "is no entry id" },
	{ "2024-05-01T12:", "is no entry id" },
	{ "2024-05-01T12:30:", "is no entry id" },
	{ "2024-05-01T12:30.5", "is no entry id" },
	{ "2024-05-01T12:60", "is no entry id" },
	{ "2024-13-01", "is no entry id" },
	{ "2024-02-30", "is no entry id" },
	{ "2023-02-29T10:00:00", "is no entry id" },
	{ "2024-05-01T00:00:01.", "is no entry id" },
	{ "2024-05-01T00:00:01.5x", "is no entry id" },
	{ "2024-05-01T25:00:00", "is no entry id" },
	{ "1-2-3", "is no entry id" },
	{ "-1", "is no entry id" },
	{ "5", "is no entry id" },
	{ "5w", "is no entry id" },
	{ " 5m", "is no entry id" },
	{ "+5m", "is no entry id" },
	{ "-5m", "is no entry id" },
	{ "m", "is no entry id" },
	{ "99999999999999999999d", "is no entry id" },
	{ "2024-05-02", "is in the future" },
	{ "2024-05-01T12:31", "is in the future" },
	{ "2024-05-01T12:30:01", "is in the future" },
	{ "1714566600124-0", "is in the future" },
};

START_TEST(what_is_no_moment_is_refused)
{
	struct entry_id last = { 1, 2 };
	struct error err;
	ck_assert_msg(!moment_parse(wrong[_i].text, NOW_US, &last, &err), "%s", wrong[_i].text);
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert(last.ms == 1 && last.us == 2);
	ck_assert_msg(strstr(err.message, wrong[_i].said) != NULL, "%s: %s", wrong[_i].text,
	              err.message);
}
END_TEST

START_TEST(a_beginning_may_be_left_open)
{
	struct when when;
	struct error err;
	ck_assert(when_parse("", NOW_US / 1000, &when, &err));
	ck_assert(when.entry_id[0] == '\0' && when.time_ms == 0);
	ck_assert(when_parse("5-6", NOW_US / 1000, &when, &err));
	ck_assert_str_eq(when.entry_id, "5-6");
	ck_assert(when_parse("2999-01-01", NOW_US / 1000, &when, &err)); /* it may come */
	ck_assert(when.entry_id[0] == '\0' && when.time_ms > NOW_US / 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("when");
	TCase *all = tcase_create("all");
	tcase_add_loop_test(all, a_moment_is_read, 0, (int)ARRAY_LEN(good));
	tcase_add_loop_test(all, what_is_no_moment_is_refused, 0, (int)ARRAY_LEN(wrong));
	tcase_add_test(all, a_beginning_may_be_left_open);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
