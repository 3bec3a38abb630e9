#include "ordershop/lines.h"

#include "base/json.h"

#include <stdio.h>
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

void line_json(struct buffer *line, const char *name, const char *text, char after)
{
	struct json *json;
	struct error err;

	buffer_printf(line, "\"%s\":", name);
	if (json_parse(text, strlen(text), &json, &err)) {
		json_write(line, json);
		json_free(json);
	} else {
		json_write_string(line, text, strlen(text));
	}
	buffer_putc(line, after);
}

void line_print(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
	putchar('\n');
}
