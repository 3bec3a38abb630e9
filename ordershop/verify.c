/* verify.c - `ordershop verify`: the log of a running shop against the table of invariants. */
#include "domain/invariants.h"
#include "ordershop/command.h"
#include "ordershop/event_line.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"
#include "ordershop/quiet.h"
#include "ordershop/verify.h"
#include "ordershop/verify_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET_MS = 3000 };

static struct config_option options[] = {
	{ .name = "at",
	  .placeholder = "TIME|ID",
	  .once = true,
	  .help = "only what had happened up to then" },
	{ .name = "show",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "print at most so many violations",
	  .fallback = "20",
	  .max = INT64_MAX },
	SHOP_OPTIONS,
};

struct verification {
	struct invariants *invariants;
	struct log_hash *hash;
	struct buffer line;
	uint64_t show, shown;
	/* Why it was not checked what must be true of a shop at rest, and of its read model; "": it was. */
	char busy[QUIET_TEXT_SIZE], no_model[QUIET_TEXT_SIZE];
	struct model_verified model;
};

static void print_violation(void *arg, const struct violation *violation)
{
	struct verification *verification = arg;
	char entry[ENTRY_ID_SIZE];

	if (verification->shown++ >= verification->show)
		return;
	entry_id_format(violation->entry, entry);
	line_printf("%s: %s %s after %s: %s", violation->invariant->name, violation->topic,
	            *violation->entity_id ? violation->entity_id : "-", entry, violation->message);
}

static bool add_event(void *arg, const struct event *event, const char *data)
{
	struct verification *verification = arg;

	buffer_clear(&verification->line);
	event_line_write(&verification->line, event, data);
	log_hash_add(verification->hash, verification->line.bytes, verification->line.len);
	invariants_add(verification->invariants, event, data);
	return true;
}

static void print_row(const char *name, bool checked, uint64_t count, uint64_t violations,
                      const char *says)
{
	if (checked)
		printf("%-16s %12" PRIu64 " %12" PRIu64 "  %s\n", name, count, violations, says);
	else
		printf("%-16s %12s %12s  %s\n", name, "-", "-", says);
}

static void print_table(const struct verification *verification)
{
	const struct invariants *invariants = verification->invariants;

	printf("%-16s %12s %12s\n", "invariant", "checked", "violations");
	for (size_t i = 0; i < invariant_count; i++) {
		const struct invariant *row = &invariant_table[i];

		print_row(row->name, !row->at_rest || !*verification->busy,
		          invariants_checked(invariants, row),
		          invariants_violations(invariants, row), row->says);
	}
	print_row("read-model", !*verification->no_model, verification->model.checked,
	          verification->model.differences, "The read model is what the log comes to.");
	if (*verification->busy)
		printf("\nWhat must be true of a shop at rest was not checked: %s.\n",
		       verification->busy);
	else if (*verification->no_model)
		printf("\nThe read model was not checked: %s.\n", verification->no_model);
}

static void print_hashes(const struct verification *verification)
{
	const struct fold *fold = invariants_fold(verification->invariants);
	char hash[DIGEST_TEXT_SIZE], entry[ENTRY_ID_SIZE], when[LINE_TIME_SIZE];
	struct entry_id last = { 0 };
	size_t topics = 0;

	for (const struct fold_topic *t = fold_topics(fold); t != NULL; t = t->hh.next, topics++) {
		if (entry_id_compare(t->last, last) > 0)
			last = t->last;
	}
	entry_id_format(last, entry);
	printf("\n%" PRIu64 " %s in %zu %s", fold_events(fold),
	       plural(fold_events(fold), "event", "events"), topics,
	       plural(topics, "topic", "topics"));
	if (topics > 0)
		printf(" up to %s (%s)", entry, line_entry_time(last, when));
	log_hash_text(verification->hash, hash);
	printf("\nlog hash   %s\n", hash);
	fold_hash(fold, hash);
	printf("state hash %s\n", hash);
}

/* Only of a log that is no longer than it was when the shop was at rest. */
static void check_at_rest(struct verification *verification, struct client *client,
                          uint64_t at_rest)
{
	const struct fold *fold = invariants_fold(verification->invariants);
	struct model_verified model = { 0 };
	struct error err;

	if (!*verification->busy && at_rest != fold_events(fold))
		snprintf(verification->busy, sizeof(verification->busy), "new events come");
	snprintf(verification->no_model, sizeof(verification->no_model), "%s", verification->busy);
	if (*verification->busy)
		return;
	invariants_rest(verification->invariants);
	if (fold_events(fold) == 0)
		return;
	if (!verify_model(client, fold, verification->show, &model, &err))
		snprintf(verification->no_model, sizeof(verification->no_model), "%.150s",
		         err.message);
	else if (shop_events(client) != fold_events(fold))
		snprintf(verification->no_model, sizeof(verification->no_model), "new events come");
	else
		verification->model = model;
}

static void print_outcome(struct verification *verification, uint64_t broken)
{
	if (verification->shown > verification->show)
		printf("... and %" PRIu64 " more\n", verification->shown - verification->show);
	if (broken > 0)
		printf("\n");
	print_table(verification);
	print_hashes(verification);
}

bool verify_shop(struct client *client, const struct entry_id *at, uint64_t show, struct error *err)
{
	struct verification verification = { .show = show,
		                             .busy = "that is known only of now, not of --at" };
	uint64_t broken = 0, at_rest = 0;
	bool done;

	if (!shop_answers(client, err))
		return false;
	verification.hash = log_hash_create();
	buffer_init(&verification.line, EVENT_LINE_MAX);
	verification.invariants = invariants_create(print_violation, &verification);
	if (!at && shop_quiet(client, QUIET_MS, verification.busy, &at_rest))
		verification.busy[0] = '\0';
	done = log_read(client, at, add_event, &verification, err);
	if (done) {
		check_at_rest(&verification, client, at_rest);
		broken = invariants_broken_total(verification.invariants) +
		         verification.model.differences;
		print_outcome(&verification, broken);
	}
	invariants_destroy(verification.invariants);
	log_hash_destroy(verification.hash);
	buffer_free(&verification.line);
	if (done && broken > 0)
		return error_set(err, ERR_INTERNAL, "%" PRIu64 " %s", broken,
		                 plural(broken, "violation", "violations"));
	return done;
}

static bool verify(struct client *client, void *arg, struct error *err)
{
	return verify_shop(client, arg,
	                   (uint64_t)config_integer(options, ARRAY_LEN(options), "show"), err);
}

int verify_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	const struct entry_id *until;
	struct entry_id at;
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 1)
		return command_misuse(self, "'%s' is not an option", argv[1]);
	if (!option_moment(options, ARRAY_LEN(options), "at", &at, &until, &err))
		return command_misuse(self, "%s", err.message);
	return client_run(self, options, ARRAY_LEN(options), verify, until ? &at : NULL);
}
