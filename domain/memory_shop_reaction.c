#include "domain/memory_shop_internal.h"

#include "base/backoff.h"

#include <stdlib.h>
#include <string.h>

/* As event-store/group.h has them. */
#define LEASE_US (UINT64_C(1000) * EVENT_LEASE_MS)

/* A reply that was read. In the reaction's arena. */
struct parsed {
	struct json *json;
	struct parsed *next;
};

static void turn(struct memory_shop *shop, struct task *task);

/* ---- Groups ------------------------------------------------------------------------------ */

static struct group *group_of(struct memory_shop *shop, struct server *server, struct topic *topic)
{
	for (size_t i = 0; i < shop->group_count; i++) {
		if (shop->groups[i].server == server && shop->groups[i].topic == topic)
			return &shop->groups[i];
	}
	ASSERT(shop->group_count < GROUPS_MAX);
	struct group *group = &shop->groups[shop->group_count++];
	*group = (struct group){ .server = server, .topic = topic };
	return group;
}

void groups_create(struct memory_shop *shop)
{
	for (size_t i = 0; i < shop->service_count; i++) {
		struct server *server = &shop->servers[i];
		for (size_t j = 0; j < server->service->saga_count; j++)
			group_of(shop, server, shop_topic(shop, server->service->sagas[j].topic));
	}
}

void groups_free(struct memory_shop *shop)
{
	for (size_t i = 0; i < shop->group_count; i++) {
		for (size_t j = 0; j < RECENT_MAX; j++) {
			if (shop->groups[i].recent[j].logged != NULL)
				logged_unref(shop, shop->groups[i].recent[j].logged);
		}
	}
}

static const struct saga *saga_for(const struct group *group, const struct logged *logged)
{
	const struct service *service = group->server->service;
	for (size_t i = 0; i < service->saga_count; i++) {
		const struct saga *saga = &service->sagas[i];
		if (strcmp(saga->topic, group->topic->name) != 0)
			continue;
		for (const char *const *type = saga->event_types; *type != NULL; type++) {
			if (*type == logged->type || strcmp(*type, logged->type) == 0)
				return saga;
		}
	}
	return NULL;
}

void shop_log_deliver(struct memory_shop *shop, struct logged *logged, bool replayed)
{
	for (size_t i = 0; i < shop->group_count; i++) {
		struct group *group = &shop->groups[i];
		if (group->topic != logged->topic)
			continue;
		const struct saga *saga = saga_for(group, logged);
		if (saga == NULL)
			continue;
		reaction_create(shop, group, saga, logged, replayed);
		if (shop->redeliver)
			reaction_create(shop, group, saga, logged, true);
	}
}

/* ---- Begin and end ----------------------------------------------------------------------- */

void reaction_create(struct memory_shop *shop, struct group *group, const struct saga *saga,
                     struct logged *logged, bool replayed)
{
	struct reaction *reaction = calloc(1, sizeof(*reaction));
	ASSERT(reaction != NULL);
	reaction->task.turn = turn;
	reaction->task.server = group->server;
	reaction->group = group;
	reaction->saga = saga;
	reaction->logged = logged;
	reaction->replayed = replayed;
	logged->refs++;
	DL_APPEND(group->server->reactions, reaction);
	shop_task_ready(shop, &reaction->task);
}

/* What it was about to do is forgotten. */
static void reaction_stop(struct memory_shop *shop, struct reaction *reaction)
{
	struct arena *arena = reaction->arena;
	shop_task_drop(shop, &reaction->task);
	shop_timer_clear(&reaction->pause);
	shop_timer_clear(&reaction->lease);
	if (arena == NULL)
		return;
	for (struct need *need = reaction->context.needs; need != NULL; need = need->next) {
		struct waiter *waiter = need->runner;
		if (waiter != NULL && waiter->message != NULL)
			DL_DELETE(waiter->message->waiters, waiter);
	}
	for (struct parsed *parsed = reaction->parsed; parsed != NULL; parsed = parsed->next)
		json_free(parsed->json);
	holds_release(shop, reaction->held);
	context_free(&reaction->context);
	reaction->parsed = NULL;
	reaction->held = NULL;
	reaction->arena = NULL;
	pool_give(&shop->pool, arena);
}

