#include "base/json_internal.h"

#include <math.h>
#include <string.h>

/* What becomes of a byte within a string: 0 itself, 1 \u00XX, 2 part of a UTF-8 sequence, else a
 * backslash and this. */
enum { PLAIN, CODE, SEQUENCE };
static const unsigned char escapes[256] = {
	[0x00 ... 0x07] = CODE, ['\b'] = 'b',           ['\t'] = 't',
	['\n'] = 'n',           [0x0B] = CODE,          ['\f'] = 'f',
	['\r'] = 'r',           [0x0E ... 0x1F] = CODE, ['"'] = '"',
	['\\'] = '\\',          [0x7F] = CODE,          [0x80 ... 0xFF] = SEQUENCE,
};

void json_write_string(struct buffer *out, const char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	buffer_putc(out, '"');
	size_t from = 0, i = 0;
	while (i < len) {
		unsigned char c = (unsigned char)text[i];
		unsigned char escape = escapes[c];
		if (escape == PLAIN) {
			i++;
			continue;
		}
		size_t sequence = escape == SEQUENCE ? utf8_sequence(text + i, len - i) : 0;
		if (sequence > 0) {
			i += sequence;
			continue;
		}
		buffer_append(out, text + from, i - from);
		if (escape == SEQUENCE) {
			/* Never make invalid JSON, whatever came in. */
			buffer_append(out, "\\ufffd", 6);
		} else if (escape == CODE) {
			char code[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };
			buffer_append(out, code, sizeof(code));
		} else {
			char pair[2] = { '\\', (char)escape };
			buffer_append(out, pair, sizeof(pair));
		}
		from = ++i;
	}
	buffer_append(out, text + from, len - from);
	buffer_putc(out, '"');
}

static void write_unsigned(struct buffer *out, uint64_t value, bool negative)
{
	char text[24];
	size_t at = sizeof(text);
	bool quoted = value > (uint64_t)JSON_SAFE_INTEGER;
	if (quoted)
		text[--at] = '"';
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	if (negative)
		text[--at] = '-';
	if (quoted)
		text[--at] = '"';
	buffer_append(out, text + at, sizeof(text) - at);
}

static void write_signed(struct buffer *out, int64_t value)
{
	write_unsigned(out, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
}

static void write_double(struct buffer *out, double value)
{
	if (!isfinite(value))
		buffer_puts(out, "null");
	else if (value == trunc(value) && fabs(value) <= (double)JSON_SAFE_INTEGER)
		write_signed(out, (int64_t)value);
	else
		buffer_printf(out, "%.17g", value);
}

static void write_list(struct buffer *out, const cJSON *list)
{
	char opening = '[', closing = ']';
	if (cJSON_IsObject(list)) {
		opening = '{';
		closing = '}';
	}
	buffer_putc(out, opening);
	for (const cJSON *child = list->child; child != NULL; child = child->next) {
		if (child != list->child)
			buffer_putc(out, ',');
		if (child->string != NULL) {
			json_write_string(out, child->string, strlen(child->string));
			buffer_putc(out, ':');
		}
		json_write(out, json_of(child));
	}
	buffer_putc(out, closing);
}

void json_write(struct buffer *out, const struct json *value)
{
	const cJSON *node = node_of(value);
	switch (json_kind(value)) {
	case JSON_NULL:
		buffer_append(out, "null", 4);
		break;
	case JSON_BOOL:
		buffer_puts(out, cJSON_IsTrue(node) ? "true" : "false");
		break;
	case JSON_NUMBER:
		if (node->valuestring != NULL)
			buffer_puts(out, node->valuestring);
		else
			write_double(out, node->valuedouble);
		break;
	case JSON_STRING:
		json_write_string(out, node->valuestring, strlen(node->valuestring));
		break;
	case JSON_LIST:
	case JSON_OBJECT:
		write_list(out, node);
		break;
	}
}

static void write_enum(struct buffer *out, const ProtobufCFieldDescriptor *field, int32_t value)
{
	const ProtobufCEnumValue *named =
	    protobuf_c_enum_descriptor_get_value(field->descriptor, value);
	if (named != NULL)
		json_write_string(out, named->name, strlen(named->name));
	else
		write_signed(out, value);
}

/* One value at `at`: a field, or an element of a repeated one. */
static void write_value(struct buffer *out, const ProtobufCFieldDescriptor *field, const void *at)
{
	const char *text;
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		write_signed(out, *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		write_signed(out, *(const int64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		write_unsigned(out, *(const uint32_t *)at, false);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		write_unsigned(out, *(const uint64_t *)at, false);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		write_double(out, (double)*(const float *)at);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		write_double(out, *(const double *)at);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		buffer_puts(out, *(const protobuf_c_boolean *)at ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(out, field, *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_STRING:
		text = *(const char *const *)at;
		json_write_string(out, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		json_write_message(out, *(const ProtobufCMessage *const *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		ASSERT(!"no message with bytes is written as JSON");
	}
}

void json_write_field(struct buffer *out, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
	const char *at = (const char *)message + field->offset;
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		write_value(out, field, at);
		return;
	}
	size_t count =
	    *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
	const char *elements = *(const char *const *)(const void *)at;
	size_t size = json_element_size(field->type);
	buffer_putc(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_putc(out, ',');
		write_value(out, field, elements + i * size);
	}
	buffer_putc(out, ']');
}

/* Is there something to write: not so for a message that is not there and for the other members
 * of a oneof. */
static bool field_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
	    *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
		return false;
	return field->label == PROTOBUF_C_LABEL_REPEATED ||
	       field->type != PROTOBUF_C_TYPE_MESSAGE ||
	       *(const void *const *)(const void *)(base + field->offset) != NULL;
}

void json_write_message(struct buffer *out, const ProtobufCMessage *message)
{
	char opening = '{';
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = message->descriptor->fields + i;
		if (!field_present(message, field))
			continue;
		buffer_putc(out, opening);
		opening = ',';
		buffer_putc(out, '"');
		buffer_puts(out, field->name);
		buffer_append(out, "\":", 2);
		json_write_field(out, message, field);
	}
	buffer_puts(out, opening == '{' ? "{}" : "}");
}
