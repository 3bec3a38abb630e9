#include "domain/state_copy.h"

#include "base/error.h"

#include <string.h>

enum { ALIGNMENT = 16 };

static size_t aligned(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_pointer(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static size_t count_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return *(const size_t *)((const char *)message + field->quantifier_offset);
}

/* Of one element that is a pointer. */
static size_t element_size(const ProtobufCFieldDescriptor *field, const void *element)
{
	if (element == NULL || element == (const void *)protobuf_c_empty_string)
		return 0;
	return field->type == PROTOBUF_C_TYPE_STRING ? aligned(strlen(element) + 1)
	                                             : state_size(element);
}

size_t state_size(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	size_t size = aligned(type->sizeof_message);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (!is_pointer(field))
			continue;
		const void *const *at =
		    (const void *const *)((const char *)message + field->offset);
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			size += element_size(field, *at);
			continue;
		}
		size_t count = count_of(message, field);
		const void *const *elements = *at;
		size += aligned(count * sizeof(void *));
		for (size_t j = 0; j < count; j++)
			size += element_size(field, elements[j]);
	}
	return size;
}

static ProtobufCMessage *copy_to(char **place, const ProtobufCMessage *message);

static void *take(char **place, const void *from, size_t size)
{
	void *copy = *place;
	memcpy(copy, from, size);
	*place += aligned(size);
	return copy;
}

static void *copy_element(char **place, const ProtobufCFieldDescriptor *field, void *element)
{
	if (element == NULL || element == (void *)protobuf_c_empty_string)
		return element;
	return field->type == PROTOBUF_C_TYPE_STRING ? take(place, element, strlen(element) + 1)
	                                             : copy_to(place, element);
}

static ProtobufCMessage *copy_to(char **place, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	ProtobufCMessage *copy = take(place, message, type->sizeof_message);
	copy->n_unknown_fields = 0;
	copy->unknown_fields = NULL;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (!is_pointer(field)) {
			ASSERT(field->label != PROTOBUF_C_LABEL_REPEATED);
			continue;
		}
		void **at = (void **)((char *)copy + field->offset);
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			*at = copy_element(place, field, *at);
			continue;
		}
		size_t count = count_of(copy, field);
		if (count == 0)
			continue;
		void **elements = take(place, *at, count * sizeof(void *));
		*at = elements;
		for (size_t j = 0; j < count; j++)
			elements[j] = copy_element(place, field, elements[j]);
	}
	return copy;
}

ProtobufCMessage *state_copy(void *memory, const ProtobufCMessage *message)
{
	char *place = memory;
	return copy_to(&place, message);
}
