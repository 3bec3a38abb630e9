#include "ordershop/command.h"

#include "ordershop/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const struct subcommand *self, const char *format, va_list args)
{
	struct buffer line;
	char *text;
	int len = vasprintf(&text, format, args);

	ASSERT(len >= 0);
	buffer_init(&line, LINE_MAX_BYTES);
	line_clean(&line, text, (size_t)len);
	fprintf(stderr, "ordershop %s: %s\n", self->name, line.len > 0 ? line.bytes : "");
	buffer_free(&line);
	free(text);
}

int command_fail(const struct subcommand *self, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(self, format, args);
	va_end(args);
	return EXIT_FAILED;
}

int command_misuse(const struct subcommand *self, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(self, format, args);
	va_end(args);
	fprintf(stderr, "usage: ordershop %s%s%s [OPTIONS]; see ordershop %s --help\n", self->name,
	        *self->arguments ? " " : "", self->arguments, self->name);
	return EXIT_USAGE;
}

static void print_help(const struct subcommand *self, const struct config_option *options,
                       size_t count)
{
	printf("usage: ordershop %s%s%s [OPTIONS]\n\n%s\n", self->name, *self->arguments ? " " : "",
	       self->arguments, self->summary);
	if (self->details)
		printf("\n%s\n", self->details);
	if (count > 0) {
		printf("\noptions:\n");
		config_print_help(stdout, options, count);
	}
}

int command_options(const struct subcommand *self, struct config_option *options, size_t count,
                    int *argc, char **argv)
{
	struct error err;

	for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help(self, options, count);
			return EXIT_OK;
		}
	}
	if (!config_load(options, count, argc, argv, &err))
		return command_misuse(self, "%s", err.message);
	return COMMAND_GO;
}

/* Edits that turn one word into the other; words are short, longer ones count as different. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	size_t row[LONGEST + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > LONGEST || b_len > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < best ? change : best;
		}
	}
	return row[b_len];
}

/* NULL: none is like it. */
static const char *closest_name(const char *word, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t least = strlen(word) / 2 + 1 + (strlen(word) > 2); /* else it is another word */

	for (size_t i = 0; i < count; i++) {
		size_t edits =
		    strncmp(word, names[i], strlen(word)) == 0 ? 0 : distance(word, names[i]);
		if (edits < least) {
			least = edits;
			best = names[i];
		}
	}
	return best;
}

const char *closest_hint(char hint[HINT_SIZE], const char *word, const char *const *names,
                         size_t count)
{
	const char *near = closest_name(word, names, count);

	hint[0] = '\0';
	if (near)
		snprintf(hint, HINT_SIZE, "; did you mean '%s'?", near);
	return hint;
}
