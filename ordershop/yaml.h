/* yaml.h - a YAML file as a tree that knows its lines.
 *
 * One document of mappings, lists and scalars: no aliases, no tags, no key twice, at most 1,000 keys in
 * a mapping, 32 levels deep and 4 MiB long.
 *
 * Errors begin with "line: ", unless they are of the whole file; who prints them puts the path before. */
#ifndef ORDERSHOP_YAML_H
#define ORDERSHOP_YAML_H

#include "base/arena.h"
#include "base/json.h"

/* Bits, so that a set of them can be asked for. */
enum node_kind { NODE_TEXT = 1, NODE_LIST = 2, NODE_MAP = 4 };

struct node {
	enum node_kind kind;
	int line;
	const char *key;  /* of a member of a mapping; else NULL */
	const char *text; /* of NODE_TEXT; else "" */
	bool quoted;  /* the text was in quotes or a block: it is a string whatever it looks like */
	size_t count; /* of elements or members */
	struct node *first;
	struct node *next;
};

/* All of it lives in the arena. */
MUST_USE bool yaml_read(const char *path, struct arena *arena, const struct node **root,
                        struct error *err);

/* Member of a mapping; NULL: none. */
const struct node *node_member(const struct node *map, const char *name);
/* What an unquoted scalar looks like: JSON_NULL, JSON_BOOL, JSON_NUMBER or JSON_STRING. */
enum json_kind node_scalar_kind(const struct node *node);
bool node_is_null(const struct node *node);
/* As one line of YAML, for messages. */
void node_write(struct buffer *out, const struct node *node);

/* A key that a mapping may have. */
struct node_key {
	const char *name;
	unsigned kinds; /* of its value */
	bool required;
};
/* Takes a mapping apart: out[i] is the value of keys[i], NULL if it is not there. Unknown keys, missing
 * ones and values of another kind are errors. `what` says of what: "a step". */
MUST_USE bool node_take(const struct node *map, const char *what, const struct node_key *keys,
                        size_t count, const struct node **out, struct error *err);
/* "line: message"; always false. */
bool node_fail(const struct node *node, struct error *err, const char *format, ...) PRINTF(3, 4);
/* "path:line: message" of such an error, "path: message" of one of the whole file. */
const char *yaml_error(struct arena *arena, const char *path, const struct error *err);

#endif
