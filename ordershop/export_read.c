#include "ordershop/export_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
	IN_SIZE = 128 * 1024,
	CHECK_BYTES = 8,
	/* What put_line adds. */
	CHECK_MEMBER = sizeof(",\"check\":\"12345678\"}") - 1,
	LINE_MAX_LEN = EVENT_LINE_MAX + CHECK_MEMBER,
	/* We write 2 MiB; a file may not ask for more memory than this. */
	WINDOW_LOG_MAX = 23,
	TOPICS_MAX = 65536,
};

struct export_reader {
	const char *path;
	FILE *file;
	ZSTD_DCtx *zstd;
	char *in, *out;
	ZSTD_inBuffer input;
	size_t out_at, out_len, out_size;
	bool frame_ended, file_ended;
	struct buffer line;
	uint64_t line_number, line_start, text_read;
	struct log_hash *hash;
	struct arena *arena; /* of one line */
	uint64_t events;
	struct arena *end_arena;
	struct export_end end;
};

/* ---- Bytes ------------------------------------------------------------------------------- */

bool export_wrap(const struct export_reader *reader, struct error *err)
{
	if (reader->line_number == 0)
		return error_wrap(err, "%s", reader->path);
	return error_wrap(err, "%s: line %" PRIu64 " (from byte %" PRIu64 " of the text)",
	                  reader->path, reader->line_number, reader->line_start);
}

static bool truncated(const struct export_reader *reader, struct error *err)
{
	return error_set(err, ERR_INVALID,
	                 "%s: is truncated: it ends after line %" PRIu64 ", byte %" PRIu64
	                 " of the text, without the last line",
	                 reader->path, reader->line_number, reader->text_read);
}

/* More bytes of the file, if there are any. */
static bool fill_input(struct export_reader *reader, struct error *err)
{
	if (reader->input.pos < reader->input.size || reader->file_ended)
		return true;
	reader->input =
	    (ZSTD_inBuffer){ reader->in, fread(reader->in, 1, IN_SIZE, reader->file), 0 };
	if (ferror(reader->file))
		return error_set(err, ERR_INVALID, "%s: %s", reader->path, strerror(errno));
	reader->file_ended = reader->input.size == 0;
	return true;
}

/* More text. out_len is 0: there is none. */
static bool fill(struct export_reader *reader, struct error *err)
{
	reader->out_at = reader->out_len = 0;
	while (reader->out_len == 0 && !reader->file_ended) {
		ZSTD_outBuffer out = { reader->out, reader->out_size, 0 };

		if (!fill_input(reader, err))
			return false;
		if (reader->file_ended)
			break;
		size_t left = ZSTD_decompressStream(reader->zstd, &out, &reader->input);
		if (ZSTD_getErrorCode(left) == ZSTD_error_prefix_unknown &&
		    reader->line_number == 0)
			return error_set(err, ERR_INVALID,
			                 "%s: is no export: it is not compressed by zstd",
			                 reader->path);
		if (ZSTD_isError(left))
			return error_set(err, ERR_INVALID,
			                 "%s: cannot be decompressed after line %" PRIu64
			                 ", at byte %ld of the file: %s",
			                 reader->path, reader->line_number,
			                 ftell(reader->file) -
			                     (long)(reader->input.size - reader->input.pos),
			                 ZSTD_getErrorName(left));
		reader->frame_ended = left == 0;
		reader->out_len = out.pos;
	}
	return true;
}

/* The next line into reader->line, without its line break. */
static bool read_line(struct export_reader *reader, struct error *err)
{
	buffer_clear(&reader->line);
	for (;;) {
		if (reader->out_at == reader->out_len && !fill(reader, err))
			return false;
		if (reader->out_len == 0)
			return truncated(reader, err);
		const char *from = reader->out + reader->out_at;
		size_t have = reader->out_len - reader->out_at;
		const char *end = memchr(from, '\n', have);
		size_t len = end != NULL ? (size_t)(end - from) : have;

		if (reader->line.len == 0)
			reader->line_start = reader->text_read;
		buffer_append(&reader->line, from, len);
		reader->out_at += len + (end != NULL);
		reader->text_read += len + (end != NULL);
		if (end != NULL)
			reader->line_number++;
		if (reader->line.overflow)
			return error_set(
			    err, ERR_TOO_LARGE,
			    "%s: the line after line %" PRIu64 " is longer than %d MiB",
			    reader->path, reader->line_number, EVENT_LINE_MAX / (1024 * 1024));
		if (end != NULL)
			return true;
	}
}

/* ---- Checks ------------------------------------------------------------------------------ */

