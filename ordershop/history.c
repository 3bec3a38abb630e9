/* history.c - `ordershop history`: who changed an entity when, and what led to it. */
#include "domain/metadata.h"
#include "ordershop/causes.h"
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
	{ .name = "all",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "the whole trees: also what else followed from the same commands" },
	SHOP_OPTIONS,
};

struct history {
	struct log_range range; /* the entity's */
	struct causes *causes;
	struct arena *arena; /* of one event */
	char *before;        /* data; NULL: it was not there */
	bool failed;
	struct error error;
};

static void print_changes(const struct history *history, const char *data)
{
	struct buffer changes;

	buffer_init(&changes, LINE_MAX_BYTES);
	if (changes_write(&changes, "    ", history->before, data))
		fputs(changes.bytes, stdout);
	buffer_free(&changes);
}

/* An event of the entity, and what it changed. */
static bool print_event(void *arg, const struct event *event, const char *data)
{
	struct history *history = arg;
	bool deleted = strcmp(event->action, ENTITY_DELETED) == 0;
	char when[EVENT_TIME_SIZE];

	arena_reset(history->arena);
	const char *actor = metadata_text(history->arena, event->metadata, "actor");
	line_printf("v%" PRIu64 " %s at %s%s%s", event->version,
	            *event->type ? event->type : event->action, event_time(event->entry_id, when),
	            *actor ? " by " : "", actor);
	if (!deleted)
		print_changes(history, data);
	free(history->before);
	history->before = deleted ? NULL : strdup(data);
	causes_want(history->causes, event->metadata);
	return true;
}

static bool add_event(void *arg, const struct event *event, const char *data)
{
	struct history *history = arg;

	(void)data;
	history->failed = !causes_add(history->causes, event, &history->error);
	return !history->failed;
}

static bool print_history(struct client *client, void *arg, struct error *err)
{
	struct history *history = arg;
	const struct log_range *range = &history->range;
	const Es__Event *last;

	if (!entity_last(client, range->topic, range->entity_id, &last, err) ||
	    !log_read_range(client, range, print_event, history, err) ||
	    !log_read(client, NULL, add_event, history, err))
		return false;
	if (history->failed) {
		*err = history->error;
		return false;
	}
	printf("\nwhat led to it\n");
	causes_print(history->causes, config_flag(options, ARRAY_LEN(options), "all"));
	return true;
}

int history_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct history history;
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 3)
		return command_misuse(self,
		                      "say which entity: its topic and id, as in history order ID");
	if (!entity_check(argv[1], argv[2], &err))
		return command_misuse(self, "%s", err.message);
	history = (struct history){ .range = { .topic = argv[1], .entity_id = argv[2] },
		                    .causes = causes_create(argv[1], argv[2]),
		                    .arena = arena_create() };
	outcome = client_run(self, options, ARRAY_LEN(options), print_history, &history);
	causes_destroy(history.causes);
	arena_destroy(history.arena);
	free(history.before);
	return outcome;
}
