/* scenario_match.h - does a value have what is expected of it?
 *
 * Of an object the members that are named; lists element by element; numbers by value; a text that
 * begins with ~ must be contained. */
#ifndef ORDERSHOP_SCENARIO_MATCH_H
#define ORDERSHOP_SCENARIO_MATCH_H

#include "ordershop/scenario_diff.h"
#include "ordershop/scenario_names.h"

/* `actual` NULL: there is no such value. */
MUST_USE bool match_json(const struct json *expected, const struct json *actual);
/* The same, with a line for each member that was looked at. */
void match_diff(struct names *names, const struct json *expected, const struct json *actual,
                struct diff *diff);
/* A value on one line, ids by their names; for messages. */
const char *match_text(struct arena *arena, struct names *names, const struct json *value);
/* A text, ids by their names. */
const char *match_plain(struct arena *arena, struct names *names, const char *text);

/* What a list is expected to be: `are`, `include`, `sequence`, `none`, `count`. */
struct match_list {
	struct names *names;
	struct arena *arena;
	/* An expected text stands for the item whose member of that name is equal to it. */
	const char *short_member;
	size_t count;
	const struct json *const *items;
	const char *const *shown; /* for messages: each item in short */
};
/* `how` is one of the five, or `exactly`: as include, and no other; each difference becomes a line. */
void match_list(const struct match_list *list, const char *how, const struct json *expected,
                struct diff *diff);

#endif
