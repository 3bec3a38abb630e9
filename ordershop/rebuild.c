/* rebuild.c - `ordershop rebuild`: has the read model built anew, and shows how far it is. */
#include "base/clock.h"
#include "ordershop/command.h"
#include "ordershop/lines.h"
#include "ordershop/rebuild.h"
#include "proto/readmodel_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config_option options[] = {
	{ .name = "detach", .type = CONFIG_FLAG, .once = true, .help = "end when it has begun" },
	SHOP_OPTIONS,
};

enum { LOOK_FIRST_MS = 10, LOOK_MS = 200, FAILURES_MAX = 50 };

struct progress {
	struct client *client;
	const char *projection; /* that is being built */
	uint64_t number;        /* of it */
	uint64_t started_us;
	bool on_terminal;
	uint64_t shown, shown_of; /* events, as they were printed last */
	unsigned failures; /* in a row: the service may have to start again, and goes on then */
};

static void pause_done(void *arg)
{
	loop_stop(arg);
}

static void pause_loop(struct client *client, uint64_t ms)
{
	struct loop_timer timer = { 0 };
	loop_timer_start(client->loop, &timer, ms, pause_done, client->loop);
	loop_run(client->loop);
}

static bool begin(struct progress *progress, struct error *err)
{
	Rm__RebuildRequest request = RM__REBUILD_REQUEST__INIT;
	const ProtobufCMessage *response;
	if (!client_call(progress->client, TARGET_READ_MODEL, "Rebuild", &request.base, &response,
	                 err))
		return false;
	progress->projection = strdup(((const Rm__RebuildResponse *)response)->projection);
	ASSERT(progress->projection != NULL);
	const char *colon = strchr(progress->projection, ':');
	progress->number = colon == NULL ? 0 : strtoull(colon + 1, NULL, 10);
	progress->started_us = clock_monotonic_us();
	return true;
}

static void print_progress(struct progress *progress, const Rm__Checkpoint *at)
{
	if (progress->shown_of > 0 && at->events == progress->shown &&
	    at->log_events == progress->shown_of)
		return;
	progress->shown = at->events;
	progress->shown_of = at->log_events;
	double percent =
	    at->log_events == 0 ? 100 : 100.0 * (double)at->events / (double)at->log_events;
	printf("%s%s: %" PRIu64 " of %" PRIu64 " %s, %.0f %%%s", progress->on_terminal ? "\r" : "",
	       at->projection, at->events, at->log_events,
	       plural(at->log_events, "event", "events"), percent > 100 ? 100 : percent,
	       progress->on_terminal ? "   " : "\n");
	fflush(stdout);
}

/* True: it answers queries now, or a newer one does. */
static bool look(struct progress *progress, bool *live, struct error *err)
{
	Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
	const ProtobufCMessage *response;
	if (!client_call(progress->client, TARGET_READ_MODEL, "Checkpoints", &request.base,
	                 &response, err))
		return ++progress->failures < FAILURES_MAX;
	progress->failures = 0;
	const Rm__CheckpointsResponse *found = (const void *)response;
	for (size_t i = 0; i < found->n_checkpoints; i++) {
		const Rm__Checkpoint *at = found->checkpoints[i];
		const char *colon = strchr(at->projection, ':');
		uint64_t number = colon == NULL ? 0 : strtoull(colon + 1, NULL, 10);
		if (at->live && number >= progress->number)
			*live = true;
		if (number == progress->number)
			print_progress(progress, at);
	}
	return true;
}

static bool wait_for_it(struct progress *progress, struct error *err)
{
	bool live = false;

	for (uint64_t ms = LOOK_FIRST_MS;; ms = ms < LOOK_MS / 2 ? 2 * ms : LOOK_MS) {
		arena_reset(progress->client->arena);
		if (!look(progress, &live, err))
			return false;
		if (live)
			break;
		pause_loop(progress->client, ms);
	}
	if (progress->on_terminal)
		printf("\n");
	printf("%s answers after %.1f s\n", progress->projection,
	       (double)(clock_monotonic_us() - progress->started_us) / 1e6);
	return true;
}

bool rebuild_model(struct client *client, bool detach, struct error *err)
{
	struct progress progress = { .client = client, .on_terminal = isatty(STDOUT_FILENO) == 1 };
	bool done = begin(&progress, err);

	if (done && detach)
		printf("%s is being built; ordershop status shows how far it is\n",
		       progress.projection);
	else if (done)
		done = wait_for_it(&progress, err);
	free((char *)progress.projection);
	arena_reset(client->arena);
	return done;
}

int rebuild_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct client client;
	struct error err;
	bool ok;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 1)
		return command_misuse(self, "'%s' is not an option", argv[1]);
	client_open(&client, options, ARRAY_LEN(options));
	ok = rebuild_model(&client, config_flag(options, ARRAY_LEN(options), "detach"), &err);
	client_close(&client);
	return ok ? EXIT_OK : command_fail(self, "%s", err.message);
}
