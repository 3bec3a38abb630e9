/* Text -> value -> text gives the same value, of a plain text the very same text; what fits a message of ours comes
 * back out of it. */
#include "tests/fuzz/fuzz.h"
#include "base/json.h"
#include "proto/entities.pb-c.h"

#include <string.h>

enum { TEXT_MAX = 64 * 1024 * 1024 };

static const ProtobufCMessageDescriptor *const types[] = {
	&shop__customer__descriptor, &shop__product__descriptor, &shop__inventory__descriptor,
	&shop__cart__descriptor,     &shop__order__descriptor,   &shop__billing__descriptor,
	&shop__shipping__descriptor, &shop__mail__descriptor,
};

static void check_message(const struct json *value, const ProtobufCMessageDescriptor *type,
                          bool allow_unknown)
{
	struct arena *arena = arena_create();
	struct error err;
	ProtobufCMessage *message, *again;
	json_fields present;
	if (json_read_message(value, type, arena, allow_unknown, &present, &message, &err)) {
		struct buffer first, second;
		struct json *json;
		buffer_init(&first, TEXT_MAX);
		buffer_init(&second, TEXT_MAX);
		json_write_message(&first, message);
		ASSERT(json_parse(first.bytes, first.len, &json, &err));
		ASSERT(json_read_message(json, type, arena, false, NULL, &again, &err));
		json_write_message(&second, again);
		ASSERT(first.len == second.len &&
		       memcmp(first.bytes, second.bytes, first.len) == 0);
		json_free(json);
		buffer_free(&first);
		buffer_free(&second);
	} else {
		fuzz_check_error(&err);
	}
	arena_destroy(arena);
}

static void check_plain(const struct json *value, const char *text, size_t len)
{
	struct buffer out;
	buffer_init(&out, TEXT_MAX);
	json_write(&out, value);
	ASSERT(out.len == len && memcmp(out.bytes, text, len) == 0);
	buffer_free(&out);
}

static void check_text(const struct json *value)
{
	struct buffer first, second;
	struct json *json;
	struct error err;
	buffer_init(&first, TEXT_MAX);
	buffer_init(&second, TEXT_MAX);
	json_write(&first, value);
	ASSERT(json_parse(first.bytes, first.len, &json, &err));
	json_write(&second, json);
	ASSERT(first.len == second.len && memcmp(first.bytes, second.bytes, first.len) == 0);
	json_free(json);
	buffer_free(&first);
	buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct json *json;
	struct error err, ignored;
	enum json_kind kind;
	struct json_span members[32];
	size_t count;
	bool plain =
	    json_plain_members((const char *)bytes, len, members, ARRAY_LEN(members), &count);
	bool valid = json_valid((const char *)bytes, len, &kind, &ignored);
	if (!json_parse((const char *)bytes, len, &json, &err)) {
		ASSERT(!plain);
		fuzz_check_error(&err);
		return 0;
	}
	if (plain)
		check_plain(json, (const char *)bytes, len);
	ASSERT(valid && kind == json_kind(json));
	check_text(json);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		check_message(json, types[i], false);
		check_message(json, types[i], true);
	}
	json_free(json);
	return 0;
}
