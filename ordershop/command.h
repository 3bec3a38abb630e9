/* command.h - the subcommands of `ordershop`, one row each in main.c.
 *
 * A command gets the words after its name (argv[0] is the name) and returns the exit status:
 * 0 done, 1 failed, 2 called wrongly. Its errors are one line on standard error, made by
 * command_fail, that says what to do. */
#ifndef ORDERSHOP_COMMAND_H
#define ORDERSHOP_COMMAND_H

#include "base/config.h"
#include "base/error.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct subcommand {
	const char *name;
	const char *arguments; /* "TOPIC|--all" */
	const char *summary;
	int (*run)(const struct subcommand *self, int argc, char **argv);
	const char *details; /* paragraphs of its --help; may be NULL */
};

int run_command(const struct subcommand *self, int argc, char **argv);
int serve_command(const struct subcommand *self, int argc, char **argv);
int status_command(const struct subcommand *self, int argc, char **argv);
int stop_command(const struct subcommand *self, int argc, char **argv);
int start_command(const struct subcommand *self, int argc, char **argv);
int events_command(const struct subcommand *self, int argc, char **argv);
int rebuild_command(const struct subcommand *self, int argc, char **argv);
int queue_command(const struct subcommand *self, int argc, char **argv);
int generate_command(const struct subcommand *self, int argc, char **argv);
int replay_command(const struct subcommand *self, int argc, char **argv);
int import_command(const struct subcommand *self, int argc, char **argv);
int verify_command(const struct subcommand *self, int argc, char **argv);
int export_command(const struct subcommand *self, int argc, char **argv);
int restore_command(const struct subcommand *self, int argc, char **argv);
int scenario_command(const struct subcommand *self, int argc, char **argv);
int show_command(const struct subcommand *self, int argc, char **argv);
int history_command(const struct subcommand *self, int argc, char **argv);
int diff_command(const struct subcommand *self, int argc, char **argv);
int bisect_command(const struct subcommand *self, int argc, char **argv);
int simulate_command(const struct subcommand *self, int argc, char **argv);
int bench_command(const struct subcommand *self, int argc, char **argv);

/* `--help`, then the options. COMMAND_GO: go on; else what to return. */
enum { COMMAND_GO = -1 };
int command_options(const struct subcommand *self, struct config_option *options, size_t count,
                    int *argc, char **argv);

/* "ordershop NAME: message" on standard error; returns EXIT_FAILED. */
int command_fail(const struct subcommand *self, const char *format, ...) PRINTF(2, 3);
/* The same with a hint at --help; returns EXIT_USAGE. */
int command_misuse(const struct subcommand *self, const char *format, ...) PRINTF(2, 3);

/* "; did you mean 'NAME'?" of the one of `names` that is most like `word`, or "" when none is. */
enum { HINT_SIZE = 96 };
const char *closest_hint(char hint[HINT_SIZE], const char *word, const char *const *names,
                         size_t count);

#endif
