/* json_internal.h - shared by the json_*.c files only. */
#ifndef BASE_JSON_INTERNAL_H
#define BASE_JSON_INTERNAL_H

#include "base/json.h"

#include <cjson/cJSON.h>

/* A parsed value is a cJSON node. A number whose text is not a short integer keeps its text in
 * `valuestring`: a double may not hold it, and what is written back must be what was read. */
static inline const cJSON *node_of(const struct json *value)
{
	return (const cJSON *)(const void *)value;
}
static inline const struct json *json_of(const cJSON *node)
{
	return (const struct json *)(const void *)node;
}

enum { JSON_DEPTH_MAX = 32 };
/* Integers up to here (2^53 - 1) are the same number for everybody who uses doubles. */
#define JSON_SAFE_INTEGER INT64_C(9007199254740991)

/* Numbers that keep their text: the n-th number of the text, from 0. */
struct json_kept {
	size_t ordinal;
	const char *text;
	size_t len;
};
struct json_numbers {
	struct json_kept *kept; /* malloc */
	size_t count;
	size_t capacity;
};

/* Checks that the text is one JSON value as RFC 8259 has it, UTF-8, no NUL (also escaped), nested
 * at most JSON_DEPTH_MAX. */
MUST_USE bool json_scan(const char *text, size_t len, struct json_numbers *numbers,
                        struct error *err);

/* Length of the UTF-8 sequence at `p`, 1 to 4; 0: invalid or incomplete. */
size_t utf8_sequence(const char *p, size_t left);

/* Where a value stands, as a chain of stack frames from the inside to the outside. */
struct json_path {
	const struct json_path *up; /* NULL: the whole text */
	const char *name;           /* a member, or NULL: */
	size_t index;               /* of a list */
};
enum { JSON_PATH_SIZE = 120 };
/* "items[2].price"; cut at the end when long. "" for the whole text. */
void json_path_format(const struct json_path *path, char out[JSON_PATH_SIZE]);

/* Of text that came from a client, what an error message shows: at most 40 bytes, cut between
 * characters. */
enum { JSON_CLIP_SIZE = 44 };
const char *json_clip(const char *text, char out[JSON_CLIP_SIZE]);

#endif
