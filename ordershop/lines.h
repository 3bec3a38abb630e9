/* lines.h - what commands print line by line. */
#ifndef ORDERSHOP_LINES_H
#define ORDERSHOP_LINES_H

#include "base/buffer.h"
#include "base/id.h"

#include <stdint.h>

enum { LINE_TIME_SIZE = 48, LINE_MAX_BYTES = 16 * 1024 * 1024 };

/* "2024-05-01T12:30:00.123", as UTC without its Z, so that digits may follow. Returns `text`. */
const char *line_time(uint64_t ms, char text[LINE_TIME_SIZE]);
/* The time of an entry: "2024-05-01T12:30:00.123456Z". Returns `text`. */
const char *line_entry_time(struct entry_id id, char text[LINE_TIME_SIZE]);
/* `"name":"text",` */
void line_string(struct buffer *line, const char *name, const char *text);
/* `"name":text`. JSON goes in as it is, so that the line can be queried, but for line breaks between its members,
 * which become spaces; anything else as a string. */
void line_json(struct buffer *line, const char *name, const char *text);
/* The same, but only an object goes in as it is. */
void line_object(struct buffer *line, const char *name, const char *text);

/* The noun after `count` of them. */
const char *plural(uint64_t count, const char *one, const char *many);

/* For people: control characters, which would move their terminal, become spaces. Printed with a line break. */
void line_print(const char *text);
void line_printf(const char *format, ...) PRINTF(1, 2);
void line_clean(struct buffer *out, const char *text, size_t len);

#endif
