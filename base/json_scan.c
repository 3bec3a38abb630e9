/* cJSON accepts more than JSON (control characters, "01", a byte order mark) and knows no UTF-8;
 * this pass over the text refuses all that before cJSON sees it. */
#include "base/json_internal.h"

#include <stdlib.h>
#include <string.h>

/* cJSON copies a number into 64 bytes and would read a longer one as two. */
enum { NUMBER_MAX_BYTES = 63, SHORT_INTEGER_BYTES = 15 };

struct scan {
	const char *begin;
	const char *p;
	const char *end;
	struct json_numbers *numbers;
	size_t number_count;
	int depth;
	struct error *err;
};

static bool scan_value(struct scan *scan);

size_t utf8_sequence(const char *p, size_t left)
{
	const unsigned char *b = (const unsigned char *)p;
	if (left == 0)
		return 0;
	if (b[0] < 0x80)
		return 1;
	size_t len = b[0] < 0xC2 ? 0 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : b[0] < 0xF5 ? 4 : 0;
	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xC0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((b[0] == 0xE0 && b[1] < 0xA0) || (b[0] == 0xED && b[1] > 0x9F) ||
	    (b[0] == 0xF0 && b[1] < 0x90) || (b[0] == 0xF4 && b[1] > 0x8F))
		return 0;
	return len;
}

bool utf8_valid(const char *bytes, size_t len)
{
	while (len > 0) {
		size_t step = *bytes == '\0' ? 0 : utf8_sequence(bytes, len);
		if (step == 0)
			return false;
		bytes += step;
		len -= step;
	}
	return true;
}

/* Lines and columns count from 1, columns in characters. */
static bool fail(const struct scan *scan, const char *what)
{
	unsigned line = 1, column = 1;
	for (const char *p = scan->begin; p < scan->p; p++) {
		if (*p == '\n') {
			line++;
			column = 1;
		} else if ((*p & 0xC0) != 0x80) {
			column++;
		}
	}
	return error_set(scan->err, ERR_INVALID, "not valid JSON at line %u, column %u: %s", line,
	                 column, what);
}