/* Takes the check off the line, as it was before put_line. */
static bool take_check(struct export_reader *reader, char check[CHECK_BYTES + 1], struct error *err)
{
	static const char name[] = ",\"check\":\"";
	struct buffer *line = &reader->line;
	const char *member = line->bytes + line->len - CHECK_MEMBER;

	if (line->len <= CHECK_MEMBER || memcmp(member, name, sizeof(name) - 1) != 0 ||
	    memcmp(line->bytes + line->len - 2, "\"}", 2) != 0)
		return error_set(err, ERR_INVALID, "must end with its check");
	memcpy(check, member + sizeof(name) - 1, CHECK_BYTES);
	check[CHECK_BYTES] = '\0';
	line->len -= CHECK_MEMBER - 1;
	line->bytes[line->len - 1] = '}';
	line->bytes[line->len] = '\0';
	return true;
}

static bool check_line(struct export_reader *reader, struct log_hash *hash, struct error *err)
{
	char check[CHECK_BYTES + 1], text[DIGEST_TEXT_SIZE];

	if (!take_check(reader, check, err))
		return false;
	log_hash_add(hash, reader->line.bytes, reader->line.len);
	log_hash_text(hash, text);
	text[CHECK_BYTES] = '\0';
	if (strcmp(text, check) != 0)
		return error_set(err, ERR_INVALID,
		                 "its check must be %s, is \"%s\": this line was altered, or one "
		                 "before it is missing",
		                 text, check);
	return true;
}

static bool read_first_line(struct export_reader *reader, struct error *err)
{
	static const char begin[] = "{\"format\":\"ordershop-log\",\"version\":";
	struct log_hash *hash;
	bool done;

	if (!read_line(reader, err))
		return false;
	if (reader->line.len < sizeof(begin) ||
	    memcmp(reader->line.bytes, begin, sizeof(begin) - 1) != 0)
		return error_set(err, ERR_INVALID, "%s: is no export of ordershop", reader->path);
	if (strncmp(reader->line.bytes + sizeof(begin) - 1, "1,", 2) != 0)
		return error_set(err, ERR_INVALID,
		                 "%s: is of another version of the format; version 1 is known",
		                 reader->path);
	hash = log_hash_create();
	done = check_line(reader, hash, err) || export_wrap(reader, err);
	log_hash_destroy(hash);
	return done;
}

/* ---- The last line ----------------------------------------------------------------------- */

static const char *member_text(struct export_reader *reader, const struct json *object,
                               const char *name)
{
	const struct json *member =
	    json_kind(object) == JSON_OBJECT ? json_member(object, name) : NULL;

	return member != NULL && json_text(member) != NULL
	           ? arena_strdup(reader->end_arena, json_text(member))
	           : NULL;
}

static bool member_number(const struct json *object, const char *name, uint64_t *out)
{
	const struct json *member =
	    json_kind(object) == JSON_OBJECT ? json_member(object, name) : NULL;
	struct error err;
	int64_t number;

	if (member == NULL || !json_integer(member, &number, &err) || number < 0)
		return false;
	*out = (uint64_t)number;
	return true;
}

static bool read_hash(struct export_reader *reader, const struct json *end, const char *name,
                      char out[DIGEST_TEXT_SIZE])
{
	const char *text = member_text(reader, end, name);

	if (text == NULL || strlen(text) != DIGEST_TEXT_SIZE - 1)
		return false;
	memcpy(out, text, DIGEST_TEXT_SIZE);
	return true;
}

static bool read_topics(struct export_reader *reader, const struct json *list)
{
	struct export_topic *topics =
	    arena_zalloc(reader->end_arena, (json_count(list) + 1) * sizeof(*topics));
	size_t count = 0;
	struct error err;

	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		struct export_topic *topic = &topics[count++];
		const char *first = member_text(reader, item, "first_id");
		const char *last = member_text(reader, item, "last_id");

		topic->name = member_text(reader, item, "topic");
		if (topic->name == NULL || first == NULL || last == NULL ||
		    !member_number(item, "events", &topic->events) ||
		    !entry_id_parse(first, &topic->first, &err) ||
		    !entry_id_parse(last, &topic->last, &err))
			return false;
	}
	reader->end.topics = topics;
	reader->end.topic_count = count;
	return true;
}

static bool read_groups(struct export_reader *reader, const struct json *list)
{
	struct export_group *groups =
	    arena_zalloc(reader->end_arena, (json_count(list) + 1) * sizeof(*groups));
	size_t count = 0;

	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		struct export_group *group = &groups[count++];

		group->topic = member_text(reader, item, "topic");
		group->name = member_text(reader, item, "group");
		group->checkpoint = member_text(reader, item, "checkpoint");
		if (group->topic == NULL || group->name == NULL || group->checkpoint == NULL)
			return false;
	}
	reader->end.groups = groups;
	reader->end.group_count = count;
	return true;
}

