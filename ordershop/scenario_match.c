#include "ordershop/scenario_match.h"

#include <string.h>

enum { SHOWN_MAX = 4096 };

/* ---- Values ------------------------------------------------------------------------------ */

static bool match_scalar(const struct json *expected, const struct json *actual)
{
	if (json_kind(expected) != json_kind(actual))
		return false;
	if (json_kind(expected) == JSON_NUMBER)
		return json_number(expected) == json_number(actual);
	const char *text = json_text(expected), *other = json_text(actual);
	if (text != NULL && text[0] == '~')
		return strstr(other, text + 1) != NULL;
	if (text != NULL)
		return strcmp(text, other) == 0;
	struct buffer a, b;
	buffer_init(&a, 16);
	buffer_init(&b, 16);
	json_write(&a, expected);
	json_write(&b, actual);
	bool same = a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
	buffer_free(&a);
	buffer_free(&b);
	return same;
}

bool match_json(const struct json *expected, const struct json *actual)
{
	enum json_kind kind = json_kind(expected);
	if (actual == NULL || json_kind(actual) != kind)
		return false;
	if (kind != JSON_OBJECT && kind != JSON_LIST)
		return match_scalar(expected, actual);
	if (kind == JSON_LIST && json_count(expected) != json_count(actual))
		return false;
	size_t index = 0;
	for (const struct json *e = json_first(expected); e != NULL; e = json_next(e)) {
		const struct json *a = kind == JSON_LIST ? json_at(actual, index++)
		                                         : json_member(actual, json_name(e));
		if (!match_json(e, a))
			return false;
	}
	return true;
}

/* Line breaks and ids become readable. */
static void show_string(struct buffer *out, struct names *names, const char *text)
{
	for (; *text != '\0'; text++) {
		char id[UUID_SIZE] = "";
		memcpy(id, text, strnlen(text, UUID_SIZE - 1));
		if (uuid_valid(id)) {
			buffer_puts(out, names_show(names, id));
			text += UUID_SIZE - 2;
		} else if (*text == '\n') {
			buffer_puts(out, "\\n");
		} else {
			buffer_putc(out, *text);
		}
	}
}

static void match_show(struct buffer *out, struct names *names, const struct json *value)
{
	enum json_kind kind = json_kind(value);
	if (kind == JSON_STRING) {
		show_string(out, names, json_text(value));
		return;
	}
	if (kind != JSON_OBJECT && kind != JSON_LIST) {
		json_write(out, value);
		return;
	}
	const char *before = kind == JSON_OBJECT ? "{ " : "[";
	for (const struct json *child = json_first(value); child != NULL;
	     child = json_next(child)) {
		buffer_puts(out, before);
		before = ", ";
		if (kind == JSON_OBJECT)
			buffer_printf(out, "%s: ", json_name(child));
		match_show(out, names, child);
	}
	if (json_first(value) == NULL)
		buffer_putc(out, kind == JSON_OBJECT ? '{' : '[');
	buffer_puts(out, kind == JSON_OBJECT ? " }" : "]");
}

const char *match_plain(struct arena *arena, struct names *names, const char *text)
{
	struct buffer shown;
	buffer_init(&shown, SHOWN_MAX);
	show_string(&shown, names, text);
	const char *plain = arena_copy(arena, shown.bytes, shown.len);
	buffer_free(&shown);
	return plain;
}

const char *match_text(struct arena *arena, struct names *names, const struct json *value)
{
	struct buffer text;
	buffer_init(&text, SHOWN_MAX);
	match_show(&text, names, value);
	const char *shown = text.overflow
	                        ? arena_printf(arena, "%.*s...", (int)text.len, text.bytes)
	                        : arena_copy(arena, text.bytes, text.len);
	buffer_free(&text);
	return shown;
}

struct walk {
	struct arena *arena;
	struct names *names;
	struct diff *diff;
};

static void diff_value(const struct walk *walk, const char *path, const struct json *expected,
                       const struct json *actual);

