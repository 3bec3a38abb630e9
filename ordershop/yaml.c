#include "ordershop/yaml.h"

#include "ordershop/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { FILE_MAX = 4 * 1024 * 1024, DEPTH_MAX = 32, MEMBERS_MAX = 1000 };

struct yaml {
	struct arena *arena;
	yaml_parser_t parser;
	struct error *err;
};

bool node_fail(const struct node *node, struct error *err, const char *format, ...)
{
	char message[sizeof(err->message)];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return error_set(err, ERR_INVALID, "%d: %s", node->line, message);
}

const char *yaml_error(struct arena *arena, const char *path, const struct error *err)
{
	bool of_line = isdigit((unsigned char)err->message[0]);
	return arena_printf(arena, "%s:%s%s", path, of_line ? "" : " ", err->message);
}

/* ---- Reading ----------------------------------------------------------------------------- */

static bool fail_at(struct yaml *yaml, size_t line, const char *what)
{
	return error_set(yaml->err, ERR_INVALID, "%zu: %s", line + 1, what);
}

static bool next_event(struct yaml *yaml, yaml_event_t *event)
{
	if (yaml_parser_parse(&yaml->parser, event))
		return true;
	return fail_at(yaml, yaml->parser.problem_mark.line,
	               yaml->parser.problem != NULL ? yaml->parser.problem : "not valid YAML");
}

static struct node *node_make(struct yaml *yaml, const yaml_event_t *event, enum node_kind kind)
{
	struct node *node = arena_zalloc(yaml->arena, sizeof(*node));
	node->kind = kind;
	node->line = (int)event->start_mark.line + 1;
	node->text = "";
	return node;
}

static struct node *read_scalar(struct yaml *yaml, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct node *node = node_make(yaml, event, NODE_TEXT);
	if (strlen(text) != event->data.scalar.length) {
		fail_at(yaml, event->start_mark.line, "a text must not contain \\0");
		return NULL;
	}
	if (event->data.scalar.tag != NULL) {
		fail_at(yaml, event->start_mark.line, "tags such as !!str are not supported");
		return NULL;
	}
	node->text = arena_strdup(yaml->arena, text);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return node;
}

static struct node *read_node(struct yaml *yaml, const yaml_event_t *event, int depth);

/* The key's event is there already. */
static struct node *read_member(struct yaml *yaml, struct node *map, const yaml_event_t *event)
{
	if (event->type != YAML_SCALAR_EVENT) {
		fail_at(yaml, event->start_mark.line, "the keys of a mapping must be texts");
		return NULL;
	}
	if (map->count == MEMBERS_MAX) {
		fail_at(yaml, event->start_mark.line, "a mapping with more than 1,000 keys");
		return NULL;
	}
	struct node *key = read_scalar(yaml, event);
	if (key != NULL && node_member(map, key->text) != NULL) {
		fail_at(yaml, event->start_mark.line,
		        arena_printf(yaml->arena, "'%.60s' is given twice", key->text));
		return NULL;
	}
	return key;
}

/* The elements of a list or mapping, up to its end. */
static bool read_children(struct yaml *yaml, struct node *parent, int depth)
{
	yaml_event_type_t end =
	    parent->kind == NODE_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	struct node **place = &parent->first;
	for (;;) {
		yaml_event_t event;
		if (!next_event(yaml, &event))
			return false;
		bool ended = event.type == end;
		struct node *key = NULL, *child = NULL;
		if (!ended && parent->kind == NODE_MAP) {
			key = read_member(yaml, parent, &event);
			yaml_event_delete(&event);
			if (key == NULL || !next_event(yaml, &event))
				return false;
		}
		if (!ended)
			child = read_node(yaml, &event, depth + 1);
		yaml_event_delete(&event);
		if (ended)
			return true;
		if (child == NULL)
			return false;
		if (key != NULL) {
			child->key = key->text;
			child->line = key->line;
		}
		*place = child;
		place = &child->next;
		parent->count++;
	}
}

static struct node *read_node(struct yaml *yaml, const yaml_event_t *event, int depth)
{
	struct node *node;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(yaml, event);
	case YAML_SEQUENCE_START_EVENT:
		node = node_make(yaml, event, NODE_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		node = node_make(yaml, event, NODE_MAP);
		break;
	case YAML_ALIAS_EVENT:
		fail_at(yaml, event->start_mark.line, "aliases are not supported");
		return NULL;
	default:
		fail_at(yaml, event->start_mark.line, "the file is empty");
		return NULL;
	}
	if (depth > DEPTH_MAX) {
		fail_at(yaml, event->start_mark.line, "more than 32 levels deep");
		return NULL;
	}
	return read_children(yaml, node, depth) ? node : NULL;
}

static struct node *read_document(struct yaml *yaml)
{
	yaml_event_t event;
	struct node *root = NULL;
	do {
		if (!next_event(yaml, &event))
			return NULL;
		yaml_event_type_t type = event.type;
		if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT) {
			yaml_event_delete(&event);
			continue;
		}
		root = read_node(yaml, &event, 0);
		yaml_event_delete(&event);
		if (root == NULL || !next_event(yaml, &event)) /* the document's end */
			return NULL;
		yaml_event_delete(&event);
	} while (root == NULL);
	if (!next_event(yaml, &event))
		return NULL;
	bool more = event.type != YAML_STREAM_END_EVENT;
	size_t line = event.start_mark.line;
	yaml_event_delete(&event);
	if (more)
		fail_at(yaml, line, "one document per file");
	return more ? NULL : root;
}

