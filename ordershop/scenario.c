/* scenario.c - `ordershop scenario`: runs scenario files. */
#include "ordershop/scenario.h"

#include "base/array.h"
#include "base/clock.h"
#include "ordershop/client.h"
#include "ordershop/command.h"
#include "ordershop/out_file.h"
#include "ordershop/scenario_live.h"
#include "ordershop/scenario_memory.h"
#include "ordershop/scenario_report.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LOG_MAX = 1024 * 1024 * 1024 };

static struct config_option options[] = {
	{ .name = "live", .type = CONFIG_FLAG, .once = true, .help = "on a running shop, by gRPC" },
	{ .name = "rest",
	  .placeholder = "URL",
	  .help = "live, and by REST where there is a route; --data is that shop's" },
	{ .name = "seed",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "instead of the files' own seeds; -1: those",
	  .fallback = "-1",
	  .min = -1,
	  .max = SCENARIO_SEED_MAX },
	{ .name = "hashes",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "print the hashes of log and state of each scenario, and nothing else" },
	{ .name = "log",
	  .placeholder = "DIR",
	  .once = true,
	  .help = "write the log of each scenario to DIR/NAME.jsonl" },
	{ .name = "junit",
	  .placeholder = "FILE",
	  .once = true,
	  .help = "write the outcomes as JUnit XML" },
	SHOP_OPTIONS,
};

struct runner {
	const struct subcommand *self;
	struct arena *arena;
	struct client *client; /* NULL: in process */
	const struct http_target *rest;
	const char *log_folder;
	bool hashes;
	const char **paths;
	size_t path_count;
	struct scenario *scenarios;
	struct scenario_outcome *outcomes;
};

/* ---- Files ------------------------------------------------------------------------------- */

static void add_path(struct runner *runner, const char *path)
{
	runner->paths = array_grown(runner->paths, runner->path_count, sizeof(*runner->paths));
	runner->paths[runner->path_count++] = arena_strdup(runner->arena, path);
}

static int is_yaml(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');
	return dot != NULL && strcmp(dot, ".yaml") == 0;
}

static bool add_folder(struct runner *runner, const char *folder, struct error *err)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_yaml, alphasort);
	if (count < 0)
		return error_set(err, ERR_NOT_FOUND, "%s: %s", folder, strerror(errno));
	for (int i = 0; i < count; i++) {
		add_path(runner, arena_printf(runner->arena, "%s%s%s", folder,
		                              folder[strlen(folder) - 1] == '/' ? "" : "/",
		                              entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	return count > 0 || error_set(err, ERR_NOT_FOUND, "%s: no *.yaml in it", folder);
}

static bool find_all(struct runner *runner, int argc, char **argv, struct error *err)
{
	for (int i = 1; i < argc; i++) {
		struct stat about;
		if (argv[i][0] == '\0')
			return error_set(err, ERR_INVALID, "a file without a name");
		if (stat(argv[i], &about) == 0 && S_ISDIR(about.st_mode)) {
			if (!add_folder(runner, argv[i], err))
				return false;
		} else {
			add_path(runner, argv[i]);
		}
	}
	return true;
}

/* "restock" of "tests/scenarios/restock.yaml". */
static const char *name_of(struct runner *runner, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = arena_strdup(runner->arena, slash == NULL ? path : slash + 1);
	char *dot = strrchr(name, '.');
	if (dot != NULL && strcmp(dot, ".yaml") == 0)
		*dot = '\0';
	return name;
}

static const char *log_path(struct runner *runner, const char *path)
{
	return arena_printf(runner->arena, "%s/%s.jsonl", runner->log_folder,
	                    name_of(runner, path));
}

/* Each log must have a file of its own. */
static bool names_differ(struct runner *runner, struct error *err)
{
	const char **names = arena_alloc(runner->arena, runner->path_count * sizeof(*names));
	for (size_t i = 0; i < runner->path_count; i++) {
		names[i] = name_of(runner, runner->paths[i]);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(names[i], names[j]) == 0)
				return error_set(
				    err, ERR_INVALID,
				    "--log: two scenarios would be written to %.60s.jsonl; "
				    "run them one after the other",
				    names[i]);
		}
	}
	return true;
}

/* Better now than when all have run. */
static bool can_write(struct runner *runner, struct error *err)
{
	const char *junit = config_string(options, ARRAY_LEN(options), "junit");

	if (runner->log_folder && !out_file_check(log_path(runner, runner->paths[0]), err))
		return error_wrap(err, "--log");
	return !junit || out_file_check(junit, err) || error_wrap(err, "--junit");
}

/* All files are read before any is run. */
static bool read_all(struct runner *runner, const char **why)
{
	struct error err;
	size_t count = runner->path_count;
	runner->scenarios = arena_zalloc(runner->arena, count * sizeof(*runner->scenarios));
	runner->outcomes = arena_zalloc(runner->arena, count * sizeof(*runner->outcomes));
	for (size_t i = 0; i < count; i++) {
		if (!scenario_read(runner->paths[i], runner->arena, &runner->scenarios[i], &err)) {
			*why = yaml_error(runner->arena, runner->paths[i], &err);
			return false;
		}
	}
	return true;
}

/* ---- Running ----------------------------------------------------------------------------- */

