/* show.c - `ordershop show`: an entity as it is, or was. */
#include "base/clock.h"
#include "base/when.h"
#include "domain/decide.h"
#include "ordershop/changes.h"
#include "ordershop/command.h"
#include "ordershop/entity_history.h"
#include "ordershop/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "at", .placeholder = "TIME|ID", .help = "as it was then" },
	{ .name = "json", .type = CONFIG_FLAG, .help = "only the entity, as one line of JSON" },
	SHOP_OPTIONS,
};

static void print_entity(const Es__Event *event, bool json)
{
	char when[EVENT_TIME_SIZE];
	struct buffer text;

	if (json) {
		line_print(event->event_data);
		return;
	}
	buffer_init(&text, LINE_MAX_BYTES);
	changes_pretty(&text, event->event_data);
	printf("%s %s, version %" PRIu64 ", %s at %s\n%s", event->topic, event->entity_id,
	       event->entity_version, *event->event_type ? event->event_type : event->event_action,
	       event_time(event->entry_id, when), text.len > 0 ? text.bytes : "");
	buffer_free(&text);
}

static bool show(struct client *client, const char *topic, const char *id,
                 const struct entry_id *at, struct error *err)
{
	const Es__ReadEntityResponse *history;
	char when[EVENT_TIME_SIZE];
	size_t count;

	if (!entity_history(client, topic, id, &history, err))
		return false;
	count = entity_history_until(history, at);
	if (count == 0)
		return error_set(err, ERR_NOT_FOUND,
		                 "there was no %s %s yet: its first event is of %s", topic, id,
		                 event_time(history->events[0]->entry_id, when));
	const Es__Event *last = history->events[count - 1];
	if (strcmp(last->event_action, ENTITY_DELETED) == 0)
		return error_set(err, ERR_NOT_FOUND, "%s %s was deleted at %s", topic, id,
		                 event_time(last->entry_id, when));
	print_entity(last, config_flag(options, ARRAY_LEN(options), "json"));
	return true;
}

int show_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct client client;
	const char *text;
	struct entry_id at;
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 3)
		return command_misuse(self,
		                      "say which entity: its topic and id, as in show order ID");
	text = config_string(options, ARRAY_LEN(options), "at");
	if (!entity_check(argv[1], argv[2], &err))
		return command_misuse(self, "%s", err.message);
	if (text && !moment_parse(text, clock_wall_us(), &at, &err))
		return command_misuse(self, "--at: %s", err.message);
	client_open(&client, options, ARRAY_LEN(options));
	done = show(&client, argv[1], argv[2], text ? &at : NULL, &err);
	client_close(&client);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
