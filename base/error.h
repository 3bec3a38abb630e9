/* error.h - what went wrong, in one code and one sentence.
 *
 * A function that can fail returns MUST_USE bool, takes `struct error *err` last, and changes its
 * outputs on success only. `err` is never NULL. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE            __attribute__((warn_unused_result))
#define PRINTF(text, first) __attribute__((format(printf, text, first)))
#define ARRAY_LEN(a)        (sizeof(a) / sizeof((a)[0]))

enum error_code {
	ERR_NONE,
	ERR_INVALID, /* the request is wrong whatever the state: name the field and the limit */
	ERR_NOT_FOUND,
	ERR_EXISTS,
	ERR_PRECONDITION, /* right in itself, but not in this state */
	ERR_CONFLICT,     /* somebody else was faster: load again and retry */
	ERR_TOO_LARGE,
	ERR_EXHAUSTED, /* a limit of rate, count or memory: retry later */
	ERR_DEADLINE,
	ERR_UNAVAILABLE, /* a service or Redis cannot be reached: retry later */
	ERR_CANCELLED,
	ERR_UNIMPLEMENTED,
	ERR_INTERNAL, /* our bug, or data that we cannot read */
	ERR_CODES
};

struct error {
	enum error_code code;
	char message[256];
};

/* Always returns false, so that `return error_set(...)` reads well. Long messages are cut, and what is
 * not UTF-8 is left out. */
bool error_set(struct error *err, enum error_code code, const char *format, ...) PRINTF(3, 4);
/* Puts "context: " before the message. Always returns false. */
bool error_wrap(struct error *err, const char *format, ...) PRINTF(2, 3);

const char *error_name(enum error_code code); /* "NOT_FOUND" */
int error_grpc_status(enum error_code code);
int error_http_status(enum error_code code);
enum error_code error_from_grpc(int status);
/* When the same request may succeed, for the client that is told of the error; 0: not by waiting. */
unsigned error_retry_after_ms(enum error_code code);

/* An invariant of ours; stays on in release builds. Prints where, then aborts. */
#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))
void assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#endif
