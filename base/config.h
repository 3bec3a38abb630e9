/* config.h - options of a command: flags over environment over YAML file over defaults.
 *
 * One table declares an option once: `--data-dir`, ORDERSHOP_DATA_DIR and `data_dir:` in the file
 * follow from the name "data_dir". Unknown flags and unknown keys of the file are errors; the
 * latter name file and line. What one call alone shall do (`--all`, `--limit`, `--out`) is only
 * taken from its flags. `--help` is made from the table. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/error.h"

#include <stdio.h>

enum config_type { CONFIG_STRING, CONFIG_INTEGER, CONFIG_FLAG };

struct config_option {
	const char *name; /* "data_dir" */
	enum config_type type;
	const char *placeholder; /* "DIR"; of a flag NULL */
	const char *help;
	const char *fallback; /* the default as text; NULL: none */
	int64_t min, max;     /* of integers */
	const char *also_env; /* another environment name, or NULL */
	bool once;            /* for this one call: neither environment nor file sets it */
	const char *value;    /* the outcome, as text; NULL: none */
	const char *source;   /* "--data-dir", "ORDERSHOP_DATA_DIR", "file.yaml:3", "default" */
};

/* Fills `value` of every option. `argv[0]` is skipped; words that are no option are moved to the
 * front of argv[1..], *argc is their number + 1. `--config FILE` or ORDERSHOP_CONFIG names the
 * file. "--" ends the options. Strings live as long as the process. */
MUST_USE bool config_load(struct config_option *options, size_t count, int *argc, char **argv,
                          struct error *err);
const char *config_string(const struct config_option *options, size_t count, const char *name);
int64_t config_integer(const struct config_option *options, size_t count, const char *name);
bool config_flag(const struct config_option *options, size_t count, const char *name);
/* The aligned table of options, with default and environment name. */
void config_print_help(FILE *out, const struct config_option *options, size_t count);

#endif
