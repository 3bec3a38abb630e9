#include "ordershop/simulate.h"

#include "base/array.h"
#include "ordershop/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void script_add(struct script *script, const struct action *action)
{
	struct action *last = script->count > 0 ? &script->actions[script->count - 1] : NULL;
	if (last != NULL && last->kind == ACTION_WORK && action->kind == ACTION_WORK) {
		last->number += action->number;
		return;
	}
	script->actions = array_grown(script->actions, script->count, sizeof(*script->actions));
	script->actions[script->count++] = *action;
}

void script_free(struct script *script)
{
	free(script->actions);
	*script = (struct script){ .count = 0 };
}

/* ---- What does not hold ------------------------------------------------------------------ */

bool play_found(const struct play *play)
{
	return play->watched.finding.invariant[0] != '\0';
}

/* FNV-1a. */
static void hash_text(uint64_t *hash, const char *text)
{
	for (; *text != '\0'; text++)
		*hash = (*hash ^ (unsigned char)*text) * 0x100000001B3;
}

static void appended(void *arg, const struct event *event, const char *data)
{
	struct play *play = arg;
	(void)data;
	play->events++;
	hash_text(&play->hash, event->entry_id);
	hash_text(&play->hash, event->event_id);
	hash_text(&play->hash, event->type);
}

void play_open(struct play *play, uint64_t seed, const struct cast *cast)
{
	*play = (struct play){ .cast = cast };
	watched_open(&play->watched, SCENARIO_START_US, seed, cast);
	play->watched.appended = appended;
	play->watched.arg = play;
}

void play_close(struct play *play)
{
	watched_close(&play->watched);
}

/* ---- Actions ----------------------------------------------------------------------------- */

static void play_send(struct play *play, const struct action *action)
{
	struct error err;
	struct memory_message message = {
		.service = action->service,
		.function = action->function,
		.message_id = action->message_id,
		.params = action->params,
	};
	ASSERT(memory_shop_send(play->watched.shop, &message, NULL, &err));
	if (!action->rest)
		return;
	(void)watched_answer(&play->watched, action->message_id);
	watched_rest(&play->watched);
}

void play_act(struct play *play, const struct action *action)
{
	struct error err;
	struct memory_shop *shop = play->watched.shop;
	play->actions += action->kind != ACTION_WORK;
	switch (action->kind) {
	case ACTION_SEND:
		play_send(play, action);
		break;
	case ACTION_WORK:
		(void)memory_shop_step(shop, action->number);
		break;
	case ACTION_FAULT:
		ASSERT(memory_shop_fault(shop, action->fault, action->service, &err));
		break;
	case ACTION_REDIS:
		memory_shop_restart_redis(shop);
		break;
	case ACTION_PASS:
		watched_pass(&play->watched, UINT64_C(1000000) * action->number);
		break;
	case ACTION_REQUEUE:
		memory_shop_requeue(shop);
		break;
	case ACTION_KINDS:
		ASSERT(false);
	}
}

void play_end(struct play *play)
{
	struct finding *finding = &play->watched.finding;
	struct memory_shop *shop = play->watched.shop;
	for (size_t i = 0; i < play->cast->count; i++)
		play_act(play, &(struct action){ .kind = ACTION_FAULT,
		                                 .service = play->cast->services[i]->name,
		                                 .fault = MEMORY_START });
	play_act(play, &(struct action){ .kind = ACTION_PASS, .number = PLAY_END_SECONDS });
	play_act(play, &(struct action){ .kind = ACTION_REQUEUE });
	play_act(play, &(struct action){ .kind = ACTION_PASS, .number = PLAY_END_SECONDS });
	watched_check_model(&play->watched);
	if (play_found(play) || memory_shop_settled(shop))
		return;
	strcpy(finding->invariant, "comes-to-rest");
	snprintf(finding->what, sizeof(finding->what),
	         "all services live, but %zu messages and %zu events are set aside again%s",
	         memory_shop_dead(shop), memory_shop_parked(shop),
	         memory_shop_dead(shop) + memory_shop_parked(shop) > 0 ? "" : ", and some wait");
}
