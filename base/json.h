/* json.h - JSON text to and from protobuf-c messages, by descriptor.
 *
 * Reading (json_read_message) is strict: the text must be valid JSON in UTF-8 without NUL, an object
 * where the message is expected, with known fields of the right types. Integers are accepted as
 * numbers without a fraction or, as older clients send them, as decimal strings; an integer that a
 * double cannot hold exactly must be a string. Enums by name. Depth is limited to 32.
 * Errors name the field by path and what is wrong: `items[2].price: must be an integer, is "abc"`.
 *
 * Writing (json_write_message) puts every scalar field, also with its default; absent messages are
 * left out; integers beyond 2^53 become strings. Field order is that of the declaration. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buffer.h"

/* Bit i: field with index i of the message's descriptor was in the text. */
typedef uint64_t json_fields;

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT };
struct json; /* a parsed text */

/* Checks and parses. ERR_INVALID with line and column. Freed with json_free. */
MUST_USE bool json_parse(const char *text, size_t len, struct json **out, struct error *err);
void json_free(struct json *json);
/* Is the text what json_parse reads? A third of its cost; but members that come twice and numbers beyond
 * a double are not found. */
MUST_USE bool json_valid(const char *text, size_t len, enum json_kind *kind, struct error *err);

/* A member as it stands in a text: `value` as json_write would write it. */
struct json_span {
	const char *name, *value; /* not NUL-terminated */
	size_t name_len, len;
	enum json_kind kind;
};
/* The members of an object of at most `max`, without a tree: of a text as json_write makes it, nothing but short
 * integers for numbers, no escapes, not nested deeply. False: it is another one; json_parse tells whether it is
 * right. */
MUST_USE bool json_plain_members(const char *text, size_t len, struct json_span *members,
                                 size_t max, size_t *count);

/* Values are borrowed from the parsed text. */
enum json_kind json_kind(const struct json *value);
const char *json_kind_name(enum json_kind kind);
const struct json *json_member(const struct json *object, const char *name); /* NULL: none */
size_t json_count(const struct json *value); /* of a list or object; else 0 */
const struct json *json_at(const struct json *value, size_t index);
const struct json *json_first(const struct json *value); /* of a list or object; NULL: empty */
const struct json *json_next(const struct json *value);
const char *json_name(const struct json *value); /* of a member */
const char *json_text(const struct json *value); /* of a string; else NULL */
MUST_USE bool json_integer(const struct json *value, int64_t *out, struct error *err);
double json_number(const struct json *value);
/* Writes the value back as compact text. */
void json_write(struct buffer *out, const struct json *value);

/* Allocates the message in the arena. An unknown field is an error unless `allow_unknown` (for
 * reading what another version wrote). `present` may be NULL. */
MUST_USE bool json_read_message(const struct json *value, const ProtobufCMessageDescriptor *type,
                                struct arena *arena, bool allow_unknown, json_fields *present,
                                ProtobufCMessage **out, struct error *err);
void json_write_message(struct buffer *out, const ProtobufCMessage *message);
/* One field as it stands in the object: the value alone. */
void json_write_field(struct buffer *out, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field);
/* Bytes of a value of this type within a message, or in a list. */
size_t json_element_size(ProtobufCType type);
/* A quoted, escaped string. */
void json_write_string(struct buffer *out, const char *text, size_t len);

/* Valid UTF-8 without NUL bytes. */
bool utf8_valid(const char *bytes, size_t len);

#endif
