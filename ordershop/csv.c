#include "ordershop/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 64 };

struct csv {
	FILE *file;
	char *path;
	char *line; /* of getline; its fields are cut in place */
	size_t capacity;
	unsigned long number;
	size_t width; /* fields of the first line */
	size_t count;
	size_t index[CSV_COLUMNS_MAX]; /* of each wanted column */
};

bool csv_wrap(const struct csv *csv, struct error *err)
{
	return error_wrap(err, "%s:%lu", csv->path, csv->number);
}

/* Cuts one field at *rest and moves on; *rest is NULL after the last. */
static char *cut_field(char **rest, struct error *err)
{
	char *from = *rest, *to = *rest, *field = *rest;

	if (*from != '"') {
		to = from + strcspn(from, ",");
		*rest = *to == ',' ? to + 1 : NULL;
		*to = '\0';
		return field;
	}
	for (from++; *from != '"' || from[1] == '"'; *to++ = *from++) {
		if (*from == '\0') {
			error_set(err, ERR_INVALID, "a quote is not closed on its line");
			return NULL;
		}
		from += *from == '"';
	}
	from++;
	if (*from != ',' && *from != '\0') {
		error_set(err, ERR_INVALID, "text follows a closing quote");
		return NULL;
	}
	*rest = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return field;
}

/* Sets *end instead when there is no line left. Empty lines are skipped. */
static bool read_line(struct csv *csv, const char **fields, size_t *count, bool *end,
                      struct error *err)
{
	char *rest;
	ssize_t len;

	do {
		len = getline(&csv->line, &csv->capacity, csv->file);
		if (len < 0) {
			*end = true;
			return ferror(csv->file) == 0 ||
			       error_set(err, ERR_INTERNAL, "cannot read %s", csv->path);
		}
		csv->number++;
		while (len > 0 && (csv->line[len - 1] == '\n' || csv->line[len - 1] == '\r'))
			csv->line[--len] = '\0';
	} while (len == 0);
	*count = 0;
	for (rest = csv->line; rest; (*count)++) {
		if (*count == FIELDS_MAX) {
			error_set(err, ERR_TOO_LARGE, "more than %d fields", FIELDS_MAX);
			return csv_wrap(csv, err);
		}
		fields[*count] = cut_field(&rest, err);
		if (!fields[*count])
			return csv_wrap(csv, err);
	}
	*end = false;
	return true;
}

static bool find_columns(struct csv *csv, const char *const *columns, struct error *err)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	const char *fields[FIELDS_MAX];
	bool end;

	if (!read_line(csv, fields, &csv->width, &end, err))
		return false;
	if (end)
		return error_set(err, ERR_INVALID, "%s is empty", csv->path);
	if (strncmp(fields[0], byte_order_mark, 3) == 0)
		fields[0] += 3;
	for (size_t i = 0; i < csv->count; i++) {
		size_t at = 0;

		while (at < csv->width && strcmp(fields[at], columns[i]) != 0)
			at++;
		if (at == csv->width) {
			error_set(err, ERR_INVALID, "there is no column %s", columns[i]);
			return csv_wrap(csv, err);
		}
		csv->index[i] = at;
	}
	return true;
}

bool csv_open(const char *path, const char *const *columns, size_t count, struct csv **out,
              struct error *err)
{
	struct csv *csv = calloc(1, sizeof(*csv));

	ASSERT(csv && count <= CSV_COLUMNS_MAX);
	csv->path = strdup(path);
	csv->count = count;
	csv->file = fopen(path, "re");
	if (!csv->file) {
		error_set(err, ERR_NOT_FOUND, "cannot open %s: %s", path, strerror(errno));
		csv_close(csv);
		return false;
	}
	if (!find_columns(csv, columns, err)) {
		csv_close(csv);
		return false;
	}
	*out = csv;
	return true;
}

void csv_close(struct csv *csv)
{
	if (!csv)
		return;
	if (csv->file)
		fclose(csv->file);
	free(csv->line);
	free(csv->path);
	free(csv);
}

bool csv_next(struct csv *csv, const char **fields, bool *end, struct error *err)
{
	const char *all[FIELDS_MAX];
	size_t width = 0;

	if (!read_line(csv, all, &width, end, err))
		return false;
	if (*end)
		return true;
	if (width != csv->width) {
		error_set(err, ERR_INVALID, "%zu fields instead of %zu", width, csv->width);
		return csv_wrap(csv, err);
	}
	for (size_t i = 0; i < csv->count; i++)
		fields[i] = all[csv->index[i]];
	return true;
}