static void diff_members(const struct walk *walk, const char *path, const struct json *expected,
                         const struct json *actual)
{
	bool list = json_kind(expected) == JSON_LIST;
	size_t index = 0;
	for (const struct json *e = json_first(expected); e != NULL; e = json_next(e), index++) {
		const char *inner = list ? arena_printf(walk->arena, "%s[%zu]", path, index)
		                         : arena_printf(walk->arena, "%s%s%s", path,
		                                        path[0] != '\0' ? "." : "", json_name(e));
		diff_value(walk, inner, e,
		           list ? json_at(actual, index) : json_member(actual, json_name(e)));
	}
	for (; list && index < json_count(actual); index++)
		diff_add(
		    walk->diff, DIFF_EXTRA, "",
		    arena_printf(walk->arena, "%s[%zu]: %s", path, index,
		                 match_text(walk->arena, walk->names, json_at(actual, index))));
}

static void diff_value(const struct walk *walk, const char *path, const struct json *expected,
                       const struct json *actual)
{
	enum json_kind kind = json_kind(expected);
	if ((kind == JSON_OBJECT || kind == JSON_LIST) && actual != NULL &&
	    json_kind(actual) == kind && json_count(expected) > 0) {
		diff_members(walk, path, expected, actual);
		return;
	}
	const char *colon = path[0] != '\0' ? ": " : "";
	const char *left = arena_printf(walk->arena, "%s%s%s", path, colon,
	                                match_text(walk->arena, walk->names, expected));
	const char *right =
	    arena_printf(walk->arena, "%s%s%s", path, colon,
	                 actual == NULL ? "(none)" : match_text(walk->arena, walk->names, actual));
	diff_add(walk->diff, match_json(expected, actual) ? DIFF_SAME : DIFF_OTHER, left, right);
}

void match_diff(struct names *names, const struct json *expected, const struct json *actual,
                struct diff *diff)
{
	struct arena *arena = arena_create();
	struct walk walk = { arena, names, diff };
	diff_value(&walk, "", expected, actual);
	arena_destroy(arena);
}

/* ---- Lists ------------------------------------------------------------------------------- */

struct sides {
	const struct match_list *list;
	const struct json *expected;
};

static bool item_holds(const struct match_list *list, const struct json *expected, size_t index)
{
	const struct json *item = list->items[index];
	if (json_kind(expected) == JSON_STRING)
		item = json_member(item, list->short_member);
	return match_json(expected, item);
}

static bool sides_same(void *arg, size_t expected, size_t actual)
{
	const struct sides *sides = arg;
	return item_holds(sides->list, json_at(sides->expected, expected), actual);
}

static const char *show_expected(void *arg, size_t index)
{
	const struct sides *sides = arg;
	return match_text(sides->list->arena, sides->list->names, json_at(sides->expected, index));
}

static const char *show_actual(void *arg, size_t index)
{
	return ((const struct sides *)arg)->list->shown[index];
}

static void check_are(const struct match_list *list, const struct json *expected, struct diff *diff)
{
	struct sides sides = { list, expected };
	struct diff_lists lists = { json_count(expected), list->count, sides_same,
		                    show_expected,        show_actual, &sides };
	diff_lists(diff, &lists);
}

static void show_rest(const struct match_list *list, const bool *shown, enum diff_mark mark,
                      struct diff *diff)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!shown[i])
			diff_add(diff, mark, "", list->shown[i]);
	}
}

/* Finds an item for the expectation, moving those that have one already to others. */
struct pairing {
	const struct match_list *list;
	const struct json *expected;
	size_t *owner; /* of each item: 1 + the index of its expectation; 0: none */
	bool *seen;
};

static bool pair(struct pairing *pairing, size_t index)
{
	for (size_t i = 0; i < pairing->list->count; i++) {
		if (pairing->seen[i] ||
		    !item_holds(pairing->list, json_at(pairing->expected, index), i))
			continue;
		pairing->seen[i] = true;
		if (pairing->owner[i] == 0 || pair(pairing, pairing->owner[i] - 1)) {
			pairing->owner[i] = index + 1;
			return true;
		}
	}
	return false;
}

