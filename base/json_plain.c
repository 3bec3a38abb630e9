/* Most texts are what json_write made. Their values can be taken as they stand, without a tree. */
#include "base/json_internal.h"

#include <string.h>

enum { DIGITS_MAX = 15, NESTED_MAX = 16, DEPTH_MAX = 8 };

struct plain {
	const char *p, *end;
	int depth;
};

static bool take(struct plain *plain, char c)
{
	if (plain->p == plain->end || *plain->p != c)
		return false;
	plain->p++;
	return true;
}

static bool take_word(struct plain *plain, const char *word, size_t len)
{
	if ((size_t)(plain->end - plain->p) < len || memcmp(plain->p, word, len) != 0)
		return false;
	plain->p += len;
	return true;
}

static bool take_string(struct plain *plain)
{
	if (!take(plain, '"'))
		return false;
	while (plain->p < plain->end && *plain->p != '"') {
		unsigned char c = (unsigned char)*plain->p;
		size_t len =
		    c < 0x80 ? 1 : utf8_sequence(plain->p, (size_t)(plain->end - plain->p));
		if (len == 0 || c < 0x20 || c == 0x7F || c == '\\')
			return false;
		plain->p += len;
	}
	return take(plain, '"');
}

static bool take_integer(struct plain *plain)
{
	bool negative = take(plain, '-');
	const char *from = plain->p;
	while (plain->p < plain->end && *plain->p >= '0' && *plain->p <= '9')
		plain->p++;
	size_t digits = (size_t)(plain->p - from);
	return digits > 0 && digits <= DIGITS_MAX && (*from != '0' || (digits == 1 && !negative));
}

static bool take_members(struct plain *plain, struct json_span *members, size_t max, size_t *count);

static bool take_list(struct plain *plain);

static bool take_value(struct plain *plain, enum json_kind *kind)
{
	struct json_span nested[NESTED_MAX];
	size_t count;
	if (plain->p == plain->end)
		return false;
	switch (*plain->p) {
	case '"':
		*kind = JSON_STRING;
		return take_string(plain);
	case '{':
		*kind = JSON_OBJECT;
		return take_members(plain, nested, NESTED_MAX, &count);
	case '[':
		*kind = JSON_LIST;
		return take_list(plain);
	case 't':
		*kind = JSON_BOOL;
		return take_word(plain, "true", 4);
	case 'f':
		*kind = JSON_BOOL;
		return take_word(plain, "false", 5);
	case 'n':
		*kind = JSON_NULL;
		return take_word(plain, "null", 4);
	default:
		*kind = JSON_NUMBER;
		return take_integer(plain);
	}
}

static bool take_list(struct plain *plain)
{
	enum json_kind kind;
	if (!take(plain, '[') || ++plain->depth > DEPTH_MAX)
		return false;
	if (!take(plain, ']')) {
		do {
			if (!take_value(plain, &kind))
				return false;
		} while (take(plain, ','));
		if (!take(plain, ']'))
			return false;
	}
	plain->depth--;
	return true;
}

static bool is_doubled(const struct json_span *members, size_t last)
{
	for (size_t i = 0; i < last; i++) {
		if (members[i].name_len == members[last].name_len &&
		    memcmp(members[i].name, members[last].name, members[i].name_len) == 0)
			return true;
	}
	return false;
}

static bool take_member(struct plain *plain, struct json_span *member)
{
	member->name = plain->p + 1;
	if (!take_string(plain))
		return false;
	member->name_len = (size_t)(plain->p - member->name) - 1;
	if (!take(plain, ':'))
		return false;
	member->value = plain->p;
	if (!take_value(plain, &member->kind))
		return false;
	member->len = (size_t)(plain->p - member->value);
	return true;
}

static bool take_members(struct plain *plain, struct json_span *members, size_t max, size_t *count)
{
	*count = 0;
	if (!take(plain, '{') || ++plain->depth > DEPTH_MAX)
		return false;
	if (!take(plain, '}')) {
		do {
			if (*count == max || !take_member(plain, &members[*count]) ||
			    is_doubled(members, *count))
				return false;
			++*count;
		} while (take(plain, ','));
		if (!take(plain, '}'))
			return false;
	}
	plain->depth--;
	return true;
}

bool json_plain_members(const char *text, size_t len, struct json_span *members, size_t max,
                        size_t *count)
{
	struct plain plain = { .p = text, .end = text + len };
	return take_members(&plain, members, max, count) && plain.p == plain.end;
}
