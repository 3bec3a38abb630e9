/* What is written is read; what was cut off or altered anywhere is refused, with its place. */
#include "ordershop/export_file.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { EVENTS = 12, FILE_MAX = 1024 * 1024 };

static char folder[] = "/tmp/export-XXXXXX";
static char path[64];
static struct arena *arena;

static void setup(void)
{
	strcpy(folder, "/tmp/export-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	arena = arena_create();
}

static void teardown(void)
{
	unlink(path);
	ck_assert_msg(rmdir(folder) == 0, "something else is left in %s", folder);
	arena_destroy(arena);
}

static struct event event_at(size_t i, const char **data)
{
	*data = arena_printf(arena, "{\"name\":\"number %zu\",\"twice\":%zu}", i, 2 * i);
	return (struct event){
		.topic = "order",
		.entry_id = arena_printf(arena, "%zu-7", 1000 + i),
		.event_id = arena_printf(arena, "id %zu", i),
		.action = "entity_created",
		.type = "OrderPlaced",
		.entity_id = arena_printf(arena, "%zu", i),
		.version = 1,
		.metadata = "{}",
	};
}

static const struct export_topic topics[] = { { .name = "order",
	                                        .events = EVENTS,
	                                        .first = { 1000, 7 },
	                                        .last = { 1000 + EVENTS - 1, 7 } } };
static const struct export_group groups[] = { { "order", "crm", "1003-7" },
	                                      { "order", "x\"y", "0-0" } };

static void write_file(size_t count)
{
	struct export_end end = { .state_hash = "00112233445566778899aabbccddeeff"
		                                "00112233445566778899aabbccddeeff",
		                  .topics = topics,
		                  .topic_count = 1,
		                  .groups = groups,
		                  .group_count = 2 };
	struct export_writer *writer;
	struct error err;
	const char *data;
	ck_assert_msg(export_create(path, true, &writer, &err), "%s", err.message);
	for (size_t i = 0; i < count; i++) {
		struct event event = event_at(i, &data);
		export_add(writer, &event, data);
	}
	ck_assert_msg(export_finish(writer, &end, &err), "%s", err.message);
	ck_assert_uint_eq(end.events, count);
	export_destroy(writer);
}

/* True: it was whole. `events`: how many were read. */
static bool read_file(size_t *events, const struct export_end **end, struct export_reader **reader,
                      struct error *err)
{
	struct event event;
	const char *data;
	enum export_line line = EXPORT_FAILED;
	*events = 0;
	if (!export_open(path, reader, err)) {
		*reader = NULL;
		return false;
	}
	while ((line = export_next(*reader, &event, &data, end, err)) == EXPORT_EVENT) {
		const char *expected;
		struct event was = event_at((*events)++, &expected);
		ck_assert_str_eq(event.entry_id, was.entry_id);
		ck_assert_str_eq(data, expected);
	}
	return line == EXPORT_END;
}

static void refuse(const char *said)
{
	struct export_reader *reader;
	const struct export_end *end;
	struct error err = { 0 };
	size_t events;
	ck_assert(!read_file(&events, &end, &reader, &err));
	export_close(reader);
	ck_assert_msg(strncmp(err.message, path, strlen(path)) == 0, "%s", err.message);
	ck_assert_msg(strstr(err.message, said) != NULL, "%s, not %s", err.message, said);
}

static size_t load(char *bytes)
{
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	size_t len = fread(bytes, 1, FILE_MAX, file);
	fclose(file);
	return len;
}

static void save(const char *bytes, size_t len)
{
	unlink(path); /* some file systems sync what is written over */
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

static size_t load_text(char *text)
{
	char *bytes = malloc(FILE_MAX);
	ck_assert_ptr_nonnull(bytes);
	size_t len = ZSTD_decompress(text, FILE_MAX, bytes, load(bytes));
	ck_assert(!ZSTD_isError(len));
	free(bytes);
	return len;
}

static void save_text(const char *text, size_t len)
{
	char *bytes = malloc(FILE_MAX);
	ck_assert_ptr_nonnull(bytes);
	save(bytes, ZSTD_compress(bytes, FILE_MAX, text, len, 3));
	free(bytes);
}

START_TEST(what_is_written_is_read)
{
	struct export_reader *reader;
	const struct export_end *end;
	struct error err;
	size_t events;
	write_file((size_t)_i);
	bool whole = read_file(&events, &end, &reader, &err);
	ck_assert_msg(whole, "%s", err.message);
	ck_assert_uint_eq(events, (size_t)_i);
	ck_assert_uint_eq(end->events, (size_t)_i);
	ck_assert_str_eq(end->topics[0].name, "order");
	ck_assert_uint_eq(end->topics[0].last.ms, 1000 + EVENTS - 1);
	ck_assert_uint_eq(end->group_count, 2);
	ck_assert_str_eq(end->groups[1].name, "x\"y");
	ck_assert_str_eq(end->groups[0].checkpoint, "1003-7");
	export_close(reader);
}
END_TEST

START_TEST(a_file_is_not_overwritten)
{
	struct export_writer *writer;
	struct error err;
	write_file(1);
	ck_assert(!export_create(path, false, &writer, &err));
	ck_assert_msg(strstr(err.message, "--force") != NULL, "%s", err.message);
	/* One that is not finished leaves nothing, and the old one as it was. */
	ck_assert(export_create(path, true, &writer, &err));
	export_destroy(writer);
	struct export_reader *reader;
	ck_assert(export_open(path, &reader, &err));
	export_close(reader);
	ck_assert(!export_create("/nowhere/at/all", true, &writer, &err));
	ck_assert_msg(strstr(err.message, "/nowhere/at/all: there is no folder /nowhere/at") !=
	                  NULL,
	              "%s", err.message);
}
END_TEST

START_TEST(what_is_cut_off_is_refused)
{
	char *bytes = malloc(FILE_MAX);
	ck_assert_ptr_nonnull(bytes);
	write_file(EVENTS);
	size_t len = load(bytes);
	for (size_t cut = 0; cut < len; cut++) {
		save(bytes, cut);
		refuse("is truncated: it ends after line ");
	}
	/* By lines, packed anew. */
	write_file(EVENTS);
	len = load_text(bytes);
	for (size_t cut = len - 1; cut > len / 2; cut--) {
		save_text(bytes, cut);
		refuse("is truncated: it ends after line ");
	}
	free(bytes);
}
END_TEST

START_TEST(what_is_altered_in_the_file_is_refused)
{
	char *bytes = malloc(FILE_MAX);
	ck_assert_ptr_nonnull(bytes);
	write_file(EVENTS);
	size_t len = load(bytes);
	for (size_t i = 0; i < len; i++) {
		struct export_reader *reader;
		const struct export_end *end;
		struct error err = { 0 };
		size_t events;
		bytes[i] ^= 0x10;
		save(bytes, len);
		/* A few bits of the frame's head say nothing. Whatever is read is what was written. */
		if (!read_file(&events, &end, &reader, &err))
			ck_assert_msg(strncmp(err.message, path, strlen(path)) == 0, "%s",
			              err.message);
		else
			ck_assert_uint_eq(events, EVENTS);
		export_close(reader);
		bytes[i] ^= 0x10;
	}
	memcpy(bytes + len, "more", 4);
	save(bytes, len + 4);
	refuse(" of the file: ");
	free(bytes);
}
END_TEST

/* Each line says where, also if somebody packed it anew. */
START_TEST(what_is_altered_in_the_text_is_refused)
{
	char *text = malloc(FILE_MAX), place[64];
	ck_assert_ptr_nonnull(text);
	write_file(EVENTS);
	size_t len = load_text(text), line = 1, start = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			line++;
			start = i + 1;
			continue;
		}
		char was = text[i];
		text[i] = was == '5' ? '6' : '5';
		save_text(text, len);
		snprintf(place, sizeof(place), ": line %zu (from byte %zu of the text): ", line,
		         start);
		refuse(i < sizeof("{\"format\":\"ordershop-log\",\"version\":1") ? ": " : place);
		text[i] = was;
	}
	free(text);
}
END_TEST

