#include "base/error.h"
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* gRPC status numbers: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
static const struct {
	const char *name;
	int grpc;
	int http;
	unsigned retry_after_ms;
} codes[ERR_CODES] = {
	[ERR_NONE] = { "OK", 0, 200 },
	[ERR_INVALID] = { "INVALID_ARGUMENT", 3, 400 },
	[ERR_NOT_FOUND] = { "NOT_FOUND", 5, 404 },
	[ERR_EXISTS] = { "ALREADY_EXISTS", 6, 409 },
	[ERR_PRECONDITION] = { "FAILED_PRECONDITION", 9, 409 },
	[ERR_CONFLICT] = { "ABORTED", 10, 409 },
	[ERR_TOO_LARGE] = { "OUT_OF_RANGE", 11, 413 },
	[ERR_EXHAUSTED] = { "RESOURCE_EXHAUSTED", 8, 429, 1000 },
	[ERR_DEADLINE] = { "DEADLINE_EXCEEDED", 4, 504 },
	[ERR_UNAVAILABLE] = { "UNAVAILABLE", 14, 503, 1000 },
	[ERR_CANCELLED] = { "CANCELLED", 1, 499 },
	[ERR_UNIMPLEMENTED] = { "UNIMPLEMENTED", 12, 501 },
	[ERR_INTERNAL] = { "INTERNAL", 13, 500 },
};

/* Bytes of the character at `text`; 0: none begins there. */
static size_t character_size(const char *text, size_t left)
{
	for (size_t size = 1; size <= 4 && size <= left; size++) {
		if (utf8_valid(text, size))
			return size;
	}
	return 0;
}

/* What was cut, here or by a "%.40s" of the caller, or came in another encoding, may hold parts of
 * characters, which gRPC clients cannot read. */
static void drop_broken_characters(char *text)
{
	size_t len = strlen(text), kept = 0;
	if (utf8_valid(text, len))
		return;
	for (size_t at = 0; at < len;) {
		size_t size = character_size(text + at, len - at);
		memmove(text + kept, text + at, size);
		kept += size;
		at += size > 0 ? size : 1;
	}
	text[kept] = '\0';
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	err->code = code;
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	drop_broken_characters(err->message);
	return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
	char context[sizeof(err->message)], cause[sizeof(err->message)];
	memcpy(cause, err->message, sizeof(cause));
	va_list args;
	va_start(args, format);
	vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	return error_set(err, err->code, "%s: %s", context, cause);
}

const char *error_name(enum error_code code)
{
	ASSERT(code < ERR_CODES);
	return codes[code].name;
}

int error_grpc_status(enum error_code code)
{
	ASSERT(code < ERR_CODES);
	return codes[code].grpc;
}

int error_http_status(enum error_code code)
{
	ASSERT(code < ERR_CODES);
	return codes[code].http;
}

unsigned error_retry_after_ms(enum error_code code)
{
	ASSERT(code < ERR_CODES);
	return codes[code].retry_after_ms;
}

enum error_code error_from_grpc(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].grpc == status)
			return (enum error_code)i;
	}
	return ERR_INTERNAL;
}

void assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "error event=assert condition=\"%s\" at=%s:%d\n", condition, file, line);
	abort();
}
