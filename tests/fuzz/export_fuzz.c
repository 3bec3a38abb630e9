/* Lines of an export: read, written again and folded; and as a file, with the checks that its lines need. */
#include "tests/fuzz/fuzz.h"
#include "domain/invariants.h"
#include "ordershop/export_file.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { TEXT_MAX = 64 * 1024 * 1024, CHECK_SIZE = 9 };

/* What was read is written and read as the same. */
static void check_line(struct arena *arena, const struct event *event, const char *data)
{
	struct buffer first, second;
	struct event again;
	struct error err;
	buffer_init(&first, TEXT_MAX);
	buffer_init(&second, TEXT_MAX);
	event_line_write(&first, event, data);
	ASSERT(event_line_read(first.bytes, first.len, arena, &again, &data, &err));
	event_line_write(&second, &again, data);
	ASSERT(first.len == second.len && memcmp(first.bytes, second.bytes, first.len) == 0);
	ASSERT(memchr(first.bytes, '\n', first.len) == NULL);
	buffer_free(&first);
	buffer_free(&second);
}

static void check_violation(void *arg, const struct violation *violation)
{
	struct error err;
	(void)arg;
	error_set(&err, ERR_INVALID, "%s", violation->message);
	fuzz_check_error(&err);
}

static void add_line(struct invariants *invariants, const char *line, size_t len)
{
	struct arena *arena = arena_create();
	struct entry_id entry;
	struct event event;
	const char *data;
	struct error err;
	if (!event_line_read(line, len, arena, &event, &data, &err)) {
		fuzz_check_error(&err);
	} else {
		check_line(arena, &event, data);
		event.state = entity_read(arena, event.topic, data, &err);
		if (entry_id_parse(event.entry_id, &entry, &err))
			invariants_add(invariants, &event, data);
	}
	arena_destroy(arena);
}

/* The line with its check, as a file has it. */
static void add_check(struct buffer *file, struct log_hash *hash, const char *line, size_t len)
{
	char text[DIGEST_TEXT_SIZE];
	log_hash_add(hash, line, len);
	log_hash_text(hash, text);
	text[CHECK_SIZE - 1] = '\0';
	buffer_append(file, line, len - 1);
	buffer_printf(file, ",\"check\":\"%s\"}\n", text);
}

static void read_file(const struct buffer *text)
{
	size_t room = ZSTD_compressBound(text->len);
	uint8_t *bytes = malloc(room);
	struct export_reader *reader;
	const struct export_end *end;
	struct event event;
	const char *data;
	struct error err;
	enum export_line line = EXPORT_FAILED;
	ASSERT(bytes != NULL);
	size_t len = ZSTD_compress(bytes, room, text->bytes, text->len, 1);
	ASSERT(!ZSTD_isError(len));
	if (!export_open(fuzz_file(bytes, len), &reader, &err)) {
		fuzz_check_error(&err);
	} else {
		while ((line = export_next(reader, &event, &data, &end, &err)) == EXPORT_EVENT) {
		}
		if (line == EXPORT_FAILED)
			fuzz_check_error(&err);
		export_close(reader);
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char first[] = "{\"format\":\"ordershop-log\",\"version\":1}";
	struct invariants *invariants = invariants_create(check_violation, NULL);
	struct log_hash *hash = log_hash_create(), *first_hash = log_hash_create();
	struct buffer file;
	char state[DIGEST_TEXT_SIZE];
	buffer_init(&file, TEXT_MAX);
	add_check(&file, first_hash, first, sizeof(first) - 1);
	for (const char *at = (const char *)bytes, *end = at + len; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t size = (size_t)((stop == NULL ? end : stop) - at);
		add_line(invariants, at, size);
		if (size > 0)
			add_check(&file, hash, at, size);
		at += size + 1;
	}
	invariants_rest(invariants);
	fold_hash(invariants_fold(invariants), state);
	read_file(&file);
	buffer_free(&file);
	invariants_destroy(invariants);
	log_hash_destroy(hash);
	log_hash_destroy(first_hash);
	return 0;
}