void reaction_free(struct memory_shop *shop, struct reaction *reaction)
{
	reaction_stop(shop, reaction);
	logged_unref(shop, reaction->logged);
	free(reaction);
}

static void acknowledge(struct memory_shop *shop, struct reaction *reaction)
{
	struct group *group = reaction->group;
	struct logged *old = group->recent[group->recent_next].logged;
	if (old != NULL)
		logged_unref(shop, old);
	reaction->logged->refs++;
	group->recent[group->recent_next].logged = reaction->logged;
	group->recent[group->recent_next].saga = reaction->saga;
	group->recent[group->recent_next].at_us = shop->clock_us;
	group->recent_next = (group->recent_next + 1) % RECENT_MAX;
	DL_DELETE(reaction->task.server->reactions, reaction);
	reaction_free(shop, reaction);
}

static void park(struct memory_shop *shop, struct reaction *reaction)
{
	reaction_stop(shop, reaction);
	DL_DELETE(reaction->task.server->reactions, reaction);
	DL_APPEND(shop->parked, reaction);
	shop->parked_count++;
}

void reaction_return(struct memory_shop *shop, struct reaction *reaction)
{
	bool delivered = reaction->arena != NULL;
	reaction_stop(shop, reaction);
	if (delivered && reaction->attempt >= EVENT_ATTEMPTS)
		park(shop, reaction);
	else
		shop_task_ready(shop, &reaction->task);
}

/* ---- What it asks for -------------------------------------------------------------------- */

static bool is_refusal(enum error_code code)
{
	return code == ERR_INVALID || code == ERR_NOT_FOUND || code == ERR_EXISTS ||
	       code == ERR_PRECONDITION;
}

static void go_on(struct memory_shop *shop, struct timer *timer)
{
	shop_task_ready(shop, &CONTAINER(timer, struct reaction, pause)->task);
}

/* A command that came to no answer, and will not by trying again. */
static bool any_lost(const struct reaction *reaction)
{
	const struct need *need = reaction->context.needs;
	while (need != NULL && (need->known || need->reply.error.code == ERR_NONE))
		need = need->next;
	return need != NULL;
}

static void answers_are_there(struct memory_shop *shop, struct reaction *reaction)
{
	if (!reaction->stuck) {
		shop_task_ready(shop, &reaction->task);
	} else if (any_lost(reaction)) {
		park(shop, reaction);
	} else {
		struct backoff backoff = { (unsigned)reaction->pause_ms };
		uint64_t pause_us = UINT64_C(1000) * backoff_ms(&backoff);
		reaction->pause_ms = backoff.next_ms;
		reaction->stuck = false;
		shop_timer_set(shop, &shop->timers, &reaction->pause, shop->clock_us + pause_us,
		               go_on);
	}
}

void reaction_answered(struct memory_shop *shop, struct reaction *reaction, struct need *need,
                       const char *result, const struct error *error)
{
	bool local = strcmp(need->service, reaction->task.server->service->name) == 0;
	bool again =
	    error != NULL && (shop_error_passes(error) || (local && error->code == ERR_CONFLICT));
	if (error != NULL && !again)
		need->reply.error = *error;
	if (error != NULL && !is_refusal(error->code)) {
		reaction->stuck = true;
	} else {
		need->known = true;
	}
	if (error == NULL && need->kind == NEED_CALL) {
		struct parsed *parsed = arena_alloc(reaction->arena, sizeof(*parsed));
		ASSERT(json_parse(result, strlen(result), &parsed->json, &need->reply.error));
		parsed->next = reaction->parsed;
		reaction->parsed = parsed;
		need->reply.result = parsed->json;
	}
	if (--reaction->waiting == 0)
		answers_are_there(shop, reaction);
}

