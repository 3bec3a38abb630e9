#include "ordershop/changes.h"

#include "ordershop/lines.h"

#include <string.h>

enum { VALUE_MAX = 4 * 1024 * 1024, SHOWN_MAX = 200, INDENT = 2 };

static struct json *parse(const char *text)
{
	struct json *json;
	struct error err;

	return text && json_parse(text, strlen(text), &json, &err) ? json : NULL;
}

/* Texts stand without quotes where that cannot be misread. */
static void write_value(struct buffer *out, const struct json *value)
{
	struct buffer text;
	const char *plain = json_text(value);

	buffer_init(&text, VALUE_MAX);
	json_write(&text, value);
	/* Escaped in quotes it is as long as before: nothing in it needs them. */
	if (plain && *plain && text.len == strlen(plain) + 2) {
		line_clean(out, plain, strlen(plain) < SHOWN_MAX ? strlen(plain) : SHOWN_MAX);
		buffer_puts(out, strlen(plain) > SHOWN_MAX ? "..." : "");
	} else {
		line_clean(out, text.bytes, text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
		buffer_puts(out, text.len > SHOWN_MAX ? "..." : "");
	}
	buffer_free(&text);
}

bool value_same(const struct json *a, const struct json *b)
{
	struct buffer left, right;
	bool equal;

	buffer_init(&left, VALUE_MAX);
	buffer_init(&right, VALUE_MAX);
	json_write(&left, a);
	json_write(&right, b);
	equal = left.len == right.len && memcmp(left.bytes, right.bytes, left.len) == 0;
	buffer_free(&left);
	buffer_free(&right);
	return equal;
}

/* One or both are NULL: the field is not there. */
static bool write_change(struct buffer *out, const char *prefix, const char *name,
                         const struct json *before, const struct json *after)
{
	if (before && after && value_same(before, after))
		return false;
	buffer_puts(out, prefix);
	line_clean(out, name, strlen(name));
	buffer_puts(out, *name ? ": " : "");
	if (before) {
		write_value(out, before);
		buffer_puts(out, " -> ");
	}
	if (after)
		write_value(out, after);
	else
		buffer_puts(out, "(none)");
	buffer_putc(out, '\n');
	return true;
}

static bool write_members(struct buffer *out, const char *prefix, const struct json *before,
                          const struct json *after)
{
	bool any = false;

	for (const struct json *m = json_first(after); m; m = json_next(m)) {
		const struct json *was = before ? json_member(before, json_name(m)) : NULL;
		any = write_change(out, prefix, json_name(m), was, m) || any;
	}
	for (const struct json *m = before ? json_first(before) : NULL; m; m = json_next(m)) {
		if (!json_member(after, json_name(m)))
			any = write_change(out, prefix, json_name(m), m, NULL) || any;
	}
	return any;
}

bool changes_write(struct buffer *out, const char *prefix, const char *before, const char *after)
{
	struct json *was = parse(before), *is = parse(after);
	bool any = false;

	if (is && json_kind(is) == JSON_OBJECT && (!was || json_kind(was) == JSON_OBJECT)) {
		any = write_members(out, prefix, was, is);
	} else if (!before || strcmp(before, after) != 0) {
		buffer_puts(out, prefix);
		line_clean(out, after, strnlen(after, SHOWN_MAX));
		buffer_putc(out, '\n');
		any = true;
	}
	json_free(was);
	json_free(is);
	return any;
}

/* ---- Indented ---------------------------------------------------------------------------- */

static void indent(struct buffer *out, unsigned depth)
{
	for (unsigned i = 0; i < depth * INDENT; i++)
		buffer_putc(out, ' ');
}

/* Either may be NULL. */
static void write_clean(struct buffer *out, const char *name, const struct json *value)
{
	struct buffer text;

	buffer_init(&text, VALUE_MAX);
	if (name) {
		json_write_string(&text, name, strlen(name));
		buffer_puts(&text, ": ");
	}
	if (value)
		json_write(&text, value);
	line_clean(out, text.bytes, text.len);
	buffer_free(&text);
}

static void write_pretty(struct buffer *out, const struct json *value, unsigned depth)
{
	bool object = json_kind(value) == JSON_OBJECT;

	if ((!object && json_kind(value) != JSON_LIST) || json_count(value) == 0) {
		write_clean(out, NULL, value);
		return;
	}
	buffer_puts(out, object ? "{\n" : "[\n");
	for (const struct json *m = json_first(value); m; m = json_next(m)) {
		indent(out, depth + 1);
		if (object)
			write_clean(out, json_name(m), NULL);
		write_pretty(out, m, depth + 1);
		buffer_puts(out, json_next(m) ? ",\n" : "\n");
	}
	indent(out, depth);
	buffer_putc(out, object ? '}' : ']');
}

void changes_pretty(struct buffer *out, const char *text)
{
	struct json *json = parse(text);

	if (json)
		write_pretty(out, json, 0);
	else
		line_clean(out, text, strlen(text));
	buffer_putc(out, '\n');
	json_free(json);
}