START_TEST(lines_that_are_missing_or_too_much_are_refused)
{
	char *text = malloc(FILE_MAX), *other = malloc(FILE_MAX);
	ck_assert(text != NULL && other != NULL);
	write_file(3);
	size_t len = load_text(text);
	char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
	size_t head = (size_t)(second - text), size = (size_t)(third - second);
	/* Without the second line, with it twice, and with something behind the end. */
	memcpy(other, text, head);
	memcpy(other + head, third, len - head - size);
	save_text(other, len - size);
	refuse("line 2 (from byte");
	memcpy(other, text, head + size);
	memcpy(other + head + size, second, len - head);
	save_text(other, len + size);
	refuse("line 3 (from byte");
	memcpy(other, text, len);
	memcpy(other + len, "{}\n", 3);
	save_text(other, len + 3);
	refuse("line 5 (from byte");
	refuse("must be the last line");
	free(text);
	free(other);
}
END_TEST

/* A small file may unpack to anything. */
START_TEST(a_line_has_a_limit)
{
	enum { LINE = 20 * 1024 * 1024 };
	char *text = malloc(LINE), *bytes = malloc(FILE_MAX);
	ck_assert(text != NULL && bytes != NULL);
	memset(text, 'a', LINE);
	save(bytes, ZSTD_compress(bytes, FILE_MAX, text, LINE, 1));
	refuse("the line after line 0 is longer than 16 MiB");
	/* Nor may it ask for more memory than is good. */
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, 27)));
	ZSTD_inBuffer in = { text, LINE, 0 };
	ZSTD_outBuffer out = { bytes, FILE_MAX, 0 };
	while (ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_end) > 0)
		ck_assert(out.pos < out.size);
	ZSTD_freeCCtx(zstd);
	save(bytes, out.pos);
	refuse("requires too much memory");
	free(text);
	free(bytes);
}
END_TEST

START_TEST(other_files_are_refused)
{
	static const struct {
		const char *text, *said;
	} others[] = {
		{ "", "is truncated" },
		{ "hello\n", "is no export" },
		{ "{\"format\":\"ordershop-log\",\"version\":2,\"x\":1}\n", "version 1 is known" },
		{ "{\"format\":\"ordershop-log\",\"version\":1,\"x\":1}\n",
		  "must end with its check" },
		{ "\n", "is no export" },
	};
	save("no zstd at all", 14);
	refuse("is no export: it is not compressed");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		save_text(others[i].text, strlen(others[i].text));
		refuse(others[i].said);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("export_file");
	TCase *all = tcase_create("all");
	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_loop_test(all, what_is_written_is_read, 0, 3);
	tcase_add_test(all, a_file_is_not_overwritten);
	tcase_add_test(all, what_is_cut_off_is_refused);
	tcase_add_test(all, what_is_altered_in_the_file_is_refused);
	tcase_add_test(all, what_is_altered_in_the_text_is_refused);
	tcase_add_test(all, lines_that_are_missing_or_too_much_are_refused);
	tcase_add_test(all, a_line_has_a_limit);
	tcase_add_test(all, other_files_are_refused);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
