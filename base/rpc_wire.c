#include "base/rpc_wire.h"
#include "base/json.h"

#include <grpc/byte_buffer_reader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct rpc_letter {
	struct rpc_letter *prev, *next;
	grpc_slice slice;
};

void rpc_outbox_put(struct rpc_outbox *outbox, grpc_slice slice)
{
	struct rpc_letter *letter = malloc(sizeof(*letter));
	ASSERT(letter != NULL);
	letter->slice = slice;
	outbox->bytes += GRPC_SLICE_LENGTH(slice);
	DL_APPEND(outbox->first, letter);
}

void rpc_outbox_take(struct rpc_outbox *outbox, grpc_op *op)
{
	struct rpc_letter *letter = outbox->first;
	ASSERT(outbox->buffer == NULL);
	DL_DELETE(outbox->first, letter);
	outbox->writing = GRPC_SLICE_LENGTH(letter->slice);
	outbox->buffer = grpc_raw_byte_buffer_create(&letter->slice, 1);
	grpc_slice_unref(letter->slice);
	free(letter);
	op->op = GRPC_OP_SEND_MESSAGE;
	op->flags = outbox->first != NULL ? GRPC_WRITE_BUFFER_HINT : 0;
	op->data.send_message.send_message = outbox->buffer;
}

void rpc_outbox_started(struct rpc_outbox *outbox)
{
	if (outbox->buffer == NULL)
		return;
	grpc_byte_buffer_destroy(outbox->buffer);
	outbox->buffer = NULL;
}

void rpc_outbox_done(struct rpc_outbox *outbox)
{
	outbox->bytes -= outbox->writing;
	outbox->writing = 0;
}

void rpc_outbox_clear(struct rpc_outbox *outbox)
{
	struct rpc_letter *letter, *next;
	DL_FOREACH_SAFE(outbox->first, letter, next)
	{
		outbox->bytes -= GRPC_SLICE_LENGTH(letter->slice);
		grpc_slice_unref(letter->slice);
		free(letter);
	}
	outbox->first = NULL;
}

grpc_slice rpc_slice_pack(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	grpc_slice slice = grpc_slice_malloc(size);
	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	return slice;
}

ProtobufCMessage *rpc_unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *bytes,
                             ProtobufCAllocator *allocator)
{
	static const uint8_t nothing[1];
	grpc_byte_buffer_reader reader;
	if (bytes->data.raw.compression != GRPC_COMPRESS_NONE)
		return NULL;
	if (grpc_byte_buffer_length(bytes) == 0)
		return protobuf_c_message_unpack(type, allocator, 0, nothing);
	if (!grpc_byte_buffer_reader_init(&reader, bytes))
		return NULL;
	ProtobufCMessage *message;
	grpc_slice *only;
	if (bytes->data.raw.slice_buffer.count == 1 &&
	    grpc_byte_buffer_reader_peek(&reader, &only)) {
		message = protobuf_c_message_unpack(type, allocator, GRPC_SLICE_LENGTH(*only),
		                                    GRPC_SLICE_START_PTR(*only));
	} else {
		grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
		message = protobuf_c_message_unpack(type, allocator, GRPC_SLICE_LENGTH(all),
		                                    GRPC_SLICE_START_PTR(all));
		grpc_slice_unref(all);
	}
	grpc_byte_buffer_reader_destroy(&reader);
	return message;
}

static bool text_valid(const char *text)
{
	static const uint64_t high_bits = 0x8080808080808080;
	size_t len = strlen(text), at = 0;
	uint64_t word;
	for (; len - at >= sizeof(word); at += sizeof(word)) { /* nearly all text is ASCII */
		memcpy(&word, text + at, sizeof(word));
		if ((word & high_bits) != 0)
			break;
	}
	return utf8_valid(text + at, len - at);
}

/* Of one value of a field of strings or messages. */
static const ProtobufCFieldDescriptor *find_bad_value(const ProtobufCFieldDescriptor *field,
                                                      const void *value)
{
	if (value == NULL)
		return NULL;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return rpc_find_bad_text(value);
	return text_valid(value) ? NULL : field;
}

const ProtobufCFieldDescriptor *rpc_find_bad_text(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	const ProtobufCFieldDescriptor *bad = NULL;
	for (unsigned i = 0; i < type->n_fields && bad == NULL; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const char *place = (const char *)message + field->offset;
		const char *quantifier = (const char *)message + field->quantifier_offset;
		if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			void *const *values = *(void *const *const *)place;
			size_t count = *(const size_t *)quantifier;
			for (size_t k = 0; k < count && bad == NULL; k++)
				bad = find_bad_value(field, values[k]);
		} else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
		           *(const uint32_t *)quantifier == field->id) {
			bad = find_bad_value(field, *(void *const *)place);
		}
	}
	return bad;
}

char *rpc_method_path(const ProtobufCServiceDescriptor *service, const char *method)
{
	size_t size = strlen(service->name) + strlen(method) + 3;
	char *path = malloc(size);
	ASSERT(path != NULL);
	snprintf(path, size, "/%s/%s", service->name, method);
	return path;
}

void rpc_start_batch(grpc_call *call, const grpc_op *ops, size_t count, struct loop_tag *tag)
{
	grpc_call_error error = grpc_call_start_batch(call, ops, count, tag, NULL);
	ASSERT(error == GRPC_CALL_OK);
}