static void submit(struct memory_shop *shop, struct reaction *reaction, struct need *need)
{
	struct server *server = shop_server(shop, need->service);
	struct message *message = message_find(shop, need->message_id);
	if (message == NULL) {
		struct json *params;
		struct error err;
		const struct function *function =
		    domain_service_function(server->service, need->function);
		ASSERT(function != NULL);
		ASSERT(json_parse(need->params, strlen(need->params), &params, &err));
		message = message_create(shop, server, function, need->message_id, params,
		                         reaction->logged->origin, false);
	}
	if (need->kind == NEED_SEND) {
		reaction_answered(shop, reaction, need, NULL, NULL);
	} else if (message->result != NULL || message->error != NULL) {
		reaction_answered(shop, reaction, need, message->result, message->error);
	} else {
		struct waiter *waiter = need->runner;
		if (waiter == NULL)
			need->runner = waiter = arena_alloc(reaction->arena, sizeof(*waiter));
		*waiter = (struct waiter){ .message = message, .reaction = reaction, .need = need };
		DL_APPEND(message->waiters, waiter);
	}
}

static void ask(struct memory_shop *shop, struct reaction *reaction, struct need *need)
{
	switch (need->kind) {
	case NEED_ENTITY:
		fill_entity(shop, reaction->arena, need, &reaction->held);
		reaction->waiting--;
		break;
	case NEED_LIST:
		fill_list(shop, reaction->arena, need, &reaction->held);
		reaction->waiting--;
		break;
	case NEED_CALL:
	case NEED_SEND:
		if (strcmp(need->service, reaction->task.server->service->name) == 0)
			run_local(shop, reaction, need);
		else
			submit(shop, reaction, need);
		break;
	}
}

/* ---- Its turns --------------------------------------------------------------------------- */

/* Its process asks for more time while it lives. One that stands still gets the event again, which it ignores,
 * until that was often enough. */
static void lease_ended(struct memory_shop *shop, struct timer *timer)
{
	struct reaction *reaction = CONTAINER(timer, struct reaction, lease);
	if (reaction->task.server->frozen) {
		reaction->replayed = true;
		if (reaction->attempt >= EVENT_ATTEMPTS) {
			reaction->parked = true;
			return;
		}
		reaction->attempt++;
	}
	shop_timer_set(shop, &shop->leases, timer, shop->clock_us + LEASE_US, lease_ended);
}

static void deliver(struct memory_shop *shop, struct reaction *reaction)
{
	if (!fault_lets_deliver(shop, &reaction->task, &reaction->pause, go_on))
		return;
	if (fault_strikes(reaction->task.server, MEMORY_DUPLICATE))
		reaction_create(shop, reaction->group, reaction->saga, reaction->logged, true);
	reaction->attempt++;
	reaction->arena = pool_take(&shop->pool);
	reaction->event = logged_event(reaction->logged, reaction->entry_id);
	reaction->event.redelivered = reaction->replayed || reaction->attempt > 1;
	reaction->waiting = 0;
	reaction->stuck = false;
	context_init(&reaction->context, reaction->arena, reaction->logged->event_id);
	shop_timer_set(shop, &shop->leases, &reaction->lease, shop->clock_us + LEASE_US,
	               lease_ended);
	shop_task_ready(shop, &reaction->task);
}

static void react(struct memory_shop *shop, struct reaction *reaction)
{
	enum step step = context_react(&reaction->context, reaction->saga->react, &reaction->event);
	struct need *need = reaction->context.needs;
	while (need != NULL && need->known)
		need = need->next;
	if (need == NULL) {
		if (step == STEP_DONE && !reaction->parked)
			acknowledge(shop, reaction);
		else
			park(shop, reaction);
		return;
	}
	reaction->waiting = 1; /* this loop: answers may come at once */
	for (; need != NULL; need = need->next) {
		if (need->known)
			continue;
		reaction->waiting++;
		ask(shop, reaction, need);
	}
	if (--reaction->waiting == 0)
		answers_are_there(shop, reaction);
}

static void turn(struct memory_shop *shop, struct task *task)
{
	struct reaction *reaction = CONTAINER(task, struct reaction, task);
	if (reaction->arena == NULL)
		deliver(shop, reaction);
	else if (task->server->frozen)
		shop_task_wait(task);
	else
		react(shop, reaction);
}
