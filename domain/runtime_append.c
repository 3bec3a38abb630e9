#include "domain/runtime_internal.h"

#include "base/id.h"
#include "base/log.h"
#include "domain/metadata.h"

#include <string.h>
#include <utlist.h>

/* False when the cache knows already that the versions are no longer those of the decision. */
static bool predict(struct run *run, const struct batch *batch)
{
	struct cache *cache = run->runtime->cache;
	if (!run_is_own(run, batch->topic))
		return true;
	for (struct new_event *event = batch->events; event != NULL; event = event->next) {
		const struct need *need = event->need;
		if (need == NULL || event->expect_none ||
		    event->expected_version != need->loaded.version)
			continue;
		const struct cached *cached = cache_find(cache, need->loaded.id);
		if (cached != NULL && cached->version != event->expected_version)
			return false;
	}
	for (struct new_event *event = batch->events; event != NULL; event = event->next) {
		if (event->need == NULL)
			continue;
		bool deleted = strcmp(event->action, ENTITY_DELETED) == 0;
		const struct cached *cached =
		    cache_put(cache, event->entity_id, event->expected_version + 1,
		              deleted ? NULL : event->state);
		event->runner = cached->generation;
		cache_hold(cached, event->event_id);
	}
	return true;
}

/* The prediction came true, or it did not. */
static void settle_prediction(struct run *run, const struct batch *batch,
                              const Es__AppendResult *result)
{
	struct cache *cache = run->runtime->cache;
	if (!run_is_own(run, batch->topic))
		return;
	size_t i = 0;
	for (const struct new_event *event = batch->events; event != NULL;
	     event = event->next, i++) {
		if (event->need == NULL)
			continue;
		bool came_true = result != NULL && i < result->n_events &&
		                 !result->events[i]->duplicate &&
		                 result->events[i]->version == event->expected_version + 1;
		if (came_true)
			cache_release(cache, event->entity_id, event->runner);
		else
			cache_drop(cache, event->entity_id, event->runner);
	}
}

/* Runs go on that waited for the appends before them. */
static void catch_up(struct runtime *runtime)
{
	runtime->answered++;
	while (runtime->behind != NULL && runtime->behind->behind <= runtime->answered) {
		struct run *run = runtime->behind;
		DL_DELETE(runtime->behind, run);
		run_advance(run);
	}
}

static void appended(void *arg, const ProtobufCMessage *item, const struct error *failure)
{
	struct run *run = arg;
	struct runtime *runtime = run->runtime;
	struct batch *batch = run->batch;
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	struct error err;
	bool own = run_is_own(run, batch->topic);
	bool done = domain_store_appended(batch, item, failure, &err);
	settle_prediction(run, batch, done ? result : NULL);
	if (run->undoing) {
		if (!done)
			log_error("undo_failed", "function=%s message=%s reason=\"%s\"",
			          run->task->function->name, run->task->message_id, err.message);
		run_finish(run, &run->failure);
	} else if (!done && err.code == ERR_CONFLICT) {
		run_try_again(run);
	} else if (!done) {
		run_fail(run, &err);
	} else {
		run_add_token(run, batch->topic, result->events[batch->count - 1]->entry_id);
		if (batch->undo != NULL)
			run->undo = batch;
		run->batch = batch->next;
		if (run->batch == NULL)
			run_finish(run, NULL);
		else
			run_append(run);
	}
	if (own)
		catch_up(runtime);
}

void run_append(struct run *run)
{
	struct error err;
	if (run->metadata == NULL)
		run->metadata =
		    metadata_next(run->arena, run->task->metadata, run->task->message_id, true);
	if (!predict(run, run->batch)) {
		run_try_again(run);
		return;
	}
	if (!domain_store_append(run->runtime->store, run->arena, run->batch, run->metadata,
	                         appended, run, &err)) {
		settle_prediction(run, run->batch, NULL);
		run_fail(run, &err);
	} else if (run_is_own(run, run->batch->topic)) {
		run->runtime->sent++;
	}
}

static void probed(void *arg, const ProtobufCMessage *item, const struct error *failure)
{
	struct run *run = arg;
	struct error err;
	const char *entry_id;
	if (!domain_store_known(item, failure, &entry_id, &err)) {
		run_fail(run, &err);
		return;
	}
	if (entry_id != NULL && run->probe == PROBE_FIRST_GIVEN_UP) {
		context_forget(&run->context);
	} else if (entry_id != NULL) {
		run->command.applied = true;
		run_add_token(run, run->runtime->service->topic, entry_id);
	}
	run_advance(run);
}

void run_probe(struct run *run, enum probe probe)
{
	const char *topic = probe_topic(probe, run->runtime->service, run->task->function);
	char event_id[UUID_SIZE];
	applied_event_id(run->task->message_id, topic, event_id);
	run->probe = probe;
	domain_store_ask(run->runtime->store, topic, event_id, probe != PROBE_ASKED, probed, run);
}
