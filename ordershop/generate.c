/* generate.c - `ordershop generate`. */
#include "ordershop/command.h"
#include "ordershop/importer.h"
#include "ordershop/olist_generator.h"
#include "ordershop/past_file.h"
#include "ordershop/past_store.h"

#include <inttypes.h>
#include <stdio.h>

static struct config_option options[] = {
	{ .name = "orders",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "how many",
	  .fallback = "1000",
	  .min = 1,
	  .max = GENERATOR_ORDERS_MAX },
	{ .name = "seed",
	  .type = CONFIG_INTEGER,
	  .placeholder = "S",
	  .once = true,
	  .help = "another seed gives other orders",
	  .fallback = "1",
	  .max = INT64_MAX },
	{ .name = "out",
	  .placeholder = "FILE",
	  .once = true,
	  .help = "into a file for restore, not into a shop" },
	{ .name = "force",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "replace the file if it exists" },
	{ .name = "abandon",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "forget what was written when this command was interrupted" },
	SHOP_OPTIONS,
};

static bool flag(const char *name)
{
	return config_flag(options, ARRAY_LEN(options), name);
}

static bool into_shop(int64_t orders, int64_t seed, const struct past_source *source,
                      struct error *err)
{
	char import_id[IMPORT_ID_SIZE];
	struct client client;
	bool done;

	snprintf(import_id, sizeof(import_id), "generate-%s-%" PRId64 "-%" PRId64,
	         ORDERSHOP_VERSION, orders, seed);
	client_open(&client, options, ARRAY_LEN(options));
	if (flag("abandon"))
		done = past_store_abandon(&client, import_id, err);
	else
		done = past_store_write(&client, import_id, source, err);
	client_close(&client);
	return done;
}

int generate_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct generator *generator;
	struct past_source source;
	const char *path;
	struct error err;
	int64_t orders, seed;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 1)
		return command_misuse(self, "'%s' is not an option", argv[1]);
	orders = config_integer(options, ARRAY_LEN(options), "orders");
	seed = config_integer(options, ARRAY_LEN(options), "seed");
	path = config_string(options, ARRAY_LEN(options), "out");
	if (path && flag("abandon"))
		return command_misuse(self, "--abandon is about a shop, not about a file");
	generator = generator_create((uint64_t)orders, (uint64_t)seed);
	source = generator_source(generator);
	done = path ? past_file_write(path, flag("force"), &source, &err)
	            : into_shop(orders, seed, &source, &err);
	generator_destroy(generator);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
