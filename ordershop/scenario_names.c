#include "ordershop/scenario_names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

enum { TOPIC_MAX = 16, NAME_MAX_LENGTH = 64, TEXT_MAX = 1024 * 1024 };

struct name {
	const char *text; /* "order.first" */
	const char *id;
	UT_hash_handle by_text, by_id;
};

struct names {
	struct arena *arena;
	const char *run_id;
	struct name *by_text, *by_id;
};

struct names *names_create(struct arena *arena, const char *run_id)
{
	struct names *names = arena_zalloc(arena, sizeof(*names));
	names->arena = arena;
	names->run_id = arena_strdup(arena, run_id);
	return names;
}

void names_free(struct names *names)
{
	HASH_CLEAR(by_text, names->by_text);
	HASH_CLEAR(by_id, names->by_id);
}

static struct name *name_make(struct names *names, const char *topic, const char *name,
                              const char *id)
{
	struct name *found, *made = arena_zalloc(names->arena, sizeof(*made));
	made->text = arena_printf(names->arena, "%s.%s", topic, name);
	made->id = arena_strdup(names->arena, id);
	HASH_FIND(by_id, names->by_id, id, strlen(id), found);
	if (found == NULL)
		HASH_ADD_KEYPTR(by_id, names->by_id, made->id, strlen(made->id), made);
	return made;
}

static const struct {
	const char *topic, *origin;
} derived[] = {
	{ "billing", "order" },
	{ "shipping", "order" },
	{ "inventory", "product" },
};

bool names_bind(struct names *names, const char *topic, const char *name, const char *id)
{
	struct name *found;
	const char *text = arena_printf(names->arena, "%s.%s", topic, name);
	HASH_FIND(by_text, names->by_text, text, strlen(text), found);
	if (found != NULL)
		return strcmp(found->id, id) == 0;
	struct name *made = name_make(names, topic, name, id);
	HASH_ADD_KEYPTR(by_text, names->by_text, made->text, strlen(made->text), made);
	/* Messages have names for these, also when no reference was there yet. */
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		char follows[UUID_SIZE];
		if (strcmp(derived[i].origin, topic) != 0 || !uuid_valid(id))
			continue;
		uuid_v5(follows, id, derived[i].topic, NULL);
		(void)name_make(names, derived[i].topic, name, follows);
	}
	return true;
}

const char *names_show(struct names *names, const char *id)
{
	struct name *found;
	HASH_FIND(by_id, names->by_id, id, strlen(id), found);
	return found == NULL ? id : arena_printf(names->arena, "$%s", found->text);
}

const char *names_origin(const char *topic)
{
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		if (strcmp(derived[i].topic, topic) == 0)
			return derived[i].origin;
	}
	return NULL;
}

/* NULL: nothing has that name. */
static const char *find_id(struct names *names, const char *topic, const char *name)
{
	struct name *found;
	char id[UUID_SIZE];
	const char *text = arena_printf(names->arena, "%s.%s", topic, name);
	HASH_FIND(by_text, names->by_text, text, strlen(text), found);
	if (found != NULL)
		return found->id;
	if (strcmp(topic, "id") == 0) {
		uuid_v5(id, names->run_id, "id", name);
		ASSERT(names_bind(names, topic, name, id));
		return arena_strdup(names->arena, id);
	}
	const char *origin = names_origin(topic);
	const char *from = origin == NULL ? NULL : find_id(names, origin, name);
	if (from == NULL || !uuid_valid(from))
		return NULL;
	uuid_v5(id, from, topic, NULL);
	ASSERT(names_bind(names, topic, name, id));
	return arena_strdup(names->arena, id);
}

/* ---- References in texts ----------------------------------------------------------------- */

/* "$topic.name" or "$topic.name.field". */
struct reference {
	char topic[TOPIC_MAX + 1], name[NAME_MAX_LENGTH + 1];
	char field[NAME_MAX_LENGTH + 1]; /* "": none */
	size_t len;
};

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool is_field(char c)
{
	return islower((unsigned char)c) || c == '_';
}

static bool take_part(const char *text, size_t *at, bool (*fits)(char c), char *out, size_t max)
{
	size_t len = 0;
	while (fits(text[*at + len]))
		len++;
	if (len == 0 || len > max)
		return false;
	memcpy(out, text + *at, len);
	out[len] = '\0';
	*at += len;
	return true;
}

static bool parse_reference(const char *text, struct reference *reference)
{
	size_t at = 1;
	reference->field[0] = '\0';
	if (!take_part(text, &at, is_field, reference->topic, TOPIC_MAX) || text[at] != '.')
		return false;
	at++;
	if (!take_part(text, &at, is_name, reference->name, NAME_MAX_LENGTH))
		return false;
	/* A full stop may follow. */
	if (text[at] == '.' && is_field(text[at + 1])) {
		at++;
		if (!take_part(text, &at, is_field, reference->field, NAME_MAX_LENGTH))
			return false;
	}
	reference->len = at;
	return true;
}

