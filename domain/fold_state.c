#include "domain/fold_state.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* Where the next part of the copy goes; counts only while `memory` is NULL. */
struct place {
	char *memory;
	size_t used;
};

static void *take(struct place *place, size_t size)
{
	char *at = place->memory == NULL ? NULL : place->memory + place->used;
	place->used += (size + 7) & ~(size_t)7;
	return at;
}

static void *copy_message(struct place *place, const ProtobufCMessage *message);

/* What a string or a message at `from` points to, for the pointer at `to`. */
static void copy_value(struct place *place, const ProtobufCFieldDescriptor *field, const void *from,
                       void *to)
{
	void *at;
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		const char *text = *(const char *const *)from;
		if (text == NULL || *text == '\0')
			at = (void *)protobuf_c_empty_string;
		else {
			size_t size = strlen(text) + 1;
			at = take(place, size);
			if (at != NULL)
				memcpy(at, text, size);
		}
	} else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *message = *(ProtobufCMessage *const *)from;
		at = message == NULL ? NULL : copy_message(place, message);
	} else {
		return;
	}
	if (to != NULL)
		*(void **)to = at;
}

static void copy_list(struct place *place, const ProtobufCFieldDescriptor *field, const char *from,
                      char *to)
{
	size_t count = *(const size_t *)(const void *)(from + field->quantifier_offset);
	const char *elements = *(const char *const *)(const void *)(from + field->offset);
	size_t size = json_element_size(field->type);
	char *list = take(place, count * size);
	if (to != NULL) {
		if (count > 0)
			memcpy(list, elements, count * size);
		*(char **)(void *)(to + field->offset) = list;
	}
	for (size_t i = 0; i < count; i++)
		copy_value(place, field, elements + i * size, to == NULL ? NULL : list + i * size);
}

static void *copy_message(struct place *place, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	const char *from = (const char *)message;
	char *to = take(place, type->sizeof_message);
	if (to != NULL) {
		memcpy(to, from, type->sizeof_message);
		((ProtobufCMessage *)(void *)to)->n_unknown_fields = 0;
		((ProtobufCMessage *)(void *)to)->unknown_fields = NULL;
	}
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			copy_list(place, field, from, to);
		else
			copy_value(place, field, from + field->offset,
			           to == NULL ? NULL : to + field->offset);
	}
	return to;
}

ProtobufCMessage *state_copy(const ProtobufCMessage *message)
{
	struct place place = { .memory = NULL };
	copy_message(&place, message);
	place.memory = malloc(place.used);
	ASSERT(place.memory != NULL);
	place.used = 0;
	return copy_message(&place, message);
}

/* ---- Comparison -------------------------------------------------------------------------- */

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
