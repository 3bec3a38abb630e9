/* history.c - `ordershop history`: who changed an entity when, and what led to it. */
#include "ordershop/causes.h"
#include "ordershop/changes.h"
#include "ordershop/command.h"
#include "ordershop/entity_history.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "all",
	  .type = CONFIG_FLAG,
	  .help = "the whole trees: also what else followed from the same commands" },
	SHOP_OPTIONS,
};

/* One event, and what it changed. */
static void print_event(struct arena *arena, const Es__Event *event, const Es__Event *before)
{
	const char *actor = metadata_text(arena, event->metadata, "actor");
	bool created = !before || strcmp(before->event_action, ENTITY_DELETED) == 0;
	char when[EVENT_TIME_SIZE];
	struct buffer changes;

	printf("v%" PRIu64 " %s at %s%s", event->entity_version,
	       *event->event_type ? event->event_type : event->event_action,
	       event_time(event->entry_id, when), *actor ? " by " : "");
	line_print(actor);
	if (strcmp(event->event_action, ENTITY_DELETED) == 0)
		return;
	buffer_init(&changes, LINE_MAX_BYTES);
	if (changes_write(&changes, "    ", created ? NULL : before->event_data, event->event_data))
		fputs(changes.bytes, stdout);
	buffer_free(&changes);
}

struct walk {
	struct causes *causes;
	bool failed;
	struct error error;
};

static bool add_event(void *arg, const struct event *event, const char *data)
{
	struct walk *walk = arg;

	(void)data;
	walk->failed = !causes_add(walk->causes, event, &walk->error);
	return !walk->failed;
}

static bool print_history(struct client *client, const char *topic, const char *id,
                          struct error *err)
{
	struct walk walk = { .causes = causes_create(topic, id) };
	const Es__ReadEntityResponse *history;
	bool done = entity_history(client, topic, id, &history, err);

	if (done) {
		for (size_t i = 0; i < history->n_events; i++) {
			print_event(client->arena, history->events[i],
			            i > 0 ? history->events[i - 1] : NULL);
			causes_want(walk.causes, history->events[i]->metadata);
		}
		done = log_read(client, NULL, add_event, &walk, err);
	}
	if (done && walk.failed) {
		*err = walk.error;
		done = false;
	}
	if (done) {
		printf("\nwhat led to it\n");
		causes_print(walk.causes, config_flag(options, ARRAY_LEN(options), "all"));
	}
	causes_destroy(walk.causes);
	return done;
}

int history_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct client client;
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 3)
		return command_misuse(self,
		                      "say which entity: its topic and id, as in history order ID");
	if (!entity_check(argv[1], argv[2], &err))
		return command_misuse(self, "%s", err.message);
	client_open(&client, options, ARRAY_LEN(options));
	done = print_history(&client, argv[1], argv[2], &err);
	client_close(&client);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
