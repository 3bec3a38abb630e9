/* buffer.h - bytes that grow up to a maximum.
 *
 * Appending past the maximum sets `overflow` and appends nothing more; check it once at the end.
 * `bytes` is NUL-terminated once something was appended. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/error.h"

struct buffer {
	char *bytes; /* owned; NULL while empty */
	size_t len;
	size_t capacity;
	size_t max;
	bool overflow;
};

void buffer_init(struct buffer *buffer, size_t max);
void buffer_free(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* empty again, memory kept */
/* As it was when it had `len` bytes: takes an overflow since then back. */
void buffer_cut(struct buffer *buffer, size_t len);
void buffer_append(struct buffer *buffer, const void *bytes, size_t len);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_putc(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF(2, 3);
/* Makes room for `len` bytes and returns where they go; NULL on overflow. buffer->len grows. */
char *buffer_extend(struct buffer *buffer, size_t len);

#endif