static void check_pairs(const struct match_list *list, const struct json *expected,
                        enum diff_mark rest, struct diff *diff)
{
	size_t count = json_count(expected);
	struct pairing pairing = { .list = list, .expected = expected };
	pairing.owner = arena_zalloc(list->arena, (list->count + 1) * sizeof(*pairing.owner));
	pairing.seen = arena_alloc(list->arena, list->count + 1);
	for (size_t i = 0; i < count; i++) {
		memset(pairing.seen, 0, list->count);
		(void)pair(&pairing, i);
	}
	struct sides sides = { list, expected };
	bool *shown = arena_zalloc(list->arena, list->count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;
		while (at < list->count && pairing.owner[at] != i + 1)
			at++;
		if (at < list->count)
			shown[at] = true;
		diff_add(diff, at < list->count ? DIFF_SAME : DIFF_MISSING,
		         show_expected(&sides, i), at < list->count ? list->shown[at] : "");
	}
	show_rest(list, shown, rest, diff);
}

static void check_include(const struct match_list *list, const struct json *expected,
                          struct diff *diff)
{
	check_pairs(list, expected, DIFF_SAME, diff);
}

static void check_exactly(const struct match_list *list, const struct json *expected,
                          struct diff *diff)
{
	check_pairs(list, expected, DIFF_EXTRA, diff);
}

static void check_sequence(const struct match_list *list, const struct json *expected,
                           struct diff *diff)
{
	struct sides sides = { list, expected };
	size_t at = 0;
	for (size_t i = 0; i < json_count(expected); i++) {
		size_t found = at;
		while (found < list->count && !item_holds(list, json_at(expected, i), found))
			found++;
		if (found == list->count) {
			diff_add(diff, DIFF_MISSING, show_expected(&sides, i), "");
			continue;
		}
		for (; at < found; at++)
			diff_add(diff, DIFF_SAME, "", list->shown[at]);
		diff_add(diff, DIFF_SAME, show_expected(&sides, i), list->shown[at++]);
	}
	for (; at < list->count; at++)
		diff_add(diff, DIFF_SAME, "", list->shown[at]);
}

static void check_none(const struct match_list *list, const struct json *expected,
                       struct diff *diff)
{
	struct sides sides = { list, expected };
	for (size_t i = 0; i < json_count(expected); i++) {
		const char *left = arena_printf(list->arena, "no %s", show_expected(&sides, i));
		for (size_t j = 0; j < list->count; j++) {
			if (item_holds(list, json_at(expected, i), j))
				diff_add(diff, DIFF_OTHER, left, list->shown[j]);
		}
	}
}

static void check_count(const struct match_list *list, const struct json *expected,
                        struct diff *diff)
{
	bool same = json_number(expected) == (double)list->count;
	diff_add(diff, same ? DIFF_SAME : DIFF_OTHER,
	         arena_printf(list->arena, "count: %.0f", json_number(expected)),
	         arena_printf(list->arena, "count: %zu", list->count));
	for (size_t i = 0; i < list->count && !same; i++)
		diff_add(diff, DIFF_SAME, "", list->shown[i]);
}

static const struct {
	const char *how;
	void (*check)(const struct match_list *list, const struct json *expected,
	              struct diff *diff);
} checks[] = {
	{ "are", check_are },   { "include", check_include }, { "sequence", check_sequence },
	{ "none", check_none }, { "count", check_count },     { "exactly", check_exactly },
};

void match_list(const struct match_list *list, const char *how, const struct json *expected,
                struct diff *diff)
{
	size_t i = 0;
	while (i < ARRAY_LEN(checks) && strcmp(checks[i].how, how) != 0)
		i++;
	ASSERT(i < ARRAY_LEN(checks));
	checks[i].check(list, expected, diff);
}
