#include "domain/metadata.h"

#include "base/buffer.h"
#include "base/json.h"

#include <string.h>

enum { METADATA_MAX = 4096 };

static void add(struct buffer *out, const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buffer_puts(out, ",\"");
	buffer_puts(out, name);
	buffer_puts(out, "\":");
	json_write_string(out, text, strlen(text));
}

static const char *text_of(const struct json *object, const char *name)
{
	const struct json *value = json_member(object, name);
	return value == NULL ? NULL : json_text(value);
}

/* NULL: it is no JSON object. */
static struct json *read_object(const char *metadata)
{
	struct json *json = NULL;
	struct error err;
	if (metadata == NULL || metadata[0] == '\0' || strcmp(metadata, "{}") == 0 ||
	    !json_parse(metadata, strlen(metadata), &json, &err))
		return NULL;
	if (json_kind(json) == JSON_OBJECT)
		return json;
	json_free(json);
	return NULL;
}

const char *metadata_next(struct arena *arena, const char *cause_metadata, const char *cause_id,
                          bool same_time)
{
	struct json *cause = read_object(cause_metadata);
	struct buffer out;
	buffer_init(&out, METADATA_MAX);
	buffer_puts(&out, "{\"causation_id\":\"");
	buffer_puts(&out, cause_id);
	buffer_putc(&out, '"');
	size_t plain = out.len;
	if (cause != NULL) {
		const char *correlation = text_of(cause, "correlation_id");
		if (correlation == NULL)
			correlation = text_of(cause, "causation_id");
		add(&out, "correlation_id", correlation);
		add(&out, "actor", text_of(cause, "actor"));
		add(&out, "traceparent", text_of(cause, "traceparent"));
		if (same_time)
			add(&out, "occurred_at", text_of(cause, "occurred_at"));
	}
	size_t len = out.overflow ? plain : out.len;
	char *text = arena_alloc(arena, len + 2);
	memcpy(text, out.bytes, len);
	strcpy(text + len, "}");
	buffer_free(&out);
	json_free(cause);
	return text;
}

const char *metadata_text(struct arena *arena, const char *metadata, const char *name)
{
	struct json *json = read_object(metadata);
	const char *text = json == NULL ? NULL : text_of(json, name);
	const char *copy = text == NULL ? "" : arena_strdup(arena, text);
	json_free(json);
	return copy;
}

bool metadata_caused(const char *metadata)
{
	struct json *json = read_object(metadata);
	bool caused = json != NULL && text_of(json, "causation_id") != NULL;
	json_free(json);
	return caused;
}
