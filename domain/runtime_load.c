#include "domain/runtime_internal.h"

#include <string.h>

bool run_is_own(const struct run *run, const char *topic)
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
	if (!need->known || need->assumed || need->loaded.version != cached->version ||
	    need->generation != cached->generation) {
		need->loaded.version = cached->version;
		need->loaded.state = cache_state(cached, run->arena);
		need->loaded.last = NULL;
		need->generation = cached->generation;
		need->made_by =
		    cached->made_by[0] == '\0' ? NULL : arena_strdup(run->arena, cached->made_by);
	}
	need->known = true;
	need->assumed = false;
	need->runner = &from_cache;
	return true;
}

void run_refresh(struct run *run)
{
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->known && need->runner != NULL && run_is_own(run, need->loaded.topic))
			take_from_cache(run, need);
	}
}

bool run_assumptions_hold(struct run *run)
{
	bool hold = true;
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->assumed && run_is_own(run, need->loaded.topic) &&
		    take_from_cache(run, need))
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
		need->generation = 0;
		need->made_by = NULL;
		if (run_is_own(run, need->loaded.topic)) {
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
		run_fail(run, &run->failure);
	else
		run_advance(run);
}

bool run_fetch(struct run *run)
{
	unsigned found = 0;
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->known)
			continue;
		ASSERT(need->kind == NEED_ENTITY); /* deciders can ask for nothing else */
		found++;
		if (!run->fresh && run_is_own(run, need->loaded.topic) &&
		    take_from_cache(run, need))
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

bool run_guesses(const struct run *run)
{
	for (const struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (need->assumed || need->runner == &from_cache)
			return true;
	}
	return false;
}
