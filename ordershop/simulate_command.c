/* simulate_command.c - `ordershop simulate`: random histories, until something is found. */
#include "base/clock.h"
#include "ordershop/command.h"
#include "ordershop/lines.h"
#include "ordershop/out_file.h"
#include "ordershop/scenario_memory.h"
#include "ordershop/simulate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAYS_MAX = 5000, SCENARIO_MAX = 16 * 1024 * 1024 };

static struct config_option options[] = {
	{ .name = "seed",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "of the histories; the same seed gives the same ones everywhere",
	  .fallback = "1",
	  .min = 0,
	  .max = INT64_MAX },
	{ .name = "steps",
	  .type = CONFIG_INTEGER,
	  .placeholder = "M",
	  .once = true,
	  .help = "how many steps to take, in histories of 5,000",
	  .fallback = "1000000",
	  .min = 1,
	  .max = INT64_MAX },
	{ .name = "scenario",
	  .type = CONFIG_STRING,
	  .placeholder = "FILE",
	  .once = true,
	  .help = "where the shortest scenario goes that shows what was found",
	  .fallback = "simulation.yaml" },
	{ .name = "counts",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "print how often each thing was done" },
};

static void print_counts(const struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->function_count; i++)
		printf("%10" PRIu64 "  %s.%s\n", simulation->functions[i].sent,
		       simulation->functions[i].service, simulation->functions[i].function);
	for (int i = 0; i < MEMORY_FAULTS; i++)
		printf("%10" PRIu64 "  %s\n", simulation->faults[i],
		       memory_fault_name((enum memory_fault)i));
	printf("%10" PRIu64 "  restarts of redis\n", simulation->kinds[ACTION_REDIS]);
}

static void print_totals(const struct simulation *simulation, uint64_t took_us)
{
	double seconds = (double)(took_us == 0 ? 1 : took_us) / 1e6;
	printf("%" PRIu64 " %s in %.2f s, %.0f a second\n", simulation->taken,
	       plural(simulation->taken, "step", "steps"), seconds,
	       (double)simulation->taken / seconds);
	const struct {
		uint64_t count;
		const char *one, *many;
	} totals[] = {
		{ simulation->histories, "history", "histories" },
		{ simulation->kinds[ACTION_SEND], "command", "commands" },
		{ simulation->events, "event", "events" },
		{ simulation->kinds[ACTION_FAULT] + simulation->kinds[ACTION_REDIS], "fault",
		  "faults" },
		{ simulation->rests, "rest", "rests" },
	};
	for (size_t i = 0; i < ARRAY_LEN(totals); i++)
		printf("%s%" PRIu64 " %s", i > 0 ? ", " : "", totals[i].count,
		       plural(totals[i].count, totals[i].one, totals[i].many));
	printf("; of all messages %" PRIu64 " accepted, %" PRIu64 " refused\n",
	       simulation->accepted, simulation->refused);
	printf("hash %s\n", simulation->hash);
}

static int report_finding(const struct subcommand *self, struct simulation *simulation)
{
	char comment[128];
	struct buffer text;
	struct error err;
	size_t before = simulation->script.count;
	const char *path = config_string(options, ARRAY_LEN(options), "scenario");
	printf("violated: %s: %s\n", simulation->finding.invariant, simulation->finding.what);
	printf("seed %" PRIu64 ", history %" PRIu64 ", seed of the history %" PRIu64 "\n",
	       simulation->seed, simulation->histories, simulation->script.seed);
	fflush(stdout);
	uint64_t plays = script_shrink(&simulation->script, &simulation->cast, &simulation->finding,
	                               simulation->arena, PLAYS_MAX);
	printf("shrunk from %zu to %zu %s in %" PRIu64 " %s: %s\n", before,
	       simulation->script.count, plural(simulation->script.count, "action", "actions"),
	       plays, plural(plays, "play", "plays"), simulation->finding.what);
	snprintf(comment, sizeof(comment),
	         "Found by: ordershop simulate --seed %" PRIu64 " --steps %" PRIu64,
	         simulation->seed, simulation->steps);
	buffer_init(&text, SCENARIO_MAX);
	script_write(&simulation->script, &simulation->finding, comment, &text);
	bool written = out_file_write(path, &text, &err);
	buffer_free(&text);
	if (!written)
		return command_fail(self, "--scenario: %s", err.message);
	printf("written to %s: run it by `ordershop scenario %s`\n", path, path);
	if (!scenario_shows(path, &simulation->cast, simulation->finding.invariant))
		printf("but as a scenario it does not show: play it again by --seed\n");
	return EXIT_FAILED;
}

int simulate_command(const struct subcommand *self, int argc, char **argv)
{
	int go = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	if (go != COMMAND_GO)
		return go;
	if (argc > 1)
		return command_misuse(self, "takes no '%s'", argv[1]);
	struct error err;
	if (!out_file_check(config_string(options, ARRAY_LEN(options), "scenario"), &err))
		return command_misuse(self, "--scenario: %s", err.message);
	struct simulation simulation = {
		.cast = { domain_services, domain_service_count },
		.seed = (uint64_t)config_integer(options, ARRAY_LEN(options), "seed"),
		.steps = (uint64_t)config_integer(options, ARRAY_LEN(options), "steps"),
	};
	uint64_t began_us = clock_monotonic_us();
	bool clean = simulation_run(&simulation);
	print_totals(&simulation, clock_monotonic_us() - began_us);
	if (config_flag(options, ARRAY_LEN(options), "counts"))
		print_counts(&simulation);
	int status = clean ? EXIT_OK : report_finding(self, &simulation);
	simulation_free(&simulation);
	return status;
}
