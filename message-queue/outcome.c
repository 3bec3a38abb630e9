#include "message-queue/outcome.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { GRPC_UNKNOWN = 2 };

static char *packed(const Mq__Result *result, size_t *len)
{
	size_t size = protobuf_c_message_get_packed_size(&result->base);
	char *outcome = malloc(1 + size);
	ASSERT(outcome != NULL);
	outcome[0] = 'R';
	protobuf_c_message_pack(&result->base, (uint8_t *)outcome + 1);
	*len = 1 + size;
	return outcome;
}

static bool result_check(const char *text, struct error *err)
{
	size_t len = strlen(text);
	if (len > OUTCOME_RESULT_MAX)
		return error_set(err, ERR_TOO_LARGE,
		                 "the consumer's result has %zu bytes, at most %d are allowed", len,
		                 OUTCOME_RESULT_MAX);
	enum json_kind kind;
	if (json_valid(text, len, &kind, err))
		return true;
	err->code = ERR_INTERNAL;
	return error_wrap(err, "the consumer's result");
}

char *outcome_from_result(const Mq__Result *result, size_t *len)
{
	struct error err;
	Mq__Result copy = *result;
	Mq__Error failure = MQ__ERROR__INIT;
	if (copy.error != NULL)
		return packed(&copy, len);
	if (copy.result[0] == '\0') {
		copy.result = "null";
	} else if (!result_check(copy.result, &err)) {
		failure.code = (uint32_t)error_grpc_status(err.code);
		failure.message = err.message;
		copy.result = "";
		copy.error = &failure;
	}
	return packed(&copy, len);
}

char *outcome_from_response(const char *text, size_t text_len, size_t *len)
{
	char *outcome = malloc(1 + text_len);
	ASSERT(outcome != NULL);
	outcome[0] = 'L';
	memcpy(outcome + 1, text, text_len);
	*len = 1 + text_len;
	return outcome;
}

static Mq__Result *make_result(struct arena *arena, uint32_t code, const char *text)
{
	Mq__Result *result = arena_alloc(arena, sizeof(*result));
	*result = (Mq__Result)MQ__RESULT__INIT;
	if (code == 0) {
		result->result = arena_strdup(arena, text);
		return result;
	}
	result->error = arena_alloc(arena, sizeof(*result->error));
	*result->error = (Mq__Error)MQ__ERROR__INIT;
	result->error->code = code;
	result->error->message = arena_strdup(arena, text);
	return result;
}

Mq__Result *outcome_error(const struct error *err, struct arena *arena)
{
	return make_result(arena, (uint32_t)error_grpc_status(err->code), err->message);
}

static Mq__Result *read_response(const char *text, size_t len, struct arena *arena)
{
	struct error err;
	struct json *json = NULL;
	if (!json_parse(text, len, &json, &err))
		return make_result(arena, GRPC_UNKNOWN, "the service's response is not JSON");
	const struct json *root = json;
	const struct json *error = json_member(root, "error");
	const struct json *value = json_member(root, "result");
	Mq__Result *result;
	struct buffer out;
	buffer_init(&out, OUTCOME_RESULT_MAX);
	if (error != NULL && json_text(error) != NULL) {
		result = make_result(arena, GRPC_UNKNOWN, json_text(error));
	} else {
		json_write(&out, error != NULL ? error : value != NULL ? value : root);
		result = make_result(arena, error != NULL ? GRPC_UNKNOWN : 0,
		                     out.bytes != NULL ? out.bytes : "null");
	}
	buffer_free(&out);
	json_free(json);
	return result;
}

Mq__Result *outcome_result(const char *outcome, size_t len, struct arena *arena)
{
	if (len > 0 && outcome[0] == 'L')
		return read_response(outcome + 1, len - 1, arena);
	Mq__Result *result = NULL;
	if (len > 0 && outcome[0] == 'R')
		result = (Mq__Result *)protobuf_c_message_unpack(&mq__result__descriptor,
		                                                 arena_allocator(arena), len - 1,
		                                                 (const uint8_t *)outcome + 1);
	if (result == NULL)
		result = make_result(arena, (uint32_t)error_grpc_status(ERR_INTERNAL),
		                     "the stored outcome cannot be read");
	return result;
}

void outcome_error_response(struct buffer *out, const char *message)
{
	buffer_puts(out, "{\"error\": ");
	json_write_string(out, message, strlen(message));
	buffer_putc(out, '}');
}

void outcome_response(struct buffer *out, const char *outcome, size_t len)
{
	if (len > 0 && outcome[0] == 'L') {
		buffer_append(out, outcome + 1, len - 1);
		return;
	}
	struct arena *arena = arena_create();
	const Mq__Result *result = outcome_result(outcome, len, arena);
	if (result->error != NULL) {
		outcome_error_response(out, result->error->message);
	} else {
		buffer_puts(out, "{\"result\": ");
		buffer_puts(out, result->result);
		buffer_putc(out, '}');
	}
	arena_destroy(arena);
}
