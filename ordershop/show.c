/* show.c - `ordershop show`: an entity as it is, or was. */
#include "base/clock.h"
#include "base/when.h"
#include "ordershop/changes.h"
#include "ordershop/command.h"
#include "ordershop/entity_name.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "at", .placeholder = "TIME|ID", .help = "as it was then" },
	{ .name = "json", .type = CONFIG_FLAG, .help = "only the entity, as one line of JSON" },
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
	printf("%s %s, version %" PRIu64 ", %s at %s\n%s", event->topic, event->entity_id,
	       event->version, *event->type ? event->type : event->action,
	       event_time(event->entry_id, when), text.len > 0 ? text.bytes : "");
	buffer_free(&text);
}

struct look {
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

static bool look_back(struct client *client, const char *topic, const char *id,
                      const struct entry_id *at, struct look *look, struct error *err)
{
	const struct log_range range = {
		.topic = topic, .entity_id = id, .until = at, .backward = true
	};

	if (!log_read_range(client, &range, show_event, look, err))
		return false;
	return look->found || error_set(err, ERR_NOT_FOUND, "there was no %s %s yet", topic, id);
}

static bool show(struct client *client, const char *topic, const char *id,
                 const struct entry_id *at, struct error *err)
{
	struct look look = { .deleted_at = "" };
	const Es__Event *last;

	if (!entity_last(client, topic, id, &last, err))
		return false;
	if (at) {
		if (!look_back(client, topic, id, at, &look, err))
			return false;
	} else {
		const struct event event = { .topic = last->topic,
			                     .entry_id = last->entry_id,
			                     .type = last->event_type,
			                     .action = last->event_action,
			                     .entity_id = last->entity_id,
			                     .version = last->entity_version };
		(void)show_event(&look, &event, last->event_data);
	}
	return !*look.deleted_at ||
	       error_set(err, ERR_NOT_FOUND, "%s %s was deleted at %s", topic, id, look.deleted_at);
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
