#include "ordershop/simulate.h"

#include <string.h>

struct cut {
	struct buffer out;
	size_t left; /* parts to pass until the one that goes */
	bool done;
};

static void write_without(struct cut *cut, const struct json *value);

static bool is_cut(struct cut *cut)
{
	if (cut->done || cut->left-- > 0)
		return false;
	cut->done = true;
	return true;
}

static void write_parts(struct cut *cut, const struct json *value)
{
	bool object = json_kind(value) == JSON_OBJECT;
	size_t written = 0;
	buffer_putc(&cut->out, object ? '{' : '[');
	for (const struct json *part = json_first(value); part != NULL; part = json_next(part)) {
		if (is_cut(cut))
			continue;
		if (written++ > 0)
			buffer_putc(&cut->out, ',');
		if (object) {
			json_write_string(&cut->out, json_name(part), strlen(json_name(part)));
			buffer_putc(&cut->out, ':');
		}
		write_without(cut, part);
	}
	buffer_putc(&cut->out, object ? '}' : ']');
}

static void write_without(struct cut *cut, const struct json *value)
{
	if (json_kind(value) == JSON_LIST && json_count(value) == 1 && is_cut(cut))
		write_without(cut, json_first(value));
	else if (json_kind(value) == JSON_LIST || json_kind(value) == JSON_OBJECT)
		write_parts(cut, value);
	else
		json_write(&cut->out, value);
}

const char *params_without(struct arena *arena, const char *params, size_t part)
{
	enum { PARAMS_MAX = 65536 };
	struct cut cut = { .left = part };
	struct json *json;
	struct error err;
	const char *text = NULL;
	if (!json_parse(params, strlen(params), &json, &err))
		return NULL;
	buffer_init(&cut.out, PARAMS_MAX);
	write_without(&cut, json);
	if (cut.done)
		text = arena_copy(arena, cut.out.bytes, cut.out.len);
	buffer_free(&cut.out);
	json_free(json);
	return text;
}
