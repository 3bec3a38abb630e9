/* export.c - `ordershop export`: the log of a running shop into a file. */
#include "ordershop/command.h"
#include "ordershop/export_fold.h"
#include "ordershop/importer.h"
#include "ordershop/log_reader.h"
#include "ordershop/quiet.h"
#include "proto/eventstore_v1.pb-c.h"

#include <stdlib.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "force",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "replace the file if it exists" },
	{ .name = "busy",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "export a shop that is working too, without what waits in its queues" },
	{ .name = "wait",
	  .type = CONFIG_INTEGER,
	  .placeholder = "SECONDS",
	  .once = true,
	  .help = "how long to wait until the shop has nothing left to do",
	  .fallback = "10",
	  .max = 86400 },
	SHOP_OPTIONS,
};

struct export
{
	struct client client;
	struct export_writer *writer;
	struct fold *fold;
	struct export_end end;
	struct arena *arena; /* of topics and groups */
};

static bool flag(const char *name)
{
	return config_flag(options, ARRAY_LEN(options), name);
}

/* A file that could not be restored is none. */
static bool check_limits(const Es__TopicsResponse *topics, size_t groups, struct error *err)
{
	size_t count = 0;

	for (size_t i = 0; i < topics->n_topics; i++)
		count += topics->topics[i]->length > 0;
	if (count > IMPORT_TOPICS_MAX)
		return error_set(
		    err, ERR_TOO_LARGE,
		    "%zu topics have events; a file of more than %d cannot be restored", count,
		    IMPORT_TOPICS_MAX);
	if (groups > IMPORT_GROUPS_MAX)
		return error_set(err, ERR_TOO_LARGE,
		                 "the topics have %zu groups; a file of more than %d cannot be "
		                 "restored",
		                 groups, IMPORT_GROUPS_MAX);
	return true;
}

/* Before the log is read: what comes meanwhile stands after the checkpoints, and is delivered again. */
static bool take_groups(struct export *export, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;
	struct export_group *groups;
	size_t count = 0;

	if (!client_call(&export->client, TARGET_EVENT_STORE, "Topics", &request.base, &response,
	                 err))
		return false;
	topics = (const void *)response;
	for (size_t i = 0; i < topics->n_topics; i++)
		count += topics->topics[i]->length > 0 ? topics->topics[i]->n_groups : 0;
	if (!check_limits(topics, count, err))
		return false;
	groups = arena_zalloc(export->arena, (count + 1) * sizeof(*groups));
	for (size_t i = 0; i < topics->n_topics; i++) {
		const Es__TopicInfo *topic = topics->topics[i];

		for (size_t j = 0; topic->length > 0 && j < topic->n_groups; j++) {
			const char *checkpoint = topic->groups[j]->checkpoint;

			groups[export->end.group_count++] = (struct export_group){
				.topic = arena_strdup(export->arena, topic->topic),
				.name = arena_strdup(export->arena, topic->groups[j]->group),
				.checkpoint =
				    arena_strdup(export->arena, *checkpoint ? checkpoint : "0-0"),
			};
		}
	}
	export->end.groups = groups;
	return true;
}

static bool add_event(void *arg, const struct event *event, const char *data)
{
	struct export *export = arg;

	export_add(export->writer, event, data);
	fold_add(export->fold, event, data);
	return true;
}

static bool write_file(struct export *export, struct error *err)
{
	if (!take_groups(export, err) || !log_read(&export->client, NULL, add_event, export, err))
		return false;
	return export_finish_fold(export->writer, export->fold, export->arena, &export->end, err);
}

static bool export_shop(struct export *export, const char *path, struct error *err)
{
	unsigned wait_ms = (unsigned)config_integer(options, ARRAY_LEN(options), "wait") * 1000;
	char busy[QUIET_TEXT_SIZE];
	bool done;

	if (!shop_answers(&export->client, err))
		return false;
	if (!flag("busy") && !shop_quiet(&export->client, wait_ms, busy, NULL))
		return error_set(
		    err, ERR_PRECONDITION,
		    "the shop is not at rest, and what waits in its queues would not be in "
		    "the file (%s); --wait longer, or --busy",
		    busy);
	if (!export_create(path, flag("force"), &export->writer, err))
		return false;
	export->fold = fold_create();
	done = write_file(export, err);
	export_destroy(export->writer);
	fold_destroy(export->fold);
	return done;
}

int export_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct export export = { 0 };
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 2)
		return command_misuse(self, "say which file to write");
	client_open(&export.client, options, ARRAY_LEN(options));
	export.arena = arena_create();
	done = export_shop(&export, argv[1], &err);
	if (done)
		export_print_end(argv[1], &export.end);
	arena_destroy(export.arena);
	client_close(&export.client);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
