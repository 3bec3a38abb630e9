/* restore.c - `ordershop restore`: a file of `ordershop export` into an empty store. */
#include "base/clock.h"
#include "domain/invariants.h"
#include "ordershop/command.h"
#include "ordershop/export_file.h"
#include "ordershop/importer.h"
#include "ordershop/lines.h"
#include "ordershop/log_reader.h"
#include "ordershop/rebuild.h"
#include "proto/eventstore_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "check",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "only check the file, write nothing" },
	{ .name = "abandon",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "forget a restore of this file that was interrupted" },
	SHOP_OPTIONS,
};

struct restore {
	const char *path;
	struct client client;
	struct export_reader *reader; /* of the first reading; holds `end` */
	const struct export_end *end;
	char import_id[IMPORT_ID_SIZE];
};

/* ---- The file ---------------------------------------------------------------------------- */

/* What the store would refuse. Other rules of the shop are for `ordershop verify`. */
struct file_check {
	bool failed;
	struct error error;
	uint64_t others; /* violations */
};

static void found_wrong(void *arg, const struct violation *violation)
{
	struct file_check *check = arg;

	if (violation->invariant->of_the_log) {
		check->failed = true;
		error_set(&check->error, ERR_INVALID, "%s", violation->message);
	}
	check->others++;
}

static bool check_event(struct restore *restore, struct invariants *invariants,
                        struct file_check *check, const struct event *event, const char *data,
                        struct error *err)
{
	struct entry_id entry;

	if (!name_check("topic", event->topic, err))
		return export_wrap(restore->reader, err);
	if (!entry_id_parse(event->entry_id, &entry, err)) {
		error_wrap(err, "entry_id");
		return export_wrap(restore->reader, err);
	}
	invariants_add(invariants, event, data);
	if (!check->failed)
		return true;
	*err = check->error;
	return export_wrap(restore->reader, err);
}

static bool check_topics(const struct restore *restore, const struct fold *fold, struct error *err)
{
	const struct export_end *end = restore->end;
	size_t count = 0;

	for (const struct fold_topic *t = fold_topics(fold); t != NULL; t = t->hh.next)
		count++;
	for (size_t i = 0; i < end->topic_count; i++) {
		const struct fold_topic *topic = fold_topic_find(fold, end->topics[i].name);

		if (topic == NULL || topic->events != end->topics[i].events ||
		    entry_id_compare(topic->first, end->topics[i].first) != 0 ||
		    entry_id_compare(topic->last, end->topics[i].last) != 0)
			return error_set(err, ERR_INVALID,
			                 "topics: must be those of the events, %.64s is not so",
			                 end->topics[i].name);
	}
	if (count != end->topic_count)
		return error_set(err, ERR_INVALID, "topics: must be the %zu of the events, are %zu",
		                 count, end->topic_count);
	if (count > IMPORT_TOPICS_MAX)
		return error_set(err, ERR_INVALID, "topics: must be at most %d, are %zu",
		                 IMPORT_TOPICS_MAX, count);
	if (end->group_count > IMPORT_GROUPS_MAX)
		return error_set(err, ERR_INVALID, "groups: must be at most %d, are %zu",
		                 IMPORT_GROUPS_MAX, end->group_count);
	return true;
}

static bool check_end(const struct restore *restore, const struct fold *fold, struct error *err)
{
	char hash[DIGEST_TEXT_SIZE];

	fold_hash(fold, hash);
	if (!check_topics(restore, fold, err))
		return export_wrap(restore->reader, err);
	if (strcmp(hash, restore->end->state_hash) == 0)
		return true;
	error_set(err, ERR_INVALID, "state_hash: must be %s, is %s", hash,
	          restore->end->state_hash);
	return export_wrap(restore->reader, err);
}

static bool check_lines(struct restore *restore, struct invariants *invariants,
                        struct file_check *check, struct error *err)
{
	struct arena *arena = arena_create();
	struct event event;
	const char *data;
	enum export_line line;
	bool good = true;

