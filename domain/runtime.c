#include "domain/runtime.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "domain/cache.h"
#include "domain/metadata.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	CACHE_BYTES = 4 * 1024 * 1024,
	TRIES_MAX = 16,
	TOKENS_MAX = 4,
	/* Of decide_fail_for_now: 5 ms, then twice as long each time, about 2.5 s in all. */
	PASSING_FIRST_MS = 5,
	PASSING_LAST_MS = 1280,
};

struct runtime {
	struct loop *loop;
	const struct service *service;
	struct domain_store *store;
	struct cache *cache; /* NULL for a service without entities */
	size_t running;
	struct run *sleeping;
	/* Appends to the own topic, answered in the order sent, and runs that wait for them. */
	uint64_t sent, answered;
	struct run *behind;
};

/* One command, from runtime_run to `done`. Lives in the task's arena. */
struct run {
	struct runtime *runtime;
	struct arena *arena;
	const struct task *task;
	struct context context;
	struct command command;
	const char *metadata; /* of its events; made when first needed */
	unsigned waiting;     /* loads in flight */
	unsigned tries;
	bool fresh;  /* own entities come from the store, not from the cache */
	bool probed; /* the store was asked whether our events are in it */
	bool undoing;
	struct error failure;
	struct batch *batch;      /* being appended */
	const struct batch *undo; /* appended, to be taken back if the rest fails */
	struct token tokens[TOKENS_MAX];
	size_t token_count;
	runtime_done *done;
	void *arg;
	struct loop_timer timer; /* while sleeping */
	unsigned sleep_ms;
	uint64_t behind; /* waits until so many appends are answered */
	struct run *prev, *next;
};

static void advance(struct run *run);
static void append_batch(struct run *run);

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

static void finish(struct run *run, const struct error *error)
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

static void add_token(struct run *run, const char *topic, const char *entry_id)
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

/* The command cannot be done; an earlier batch of it that is in the log is taken back, unless the
 * message comes again and finds it. */
static void fail(struct run *run, const struct error *error)
{
	run->failure = *error;
	bool again = error->code == ERR_CONFLICT && run->task->comes_again;
	if (run->undo == NULL || again || error_transient(error)) {
		finish(run, &run->failure);
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
	append_batch(run);
}

static void try_again(struct run *run)
{
	struct error err;
	if (++run->tries == TRIES_MAX) {
		(void)error_set(&err, ERR_CONFLICT, "%s: others were faster %d times",
		                run->task->function->name, TRIES_MAX);
		fail(run, &err);
		return;
	}
	run->fresh = false;
	run->probed = false;
	context_forget(&run->context);
	advance(run);
}

/* ---- Loads ------------------------------------------------------------------------------- */

static bool is_own(const struct run *run, const char *topic)
{
	return run->runtime->cache != NULL && strcmp(topic, run->runtime->service->topic) == 0;
}

/* `runner` of an entity need tells where its state came from. */
static char from_cache, from_store;

static bool take_from_cache(struct run *run, struct need *need)
{
	const struct cached *cached = cache_find(run->runtime->cache, need->loaded.id);
	if (cached == NULL)
		return false;
	if (!need->known || need->assumed || need->loaded.version != cached->version) {
		need->loaded.version = cached->version;
		need->loaded.state = cache_state(cached, run->arena);
	}
	need->known = true;
	need->assumed = false;
	need->runner = &from_cache;
	return true;
}

/* Other commands may have moved the entities on since this one took them. */
static void refresh(struct run *run)
{
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->known && need->runner != NULL && is_own(run, need->loaded.topic))
			take_from_cache(run, need);
	}
}

/* False when an entity that the rule took as new is known to the cache. */
static bool assumptions_hold(struct run *run)
{
	bool hold = true;
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->assumed && is_own(run, need->loaded.topic) && take_from_cache(run, need))
			hold = false;
	}
	return hold;
}

struct load {
	struct run *run;
	struct need *need;
};

static void loaded(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	struct load *load = arg;
	struct run *run = load->run;
	struct need *need = load->need;
	if (domain_store_fill(need, run->arena, item, err, &run->failure)) {
		need->runner = &from_store;
		if (is_own(run, need->loaded.topic)) {
			struct cache *cache = run->runtime->cache;
			const struct cached *cached = cache_find(cache, need->loaded.id);
			if (cached != NULL && cached->version < need->loaded.version) {
				cache_drop(cache, need->loaded.id, cached->generation);
				cached = NULL;
			}
			if (cached == NULL)
				cache_put(cache, need->loaded.id, need->loaded.version,
				          need->loaded.state);
		}
	}
	if (--run->waiting > 0)
		return;
	if (run->failure.code != ERR_NONE)
		fail(run, &run->failure);
	else
		advance(run);
}

/* Starts to load what is missing; false when all is here now. */
static bool fetch(struct run *run)
{
	unsigned found = 0;
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->known)
			continue;
		ASSERT(need->kind == NEED_ENTITY); /* deciders can ask for nothing else */
		found++;
		if (!run->fresh && is_own(run, need->loaded.topic) && take_from_cache(run, need))
			continue;
		struct load *load = arena_alloc(run->arena, sizeof(*load));
		*load = (struct load){ run, need };
		run->waiting++;
		domain_store_load(run->runtime->store, need->loaded.topic, need->loaded.id, loaded,
		                  load);
	}
	ASSERT(found > 0); /* a rule that wants more must have asked for it */
	return run->waiting > 0;
}

