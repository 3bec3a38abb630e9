#include "base/id.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char dns[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

START_TEST(v4_ids_are_valid_and_differ)
{
	char a[UUID_SIZE], b[UUID_SIZE];
	for (int i = 0; i < 1000; i++) {
		uuid_v4(a);
		uuid_v4(b);
		ck_assert(uuid_valid(a));
		ck_assert_int_eq(a[14], '4');
		ck_assert_ptr_nonnull(strchr("89ab", a[19]));
		ck_assert_str_ne(a, b);
	}
}
END_TEST

START_TEST(a_forked_child_makes_its_own_ids)
{
	char mine[UUID_SIZE], its[UUID_SIZE] = "";
	int ends[2];
	uuid_v4(mine);
	ck_assert_int_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		uuid_v4(its);
		_exit(write(ends[1], its, UUID_SIZE) == UUID_SIZE ? 0 : 1);
	}
	ck_assert_int_eq(read(ends[0], its, UUID_SIZE), UUID_SIZE);
	uuid_v4(mine);
	ck_assert_str_ne(mine, its);
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(v5_ids_are_those_of_everybody)
{
	char id[UUID_SIZE], joined[UUID_SIZE];
	/* As python's uuid.uuid5(uuid.NAMESPACE_DNS, name). */
	uuid_v5(id, dns, "python.org", NULL);
	ck_assert_str_eq(id, "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	uuid_v5(id, dns, "", NULL);
	ck_assert_str_eq(id, "4ebd0208-8328-5d69-8c44-ec50939c0967");
	uuid_v5(id, dns, "entity", "0");
	uuid_v5(joined, dns, "entity/0", NULL);
	ck_assert_str_eq(id, joined);
}
END_TEST

/* Every length around the edges of SHA-1's blocks; the check is over all of them. */
START_TEST(v5_takes_names_of_any_length)
{
	char name[201], id[UUID_SIZE], sum[UUID_SIZE];
	strcpy(sum, dns);
	for (size_t len = 0; len <= 200; len++) {
		memset(name, 'a', len);
		name[len] = '\0';
		uuid_v5(id, sum, name, NULL);
		strcpy(sum, id);
	}
	ck_assert_str_eq(sum, "114bb813-fdd0-53c7-bfd8-631d0cbeb8e5");
}
END_TEST

START_TEST(only_lower_case_uuids_are_valid)
{
	static const char *const bad[] = {
		"",
		"6ba7b810",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c88",
		"6BA7B810-9dad-11d1-80b4-00c04fd430c8",
		"6ba7b8109-dad-11d1-80b4-00c04fd430c8",
		"6ba7b810-9dad-11d1-80b4-00c04fd430cg",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c\xc3",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!uuid_valid(bad[i]), "%s", bad[i]);
	ck_assert(uuid_valid(dns));
}
END_TEST

START_TEST(entry_ids_read_write_and_compare)
{
	struct error err;
	struct entry_id a, b = { 7, 8 };
	char text[ENTRY_ID_SIZE];
	ck_assert(entry_id_parse("18446744073709551615-18446744073709551615", &a, &err));
	entry_id_format(a, text);
	ck_assert_str_eq(text, "18446744073709551615-18446744073709551615");
	ck_assert(entry_id_parse("0-0", &a, &err));
	entry_id_format(a, text);
	ck_assert_str_eq(text, "0-0");
	static const char *const bad[] = { "",
		                           "-",
		                           "1-",
		                           "-1",
		                           "1",
		                           "1-2-",
		                           "1 -2",
		                           "1--2",
		                           "+1-2",
		                           "a-b",
		                           "18446744073709551616-0" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!entry_id_parse(bad[i], &b, &err), "%s", bad[i]);
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_uint_eq(b.us, 8);
	}
	ck_assert_int_lt(entry_id_compare((struct entry_id){ 1, 9 }, (struct entry_id){ 2, 0 }), 0);
	ck_assert_int_gt(entry_id_compare((struct entry_id){ 2, 1 }, (struct entry_id){ 2, 0 }), 0);
	ck_assert_int_eq(entry_id_compare((struct entry_id){ 2, 1 }, (struct entry_id){ 2, 1 }), 0);
}
END_TEST

START_TEST(names_have_a_limit_and_an_alphabet)
{
	struct error err;
	char longest[66];
	memset(longest, 'a', 65);
	longest[65] = '\0';
	ck_assert(name_check("topic", "Order-service_1.x", &err));
	ck_assert(name_check("topic", longest + 1, &err));
	ck_assert(!name_check("topic", longest, &err));
	ck_assert(!name_check("topic", "", &err));
	ck_assert(!name_check("topic", "a:b", &err));
	ck_assert_str_eq(err.message, "topic: must be 1 to 64 characters of [a-zA-Z0-9_.-], "
	                              "is \"a:b\"");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("id");
	TCase *all = tcase_create("all");
	tcase_add_test(all, v4_ids_are_valid_and_differ);
	tcase_add_test(all, a_forked_child_makes_its_own_ids);
	tcase_add_test(all, v5_ids_are_those_of_everybody);
	tcase_add_test(all, v5_takes_names_of_any_length);
	tcase_add_test(all, only_lower_case_uuids_are_valid);
	tcase_add_test(all, entry_ids_read_write_and_compare);
	tcase_add_test(all, names_have_a_limit_and_an_alphabet);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
