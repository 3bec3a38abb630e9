/* diff.c - `ordershop diff`: what changed between two moments. */
#include "domain/fold.h"
#include "ordershop/changes.h"
#include "ordershop/command.h"
#include "ordershop/entity_name.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "from",
	  .placeholder = "TIME|ID",
	  .once = true,
	  .help = "the earlier moment; the beginning" },
	{ .name = "to", .placeholder = "TIME|ID", .once = true, .help = "the later moment; now" },
	SHOP_OPTIONS,
};

/* An entity with events between the moments, as it was at the earlier one. */
struct touched {
	const struct fold_entity *entity;
	char *before;     /* JSON; NULL: it was not there */
	uint64_t version; /* then */
	struct touched *next;
};

struct comparison {
	struct fold *fold;
	struct log_range range;
	struct entry_id from, to;
	const struct entry_id *since; /* NULL: the beginning */
	struct touched *first, **last;
	uint64_t events, loose;
};

static bool wanted(const struct comparison *comparison, const struct event *event)
{
	struct entry_id entry;
	struct error err;

	return !comparison->since || (entry_id_parse(event->entry_id, &entry, &err) &&
	                              entry_id_compare(entry, *comparison->since) > 0);
}

/* Keeps how the entity of the event was before it; NULL: that is kept already. */
static struct touched *touch(struct comparison *comparison, const struct event *event)
{
	const struct fold_entity *known =
	    fold_find(comparison->fold, event->topic, event->entity_id);
	struct touched *touched;
	struct buffer json;

	if (known && known->user)
		return NULL;
	touched = calloc(1, sizeof(*touched));
	ASSERT(touched);
	touched->version = known ? known->version : 0;
	if (known && !known->deleted) {
		buffer_init(&json, LINE_MAX_BYTES);
		fold_entity_write(known, &json);
		touched->before = json.bytes;
	}
	*comparison->last = touched;
	comparison->last = &touched->next;
	return touched;
}

static bool add_event(void *arg, const struct event *event, const char *data)
{
	struct comparison *comparison = arg;
	bool counts = wanted(comparison, event);
	bool loose = !event->entity_id || !*event->entity_id;
	struct touched *touched = counts && !loose ? touch(comparison, event) : NULL;
	struct fold_change change = fold_add(comparison->fold, event, data);

	comparison->events += counts;
	comparison->loose += counts && loose;
	if (touched) {
		change.entity->user = touched;
		touched->entity = change.entity;
	}
	return true;
}

static void print_touched(const struct touched *touched)
{
	const struct fold_entity *entity = touched->entity;
	struct buffer now, changes;
	bool any;

	buffer_init(&now, LINE_MAX_BYTES);
	buffer_init(&changes, LINE_MAX_BYTES);
	fold_entity_write(entity, &now);
	any = !entity->deleted && changes_write(&changes, "    ", touched->before, now.bytes);
	if (entity->deleted && !touched->before)
		line_printf("  %s %s: created and deleted", entity->topic->name, entity->id);
	else if (entity->deleted)
		line_printf("- %s %s: deleted", entity->topic->name, entity->id);
	else if (touched->before)
		line_printf("~ %s %s: version %" PRIu64 " -> %" PRIu64 "%s", entity->topic->name,
		            entity->id, touched->version, entity->version,
		            any ? "" : ", the same again");
	else
		line_printf("+ %s %s: version %" PRIu64, entity->topic->name, entity->id,
		            entity->version);
	if (any)
		fputs(changes.bytes, stdout);
	buffer_free(&now);
	buffer_free(&changes);
}

static void print_comparison(const struct comparison *comparison)
{
	uint64_t created = 0, changed = 0, deleted = 0;

	for (const struct touched *t = comparison->first; t; t = t->next) {
		print_touched(t);
		created += !t->before && !t->entity->deleted;
		changed += t->before && !t->entity->deleted;
		deleted += t->before && t->entity->deleted;
	}
	printf("%s%" PRIu64 " %s: %" PRIu64 " created, %" PRIu64 " changed, %" PRIu64
	       " deleted; %" PRIu64 " of no entity, such as mails\n",
	       comparison->first ? "\n" : "", comparison->events,
	       plural(comparison->events, "event", "events"), created, changed, deleted,
	       comparison->loose);
}

static void comparison_free(struct comparison *comparison)
{
	while (comparison->first) {
		struct touched *next = comparison->first->next;

		free(comparison->first->before);
		free(comparison->first);
		comparison->first = next;
	}
	fold_destroy(comparison->fold);
}

static bool read_moments(struct comparison *comparison, struct error *err)
{
	const size_t count = ARRAY_LEN(options);
	const struct entry_id **until = &comparison->range.until;

	if (!option_moment(options, count, "from", &comparison->from, &comparison->since, err) ||
	    !option_moment(options, count, "to", &comparison->to, until, err))
		return false;
	if (comparison->since && *until && entry_id_compare(*comparison->since, **until) > 0)
		return error_set(err, ERR_INVALID, "--from: must not be after --to");
	return true;
}

/* Else a name that is wrong looks like one of which nothing changed. */
static bool check_named(struct client *client, const struct log_range *range, struct error *err)
{
	const Es__Event *last;

	if (range->entity_id)
		return entity_last(client, range->topic, range->entity_id, &last, err);
	return !range->topic || entity_topic_check(client, range->topic, err);
}

static bool diff(struct client *client, void *arg, struct error *err)
{
	struct comparison *comparison = arg;

	if (!check_named(client, &comparison->range, err) ||
	    !log_read_range(client, &comparison->range, add_event, comparison, err))
		return false;
	print_comparison(comparison);
	return true;
}

int diff_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct comparison comparison = { 0 };
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 3)
		return command_misuse(self, "'%s' is one word too many", argv[3]);
	comparison.range.topic = argc > 1 ? argv[1] : NULL;
	comparison.range.entity_id = argc > 2 ? argv[2] : NULL;
	if (!read_moments(&comparison, &err) ||
	    (argc > 1 && !entity_check(argv[1], argc > 2 ? argv[2] : "any", &err)))
		return command_misuse(self, "%s", err.message);
	comparison.fold = fold_create();
	comparison.last = &comparison.first;
	outcome = client_run(self, options, ARRAY_LEN(options), diff, &comparison);
	comparison_free(&comparison);
	return outcome;
}