static bool read_bytes(const char *path, struct buffer *bytes, struct error *err)
{
	FILE *stream = fopen(path, "re");
	if (stream == NULL)
		return error_set(err, ERR_NOT_FOUND, "%s", strerror(errno));
	size_t len = 0;
	char *place = buffer_extend(bytes, FILE_MAX + 1);
	len = fread(place, 1, FILE_MAX + 1, stream);
	bool failed = ferror(stream) != 0;
	int why = errno;
	fclose(stream);
	bytes->len = len;
	if (failed)
		return error_set(err, ERR_NOT_FOUND, "%s", strerror(why));
	if (len > FILE_MAX)
		return error_set(err, ERR_TOO_LARGE, "larger than 4 MiB");
	return true;
}

bool yaml_read(const char *path, struct arena *arena, const struct node **root, struct error *err)
{
	struct yaml yaml = { .arena = arena, .err = err };
	struct buffer bytes;
	struct node *read = NULL;
	buffer_init(&bytes, FILE_MAX + 2);
	if (read_bytes(path, &bytes, err)) {
		ASSERT(yaml_parser_initialize(&yaml.parser));
		yaml_parser_set_input_string(&yaml.parser, (const unsigned char *)bytes.bytes,
		                             bytes.len);
		read = read_document(&yaml);
		yaml_parser_delete(&yaml.parser);
	}
	buffer_free(&bytes);
	if (read != NULL)
		*root = read;
	return read != NULL;
}

/* ---- Looking ----------------------------------------------------------------------------- */

const struct node *node_member(const struct node *map, const char *name)
{
	for (const struct node *member = map->first; member != NULL; member = member->next) {
		if (member->key != NULL && strcmp(member->key, name) == 0)
			return member;
	}
	return NULL;
}

enum json_kind node_scalar_kind(const struct node *node)
{
	enum json_kind kind = JSON_STRING;
	struct error err;
	if (node->quoted)
		return JSON_STRING;
	if (node->text[0] == '\0' || strcmp(node->text, "~") == 0)
		return JSON_NULL;
	return json_valid(node->text, strlen(node->text), &kind, &err) && kind < JSON_STRING
	           ? kind
	           : JSON_STRING;
}

bool node_is_null(const struct node *node)
{
	return node->kind == NODE_TEXT && node_scalar_kind(node) == JSON_NULL;
}

void node_write(struct buffer *out, const struct node *node)
{
	if (node->kind == NODE_TEXT) {
		bool plain = !node->quoted ||
		             node_scalar_kind(&(struct node){ .text = node->text }) == JSON_STRING;
		buffer_printf(out, plain ? "%s" : "\"%s\"", node->text);
		return;
	}
	bool map = node->kind == NODE_MAP;
	buffer_puts(out, map ? "{" : "[");
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		buffer_puts(out, child == node->first ? (map ? " " : "") : ", ");
		if (map)
			buffer_printf(out, "%s: ", child->key);
		node_write(out, child);
	}
	buffer_puts(out, map ? " }" : "]");
}

/* ---- Taking mappings apart --------------------------------------------------------------- */

enum { KEYS_MAX = 16 };

static const char *kinds_name(unsigned kinds)
{
	static const char *const names[] = {
		[NODE_TEXT] = "a single value",
		[NODE_LIST] = "a list",
		[NODE_MAP] = "a mapping",
		[NODE_TEXT | NODE_LIST] = "a single value or a list",
		[NODE_TEXT | NODE_MAP] = "a single value or a mapping",
		[NODE_LIST | NODE_MAP] = "a list or a mapping",
	};
	return names[kinds];
}

static bool unknown_key(const struct node *member, const char *what, const struct node_key *keys,
                        size_t count, struct error *err)
{
	const char *names[KEYS_MAX];
	char hint[HINT_SIZE];
	for (size_t i = 0; i < count; i++)
		names[i] = keys[i].name;
	return node_fail(member, err, "%s has no key '%.60s'%s", what, member->key,
	                 closest_hint(hint, member->key, names, count));
}

bool node_take(const struct node *map, const char *what, const struct node_key *keys, size_t count,
               const struct node **out, struct error *err)
{
	ASSERT(count <= KEYS_MAX);
	if (map->kind != NODE_MAP)
		return node_fail(map, err, "%s must be a mapping", what);
	for (size_t i = 0; i < count; i++)
		out[i] = NULL;
	for (const struct node *member = map->first; member != NULL; member = member->next) {
		size_t i = 0;
		while (i < count && strcmp(keys[i].name, member->key) != 0)
			i++;
		if (i == count)
			return unknown_key(member, what, keys, count, err);
		if ((keys[i].kinds & member->kind) == 0)
			return node_fail(member, err, "%s: must be %s", member->key,
			                 kinds_name(keys[i].kinds));
		out[i] = member;
	}
	for (size_t i = 0; i < count; i++) {
		if (keys[i].required && out[i] == NULL)
			return node_fail(map, err, "%s needs the key '%s'", what, keys[i].name);
	}
	return true;
}
