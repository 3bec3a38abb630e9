#include "domain/fold_state.h"

#include "base/json.h"

#include <string.h>

static bool value_equal(const ProtobufCFieldDescriptor *field, const void *a, const void *b)
{
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return memcmp(a, b, json_element_size(field->type)) == 0;
	const ProtobufCMessage *left = *(ProtobufCMessage *const *)a;
	const ProtobufCMessage *right = *(ProtobufCMessage *const *)b;
	if (left == NULL || right == NULL)
		return left == right;
	bool equal = true;
	for (unsigned i = 0; equal && i < left->descriptor->n_fields; i++)
		equal = state_field_equal(left, right, &left->descriptor->fields[i]);
	return equal;
}

bool state_field_equal(const ProtobufCMessage *a, const ProtobufCMessage *b,
                       const ProtobufCFieldDescriptor *field)
{
	const char *left = (const char *)a, *right = (const char *)b;
	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return value_equal(field, left + field->offset, right + field->offset);
	size_t count = *(const size_t *)(const void *)(left + field->quantifier_offset);
	if (count != *(const size_t *)(const void *)(right + field->quantifier_offset))
		return false;
	const char *lefts = *(const char *const *)(const void *)(left + field->offset);
	const char *rights = *(const char *const *)(const void *)(right + field->offset);
	size_t size = json_element_size(field->type);
	for (size_t i = 0; i < count; i++) {
		if (!value_equal(field, lefts + i * size, rights + i * size))
			return false;
	}
	return true;
}
