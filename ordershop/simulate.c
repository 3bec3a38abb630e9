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

static uint64_t play_steps(const struct play *play)
{
	return play->actions + memory_shop_counts(play->watched.shop).steps;
}

/* Plays the script until something is found. */
static void play_script(struct simulation *simulation, struct play *play, struct script *script)
{
	size_t from = 0;
	while (from < script->count && !play_found(play)) {
		count_action(simulation, &script->actions[from]);
		play_act(play, &script->actions[from++]);
	}
	script->count = from;
}

static void play_history(struct simulation *simulation, struct client *client, struct play *play,
                         struct script *script)
{
	client_begin(client, script);
	play_script(simulation, play, script);
	while (!play_found(play) && play_steps(play) < HISTORY_STEPS) {
		struct action action = client_next(client, play->watched.shop);
		script_add(script, &action);
		count_action(simulation, &action);
		play_act(play, &action);
	}
	if (play_found(play))
		return;
	script->ends = true;
	play_end(play);
}

static void one_history(struct simulation *simulation, uint64_t seed, struct digest *digest)
{
	struct script script = { .seed = seed & SEED_MASK };
	struct arena *arena = arena_create();
	struct client *client = client_create(seed, &simulation->cast, arena);
	struct play play;
	char hash[DIGEST_TEXT_SIZE];
	play_open(&play, script.seed, &simulation->cast);
	play_history(simulation, client, &play, &script);
	simulation->histories++;
	simulation->taken += play_steps(&play);
	simulation->events += play.events;
	simulation->rests += play.watched.rests;
	simulation->accepted += memory_shop_counts(play.watched.shop).accepted;
	simulation->refused += memory_shop_counts(play.watched.shop).refused;
	fold_hash(invariants_fold(play.watched.invariants), hash);
	digest_add(digest, hash, strlen(hash));
	snprintf(hash, sizeof(hash), "%" PRIx64, play.hash);
	digest_add(digest, hash, strlen(hash));
	simulation->finding = play.watched.finding;
	play_close(&play);
	client_destroy(client);
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
