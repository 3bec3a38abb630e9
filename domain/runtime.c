#include "domain/runtime_internal.h"

#include "base/clock.h"
#include "domain/limits.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	CACHE_BYTES = 4 * 1024 * 1024,
};

struct runtime *runtime_create(struct loop *loop, const struct service *service,
                               struct domain_store *store)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	ASSERT(runtime != NULL);
	runtime->loop = loop;
	runtime->service = service;
	runtime->store = store;
	if (service->topic != NULL && entity_type(service->topic) != NULL)
		runtime->cache = cache_create(entity_type(service->topic), CACHE_BYTES);
	return runtime;
}

void runtime_destroy(struct runtime *runtime)
{
	if (runtime == NULL)
		return;
	struct run *run;
	DL_FOREACH(runtime->sleeping, run)
	{
		loop_timer_stop(runtime->loop, &run->timer);
	}
	cache_destroy(runtime->cache);
	free(runtime);
}

size_t runtime_running(const struct runtime *runtime)
{
	return runtime->running;
}

/* ---- The end ----------------------------------------------------------------------------- */

void run_finish(struct run *run, const struct error *error)
{
	struct outcome *outcome = arena_zalloc(run->arena, sizeof(*outcome));
	const struct buffer *result = &run->context.result;
	if (error != NULL)
		outcome->error = *error;
	else if (result->overflow)
		(void)error_set(&outcome->error, ERR_TOO_LARGE, "the result is too long");
	else
		outcome->result =
		    result->len == 0 ? "null" : arena_copy(run->arena, result->bytes, result->len);
	outcome->token_count = run->token_count;
	outcome->tokens = run->tokens;
	context_free(&run->context);
	run->runtime->running--;
	run->done(run->arg, outcome);
}

void run_add_token(struct run *run, const char *topic, const char *entry_id)
{
	size_t i = 0;
	while (i < run->token_count && strcmp(run->tokens[i].topic, topic) != 0)
		i++;
	if (i == TOKENS_MAX)
		return;
	run->tokens[i].topic = topic;
	run->tokens[i].entry_id = arena_strdup(run->arena, entry_id);
	if (i == run->token_count)
		run->token_count++;
}

void run_fail(struct run *run, const struct error *error)
{
	run->failure = *error;
	bool again = error->code == ERR_CONFLICT && run->task->comes_again;
	if (run->undo == NULL || again || error_transient(error)) {
		run_finish(run, &run->failure);
		return;
	}
	struct batch *undo = arena_zalloc(run->arena, sizeof(*undo));
	undo->topic = run->undo->topic;
	undo->events = run->undo->undo;
	for (const struct new_event *event = undo->events; event != NULL; event = event->next)
		undo->count++;
	run->undo = NULL;
	run->undoing = true;
	run->batch = undo;
	run_append(run);
}

static enum step crowded_out(struct run *run)
{
	return decide_fail(&run->context, ERR_CONFLICT, "%s: others were faster %d times",
	                   run->task->function->name, TRIES_MAX);
}

void run_try_again(struct run *run)
{
	/* What does not come again is given up first, as whatever ends without events: see conclude. */
	if (++run->tries == TRIES_MAX && run->task->comes_again) {
		(void)crowded_out(run);
		run_fail(run, &run->context.error);
		return;
	}
	run->fresh = false;
	run->probe = PROBE_NONE;
	context_forget(&run->context);
	run_advance(run);
}

/* ---- The decision ------------------------------------------------------------------------ */

static void wake(void *arg)
{
	struct run *run = arg;
	DL_DELETE(run->runtime->sleeping, run);
	run->fresh = true;
	run->probe = PROBE_NONE;
	context_forget(&run->context);
	run_advance(run);
}

/* What the rule refuses for now may be right in a moment. */
static bool may_pass(const struct run *run)
{
	return run->context.passing && run->sleep_ms < PASSING_LAST_MS;
}

static void sleep_on_it(struct run *run)
{
	run->sleep_ms = run->sleep_ms == 0 ? PASSING_FIRST_MS : 2 * run->sleep_ms;
	DL_APPEND(run->runtime->sleeping, run);
	loop_timer_start(run->runtime->loop, &run->timer, run->sleep_ms, wake, run);
}

static void conclude(struct run *run, enum step step)
{
	if (step == STEP_DONE && run->context.batches != NULL && run->tries == TRIES_MAX)
		step = crowded_out(run);
	bool has_events = step == STEP_DONE && run->context.batches != NULL;
	bool passes = step == STEP_FAILED && may_pass(run);
	bool ends = !has_events && !passes;
	/* Events that are in the log already come back as duplicates. Another decision than the first
	 * time needs the question: after a conflict, and whenever nothing would be appended on account
	 * of what was loaded. That this is the first delivery says little: the second one, to another
	 * instance when our lease ended, may have been faster. */
	bool maybe_applied = run->tries > 0 || (!has_events && run->context.needs != NULL);
	enum probe probe = PROBE_NONE;
	if (maybe_applied && !run->command.applied && run->runtime->service->topic != NULL)
		probe = probe_next(run->probe, run->task->function, ends);
	if (!has_events && !run->fresh && run_guesses(run)) {
		/* Events are checked by the store; a refusal must not rest on a guess. */
		run->fresh = true;
		run->probe = PROBE_NONE;
		context_forget(&run->context);
		for (struct need *need = run->context.needs; need != NULL; need = need->next)
			need->runner = NULL;
		run->behind = run->runtime->sent;
		if (run->behind > run->runtime->answered)
			DL_APPEND(run->runtime->behind, run);
		else
			run_advance(run);
	} else if (probe != PROBE_NONE) {
		/* After the load, so that it knows all that the decision has seen. What is given up cannot
		 * be done any more, so nothing newer is taken from the cache from here on. */
		run->fresh = run->fresh || ends;
		run_probe(run, probe);
	} else if (passes) {
		sleep_on_it(run);
	} else if (step == STEP_FAILED) {
		run_fail(run, &run->context.error);
	} else if (has_events) {
		run->batch = run->context.batches;
		run_append(run);
	} else {
		run_finish(run, NULL);
	}
}

void run_advance(struct run *run)
{
	run->failure = (struct error){ .code = ERR_NONE };
	for (;;) {
		if (!run->fresh)
			run_refresh(run);
		enum step step =
		    context_decide(&run->context, run->task->function->decide, &run->command);
		if (!run_assumptions_hold(run))
			continue;
		if (step != STEP_MORE) {
			conclude(run, step);
			return;
		}
		if (run_fetch(run))
			return;
	}
}

void runtime_run(struct runtime *runtime, struct arena *arena, const struct task *task,
                 runtime_done *done, void *arg)
{
	struct run *run = arena_zalloc(arena, sizeof(*run));
	run->runtime = runtime;
	run->arena = arena;
	run->task = task;
	run->done = done;
	run->arg = arg;
	run->command = (struct command){
		.function = task->function->name,
		.rules = task->function->rules,
		.message_id = task->message_id,
		.params = task->params,
		.now_us = clock_wall_us(),
	};
	context_init(&run->context, arena, task->message_id);
	runtime->running++;
	run_advance(run);
}
