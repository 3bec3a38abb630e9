/* kinds.h - the kinds of entities that the model knows, one row each.
 *
 * An entity of a known kind becomes a hash with one field per field of its message, but for
 * `entity_id`, which is in the key; and it is a member of the sorted sets of its indices. A topic that is not in the
 * table is of the generic kind: one field `json`, no indices. */
#ifndef READ_MODEL_KINDS_H
#define READ_MODEL_KINDS_H

#include "base/buffer.h"

#include <protobuf-c/protobuf-c.h>

enum kind_index_type {
	KIND_INDEX_VALUE, /* member of "<set><value>" unless the value is empty */
	KIND_INDEX_ORDER, /* the same; and the order of that id may have become billed or shipped */
	KIND_INDEX_FLAG   /* member of "<set>" unless the value is empty or 0 */
};

struct kind_index {
	const char *field;
	enum kind_index_type type;
	const char *set;
};

enum { KIND_INDICES_MAX = 4, KIND_FIELDS_MAX = 32 };

struct kind {
	const char *name;   /* of the topic; NULL: generic */
	const char *plural; /* in reports */
	const ProtobufCMessageDescriptor *type;
	struct kind_index indices[KIND_INDICES_MAX]; /* the first without a field ends it */
};

extern const struct kind kinds[];
extern const size_t kinds_count;

/* The generic kind for a name that is not in the table. */
const struct kind *kind_of(const char *name);
size_t kind_index_count(const struct kind *kind);
const struct kind_index *kind_index_of(const struct kind *kind, const char *field); /* or NULL */

#define KIND_ID_FIELD "entity_id" /* the first field of every message */
/* Fields of the hash. */
size_t kind_field_count(const struct kind *kind);
const char *kind_field_name(const struct kind *kind, size_t position);
/* Position of the field in the hash; -1: none. */
int kind_field_position(const struct kind *kind, const char *name);
/* What stands for a field that an event does not mention. */
const char *kind_field_default(const struct kind *kind, size_t position);
/* Whether the field's text in the hash is JSON already (a list or an object). */
bool kind_field_is_json(const struct kind *kind, size_t position);
bool kind_field_is_number(const struct kind *kind, size_t position);
/* The field's text in the hash as JSON. */
void kind_write_value(const struct kind *kind, size_t position, const char *text, size_t len,
                      struct buffer *out);
/* Is a field's text what a filter asks for: equal, or a list that has it? */
bool kind_value_holds(const char *text, const char *value);

#endif
