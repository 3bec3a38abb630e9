#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer, size_t max)
{
	*buffer = (struct buffer){ .max = max };
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	buffer_init(buffer, buffer->max);
}

void buffer_clear(struct buffer *buffer)
{
	buffer_cut(buffer, 0);
}

void buffer_cut(struct buffer *buffer, size_t len)
{
	ASSERT(len <= buffer->len);
	buffer->len = len;
	buffer->overflow = false;
	if (buffer->bytes != NULL)
		buffer->bytes[len] = '\0';
}

static bool reserve(struct buffer *buffer, size_t len)
{
	if (buffer->overflow || len > buffer->max - buffer->len) {
		buffer->overflow = true;
		return false;
	}
	size_t needed = buffer->len + len + 1;
	if (needed <= buffer->capacity)
		return true;
	size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_CAPACITY;
	while (capacity < needed)
		capacity *= 2;
	char *bytes = realloc(buffer->bytes, capacity);
	ASSERT(bytes != NULL);
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return true;
}

char *buffer_extend(struct buffer *buffer, size_t len)
{
	if (!reserve(buffer, len))
		return NULL;
	char *place = buffer->bytes + buffer->len;
	buffer->len += len;
	buffer->bytes[buffer->len] = '\0';
	return place;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
	char *place = buffer_extend(buffer, len);
	if (place != NULL && len > 0)
		memcpy(place, bytes, len);
}

void buffer_puts(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_putc(struct buffer *buffer, char c)
{
	buffer_append(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	ASSERT(len >= 0);
	if (reserve(buffer, (size_t)len)) {
		vsnprintf(buffer->bytes + buffer->len, (size_t)len + 1, format, again);
		buffer->len += (size_t)len;
	}
	va_end(again);
}