	while (good && (line = export_next(restore->reader, &event, &data, &restore->end, err)) ==
	                   EXPORT_EVENT) {
		arena_reset(arena);
		event.state = entity_read(arena, event.topic, data, err);
		good = check_event(restore, invariants, check, &event, data, err);
	}
	arena_destroy(arena);
	return good && line == EXPORT_END && check_end(restore, invariants_fold(invariants), err);
}

/* The whole file, before anything is written. */
static bool check_file(struct restore *restore, struct error *err)
{
	struct file_check check = { 0 };
	struct invariants *invariants;
	bool good;

	if (!export_open(restore->path, &restore->reader, err))
		return false;
	invariants = invariants_create(found_wrong, &check);
	good = check_lines(restore, invariants, &check, err);
	invariants_destroy(invariants);
	if (!good)
		return false;
	printf("%s is whole: %" PRIu64 " %s of %zu %s\n", restore->path, restore->end->events,
	       plural(restore->end->events, "event", "events"), restore->end->topic_count,
	       plural(restore->end->topic_count, "topic", "topics"));
	if (check.others > 0)
		printf("%" PRIu64 " %s in it; ordershop verify tells them\n", check.others,
		       plural(check.others, "violation of an invariant is",
		              "violations of invariants are"));
	snprintf(restore->import_id, sizeof(restore->import_id), "restore-%.48s",
	         restore->end->log_hash);
	return true;
}

/* ---- The store --------------------------------------------------------------------------- */

/* Topics of the file may be there already, by an earlier restore: the store looks at these. */
static bool check_empty(struct restore *restore, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;

	request.brief = true;
	if (!client_call(&restore->client, TARGET_EVENT_STORE, "Topics", &request.base, &response,
	                 err))
		return false;
	topics = (const void *)response;
	for (size_t i = 0; i < topics->n_topics; i++) {
		bool known = topics->topics[i]->length == 0;

		for (size_t j = 0; j < restore->end->topic_count && !known; j++)
			known = strcmp(restore->end->topics[j].name, topics->topics[i]->topic) == 0;
		if (!known)
			return error_set(err, ERR_PRECONDITION,
			                 "the store is not empty: topic %s has %" PRIu64
			                 " events, and is not in the file",
			                 topics->topics[i]->topic, topics->topics[i]->length);
	}
	return true;
}

static bool send_lines(const struct restore *restore, struct importer *importer, struct error *err)
{
	struct export_reader *again;
	const struct export_end *end;
	struct event event;
	const char *data;
	enum export_line line;

	if (!export_open(restore->path, &again, err))
		return false;
	while ((line = export_next(again, &event, &data, &end, err)) == EXPORT_EVENT) {
		if (!importer_add(importer, &event, data, err))
			break;
	}
	bool same = line == EXPORT_END && strcmp(end->log_hash, restore->end->log_hash) == 0;

	if (line == EXPORT_END && !same)
		error_set(err, ERR_CONFLICT, "%s: is another file than a moment ago",
		          restore->path);
	export_close(again);
	return same;
}

static bool finish(const struct restore *restore, struct importer *importer, struct error *err)
{
	size_t count = restore->end->group_count;
	struct importer_group *groups = calloc(count + 1, sizeof(*groups));
	bool done;

	ASSERT(groups);
	for (size_t i = 0; i < count; i++)
		groups[i] = (struct importer_group){ restore->end->groups[i].topic,
			                             restore->end->groups[i].name,
			                             restore->end->groups[i].checkpoint };
	done = importer_finish(importer, groups, count, err);
	free(groups);
	return done;
}

static bool begin(struct restore *restore, struct importer **importer, struct error *err)
{
	const char *topics[IMPORT_TOPICS_MAX];

	for (size_t i = 0; i < restore->end->topic_count; i++)
		topics[i] = restore->end->topics[i].name;
	return importer_begin(&restore->client, restore->import_id, topics,
	                      restore->end->topic_count, importer, err);
}