static bool read_end(struct export_reader *reader, const struct json *line)
{
	const struct json *end = json_kind(line) == JSON_OBJECT ? json_member(line, "end") : NULL;

	if (end == NULL || json_kind(end) != JSON_OBJECT)
		return false;
	const struct json *topics = json_member(end, "topics"),
	                  *groups = json_member(end, "groups");

	return topics != NULL && json_kind(topics) == JSON_LIST &&
	       json_count(topics) <= TOPICS_MAX && groups != NULL &&
	       json_kind(groups) == JSON_LIST && json_count(groups) <= TOPICS_MAX &&
	       member_number(end, "events", &reader->end.events) &&
	       read_hash(reader, end, "log_hash", reader->end.log_hash) &&
	       read_hash(reader, end, "state_hash", reader->end.state_hash) &&
	       read_topics(reader, topics) && read_groups(reader, groups);
}

/* `hash`: of all events. */
static bool check_end(struct export_reader *reader, const char *hash, struct error *err)
{
	struct json *line;
	bool done;

	if (!json_parse(reader->line.bytes, reader->line.len, &line, err))
		return false;
	done = read_end(reader, line) || error_set(err, ERR_INVALID, "is no last line");
	json_free(line);
	if (!done)
		return false;
	if (reader->end.events != reader->events)
		return error_set(err, ERR_INVALID,
		                 "events: must be %" PRIu64 ", as there are before it, is %" PRIu64,
		                 reader->events, reader->end.events);
	if (strcmp(reader->end.log_hash, hash) != 0)
		return error_set(err, ERR_INVALID, "log_hash: must be %s, is %s", hash,
		                 reader->end.log_hash);
	/* Nothing may follow, and the file must be whole. */
	if (reader->out_at == reader->out_len && !fill(reader, err))
		return false;
	if (reader->out_at < reader->out_len)
		return error_set(err, ERR_INVALID, "must be the last line, more follows");
	return reader->frame_ended || truncated(reader, err);
}

/* ---- Lines ------------------------------------------------------------------------------- */

bool export_open(const char *path, struct export_reader **out, struct error *err)
{
	FILE *file = fopen(path, "re");
	struct export_reader *reader;

	if (file == NULL)
		return error_set(err, ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
	reader = calloc(1, sizeof(*reader));
	ASSERT(reader);
	reader->path = path;
	reader->file = file;
	reader->out_size = ZSTD_DStreamOutSize();
	reader->in = malloc(IN_SIZE);
	reader->out = malloc(reader->out_size);
	reader->zstd = ZSTD_createDCtx();
	ASSERT(reader->in && reader->out && reader->zstd);
	(void)ZSTD_DCtx_setParameter(reader->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	buffer_init(&reader->line, LINE_MAX_LEN);
	reader->hash = log_hash_create();
	reader->arena = arena_create();
	reader->end_arena = arena_create();
	if (!read_first_line(reader, err)) {
		export_close(reader);
		return false;
	}
	*out = reader;
	return true;
}

enum export_line export_next(struct export_reader *reader, struct event *event, const char **data,
                             const struct export_end **end, struct error *err)
{
	static const char last[] = "{\"end\":";
	char hash[DIGEST_TEXT_SIZE];

	if (!read_line(reader, err))
		return EXPORT_FAILED;
	log_hash_text(reader->hash, hash);
	bool at_end = reader->line.len > sizeof(last) &&
	              memcmp(reader->line.bytes, last, sizeof(last) - 1) == 0;
	arena_reset(reader->arena);
	if (!check_line(reader, reader->hash, err) ||
	    (at_end ? !check_end(reader, hash, err)
	            : !event_line_read(reader->line.bytes, reader->line.len, reader->arena, event,
	                               data, err))) {
		(void)export_wrap(reader, err);
		return EXPORT_FAILED;
	}
	reader->events += !at_end;
	*end = &reader->end;
	return at_end ? EXPORT_END : EXPORT_EVENT;
}

void export_close(struct export_reader *reader)
{
	if (reader == NULL)
		return;
	fclose(reader->file);
	ZSTD_freeDCtx(reader->zstd);
	free(reader->in);
	free(reader->out);
	buffer_free(&reader->line);
	log_hash_destroy(reader->hash);
	arena_destroy(reader->arena);
	arena_destroy(reader->end_arena);
	free(reader);
}
