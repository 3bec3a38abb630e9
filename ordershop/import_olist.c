/* import_olist.c - `ordershop import olist DIR`. */
#include "ordershop/client.h"
#include "ordershop/command.h"
#include "ordershop/olist_play.h"
#include "ordershop/verify.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VIOLATIONS_SHOWN = 10 };

static struct config_option options[] = { SHOP_OPTIONS };

static bool play_files(struct play *play, struct error *err)
{
	uint64_t begin = clock_monotonic_ms();
	bool done = play_look_up(play, err) && play_set_up(play, err) && play_orders(play, err);
	struct error difference;

	if (done && play->sent > 0)
		play_settle(play);
	if (done || play->sent > 0)
		fprintf(stderr, "%llu commands in %.1f s\n", (unsigned long long)play->sent,
		        (double)(clock_monotonic_ms() - begin) / 1000);
	/* Also after a failure: the table says how far it came. */
	if (!play_verify(play, &difference) && done) {
		*err = difference;
		done = false;
	}
	return done;
}

/* What the files do not say: is the shop that they made right in itself? */
static bool check_invariants(struct client *client, struct error *err)
{
	uint64_t broken;

	printf("\n");
	if (!verify_shop(client, NULL, VIOLATIONS_SHOWN, &broken, err))
		return false;
	return broken == 0 ||
	       error_set(err, ERR_INTERNAL,
	                 "the shop violates what must be true of it in %" PRIu64 " places", broken);
}

int import_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct client client;
	struct olist *olist;
	struct plan *plan;
	struct play *play;
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 3)
		return command_misuse(self,
		                      "say what to import and where its files are: olist DIR");
	if (strcmp(argv[1], "olist") != 0)
		return command_misuse(self, "cannot import '%s'; olist is known", argv[1]);
	if (!olist_load(argv[2], &olist, &err))
		return command_fail(self, "%s", err.message);
	done = plan_create(olist, &plan, &err);
	if (done) {
		client_open(&client, options, ARRAY_LEN(options));
		play = play_create(&client, plan);
		done = play_files(play, &err);
		play_stop(play);
		done = done && check_invariants(&client, &err);
		client_close(&client);
		play_destroy(play);
		plan_destroy(plan);
	}
	olist_free(olist);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
