/* bench.c - `ordershop bench`; the measurements are in bench/. */
#include "bench/bench.h"
#include "ordershop/command.h"

static struct config_option options[] = {
	{ .name = "percent",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "size of the measurements",
	  .fallback = "100",
	  .min = 1,
	  .max = 100 },
	{ .name = "only",
	  .type = CONFIG_STRING,
	  .placeholder = "PART",
	  .once = true,
	  .help = "measure one part: " BENCH_PARTS,
	  .fallback = "" },
};

int bench_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 1)
		return command_misuse(self, "'%s' is not an option", argv[1]);
	const char *only = config_string(options, ARRAY_LEN(options), "only");
	if (only[0] != '\0' && !bench_part(only))
		return command_misuse(self, "--only %s: it must be one of " BENCH_PARTS, only);
	return bench_run((unsigned)config_integer(options, ARRAY_LEN(options), "percent"), only);
}