static bool write_log(struct runner *runner, const char *path, struct shop *shop, struct error *err)
{
	struct shop_events events;
	struct buffer lines;
	if (!shop->methods->events(shop->shop, &events, err))
		return false;
	buffer_init(&lines, LOG_MAX);
	for (size_t i = 0; i < events.count; i++) {
		shop_event_write(&lines, &events.events[i]);
		buffer_putc(&lines, '\n');
	}
	bool ok = out_file_write(log_path(runner, path), &lines, err);
	buffer_free(&lines);
	return ok;
}

static void print_hashes(struct runner *runner, const char *path, struct shop *shop)
{
	char log[DIGEST_TEXT_SIZE], state[DIGEST_TEXT_SIZE];
	scenario_memory_hashes(shop, log, state);
	printf("%-48s log %.32s state %.32s\n", name_of(runner, path), log, state);
}

static bool open_shop(struct runner *runner, const struct scenario *scenario, struct shop *shop,
                      struct error *err)
{
	int64_t seed = config_integer(options, ARRAY_LEN(options), "seed");
	if (runner->client != NULL)
		return scenario_live_open(runner->client, runner->rest, shop, err);
	scenario_memory_open(scenario->start_us, seed >= 0 ? seed : scenario->seed, NULL, shop);
	return true;
}

/* False: the shop cannot be reached, or a log not be written. */
static bool run_one(struct runner *runner, size_t index, struct error *err)
{
	const struct scenario *scenario = &runner->scenarios[index];
	struct scenario_outcome *outcome = &runner->outcomes[index];
	struct scenario_report report;
	struct shop shop;
	uint64_t begin = clock_monotonic_us();
	*outcome = (struct scenario_outcome){ scenario->path, scenario->title, OUTCOME_OK, "", 0 };
	if (runner->client != NULL && scenario->only_in_process != NULL) {
		const struct scenario_step *step = scenario->only_in_process;
		outcome->state = OUTCOME_SKIPPED;
		outcome->text = arena_printf(runner->arena, "only in process: %s in line %d",
		                             scenario_kind_name(step->kind), step->line);
		return true;
	}
	if (!open_shop(runner, scenario, &shop, err))
		return false;
	scenario_run(scenario, &shop, &report);
	outcome->us = clock_monotonic_us() - begin;
	if (report.failures > 0) {
		outcome->state = OUTCOME_FAILED;
		outcome->text = arena_strdup(runner->arena, report.text.bytes);
	}
	buffer_free(&report.text);
	bool ok = runner->log_folder == NULL || write_log(runner, scenario->path, &shop, err);
	if (runner->hashes)
		print_hashes(runner, scenario->path, &shop);
	shop.methods->close(shop.shop);
	return ok;
}

static int run_all(struct runner *runner)
{
	size_t counts[OUTCOME_STATES] = { 0 };
	const char *junit = config_string(options, ARRAY_LEN(options), "junit");
	struct error err;
	size_t run = 0;
	while (run < runner->path_count && counts[OUTCOME_ERROR] == 0) {
		struct scenario_outcome *outcome = &runner->outcomes[run++];
		if (!run_one(runner, run - 1, &err)) {
			outcome->state = OUTCOME_ERROR;
			outcome->text = arena_strdup(runner->arena, err.message);
			(void)command_fail(runner->self, "%s", err.message);
		} else if (!runner->hashes || outcome->state == OUTCOME_FAILED) {
			outcome_print(outcome);
		}
		counts[outcome->state]++;
	}
	if (!runner->hashes && counts[OUTCOME_ERROR] == 0)
		outcome_print_summary(counts);
	if (junit != NULL && !outcome_write_junit(junit, runner->outcomes, run, &err))
		return command_fail(runner->self, "%s", err.message);
	return counts[OUTCOME_FAILED] + counts[OUTCOME_ERROR] == 0 ? EXIT_OK : EXIT_FAILED;
}

int scenario_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct runner runner = { .self = self };
	struct http_target rest;
	struct client client;
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	const char *url = config_string(options, ARRAY_LEN(options), "rest");
	bool live = url != NULL || config_flag(options, ARRAY_LEN(options), "live");
	if (argc < 2)
		return command_misuse(self, "give files, or folders of them");
	if (url != NULL && !http_target_parse(url, &rest, &err))
		return command_misuse(self, "--rest: %s", err.message);
	runner.hashes = config_flag(options, ARRAY_LEN(options), "hashes");
	runner.log_folder = config_string(options, ARRAY_LEN(options), "log");
	if (live && runner.hashes)
		return command_misuse(self, "--hashes: the ids of a live run are its own");
	runner.arena = arena_create();
	const char *why = err.message;
	if (!find_all(&runner, argc, argv, &err) ||
	    (runner.log_folder != NULL && !names_differ(&runner, &err)) ||
	    !can_write(&runner, &err) || !read_all(&runner, &why)) {
		(void)command_fail(self, "%s", why);
		outcome = EXIT_USAGE;
	} else {
		if (live)
			client_open(&client, options, ARRAY_LEN(options));
		runner.client = live ? &client : NULL;
		runner.rest = url != NULL ? &rest : NULL;
		outcome = run_all(&runner);
		if (live)
			client_close(&client);
	}
	free(runner.paths);
	arena_destroy(runner.arena);
	return outcome;
}