static bool write_store(struct restore *restore, struct error *err)
{
	struct importer *importer;
	uint64_t start_us = clock_monotonic_us();
	bool done;

	if (!check_empty(restore, err) || !begin(restore, &importer, err))
		return false;
	if (importer_was_finished(importer)) {
		printf("the store has it already\n");
		importer_destroy(importer);
		return true;
	}
	done = send_lines(restore, importer, err) && finish(restore, importer, err);
	importer_destroy(importer);
	if (done)
		printf("written in %.1f s\n", (double)(clock_monotonic_us() - start_us) / 1e6);
	else
		error_wrap(err, "nothing of it can be seen yet, restore it again to go on, or "
		                "--abandon it");
	return done;
}

/* ---- The comparison ---------------------------------------------------------------------- */

struct reading {
	struct fold *fold;
	struct log_hash *hash;
	struct buffer line;
};

static bool read_back(void *arg, const struct event *event, const char *data)
{
	struct reading *reading = arg;

	buffer_clear(&reading->line);
	event_line_write(&reading->line, event, data);
	log_hash_add(reading->hash, reading->line.bytes, reading->line.len);
	fold_add(reading->fold, event, data);
	return true;
}

/* What the shop has done since is left out: it stands after the last event of the file. */
static struct entry_id last_of(const struct export_end *end)
{
	struct entry_id last = { 0 };

	for (size_t i = 0; i < end->topic_count; i++) {
		if (entry_id_compare(end->topics[i].last, last) > 0)
			last = end->topics[i].last;
	}
	return last;
}

static bool compare(struct restore *restore, struct error *err)
{
	struct reading reading = { .fold = fold_create(), .hash = log_hash_create() };
	const struct entry_id last = last_of(restore->end);
	const struct log_range range = { .until = &last };
	char log[DIGEST_TEXT_SIZE], state[DIGEST_TEXT_SIZE];
	bool same;

	buffer_init(&reading.line, EVENT_LINE_MAX);
	same = log_read_range(&restore->client, &range, read_back, &reading, err);
	if (same) {
		log_hash_text(reading.hash, log);
		fold_hash(reading.fold, state);
		printf("log hash   %s\nstate hash %s\n", log, state);
		same = strcmp(log, restore->end->log_hash) == 0 &&
		       strcmp(state, restore->end->state_hash) == 0;
		if (!same)
			error_set(
			    err, ERR_INTERNAL,
			    "the store has another log than the file: log hash %s, state hash %s",
			    restore->end->log_hash, restore->end->state_hash);
	}
	fold_destroy(reading.fold);
	log_hash_destroy(reading.hash);
	buffer_free(&reading.line);
	return same;
}

static bool abandon(struct restore *restore, struct error *err)
{
	struct importer *importer;
	bool done;

	if (!begin(restore, &importer, err))
		return false;
	done =
	    importer_was_finished(importer)
	        ? error_set(err, ERR_PRECONDITION, "nothing to abandon: it was restored to its end")
	        : importer_abandon(importer, err);
	importer_destroy(importer);
	return done;
}

static bool run(struct restore *restore, struct error *err)
{
	bool done;

	if (!check_file(restore, err))
		return false;
	if (config_flag(options, ARRAY_LEN(options), "check"))
		return true;
	client_open(&restore->client, options, ARRAY_LEN(options));
	if (config_flag(options, ARRAY_LEN(options), "abandon"))
		done = abandon(restore, err);
	else
		done = restore->end->events == 0 ||
		       (write_store(restore, err) && compare(restore, err) &&
		        rebuild_model(&restore->client, false, err));
	client_close(&restore->client);
	return done;
}

int restore_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct restore restore = { 0 };
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 2)
		return command_misuse(self, "say which file to restore");
	restore.path = argv[1];
	done = run(&restore, &err);
	export_close(restore.reader);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
