/* error, arena, buffer, backoff: small enough for one program. */
#include "base/arena.h"
#include "base/backoff.h"
#include "base/buffer.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

START_TEST(error_codes_map_both_ways)
{
	for (int code = 0; code < ERR_CODES; code++) {
		ck_assert_str_ne(error_name((enum error_code)code), "");
		ck_assert_int_eq(error_from_grpc(error_grpc_status((enum error_code)code)), code);
		ck_assert_int_ge(error_http_status((enum error_code)code), 200);
	}
	ck_assert_int_eq(error_from_grpc(2), ERR_INTERNAL);
}
END_TEST

START_TEST(error_wrap_puts_context_first)
{
	struct error err;
	ck_assert(!error_set(&err, ERR_CONFLICT, "cannot %s", "ack"));
	ck_assert(!error_wrap(&err, "message '%d'", 7));
	ck_assert_str_eq(err.message, "message '7': cannot ack");
	ck_assert_int_eq(err.code, ERR_CONFLICT);
}
END_TEST

START_TEST(error_message_is_cut_between_characters)
{
	struct error err;
	char text[400] = "";
	for (int i = 0; i < 150; i++)
		strcat(text, "\xc3\xa9");
	error_set(&err, ERR_INVALID, "%s", text);
	ck_assert_uint_eq(strlen(err.message), 254);
	error_wrap(&err, "x");
	ck_assert_uint_eq(strlen(err.message), 255);
	error_wrap(&err, "%s", text);
	ck_assert_uint_eq(strlen(err.message), 254);
	error_set(&err, ERR_INVALID, "\"%.3s\" of \xff", text);
	ck_assert_str_eq(err.message, "\"\xc3\xa9\" of ");
}
END_TEST

START_TEST(arena_gives_aligned_memory_of_any_size)
{
	struct arena *arena = arena_create();
	for (size_t size = 0; size < 40000; size = size * 2 + 1) {
		char *memory = arena_zalloc(arena, size);
		ck_assert_uint_eq((uintptr_t)memory % 16, 0);
		for (size_t i = 0; i < size; i++)
			ck_assert_int_eq(memory[i], 0);
		memset(memory, 'x', size);
	}
	arena_reset(arena);
	ck_assert_str_eq(arena_printf(arena, "%d-%s", 5, "a"), "5-a");
	ck_assert_str_eq(arena_copy(arena, "abcdef", 3), "abc");
	ck_assert_str_eq(arena_strdup(arena, ""), "");
	arena_destroy(arena);
	arena_destroy(NULL);
}
END_TEST

START_TEST(buffer_grows_up_to_its_maximum)
{
	struct buffer buffer;
	buffer_init(&buffer, 10);
	buffer_puts(&buffer, "12345");
	buffer_printf(&buffer, "%d", 678);
	buffer_putc(&buffer, '9');
	ck_assert_str_eq(buffer.bytes, "123456789");
	ck_assert(!buffer.overflow);
	buffer_append(&buffer, "ab", 2);
	ck_assert(buffer.overflow);
	ck_assert_str_eq(buffer.bytes, "123456789");
	buffer_putc(&buffer, 'a');
	ck_assert_uint_eq(buffer.len, 9);
	buffer_clear(&buffer);
	ck_assert(!buffer.overflow);
	ck_assert_str_eq(buffer.bytes, "");
	memcpy(buffer_extend(&buffer, 10), "abcdefghij", 10);
	ck_assert_str_eq(buffer.bytes, "abcdefghij");
	ck_assert_ptr_null(buffer_extend(&buffer, 1));
	buffer_free(&buffer);
}
END_TEST

START_TEST(backoff_doubles_up_to_a_second)
{
	const unsigned expected[] = { 50, 100, 200, 400, 800, 1000, 1000 };
	struct backoff backoff = { 0 };
	ck_assert(backoff_fresh(&backoff));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		ck_assert_uint_eq(backoff_ms(&backoff), expected[i]);
	ck_assert(!backoff_fresh(&backoff));
	backoff_reset(&backoff);
	ck_assert(backoff_fresh(&backoff));
	ck_assert_uint_eq(backoff_ms(&backoff), BACKOFF_MIN_MS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("core");
	TCase *all = tcase_create("all");
	tcase_add_test(all, error_codes_map_both_ways);
	tcase_add_test(all, error_wrap_puts_context_first);
	tcase_add_test(all, error_message_is_cut_between_characters);
	tcase_add_test(all, arena_gives_aligned_memory_of_any_size);
	tcase_add_test(all, buffer_grows_up_to_its_maximum);
	tcase_add_test(all, backoff_doubles_up_to_a_second);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
