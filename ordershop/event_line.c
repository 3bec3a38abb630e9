#include "ordershop/event_line.h"

#include "ordershop/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Writing ----------------------------------------------------------------------------- */

static const char *text_or_none(const char *text)
{
	return text == NULL ? "" : text;
}

void event_line_write(struct buffer *line, const struct event *event, const char *data)
{
	const char *metadata = text_or_none(event->metadata);

	buffer_putc(line, '{');
	line_string(line, "topic", event->topic);
	line_string(line, "entry_id", event->entry_id);
	line_string(line, "event_id", event->event_id);
	line_string(line, "action", event->action);
	line_string(line, "type", event->type);
	line_string(line, "entity_id", text_or_none(event->entity_id));
	buffer_printf(line, "\"version\":%" PRIu64 ",", event->version);
	line_object(line, "metadata", *metadata == '\0' ? "{}" : metadata);
	buffer_putc(line, ',');
	line_object(line, "data", data);
	buffer_putc(line, '}');
}

/* ---- Reading ----------------------------------------------------------------------------- */

/* A place in a line, and the member that is expected there. */
struct cursor {
	const char *line, *at, *end;
	struct arena *arena;
	const char *member;
	struct error *err;
};

static bool fail(struct cursor *cursor, const char *wanted)
{
	return error_set(cursor->err, ERR_INVALID, "at byte %zu: %s: must be %s",
	                 (size_t)(cursor->at - cursor->line), cursor->member, wanted);
}

static bool skip(struct cursor *cursor, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(cursor->end - cursor->at) < len || memcmp(cursor->at, text, len) != 0)
		return false;
	cursor->at += len;
	return true;
}

/* `{"topic":` or `,"type":` */
static bool begin_member(struct cursor *cursor, char before, const char *name)
{
	char text[32];
	size_t len = strlen(name);

	cursor->member = name;
	text[0] = before;
	text[1] = '"';
	memcpy(text + 2, name, len);
	memcpy(text + 2 + len, "\":", 3);
	return skip(cursor, text) || fail(cursor, "the next member of the line");
}

/* The end of the string that begins at the cursor, behind its quote; NULL: there is none. `plain`: nothing in
 * it is escaped. */
static const char *string_end(const struct cursor *cursor, bool *plain)
{
	*plain = true;
	for (const char *p = cursor->at + 1; p < cursor->end; p++) {
		if (*p == '"')
			return p + 1;
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p == '\\') {
			*plain = false;
			p++;
		}
	}
	return NULL;
}

static bool read_string(struct cursor *cursor, const char **out)
{
	struct json *json;
	struct error err;
	bool plain;
	const char *end =
	    cursor->at < cursor->end && *cursor->at == '"' ? string_end(cursor, &plain) : NULL;

	if (end == NULL || !utf8_valid(cursor->at, (size_t)(end - cursor->at)))
		return fail(cursor, "a string in UTF-8");
	if (plain) {
		*out = arena_copy(cursor->arena, cursor->at + 1, (size_t)(end - cursor->at) - 2);
	} else {
		if (!json_parse(cursor->at, (size_t)(end - cursor->at), &json, &err))
			return fail(cursor, "a string");
		*out = arena_strdup(cursor->arena, json_text(json));
		json_free(json);
	}
	cursor->at = end;
	return true;
}

static bool read_text(struct cursor *cursor, char before, const char *name, const char **out)
{
	return begin_member(cursor, before, name) && read_string(cursor, out);
}

static bool read_number(struct cursor *cursor, const char *name, uint64_t *out)
{
	uint64_t number = 0;

	if (!begin_member(cursor, ',', name))
		return false;
	const char *first = cursor->at;
	for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*cursor->at - '0'), &number))
			return fail(cursor, "a number of at most 64 bits");
	}
	if (cursor->at == first || cursor->at - first > 20)
		return fail(cursor, "a number");
	*out = number;
	return true;
}

/* The end of the object that begins at the cursor; NULL: there is none. */
static const char *object_end(const struct cursor *cursor)
{
	struct cursor inner = *cursor;
	size_t depth = 0;

	while (inner.at < inner.end) {
		bool plain;
		if (*inner.at == '"') {
			inner.at = string_end(&inner, &plain);
			if (inner.at == NULL)
				return NULL;
			continue;
		}
		depth += *inner.at == '{';
		depth -= *inner.at == '}';
		inner.at++;
		if (depth == 0)
			return inner.at;
	}
	return NULL;
}

static bool read_object(struct cursor *cursor, const char *name, const char **out)
{
	enum json_kind kind;
	struct error err;

	if (!begin_member(cursor, ',', name))
		return false;
	if (cursor->at < cursor->end && *cursor->at == '"')
		return read_string(cursor, out);
	const char *end =
	    cursor->at < cursor->end && *cursor->at == '{' ? object_end(cursor) : NULL;
	if (end == NULL || !json_valid(cursor->at, (size_t)(end - cursor->at), &kind, &err))
		return fail(cursor, "a JSON object or a string");
	*out = arena_copy(cursor->arena, cursor->at, (size_t)(end - cursor->at));
	cursor->at = end;
	return true;
}

bool event_line_read(const char *line, size_t len, struct arena *arena, struct event *event,
                     const char **data, struct error *err)
{
	struct cursor cursor = { line, line, line + len, arena, "line", err };
	struct event read = { .topic = NULL };
	const char *text = NULL;

	if (!read_text(&cursor, '{', "topic", &read.topic) ||
	    !read_text(&cursor, ',', "entry_id", &read.entry_id) ||
	    !read_text(&cursor, ',', "event_id", &read.event_id) ||
	    !read_text(&cursor, ',', "action", &read.action) ||
	    !read_text(&cursor, ',', "type", &read.type) ||
	    !read_text(&cursor, ',', "entity_id", &read.entity_id) ||
	    !read_number(&cursor, "version", &read.version) ||
	    !read_object(&cursor, "metadata", &read.metadata) ||
	    !read_object(&cursor, "data", &text))
		return false;
	cursor.member = "line";
	if (!skip(&cursor, "}") || cursor.at != cursor.end)
		return fail(&cursor, "at its end here");
	*event = read;
	*data = text;
	return true;
}

/* ---- Hash -------------------------------------------------------------------------------- */

struct log_hash {
	struct digest *digest;
	unsigned char hash[DIGEST_BYTES];
};

struct log_hash *log_hash_create(void)
{
	struct log_hash *hash = calloc(1, sizeof(*hash));

	ASSERT(hash);
	hash->digest = digest_create();
	return hash;
}

void log_hash_destroy(struct log_hash *hash)
{
	if (hash == NULL)
		return;
	digest_destroy(hash->digest);
	free(hash);
}

void log_hash_add(struct log_hash *hash, const char *line, size_t len)
{
	digest_add(hash->digest, hash->hash, DIGEST_BYTES);
	digest_add(hash->digest, line, len);
	digest_end(hash->digest, hash->hash);
}

void log_hash_text(const struct log_hash *hash, char out[DIGEST_TEXT_SIZE])
{
	digest_text(hash->hash, out);
}
