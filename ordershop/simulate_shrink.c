/* The shortest script that still shows what was found: delta debugging over its actions. */
#include "ordershop/simulate.h"

#include <stdlib.h>
#include <string.h>

struct shrinking {
	const struct cast *cast;
	struct finding *finding;
	struct arena *arena;
	struct script *best;
	struct script candidate;
	uint64_t plays, plays_max;
};

/* Does the candidate show it too? Then it is the best so far. */
static bool try_candidate(struct shrinking *shrinking)
{
	struct stage stage;
	struct script *candidate = &shrinking->candidate;
	size_t i = 0;
	if (shrinking->plays == shrinking->plays_max)
		return false;
	shrinking->plays++;
	stage_open(&stage, candidate->seed, shrinking->cast);
	while (i < candidate->count && !stage_found(&stage))
		stage_act(&stage, &candidate->actions[i++]);
	candidate->ends = !stage_found(&stage);
	if (candidate->ends)
		stage_end(&stage);
	bool shown = strcmp(stage.watched.finding.invariant, shrinking->finding->invariant) == 0;
	if (shown) {
		struct script before = *shrinking->best;
		candidate->count = i;
		*shrinking->finding = stage.watched.finding;
		*shrinking->best = *candidate;
		*candidate = before;
	}
	stage_close(&stage);
	return shown;
}

static void begin_candidate(struct shrinking *shrinking)
{
	shrinking->candidate.count = 0;
	shrinking->candidate.seed = shrinking->best->seed;
}

/* Without `count` actions from `from` on. */
static bool try_without(struct shrinking *shrinking, size_t from, size_t count)
{
	begin_candidate(shrinking);
	for (size_t i = 0; i < shrinking->best->count; i++) {
		if (i < from || i >= from + count)
			script_add(&shrinking->candidate, &shrinking->best->actions[i]);
	}
	return try_candidate(shrinking);
}

/* Everything one after the other, in order: the commands alone. */
static bool try_calm(struct shrinking *shrinking, uint64_t seed, bool faults)
{
	begin_candidate(shrinking);
	shrinking->candidate.seed = seed;
	for (size_t i = 0; i < shrinking->best->count; i++) {
		struct action action = shrinking->best->actions[i];
		action.rest = action.kind == ACTION_SEND;
		if (action.kind == ACTION_SEND || (faults && action.kind != ACTION_WORK))
			script_add(&shrinking->candidate, &action);
	}
	return try_candidate(shrinking);
}

static void try_in_order(struct shrinking *shrinking)
{
	begin_candidate(shrinking);
	shrinking->candidate.seed = 0;
	for (size_t i = 0; i < shrinking->best->count; i++)
		script_add(&shrinking->candidate, &shrinking->best->actions[i]);
	(void)try_candidate(shrinking);
}

/* The ends go first: what came after the first half of the cause is often not needed. */
static bool remove_chunks(struct shrinking *shrinking, size_t size)
{
	bool any = false;
	for (size_t end = shrinking->best->count; end > 0;) {
		size_t from = end > size ? end - size : 0;
		if (try_without(shrinking, from, end - from))
			any = true;
		end = from < shrinking->best->count ? from : shrinking->best->count;
	}
	return any;
}

static void remove_all_that_can(struct shrinking *shrinking)
{
	bool any = true;
	for (size_t size = shrinking->best->count / 2; size > 0; size /= 2)
		(void)remove_chunks(shrinking, size);
	while (any && shrinking->plays < shrinking->plays_max)
		any = remove_chunks(shrinking, 1);
}

/* With one action changed. */
static bool try_changed(struct shrinking *shrinking, size_t i, const struct action *action)
{
	begin_candidate(shrinking);
	for (size_t j = 0; j < shrinking->best->count; j++)
		script_add(&shrinking->candidate, j == i ? action : &shrinking->best->actions[j]);
	return try_candidate(shrinking);
}

/* Commands that may rest after themselves do; work becomes less. */
static void calm_down(struct shrinking *shrinking)
{
	for (size_t i = 0; i < shrinking->best->count; i++) {
		struct action action = shrinking->best->actions[i];
		if (action.kind == ACTION_SEND && !action.rest) {
			action.rest = true;
			(void)try_changed(shrinking, i, &action);
		}
		while (i < shrinking->best->count && action.kind == ACTION_WORK &&
		       action.number > 1) {
			action.number /= 2;
			if (!try_changed(shrinking, i, &action))
				break;
		}
	}
}

/* Without each part of the params that is not needed. */
static bool shorten_params(struct shrinking *shrinking, size_t i)
{
	bool any = false;
	for (size_t part = 0; i < shrinking->best->count;) {
		struct action action = shrinking->best->actions[i];
		action.params = action.kind != ACTION_SEND
		                    ? NULL
		                    : params_without(shrinking->arena, action.params, part);
		if (action.params == NULL)
			return any;
		if (try_changed(shrinking, i, &action))
			any = true;
		else
			part++;
	}
	return any;
}

uint64_t script_shrink(struct script *script, const struct cast *cast, struct finding *finding,
                       struct arena *arena, uint64_t plays_max)
{
	struct shrinking shrinking = { .cast = cast,
		                       .finding = finding,
		                       .arena = arena,
		                       .best = script,
		                       .plays_max = plays_max };
	if (!try_calm(&shrinking, 0, false) && !try_calm(&shrinking, 0, true))
		(void)try_calm(&shrinking, script->seed, true);
	remove_all_that_can(&shrinking);
	calm_down(&shrinking);
	for (size_t i = 0; i < script->count;)
		i += !shorten_params(&shrinking, i);
	remove_all_that_can(&shrinking);
	try_in_order(&shrinking);
	script_free(&shrinking.candidate);
	return shrinking.plays;
}
