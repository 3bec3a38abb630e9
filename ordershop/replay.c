/* replay.c - `ordershop replay olist DIR`. */
#include "base/clock.h"
#include "base/digest.h"
#include "ordershop/command.h"
#include "ordershop/importer.h"
#include "ordershop/olist_play.h"
#include "ordershop/past_store.h"
#include "ordershop/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VIOLATIONS_SHOWN = 20 };

static struct config_option options[] = {
	{ .name = "abandon",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "forget what an interrupted replay of these files wrote" },
	SHOP_OPTIONS,
};

/* ---- The id of the import ---------------------------------------------------------------- */

static void add_number(struct digest *digest, int64_t number)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" PRId64 ",", number);

	digest_add(digest, text, (size_t)len);
}

static void add_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

static void add_order(struct digest *digest, const struct olist *olist,
                      const struct olist_order *order)
{
	add_text(digest, order->id);
	add_text(digest, olist->customers[order->customer].id);
	add_text(digest, olist->customers[order->customer].unique_id);
	add_number(digest, order->status);
	add_number(digest, order->purchased);
	add_number(digest, order->approved);
	add_number(digest, order->carrier);
	add_number(digest, order->delivered);
	for (size_t i = 0; i < order->item_count; i++) {
		add_text(digest, olist->products[order->items[i].product].id);
		add_number(digest, order->items[i].price);
		add_number(digest, order->items[i].freight);
	}
}

/* Follows from all that the events follow from. */
static void name_import(const struct olist *olist, char out[IMPORT_ID_SIZE])
{
	struct digest *digest = digest_create();
	unsigned char hash[DIGEST_BYTES];
	char text[DIGEST_TEXT_SIZE];

	add_text(digest, ORDERSHOP_VERSION);
	for (size_t i = 0; i < olist->order_count; i++)
		add_order(digest, olist, &olist->orders[i]);
	digest_end(digest, hash);
	digest_text(hash, text);
	digest_destroy(digest);
	snprintf(out, IMPORT_ID_SIZE, "olist-%.32s", text);
}

/* ---- The replay -------------------------------------------------------------------------- */

/* The store takes no events of the future. */
static bool check_times(const struct olist *olist, struct error *err)
{
	int64_t now = (int64_t)(clock_wall_us() / 1000000);

	for (size_t i = 0; i < olist->order_count; i++) {
		const struct olist_order *order = &olist->orders[i];

		if (order->purchased > now || order->approved > now || order->carrier > now ||
		    order->delivered > now)
			return error_set(err, ERR_INVALID,
			                 "order %s: its times must be in the past", order->id);
	}
	return true;
}

struct orders {
	const struct olist *olist;
	size_t next;
};

static const struct olist_order *next_order(void *arg)
{
	struct orders *orders = arg;

	return orders->next < orders->olist->order_count ? &orders->olist->orders[orders->next++]
	                                                 : NULL;
}

/* The read model against the files, then the log against the invariants. */
static bool verify(struct client *client, const struct plan *plan, struct error *err)
{
	struct play *play = play_create(client, plan);
	bool done = play_verify(play, err);

	play_stop(play);
	play_destroy(play);
	printf("\n");
	return done && verify_shop(client, NULL, VIOLATIONS_SHOWN, err);
}

static bool replay(const struct olist *olist, struct error *err)
{
	bool abandon = config_flag(options, ARRAY_LEN(options), "abandon");
	char import_id[IMPORT_ID_SIZE];
	struct orders orders = { olist, 0 };
	struct past_source source = { .next = next_order, .arg = &orders };
	struct client client;
	struct plan *plan;
	bool done;

	if (!check_times(olist, err) || !plan_create(olist, &plan, err))
		return false;
	name_import(olist, import_id);
	client_open(&client, options, ARRAY_LEN(options));
	source.plan = plan;
	if (abandon)
		done = past_store_abandon(&client, import_id, err);
	else
		done = past_store_write(&client, import_id, &source, err) &&
		       verify(&client, plan, err);
	client_close(&client);
	plan_destroy(plan);
	return done;
}

int replay_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);

	return outcome == COMMAND_GO ? olist_command(self, argc, argv, replay) : outcome;
}
