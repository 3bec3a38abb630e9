#include "base/json_internal.h"

#include <string.h>

/* What all levels of one reading share. */
struct reading {
	struct arena *arena;
	bool allow_unknown;
	struct error *err;
};

static bool read_object(const struct reading *reading, const struct json *value,
                        const ProtobufCMessageDescriptor *type, const struct json_path *path,
                        json_fields *present, ProtobufCMessage **out);

/* Puts the path before what is in the error already. */
static bool fail_at(const struct reading *reading, const struct json_path *path)
{
	char where[JSON_PATH_SIZE];
	json_path_format(path, where);
	return where[0] == '\0' ? false : error_wrap(reading->err, "%s", where);
}

static bool fail_kind(const struct reading *reading, const struct json_path *path,
                      const char *wanted, const struct json *value)
{
	error_set(reading->err, ERR_INVALID, "must be %s, is %s", wanted,
	          json_kind_name(json_kind(value)));
	return fail_at(reading, path);
}

static bool fail_enum(const struct reading *reading, const struct json_path *path,
                      const ProtobufCEnumDescriptor *type, const struct json *value)
{
	struct buffer names;
	char clip[JSON_CLIP_SIZE];
	buffer_init(&names, 160);
	for (unsigned i = 0; i < type->n_values; i++)
		buffer_printf(&names, "%s%s", i > 0 ? ", " : "", type->values[i].name);
	if (json_kind(value) == JSON_STRING)
		error_set(reading->err, ERR_INVALID, "must be one of %s, is \"%s\"", names.bytes,
		          json_clip(json_text(value), clip));
	else
		error_set(reading->err, ERR_INVALID, "must be one of %s, is %s", names.bytes,
		          json_kind_name(json_kind(value)));
	buffer_free(&names);
	return fail_at(reading, path);
}

static bool read_integer(const struct reading *reading, const struct json *value,
                         const struct json_path *path, int64_t min, int64_t max, int64_t *out)
{
	int64_t number;
	if (!json_integer(value, &number, reading->err))
		return fail_at(reading, path);
	if (number < min || number > max) {
		error_set(reading->err, ERR_INVALID, "must be %lld to %lld, is %lld",
		          (long long)min, (long long)max, (long long)number);
		return fail_at(reading, path);
	}
	*out = number;
	return true;
}

/* One value to `at`: a field, or an element of a repeated one. */
static bool read_value(const struct reading *reading, const struct json *value,
                       const ProtobufCFieldDescriptor *field, const struct json_path *path,
                       void *at)
{
	const ProtobufCEnumValue *named;
	int64_t number = 0;
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		if (!read_integer(reading, value, path, INT32_MIN, INT32_MAX, &number))
			return false;
		*(int32_t *)at = (int32_t)number;
		return true;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (!read_integer(reading, value, path, 0, UINT32_MAX, &number))
			return false;
		*(uint32_t *)at = (uint32_t)number;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return read_integer(reading, value, path, INT64_MIN, INT64_MAX, at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		if (!read_integer(reading, value, path, 0, INT64_MAX, &number))
			return false;
		*(uint64_t *)at = (uint64_t)number;
		return true;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		if (json_kind(value) != JSON_NUMBER)
			return fail_kind(reading, path, "a number", value);
		if (field->type == PROTOBUF_C_TYPE_FLOAT)
			*(float *)at = (float)json_number(value);
		else
			*(double *)at = json_number(value);
		return true;
	case PROTOBUF_C_TYPE_BOOL:
		if (json_kind(value) != JSON_BOOL)
			return fail_kind(reading, path, "true or false", value);
		*(protobuf_c_boolean *)at = cJSON_IsTrue(node_of(value)) != 0;
		return true;
	case PROTOBUF_C_TYPE_ENUM:
		named = json_kind(value) == JSON_STRING
		            ? protobuf_c_enum_descriptor_get_value_by_name(field->descriptor,
		                                                           json_text(value))
		            : NULL;
		if (named == NULL)
			return fail_enum(reading, path, field->descriptor, value);
		*(int32_t *)at = named->value;
		return true;
	case PROTOBUF_C_TYPE_STRING:
		if (json_kind(value) != JSON_STRING)
			return fail_kind(reading, path, "a string", value);
		*(char **)at = arena_strdup(reading->arena, json_text(value));
		return true;
	case PROTOBUF_C_TYPE_MESSAGE:
		return read_object(reading, value, field->descriptor, path, NULL, at);
	case PROTOBUF_C_TYPE_BYTES:
		break;
	}
	ASSERT(!"no message with bytes is read from JSON");
}

static bool read_list(const struct reading *reading, const struct json *value,
                      const ProtobufCFieldDescriptor *field, const struct json_path *path,
                      char *message)
{
	if (json_kind(value) != JSON_LIST)
		return fail_kind(reading, path, "a list", value);
	size_t count = json_count(value);
	size_t size = json_element_size(field->type);
	char *elements = count > 0 ? arena_zalloc(reading->arena, count * size) : NULL;
	size_t i = 0;
	for (const struct json *e = json_first(value); e != NULL; e = json_next(e), i++) {
		struct json_path step = { .up = path, .index = i };
		if (!read_value(reading, e, field, &step, elements + i * size))
			return false;
	}
	*(size_t *)(void *)(message + field->quantifier_offset) = count;
	*(char **)(void *)(message + field->offset) = elements;
	return true;
}

static bool read_member(const struct reading *reading, const struct json *value,
                        const ProtobufCFieldDescriptor *field, const struct json_path *path,
                        char *message)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(reading, value, field, path, message);
	if (!read_value(reading, value, field, path, message + field->offset))
		return false;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		*(uint32_t *)(void *)(message + field->quantifier_offset) = field->id;
	return true;
}

static bool read_object(const struct reading *reading, const struct json *value,
                        const ProtobufCMessageDescriptor *type, const struct json_path *path,
                        json_fields *present, ProtobufCMessage **out)
{
	if (json_kind(value) != JSON_OBJECT)
		return fail_kind(reading, path, "an object", value);
	ASSERT(type->n_fields <= 64);
	ProtobufCMessage *message = arena_alloc(reading->arena, type->sizeof_message);
	protobuf_c_message_init(type, message);
	json_fields seen = 0;
	for (const struct json *m = json_first(value); m != NULL; m = json_next(m)) {
		struct json_path step = { .up = path, .name = json_name(m) };
		const ProtobufCFieldDescriptor *field =
		    protobuf_c_message_descriptor_get_field_by_name(type, json_name(m));
		if (field == NULL) {
			if (reading->allow_unknown)
				continue;
			error_set(reading->err, ERR_INVALID, "is not a field of %s",
			          type->short_name);
			return fail_at(reading, &step);
		}
		if (!read_member(reading, m, field, &step, (char *)message))
			return false;
		seen |= (json_fields)1 << (field - type->fields);
	}
	if (present != NULL)
		*present = seen;
	*out = message;
	return true;
}

size_t json_element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	default:
		return 4;
	}
}

bool json_read_message(const struct json *value, const ProtobufCMessageDescriptor *type,
                       struct arena *arena, bool allow_unknown, json_fields *present,
                       ProtobufCMessage **out, struct error *err)
{
	struct reading reading = { .arena = arena, .allow_unknown = allow_unknown, .err = err };
	return read_object(&reading, value, type, NULL, present, out);
}
