/* import_olist.c - `ordershop import olist DIR`. */
#include "ordershop/client.h"
#include "ordershop/command.h"
#include "ordershop/lines.h"
#include "ordershop/olist_play.h"
#include "ordershop/verify.h"

#include "base/clock.h"

#include <stdio.h>

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
		fprintf(stderr, "%llu %s in %.1f s\n", (unsigned long long)play->sent,
		        plural(play->sent, "command", "commands"),
		        (double)(clock_monotonic_ms() - begin) / 1000);
	/* Also after a failure: the table says how far it came. */
	if (!play_verify(play, &difference) && done) {
		*err = difference;
		done = false;
	}
	return done;
}

static bool import(const struct olist *olist, struct error *err)
{
	struct client client;
	struct plan *plan;
	struct play *play;

	if (!plan_create(olist, &plan, err))
		return false;
	client_open(&client, options, ARRAY_LEN(options));
	play = play_create(&client, plan);
	bool done = play_files(play, err);
	play_stop(play);
	if (done) { /* what the files do not say: is the shop that they made right in itself? */
		printf("\n");
		done = verify_shop(&client, NULL, VIOLATIONS_SHOWN, err);
	}
	client_close(&client);
	play_destroy(play);
	plan_destroy(plan);
	return done;
}

int import_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);

	return outcome == COMMAND_GO ? olist_command(self, argc, argv, import) : outcome;
}
