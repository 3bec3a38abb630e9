/* show.c - `ordershop show`: an entity as it is, or was. */
#include "ordershop/changes.h"
#include "ordershop/command.h"
#include "ordershop/entity_name.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "at", .placeholder = "TIME|ID", .once = true, .help = "as it was then" },
	{ .name = "json",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "only the entity, as one line of JSON" },
	SHOP_OPTIONS,
};

static void print_entity(const struct event *event, const char *data, bool json)
{
	char when[EVENT_TIME_SIZE];
	struct buffer text;

	if (json) {
		line_print(data);
		return;
	}
	buffer_init(&text, LINE_MAX_BYTES);
	changes_pretty(&text, data);
	line_printf("%s %s, version %" PRIu64 ", %s at %s", event->topic, event->entity_id,
	            event->version, *event->type ? event->type : event->action,
	            event_time(event->entry_id, when));
	fputs(text.bytes, stdout);
	buffer_free(&text);
}

struct look {
	const char *topic, *id;
	const struct entry_id *at; /* NULL: now */
	bool found;
	char deleted_at[EVENT_TIME_SIZE]; /* "": it was not */
};

/* The last event of the entity up to the moment: all that is needed. */
static bool show_event(void *arg, const struct event *event, const char *data)
{
	struct look *look = arg;

	look->found = true;
	if (strcmp(event->action, ENTITY_DELETED) == 0)
		event_time(event->entry_id, look->deleted_at);
	else
		print_entity(event, data, config_flag(options, ARRAY_LEN(options), "json"));
	return false;
}

static bool look_back(struct client *client, struct look *look, struct error *err)
{
	const struct log_range range = {
		.topic = look->topic, .entity_id = look->id, .until = look->at, .backward = true
	};

	if (!log_read_range(client, &range, show_event, look, err))
		return false;
	return look->found ||
	       error_set(err, ERR_NOT_FOUND, "there was no %s %s yet", look->topic, look->id);
}

static bool show(struct client *client, void *arg, struct error *err)
{
	struct look *look = arg;
	const Es__Event *last;

	if (!entity_last(client, look->topic, look->id, &last, err))
		return false;
	if (look->at) {
		if (!look_back(client, look, err))
			return false;
	} else {
		const struct event event = { .topic = last->topic,
			                     .entry_id = last->entry_id,
			                     .type = last->event_type,
			                     .action = last->event_action,
			                     .entity_id = last->entity_id,
			                     .version = last->entity_version };
		(void)show_event(look, &event, last->event_data);
	}
	return !*look->deleted_at || error_set(err, ERR_NOT_FOUND, "%s %s was deleted at %s",
	                                       look->topic, look->id, look->deleted_at);
}

int show_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct look look = { 0 };
	struct entry_id at;
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 3)
		return command_misuse(self,
		                      "say which entity: its topic and id, as in show order ID");
	look.topic = argv[1];
	look.id = argv[2];
	if (!entity_check(look.topic, look.id, &err) ||
	    !option_moment(options, ARRAY_LEN(options), "at", &at, &look.at, &err))
		return command_misuse(self, "%s", err.message);
	return client_run(self, options, ARRAY_LEN(options), show, &look);
}
