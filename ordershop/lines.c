#include "ordershop/lines.h"

#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *line_time(uint64_t ms, char text[LINE_TIME_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	size_t len =
	    strftime(text, LINE_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));

	snprintf(text + len, LINE_TIME_SIZE - len, ".%03u", (unsigned)(ms % 1000));
	return text;
}

const char *line_entry_time(struct entry_id id, char text[LINE_TIME_SIZE])
{
	size_t len = strlen(line_time(id.ms, text));

	snprintf(text + len, LINE_TIME_SIZE - len, "%03uZ", (unsigned)(id.us % 1000));
	return text;
}

void line_string(struct buffer *line, const char *name, const char *text)
{
	buffer_printf(line, "\"%s\":", name);
	json_write_string(line, text, strlen(text));
	buffer_putc(line, ',');
}

/* Between the members of JSON a line break is as good as a space; within strings there is none. */
static void put_json(struct buffer *line, const char *name, const char *text, bool only_object)
{
	enum json_kind kind;
	struct error err;
	size_t len = strlen(text);

	buffer_printf(line, "\"%s\":", name);
	if ((only_object && *text != '{') || !json_valid(text, len, &kind, &err)) {
		json_write_string(line, text, len);
		return;
	}
	char *place = buffer_extend(line, len);
	for (size_t i = 0; place && i < len; i++)
		place[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
}

void line_json(struct buffer *line, const char *name, const char *text)
{
	put_json(line, name, text, false);
}

void line_object(struct buffer *line, const char *name, const char *text)
{
	put_json(line, name, text, true);
}

const char *plural(uint64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

/* ---- For people -------------------------------------------------------------------------- */

/* Bytes of the control character that `text` begins with; 0: it is none. U+0080 to U+009F are some too. */
static size_t control_len(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;

	if (bytes[0] == 0xc2 && bytes[1] >= 0x80 && bytes[1] <= 0x9f)
		return 2;
	return bytes[0] < ' ' || bytes[0] == 0x7f;
}

void line_clean(struct buffer *out, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		size_t control = control_len(text);

		buffer_putc(out, control > 0 ? ' ' : *text);
		text += control > 0 ? control : 1;
	}
}

void line_print(const char *text)
{
	struct buffer line;

	buffer_init(&line, LINE_MAX_BYTES);
	line_clean(&line, text, strlen(text));
	puts(line.len > 0 ? line.bytes : "");
	buffer_free(&line);
}

void line_printf(const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	ASSERT(len >= 0);
	line_print(text);
	free(text);
}
