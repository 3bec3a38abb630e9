/* bisect.c - `ordershop bisect`: the first event after which an invariant fails. */
#include "domain/invariants.h"
#include "ordershop/client.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"
#include "ordershop/quiet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "at",
	  .placeholder = "TIME|ID",
	  .once = true,
	  .help = "only what had happened up to then; not of a rule at rest" },
	SHOP_OPTIONS,
};

enum { NAME_MAX_BYTES = 136, QUIET_MS = 3000 };

/* An event, and what is wrong after it. */
struct finding {
	bool found;
	char topic[NAME_MAX_BYTES], entity_id[NAME_MAX_BYTES], type[NAME_MAX_BYTES];
	char message[256];
	struct entry_id entry;
	uint64_t place; /* in the log, from 1 */
};

struct search {
	const struct invariant *invariant;
	const struct entry_id *at; /* NULL: now */
	struct invariants *invariants;
	struct finding finding;
	uint64_t events;
	/* The second reading: since which event does this entity break it? */
	const struct finding *of;
	bool fails;
};

static void keep_violation(void *arg, const struct violation *violation)
{
	struct search *search = arg;
	struct finding *finding = &search->finding;

	if (violation->invariant != search->invariant || finding->found)
		return;
	finding->found = true;
	finding->entry = violation->entry;
	finding->place = search->events;
	snprintf(finding->topic, sizeof(finding->topic), "%s", violation->topic);
	snprintf(finding->entity_id, sizeof(finding->entity_id), "%s", violation->entity_id);
	snprintf(finding->message, sizeof(finding->message), "%s", violation->message);
}

static bool add_event(void *arg, const struct event *event, const char *data)
{
	struct search *search = arg;
	struct finding *finding = &search->finding;

	search->events++;
	invariants_add(search->invariants, event, data);
	if (!finding->found)
		return true;
	snprintf(finding->type, sizeof(finding->type), "%s", event->type);
	return false;
}

/* Is the entity right after this event? It may become so again and again before it stays wrong. */
static bool look_at_entity(void *arg, const struct event *event, const char *data)
{
	struct search *search = arg;
	struct finding *finding = &search->finding;
	const struct fold_entity *entity;
	bool fails;

	search->events++;
	invariants_add(search->invariants, event, data);
	entity = fold_find(invariants_fold(search->invariants), search->of->topic,
	                   search->of->entity_id);
	fails = entity && !invariants_rest_holds(search->invariants, search->invariant, entity);
	if (fails && !search->fails) {
		struct error err;

		finding->place = search->events;
		snprintf(finding->topic, sizeof(finding->topic), "%s", event->topic);
		snprintf(finding->entity_id, sizeof(finding->entity_id), "%s",
		         event->entity_id ? event->entity_id : "");
		snprintf(finding->type, sizeof(finding->type), "%s", event->type);
		finding->found = entry_id_parse(event->entry_id, &finding->entry, &err);
	}
	search->fails = fails;
	return true;
}

static bool read_all(struct search *search, struct client *client, log_function *each,
                     struct error *err)
{
	search->invariants = invariants_create(each == add_event ? keep_violation : NULL, search);
	bool done = log_read(client, search->at, each, search, err);

	if (done && each == add_event && search->invariant->at_rest)
		invariants_rest(search->invariants);
	invariants_destroy(search->invariants);
	search->invariants = NULL;
	return done;
}

static void print_finding(const struct search *search, const struct finding *finding)
{
	char entry[ENTRY_ID_SIZE], when[LINE_TIME_SIZE];

	entry_id_format(finding->entry, entry);
	line_printf("%s fails since %s of %s %s", search->invariant->name,
	            *finding->type ? finding->type : "an event", finding->topic,
	            *finding->entity_id ? finding->entity_id : "-");
	printf("  at %s (%s)", line_entry_time(finding->entry, when), entry);
	if (finding->place > 0)
		printf(", event %" PRIu64 " of the log", finding->place);
	printf("\n");
}

/* Of a rule at rest: the first entity that breaks it now, and since when. */
static bool search_at_rest(struct search *search, struct client *client, struct error *err)
{
	struct finding *broken = &search->finding;
	struct search second = { .invariant = search->invariant, .of = broken };

	broken->place = 0;
	/* Mails say themselves after which event they are missing. */
	if (*broken->entity_id && strcmp(search->invariant->topic, broken->topic) == 0) {
		if (!read_all(&second, client, look_at_entity, err))
			return false;
	}
	print_finding(search, second.finding.found ? &second.finding : broken);
	line_printf("  %s %s: %s", broken->topic, broken->entity_id, broken->message);
	return true;
}

/* A shop that never comes to rest may be the very thing that is looked for: it is warned, not refused. */
static bool read_at_rest(struct search *search, struct client *client, struct error *err)
{
	char busy[QUIET_TEXT_SIZE];
	uint64_t at_rest;
	bool quiet = shop_quiet(client, QUIET_MS, busy, &at_rest);

	if (!read_all(search, client, add_event, err))
		return false;
	if (!quiet || at_rest != search->events)
		fprintf(stderr, "the shop is not at rest, as it must be for this: %s\n",
		        quiet ? "new events come" : busy);
	return true;
}

static bool bisect(struct client *client, void *arg, struct error *err)
{
	struct search *search = arg;
	bool rest = search->invariant->at_rest;

	if (!(rest ? read_at_rest(search, client, err) : read_all(search, client, add_event, err)))
		return false;
	if (!search->finding.found) {
		printf("%s holds: %" PRIu64 " %s\n", search->invariant->name, search->events,
		       plural(search->events, "event", "events"));
		return true;
	}
	if (rest)
		return search_at_rest(search, client, err);
	print_finding(search, &search->finding);
	line_printf("  %s", search->finding.message);
	return true;
}

static int unknown_invariant(const struct subcommand *self, const char *word)
{
	const char *names[64];
	size_t count = invariant_count < ARRAY_LEN(names) ? invariant_count : ARRAY_LEN(names);

	for (size_t i = 0; i < count; i++)
		names[i] = invariant_table[i].name;
	char hint[HINT_SIZE];
	closest_hint(hint, word, names, count);
	return command_misuse(self, "there is no invariant '%s'%s", word,
	                      *hint ? hint : "; ordershop verify lists them");
}

int bisect_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct search search = { 0 };
	struct entry_id at;
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 2)
		return command_misuse(self, "name one invariant; ordershop verify lists them");
	search.invariant = invariant_find(argv[1]);
	if (!search.invariant)
		return unknown_invariant(self, argv[1]);
	if (!option_moment(options, ARRAY_LEN(options), "at", &at, &search.at, &err))
		return command_misuse(self, "%s", err.message);
	if (search.at && search.invariant->at_rest)
		return command_misuse(self,
		                      "--at: %s must hold only in a shop at rest, and whether it "
		                      "was at rest then is not known",
		                      search.invariant->name);
	outcome = client_run(self, options, ARRAY_LEN(options), bisect, &search);
	return outcome == EXIT_OK && search.finding.found ? EXIT_FAILED : outcome;
}
