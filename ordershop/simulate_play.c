#include "ordershop/simulate.h"

#include "domain/invariants.h"
#include "ordershop/model_check.h"
#include "read-model/memory_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-01-01T00:00:00Z, where scenarios begin. */
#define START_US UINT64_C(1767225600000000)

static const char *const names[ACTION_KINDS] = {
	[ACTION_SEND] = "command", [ACTION_WORK] = "work",        [ACTION_FAULT] = "fault",
	[ACTION_REDIS] = "redis",  [ACTION_PASS] = "time passes", [ACTION_REQUEUE] = "requeue",
};

const char *action_kind_name(enum action_kind kind)
{
	ASSERT(kind < ACTION_KINDS);
	return names[kind];
}

void script_add(struct script *script, const struct action *action)
{
	struct action *last = script->count > 0 ? &script->actions[script->count - 1] : NULL;
	if (last != NULL && last->kind == ACTION_WORK && action->kind == ACTION_WORK) {
		last->number += action->number;
		return;
	}
	if (script->count == script->capacity) {
		script->capacity = script->capacity == 0 ? 256 : 2 * script->capacity;
		script->actions =
		    realloc(script->actions, script->capacity * sizeof(*script->actions));
		ASSERT(script->actions != NULL);
	}
	script->actions[script->count++] = *action;
}

void script_free(struct script *script)
{
	free(script->actions);
	*script = (struct script){ .count = 0 };
}

/* ---- What does not hold ------------------------------------------------------------------ */

static void violated(void *arg, const struct violation *violation)
{
	struct play *play = arg;
	char entry_id[ENTRY_ID_SIZE];
	if (play->finding.invariant[0] != '\0')
		return;
	entry_id_format(violation->entry, entry_id);
	snprintf(play->finding.invariant, sizeof(play->finding.invariant), "%s",
	         violation->invariant->name);
	snprintf(play->finding.what, sizeof(play->finding.what), "%s %s after %s: %s",
	         violation->topic, violation->entity_id, entry_id, violation->message);
}

/* FNV-1a. */
static void hash_text(uint64_t *hash, const char *text)
{
	for (; *text != '\0'; text++)
		*hash = (*hash ^ (unsigned char)*text) * 0x100000001B3;
}

static void appended(void *arg, const struct event *event)
{
	struct play *play = arg;
	play->events++;
	hash_text(&play->hash, event->entry_id);
	hash_text(&play->hash, event->event_id);
	hash_text(&play->hash, event->type);
	invariants_add(play->invariants, event, NULL);
}

void play_open(struct play *play, uint64_t seed, const struct cast *cast)
{
	*play = (struct play){ .shop = memory_shop_create(seed, START_US) };
	play->invariants = invariants_create(violated, play);
	memory_shop_use(play->shop, cast->services, cast->count);
	memory_shop_watch(play->shop, appended, play);
}

void play_close(struct play *play)
{
	memory_shop_destroy(play->shop);
	invariants_destroy(play->invariants);
}

static void rest(struct play *play)
{
	memory_shop_settle(play->shop);
	if (!memory_shop_settled(play->shop))
		return;
	play->rests++;
	invariants_rest(play->invariants);
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
	ASSERT(memory_shop_send(play->shop, &message, NULL, &err));
	if (action->rest)
		rest(play);
}

void play_act(struct play *play, const struct action *action)
{
	struct error err;
	play->actions += action->kind != ACTION_WORK;
	switch (action->kind) {
	case ACTION_SEND:
		play_send(play, action);
		break;
	case ACTION_WORK:
		(void)memory_shop_step(play->shop, action->number);
		break;
	case ACTION_FAULT:
		ASSERT(memory_shop_fault(play->shop, action->fault, action->service, &err));
		break;
	case ACTION_REDIS:
		memory_shop_restart_redis(play->shop);
		break;
	case ACTION_PASS:
		rest(play);
		memory_shop_advance(play->shop, UINT64_C(1000000) * action->number);
		break;
	case ACTION_REQUEUE:
		memory_shop_requeue(play->shop);
		break;
	case ACTION_KINDS:
		ASSERT(false);
	}
}

struct projecting {
	struct memory_model *model;
	struct buffer data;
};

static void project(void *arg, const struct event *event)
{
	struct projecting *projecting = arg;
	buffer_clear(&projecting->data);
	json_write_message(&projecting->data, event->state);
	struct projection_event projected = {
		event->topic,           event->entry_id,  event->event_id, event->action,
		projecting->data.bytes, event->entity_id, event->version,
	};
	memory_model_apply(projecting->model, &projected, 1);
}

void play_check_model(struct play *play)
{
	enum { DATA_MAX = 2 * 1024 * 1024 };
	struct projecting projecting = { .model = memory_model_create() };
	struct error err;
	buffer_init(&projecting.data, DATA_MAX);
	memory_shop_replay(play->shop, NULL, project, &projecting);
	if (play->finding.invariant[0] == '\0' &&
	    !model_equals_fold(projecting.model, invariants_fold(play->invariants), &err)) {
		strcpy(play->finding.invariant, "read-model");
		snprintf(play->finding.what, sizeof(play->finding.what), "%s", err.message);
	}
	buffer_free(&projecting.data);
	memory_model_destroy(projecting.model);
}