static bool find_reference(struct resolver *resolver, const struct node *at, const char *text,
                           struct reference *reference, const char **id, struct error *err)
{
	if (!parse_reference(text, reference))
		return node_fail(at, err,
		                 "'%.40s' is no reference such as $order.first; a $ is written $$",
		                 text);
	if (!scenario_is_entity(reference->topic) && strcmp(reference->topic, "id") != 0)
		return node_fail(at, err, "$%s.%s: there is no kind '%s'", reference->topic,
		                 reference->name, reference->topic);
	*id = find_id(resolver->names, reference->topic, reference->name);
	if (*id == NULL)
		return node_fail(at, err, "$%s.%s: nothing has that name (yet)", reference->topic,
		                 reference->name);
	return true;
}

/* The field's value; freed by the caller with *state. */
static bool find_field(struct resolver *resolver, const struct node *at,
                       const struct reference *reference, const char *id, struct json **state,
                       const struct json **value, struct error *err)
{
	const char *text;
	if (!resolver->state(resolver->arg, reference->topic, id, &text, err))
		return false;
	if (text == NULL)
		return node_fail(at, err, "$%s.%s.%s: there is no such %s", reference->topic,
		                 reference->name, reference->field, reference->topic);
	if (!json_parse(text, strlen(text), state, err))
		return false;
	*value = json_member(*state, reference->field);
	if (*value != NULL)
		return true;
	json_free(*state);
	return node_fail(at, err, "$%s.%s.%s: it has no such field", reference->topic,
	                 reference->name, reference->field);
}

static bool put_field(struct resolver *resolver, const struct node *at,
                      const struct reference *reference, const char *id, bool as_json,
                      struct buffer *out, struct error *err)
{
	struct json *state = NULL;
	const struct json *value = NULL;
	if (!find_field(resolver, at, reference, id, &state, &value, err))
		return false;
	if (!as_json && json_kind(value) == JSON_STRING)
		buffer_puts(out, json_text(value));
	else
		json_write(out, value);
	json_free(state);
	return true;
}

bool resolve_text(struct resolver *resolver, const struct node *at, const char *text,
                  const char **out, struct error *err)
{
	struct buffer buffer;
	bool ok = true;
	if (strchr(text, '$') == NULL) {
		*out = text;
		return true;
	}
	buffer_init(&buffer, TEXT_MAX);
	while (ok && *text != '\0') {
		struct reference reference = { .len = 0 };
		const char *id = NULL;
		if (text[0] != '$' || text[1] == '$') {
			buffer_putc(&buffer, *text);
			text += text[0] == '$' ? 2 : 1;
			continue;
		}
		ok = find_reference(resolver, at, text, &reference, &id, err);
		if (ok && reference.field[0] == '\0')
			buffer_puts(&buffer, id);
		else if (ok)
			ok = put_field(resolver, at, &reference, id, false, &buffer, err);
		if (ok)
			text += reference.len;
	}
	if (ok && buffer.overflow)
		ok = node_fail(at, err, "a text above 1 MiB");
	if (ok)
		*out = arena_copy(resolver->arena, buffer.bytes, buffer.len);
	buffer_free(&buffer);
	return ok;
}

static bool resolve_scalar(struct resolver *resolver, const struct node *node, struct buffer *out,
                           struct error *err)
{
	struct reference reference = { .len = 0 };
	const char *id = NULL, *text;
	bool whole = node->text[0] == '$' && parse_reference(node->text, &reference) &&
	             reference.field[0] != '\0' && node->text[reference.len] == '\0';
	if (whole)
		return find_reference(resolver, node, node->text, &reference, &id, err) &&
		       put_field(resolver, node, &reference, id, true, out, err);
	enum json_kind kind = node_scalar_kind(node);
	if (!resolve_text(resolver, node, node->text, &text, err))
		return false;
	if (kind == JSON_STRING)
		json_write_string(out, text, strlen(text));
	else
		buffer_puts(out, kind == JSON_NULL ? "null" : text);
	return true;
}

bool resolve_json(struct resolver *resolver, const struct node *node, struct buffer *out,
                  struct error *err)
{
	if (node->kind == NODE_TEXT)
		return resolve_scalar(resolver, node, out, err);
	bool map = node->kind == NODE_MAP;
	buffer_putc(out, map ? '{' : '[');
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		const char *key;
		if (child != node->first)
			buffer_putc(out, ',');
		if (map) {
			if (!resolve_text(resolver, child, child->key, &key, err))
				return false;
			json_write_string(out, key, strlen(key));
			buffer_putc(out, ':');
		}
		if (!resolve_json(resolver, child, out, err))
			return false;
	}
	buffer_putc(out, map ? '}' : ']');
	return true;
}

bool resolve_entity(struct resolver *resolver, const struct node *at, const char *text,
                    const char **topic, const char **id, struct error *err)
{
	struct reference reference = { .len = 0 };
	if (text[0] != '$') {
		*topic = NULL;
		*id = text;
		return true;
	}
	if (!find_reference(resolver, at, text, &reference, id, err))
		return false;
	if (text[reference.len] != '\0' || reference.field[0] != '\0')
		return node_fail(at, err, "'%.60s': expected an entity such as $order.first", text);
	*topic = arena_strdup(resolver->arena, reference.topic);
	return true;
}