/* ---- Appends ----------------------------------------------------------------------------- */

/* False when the cache knows already that the versions are no longer those of the decision. */
static bool predict(struct run *run, const struct batch *batch)
{
	struct cache *cache = run->runtime->cache;
	if (!is_own(run, batch->topic))
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
		cache_hold(cached);
	}
	return true;
}

/* The prediction came true, or it did not. */
static void settle_prediction(struct run *run, const struct batch *batch,
                              const Es__AppendResult *result)
{
	struct cache *cache = run->runtime->cache;
	if (!is_own(run, batch->topic))
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
		advance(run);
	}
}

static void appended(void *arg, const ProtobufCMessage *item, const struct error *failure)
{
	struct run *run = arg;
	struct runtime *runtime = run->runtime;
	struct batch *batch = run->batch;
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	struct error err;
	bool own = is_own(run, batch->topic);
	bool done = domain_store_appended(batch, item, failure, &err);
	settle_prediction(run, batch, done ? result : NULL);
	if (run->undoing) {
		if (!done)
			log_error("undo_failed", "function=%s message=%s reason=\"%s\"",
			          run->task->function->name, run->task->message_id, err.message);
		finish(run, &run->failure);
	} else if (!done && err.code == ERR_CONFLICT) {
		try_again(run);
	} else if (!done) {
		fail(run, &err);
	} else {
		add_token(run, batch->topic, result->events[batch->count - 1]->entry_id);
		if (batch->undo != NULL)
			run->undo = batch;
		run->batch = batch->next;
		if (run->batch == NULL)
			finish(run, NULL);
		else
			append_batch(run);
	}
	if (own)
		catch_up(runtime);
}

static void append_batch(struct run *run)
{
	struct error err;
	if (run->metadata == NULL)
		run->metadata =
		    metadata_next(run->arena, run->task->metadata, run->task->message_id, true);
	if (!predict(run, run->batch)) {
		try_again(run);
		return;
	}
	if (!domain_store_append(run->runtime->store, run->arena, run->batch, run->metadata,
	                         appended, run, &err)) {
		settle_prediction(run, run->batch, NULL);
		fail(run, &err);
	} else if (is_own(run, run->batch->topic)) {
		run->runtime->sent++;
	}
}

static void probed(void *arg, const ProtobufCMessage *item, const struct error *failure)
{
	struct run *run = arg;
	struct error err;
	const char *entry_id;
	if (!domain_store_known(item, failure, &entry_id, &err)) {
		fail(run, &err);
		return;
	}
	run->probed = true;
	if (entry_id != NULL) {
		run->command.applied = true;
		add_token(run, run->runtime->service->topic, entry_id);
	}
	advance(run);
}

static void probe(struct run *run)
{
	const char *topic = run->runtime->service->topic;
	char event_id[UUID_SIZE];
	applied_event_id(run->task->message_id, topic, event_id);
	domain_store_ask(run->runtime->store, topic, event_id, probed, run);
}

/* ---- The decision ------------------------------------------------------------------------ */

static bool uses_cache(const struct run *run)
{
	for (const struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->runner == &from_cache)
			return true;
	}
	return false;
}

static void wake(void *arg)
{
	struct run *run = arg;
	DL_DELETE(run->runtime->sleeping, run);
	run->fresh = true;
	context_forget(&run->context);
	advance(run);
}

/* What the rule refuses for now may be right in a moment. */
static bool sleep_on_it(struct run *run)
{
	if (!run->context.passing || run->sleep_ms == PASSING_LAST_MS)
		return false;
	run->sleep_ms = run->sleep_ms == 0 ? PASSING_FIRST_MS : 2 * run->sleep_ms;
	DL_APPEND(run->runtime->sleeping, run);
	loop_timer_start(run->runtime->loop, &run->timer, run->sleep_ms, wake, run);
	return true;
}

static void conclude(struct run *run, enum step step)
{
	bool has_events = step == STEP_DONE && run->context.batches != NULL;
	/* Events that are in the log already come back as duplicates; only another decision than
	 * the first time needs the question. After a conflict also of a message that is new here:
	 * another instance may have got it when our lease ended, and been faster. */
	bool maybe_applied = run->tries > 0 || (run->task->repeated && !has_events);
	if (maybe_applied && !run->probed && run->runtime->service->topic != NULL) {
		probe(run);
	} else if (!has_events && !run->fresh && uses_cache(run)) {
		/* Events are checked by the store; a refusal must not rest on a guess. */
		run->fresh = true;
		context_forget(&run->context);
		for (struct need *need = run->context.needs; need != NULL; need = need->next)
			need->runner = NULL;
		run->behind = run->runtime->sent;
		if (run->behind > run->runtime->answered)
			DL_APPEND(run->runtime->behind, run);
		else
			advance(run);
	} else if (step == STEP_FAILED) {
		if (!sleep_on_it(run))
			fail(run, &run->context.error);
	} else if (has_events) {
		run->batch = run->context.batches;
		append_batch(run);
	} else {
		finish(run, NULL);
	}
}

static void advance(struct run *run)
{
	run->failure = (struct error){ .code = ERR_NONE };
	for (;;) {
		if (!run->fresh)
			refresh(run);
		enum step step =
		    context_decide(&run->context, run->task->function->decide, &run->command);
		if (!assumptions_hold(run))
			continue;
		if (step != STEP_MORE) {
			conclude(run, step);
			return;
		}
		if (fetch(run))
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
	advance(run);
}
