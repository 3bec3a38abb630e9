#include "domain/metadata.h"

#include "base/buffer.h"
#include "base/json.h"

#include <string.h>

enum { METADATA_MAX = 4096 };

static void add(struct buffer *out, const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buffer_printf(out, ",\"%s\":", name);
	json_write_string(out, text, strlen(text));
}

static const char *text_of(const struct json *object, const char *name)
{
	const struct json *value = json_member(object, name);
	return value == NULL ? NULL : json_text(value);
}

const char *metadata_next(struct arena *arena, const char *cause_metadata, const char *cause_id,
                          bool same_time)
{
	struct json *cause = NULL;
	struct error err;
	const char *plain = arena_printf(arena, "{\"causation_id\":\"%s\"}", cause_id);
	if (cause_metadata == NULL || cause_metadata[0] == '\0' ||
	    strcmp(cause_metadata, "{}") == 0)
		return plain;
	if (!json_parse(cause_metadata, strlen(cause_metadata), &cause, &err))
		return plain;
	if (json_kind(cause) != JSON_OBJECT) {
		json_free(cause);
		return plain;
	}
	const char *correlation = text_of(cause, "correlation_id");
	if (correlation == NULL)
		correlation = text_of(cause, "causation_id");
	struct buffer out;
	buffer_init(&out, METADATA_MAX);
	buffer_append(&out, plain, strlen(plain) - 1);
	add(&out, "correlation_id", correlation);
	add(&out, "actor", text_of(cause, "actor"));
	add(&out, "traceparent", text_of(cause, "traceparent"));
	if (same_time)
		add(&out, "occurred_at", text_of(cause, "occurred_at"));
	buffer_putc(&out, '}');
	const char *text = out.overflow ? plain : arena_copy(arena, out.bytes, out.len);
	buffer_free(&out);
	json_free(cause);
	return text;
}

bool metadata_caused(const char *metadata)
{
	struct json *json = NULL;
	struct error err;
	if (!json_parse(metadata, strlen(metadata), &json, &err))
		return false;
	bool caused = json_kind(json) == JSON_OBJECT && text_of(json, "causation_id") != NULL;
	json_free(json);
	return caused;
}
