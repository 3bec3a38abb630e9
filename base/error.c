#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* gRPC status numbers: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
static const struct {
	const char *name;
	int grpc;
	int http;
} codes[ERR_CODES] = {
	[ERR_NONE] = { "OK", 0, 200 },
	[ERR_INVALID] = { "INVALID_ARGUMENT", 3, 400 },
	[ERR_NOT_FOUND] = { "NOT_FOUND", 5, 404 },
	[ERR_EXISTS] = { "ALREADY_EXISTS", 6, 409 },
	[ERR_PRECONDITION] = { "FAILED_PRECONDITION", 9, 409 },
	[ERR_CONFLICT] = { "ABORTED", 10, 409 },
	[ERR_TOO_LARGE] = { "OUT_OF_RANGE", 11, 413 },
	[ERR_EXHAUSTED] = { "RESOURCE_EXHAUSTED", 8, 429 },
	[ERR_DEADLINE] = { "DEADLINE_EXCEEDED", 4, 504 },
	[ERR_UNAVAILABLE] = { "UNAVAILABLE", 14, 503 },
	[ERR_CANCELLED] = { "CANCELLED", 1, 499 },
	[ERR_UNIMPLEMENTED] = { "UNIMPLEMENTED", 12, 501 },
	[ERR_INTERNAL] = { "INTERNAL", 13, 500 },
};

/* The message goes to clients as UTF-8: when it was cut, no half character may stay at its end. */
static void finish_cut(struct error *err, bool cut)
{
	size_t len = strlen(err->message);
	size_t from = len;
	while (cut && from > 0 && len - from < 4) {
		unsigned char c = (unsigned char)err->message[--from];
		if (c < 0x80)
			return;
		if (c >= 0xC0) {
			size_t needed = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
			if (from + needed > len)
				err->message[from] = '\0';
			return;
		}
	}
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	err->code = code;
	int len = vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	finish_cut(err, len >= (int)sizeof(err->message));
	return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
	char cause[sizeof(err->message)];
	memcpy(cause, err->message, sizeof(cause));
	va_list args;
	va_start(args, format);
	int used = vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	if (used >= 0 && (size_t)used < sizeof(err->message))
		used += snprintf(err->message + used, sizeof(err->message) - (size_t)used, ": %s",
		                 cause);
	finish_cut(err, used >= (int)sizeof(err->message));
	return false;
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