static void skip_space(struct scan *scan)
{
	while (scan->p < scan->end &&
	       (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\t' || *scan->p == '\r'))
		scan->p++;
}

/* The next character that is no space; 0 at the end. */
static char look(struct scan *scan)
{
	skip_space(scan);
	return scan->p < scan->end ? *scan->p : '\0';
}

static int hex4(const char *p, const char *end)
{
	if (end - p < 4)
		return -1;
	int value = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		            : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                                   : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static bool scan_unicode_escape(struct scan *scan)
{
	int unit = hex4(scan->p + 2, scan->end);
	if (unit < 0)
		return fail(scan, "\\u needs four hexadecimal digits");
	if (unit == 0)
		return fail(scan, "\\u0000 is not allowed");
	if (unit >= 0xDC00 && unit <= 0xDFFF)
		return fail(scan, "second half of a surrogate pair without the first");
	size_t len = 6;
	if (unit >= 0xD800 && unit <= 0xDBFF) {
		const char *low = scan->p + 6;
		int second = scan->end - low >= 6 && low[0] == '\\' && low[1] == 'u'
		                 ? hex4(low + 2, scan->end)
		                 : -1;
		if (second < 0xDC00 || second > 0xDFFF)
			return fail(scan, "first half of a surrogate pair without the second");
		len = 12;
	}
	scan->p += len;
	return true;
}

static bool scan_escape(struct scan *scan)
{
	char c = scan->p + 1 < scan->end ? scan->p[1] : '\0';
	if (c == 'u')
		return scan_unicode_escape(scan);
	if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
		return fail(scan, "unknown escape after \\");
	scan->p += 2;
	return true;
}

static bool scan_string(struct scan *scan)
{
	scan->p++;
	while (scan->p < scan->end) {
		unsigned char c = (unsigned char)*scan->p;
		if (c == '"') {
			scan->p++;
			return true;
		}
		if (c == '\\') {
			if (!scan_escape(scan))
				return false;
		} else if (c < 0x20) {
			return fail(scan, "control character in a string, write it as \\u00XX");
		} else if (c < 0x80) {
			scan->p++;
		} else {
			size_t len = utf8_sequence(scan->p, (size_t)(scan->end - scan->p));
			if (len == 0)
				return fail(scan, "not valid UTF-8");
			scan->p += len;
		}
	}
	return fail(scan, "the text ends within a string");
}

static bool scan_digits(struct scan *scan)
{
	const char *from = scan->p;
	while (scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9')
		scan->p++;
	return scan->p > from ? true : fail(scan, "expected a digit");
}

static bool at(const struct scan *scan, char c)
{
	return scan->p < scan->end && *scan->p == c;
}

static void keep_number(struct json_numbers *numbers, size_t ordinal, const char *text, size_t len)
{
	if (numbers->count == numbers->capacity) {
		numbers->capacity = numbers->capacity > 0 ? 2 * numbers->capacity : 8;
		numbers->kept = realloc(numbers->kept, numbers->capacity * sizeof(*numbers->kept));
		ASSERT(numbers->kept != NULL);
	}
	numbers->kept[numbers->count++] =
	    (struct json_kept){ .ordinal = ordinal, .text = text, .len = len };
}

static bool scan_number(struct scan *scan)
{
	const char *from = scan->p;
	bool integer = true;
	if (at(scan, '-'))
		scan->p++;
	if (at(scan, '0')) {
		scan->p++;
		if (scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9')
			return fail(scan, "a number must not start with 0");
	} else if (!scan_digits(scan)) {
		return false;
	}
	if (at(scan, '.')) {
		integer = false;
		scan->p++;
		if (!scan_digits(scan))
			return false;
	}
	if (at(scan, 'e') || at(scan, 'E')) {
		integer = false;
		scan->p++;
		if (at(scan, '+') || at(scan, '-'))
			scan->p++;
		if (!scan_digits(scan))
			return false;
	}
	size_t len = (size_t)(scan->p - from);
	if (len > NUMBER_MAX_BYTES) {
		scan->p = from;
		return fail(scan, "a number has at most 63 characters");
	}
	if (!integer || len > SHORT_INTEGER_BYTES)
		keep_number(scan->numbers, scan->number_count, from, len);
	scan->number_count++;
	return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(scan->end - scan->p) < len || memcmp(scan->p, word, len) != 0)
		return fail(scan, "expected a value");
	scan->p += len;
	return true;
}

static bool scan_members(struct scan *scan)
{
	if (look(scan) == '}') {
		scan->p++;
		return true;
	}
	for (;;) {
		if (look(scan) != '"')
			return fail(scan, "expected a member name in double quotes");
		if (!scan_string(scan))
			return false;
		if (look(scan) != ':')
			return fail(scan, "expected ':'");
		scan->p++;
		if (!scan_value(scan))
			return false;
		char c = look(scan);
		if (c != ',' && c != '}')
			return fail(scan, "expected ',' or '}'");
		scan->p++;
		if (c == '}')
			return true;
	}
}

static bool scan_elements(struct scan *scan)
{
	if (look(scan) == ']') {
		scan->p++;
		return true;
	}
	for (;;) {
		if (!scan_value(scan))
			return false;
		char c = look(scan);
		if (c != ',' && c != ']')
			return fail(scan, "expected ',' or ']'");
		scan->p++;
		if (c == ']')
			return true;
	}
}

static bool scan_value(struct scan *scan)
{
	char c = look(scan);
	switch (c) {
	case '"':
		return scan_string(scan);
	case '{':
	case '[':
		if (++scan->depth > JSON_DEPTH_MAX)
			return fail(scan, "nested deeper than 32");
		scan->p++;
		if (!(c == '{' ? scan_members(scan) : scan_elements(scan)))
			return false;
		scan->depth--;
		return true;
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	default:
		if (c == '-' || (c >= '0' && c <= '9'))
			return scan_number(scan);
		return fail(scan, scan->p < scan->end ? "expected a value"
		                                      : "the text ends where a value should be");
	}
}

bool json_scan(const char *text, size_t len, struct json_numbers *numbers, struct error *err)
{
	struct scan scan = {
		.begin = text, .p = text, .end = text + len, .numbers = numbers, .err = err
	};
	if (!scan_value(&scan))
		return false;
	skip_space(&scan);
	return scan.p == scan.end ? true : fail(&scan, "expected nothing more after the value");
}
