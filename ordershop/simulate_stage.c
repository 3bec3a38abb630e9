#include "ordershop/lines.h"
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

bool stage_found(const struct stage *stage)
{
	return stage->watched.finding.invariant[0] != '\0';
}

/* FNV-1a. */
static void hash_text(uint64_t *hash, const char *text)
{
	for (; *text != '\0'; text++)
		*hash = (*hash ^ (unsigned char)*text) * 0x100000001B3;
}

static void appended(void *arg, const struct event *event, const char *data)
{
	struct stage *stage = arg;
	(void)data;
	stage->events++;
	hash_text(&stage->hash, event->entry_id);
	hash_text(&stage->hash, event->event_id);
	hash_text(&stage->hash, event->type);
}

void stage_open(struct stage *stage, uint64_t seed, const struct cast *cast)
{
	*stage = (struct stage){ .cast = cast };
	watched_open(&stage->watched, SCENARIO_START_US, seed, cast);
	stage->watched.appended = appended;
	stage->watched.arg = stage;
}

void stage_close(struct stage *stage)
{
	watched_close(&stage->watched);
}

/* ---- Actions ----------------------------------------------------------------------------- */

static void stage_send(struct stage *stage, const struct action *action)
{
	struct error err;
	struct memory_message message = {
		.service = action->service,
		.function = action->function,
		.message_id = action->message_id,
		.params = action->params,
	};
	ASSERT(memory_shop_send(stage->watched.shop, &message, NULL, &err));
	if (!action->rest)
		return;
	(void)watched_answer(&stage->watched, action->message_id);
	watched_rest(&stage->watched);
}

void stage_act(struct stage *stage, const struct action *action)
{
	struct error err;
	struct memory_shop *shop = stage->watched.shop;
	stage->actions += action->kind != ACTION_WORK;
	switch (action->kind) {
	case ACTION_SEND:
		stage_send(stage, action);
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
		watched_pass(&stage->watched, UINT64_C(1000000) * action->number);
		break;
	case ACTION_REQUEUE:
		memory_shop_requeue(shop);
		break;
	case ACTION_KINDS:
		ASSERT(false);
	}
}

void stage_end(struct stage *stage)
{
	struct finding *finding = &stage->watched.finding;
	struct memory_shop *shop = stage->watched.shop;
	for (size_t i = 0; i < stage->cast->count; i++)
		stage_act(stage, &(struct action){ .kind = ACTION_FAULT,
		                                   .service = stage->cast->services[i]->name,
		                                   .fault = MEMORY_START });
	stage_act(stage, &(struct action){ .kind = ACTION_PASS, .number = STAGE_END_SECONDS });
	stage_act(stage, &(struct action){ .kind = ACTION_REQUEUE });
	stage_act(stage, &(struct action){ .kind = ACTION_PASS, .number = STAGE_END_SECONDS });
	watched_check_model(&stage->watched);
	if (stage_found(stage) || memory_shop_settled(shop))
		return;
	strcpy(finding->invariant, "comes-to-rest");
	snprintf(finding->what, sizeof(finding->what),
	         "all services live, but %zu %s and %zu %s are set aside again%s",
	         memory_shop_dead(shop), plural(memory_shop_dead(shop), "message", "messages"),
	         memory_shop_parked(shop), plural(memory_shop_parked(shop), "event", "events"),
	         memory_shop_dead(shop) + memory_shop_parked(shop) > 0 ? "" : ", and some wait");
}
