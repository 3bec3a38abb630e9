/* csv.h - comma-separated files, read by the names of their columns.
 *
 * The first line names the columns; they may come in any order, and others are skipped. Fields may
 * stand in quotes ("" is a quote within); a field does not span lines. Errors name file and line. */
#ifndef ORDERSHOP_CSV_H
#define ORDERSHOP_CSV_H

#include "base/error.h"

struct csv;

enum { CSV_COLUMNS_MAX = 16 };

/* `columns` are those to be read; each must be in the file. They must outlive the reader. */
MUST_USE bool csv_open(const char *path, const char *const *columns, size_t count, struct csv **out,
                       struct error *err);
void csv_close(struct csv *csv); /* NULL is fine */
/* Fills `fields` (count of csv_open) with the next line, until the next call. *end: there was none. */
MUST_USE bool csv_next(struct csv *csv, const char **fields, bool *end, struct error *err);
/* Puts "FILE:LINE: " before the message. Always returns false. */
bool csv_wrap(const struct csv *csv, struct error *err);

#endif
