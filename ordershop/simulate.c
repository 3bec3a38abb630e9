#include "ordershop/simulate.h"

#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A history is played to its end: longer ones have more past, shorter ones are shrunk sooner. */
enum { HISTORY_STEPS = 5000 };
/* Of the seeds that a scenario can name. */
#define SEED_MASK UINT64_C(0x7FFFFFFF)

static void count_function(struct simulation *simulation, const struct action *action)
{
	size_t i = 0;
	struct simulation_function *functions = simulation->functions;
	while (i < simulation->function_count && (functions[i].service != action->service ||
	                                          functions[i].function != action->function))
		i++;
	if (i == ARRAY_LEN(simulation->functions))
		return;
	if (i == simulation->function_count)
		functions[simulation->function_count++] =
		    (struct simulation_function){ .service = action->service,
			                          .function = action->function };
	functions[i].sent++;
}

static void count_action(struct simulation *simulation, const struct action *action)
{
	simulation->kinds[action->kind]++;
	if (action->kind == ACTION_FAULT)
		simulation->faults[action->fault]++;
	else if (action->kind == ACTION_SEND)
		count_function(simulation, action);
}

static uint64_t stage_steps(const struct stage *stage)
{
	return stage->actions + memory_shop_counts(stage->watched.shop).steps;
}

/* Plays the script until something is found. */
static void play_script(struct simulation *simulation, struct stage *stage, struct script *script)
{
	size_t from = 0;
	while (from < script->count && !stage_found(stage)) {
		count_action(simulation, &script->actions[from]);
		stage_act(stage, &script->actions[from++]);
	}
	script->count = from;
}

static void play_history(struct simulation *simulation, struct visitor *visitor,
                         struct stage *stage, struct script *script)
{
	visitor_begin(visitor, script);
	play_script(simulation, stage, script);
	while (!stage_found(stage) && stage_steps(stage) < HISTORY_STEPS) {
		struct action action = visitor_next(visitor, stage->watched.shop);
		script_add(script, &action);
		count_action(simulation, &action);
		stage_act(stage, &action);
	}
	if (stage_found(stage))
		return;
	script->ends = true;
	stage_end(stage);
}

static void one_history(struct simulation *simulation, uint64_t seed, struct digest *digest)
{
	struct script script = { .seed = seed & SEED_MASK };
	struct arena *arena = arena_create();
	struct visitor *visitor = visitor_create(seed, &simulation->cast, arena);
	struct stage stage;
	char hash[DIGEST_TEXT_SIZE];
	stage_open(&stage, script.seed, &simulation->cast);
	play_history(simulation, visitor, &stage, &script);
	simulation->histories++;
	simulation->taken += stage_steps(&stage);
	simulation->events += stage.events;
	simulation->rests += stage.watched.rests;
	simulation->accepted += memory_shop_counts(stage.watched.shop).accepted;
	simulation->refused += memory_shop_counts(stage.watched.shop).refused;
	fold_hash(invariants_fold(stage.watched.invariants), hash);
	digest_add(digest, hash, strlen(hash));
	snprintf(hash, sizeof(hash), "%" PRIx64, stage.hash);
	digest_add(digest, hash, strlen(hash));
	simulation->finding = stage.watched.finding;
	stage_close(&stage);
	visitor_destroy(visitor);
	if (simulation->finding.invariant[0] == '\0') {
		script_free(&script);
		arena_destroy(arena);
	} else {
		simulation->script = script;
		simulation->arena = arena;
	}
}

bool simulation_run(struct simulation *simulation)
{
	struct digest *digest = digest_create();
	unsigned char bytes[DIGEST_BYTES];
	uint64_t seeds = simulation->seed;
	while (simulation->taken < simulation->steps && simulation->finding.invariant[0] == '\0')
		one_history(simulation, random_next(&seeds), digest);
	digest_end(digest, bytes);
	digest_text(bytes, simulation->hash);
	digest_destroy(digest);
	return simulation->finding.invariant[0] == '\0';
}

void simulation_free(struct simulation *simulation)
{
	script_free(&simulation->script);
	arena_destroy(simulation->arena);
	simulation->arena = NULL;
}
