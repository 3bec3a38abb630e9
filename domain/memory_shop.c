#include "domain/memory_shop_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TRIES_MAX = 40 };

struct memory_shop *memory_shop_create(unsigned seed)
{
	struct memory_shop *shop = calloc(1, sizeof(*shop));
	ASSERT(shop != NULL);
	shop->arena = arena_create();
	shop->seed = seed;
	return shop;
}

static void reaction_free(struct memory_shop *shop, struct reaction *reaction)
{
	DL_DELETE(shop->reactions, reaction);
	shop->reaction_count--;
	for (size_t i = 0; i < reaction->reply_count; i++)
		json_free(reaction->replies[i]);
	context_free(&reaction->context);
	arena_destroy(reaction->arena);
	free(reaction);
}

void memory_shop_destroy(struct memory_shop *shop)
{
	while (shop->reactions != NULL)
		reaction_free(shop, shop->reactions);
	HASH_CLEAR(hh, shop->records);
	HASH_CLEAR(hh, shop->by_id);
	arena_destroy(shop->arena);
	free(shop);
}

static size_t pick(struct memory_shop *shop, size_t count)
{
	return (size_t)rand_r(&shop->seed) % count;
}

/* ---- Needs ----- ---------------------------------------------------------------------------- */

static void fill_entity(struct memory_shop *shop, struct arena *arena, struct need *need)
{
	struct record *record = shop_record(shop, need->loaded.topic, need->loaded.id);
	need->loaded.version = record->version;
	need->loaded.state = shop_parse_state(arena, record->topic, record->json);
	need->known = true;
}

static void fill_list(struct memory_shop *shop, struct arena *arena, struct need *need)
{
	const char *topic = need->loaded.topic;
	struct entity *found = arena_alloc(arena, (HASH_COUNT(shop->records) + 1) * sizeof(*found));
	size_t count = 0;
	for (struct record *record = shop->records; record != NULL; record = record->hh.next) {
		const char *member = arena_printf(arena, "\"%s\":\"%s\"", need->field, need->value);
		if (strcmp(record->topic, topic) == 0 && record->json != NULL &&
		    strstr(record->json, member) != NULL)
			found[count++] = (struct entity){
				.topic = topic,
				.id = record->id,
				.version = record->version,
				.state = shop_parse_state(arena, topic, record->json),
			};
	}
	need->list = (struct entity_list){ .count = count, .entities = found };
	need->known = true;
}

/* ---- The log ----------------------------------------------------------------------------- */

static void start_reaction(struct memory_shop *shop, const struct saga *saga,
                           const struct logged *logged)
{
	struct reaction *reaction = calloc(1, sizeof(*reaction));
	ASSERT(reaction != NULL);
	reaction->saga = saga;
	reaction->arena = arena_create();
	reaction->event = shop_event(reaction->arena, logged);
	context_init(&reaction->context, reaction->arena, logged->event_id);
	DL_APPEND(shop->reactions, reaction);
	shop->reaction_count++;
}

static void deliver(struct memory_shop *shop, const struct logged *logged)
{
	for (size_t i = 0; i < domain_service_count; i++) {
		for (size_t j = 0; j < domain_services[i]->saga_count; j++) {
			const struct saga *saga = &domain_services[i]->sagas[j];
			if (strcmp(saga->topic, logged->topic) != 0)
				continue;
			for (const char *const *type = saga->event_types; *type != NULL; type++) {
				if (strcmp(*type, logged->type) == 0)
					start_reaction(shop, saga, logged);
			}
		}
	}
}

static bool versions_hold(struct memory_shop *shop, const struct batch *batch)
{
	/* A repeated append answers with the first one. */
	if (shop_known_event(shop, batch->events->event_id))
		return true;
	for (const struct new_event *event = batch->events; event != NULL; event = event->next) {
		if (event->need == NULL || event->expected_version != event->need->loaded.version)
			continue;
		struct record *record = shop_record(shop, batch->topic, event->entity_id);
		if (event->expect_none ? record->json != NULL
		                       : record->version != event->expected_version)
			return false;
	}
	return true;
}

static void append(struct memory_shop *shop, const struct new_event *event)
{
	if (shop_known_event(shop, event->event_id))
		return;
	struct buffer json;
	buffer_init(&json, 1024 * 1024);
	json_write_message(&json, event->state);
	struct logged *logged = arena_zalloc(shop->arena, sizeof(*logged));
	strcpy(logged->event_id, event->event_id);
	logged->type = event->type;
	logged->action = event->action;
	logged->topic = event->topic;
	logged->json = arena_copy(shop->arena, json.bytes, json.len);
	if (event->entity_id != NULL) {
		struct record *record = shop_record(shop, event->topic, event->entity_id);
		bool deleted = strcmp(event->action, ENTITY_DELETED) == 0;
		record->json = deleted ? NULL : logged->json;
		logged->version = ++record->version;
		logged->entity_id = record->id;
	}
	buffer_free(&json);
	DL_APPEND(shop->log, logged);
	HASH_ADD_STR(shop->by_id, event_id, logged);
	deliver(shop, logged);
	if (shop->redeliver)
		deliver(shop, logged);
}

/* ---- Commands ---------------------------------------------------------------------------- */

/* One command that runs. */
struct run {
	struct context context;
	struct command command;
	const struct service *service;
	const struct batch *undo; /* appended, to be taken back if the rest fails */
};

static void meanwhile(struct memory_shop *shop)
{
	void (*call)(void *arg) = shop->meanwhile;
	if (call == NULL)
		return;
	shop->meanwhile = NULL;
	call(shop->meanwhile_arg);
	shop->meanwhile = call;
}

static bool is_applied(struct memory_shop *shop, const struct run *run)
{
	char event_id[UUID_SIZE];
	applied_event_id(run->command.message_id, run->service->topic, event_id);
	return shop_known_event(shop, event_id);
}

/* STEP_MORE after a conflict: decide again. */
static enum step append_batches(struct memory_shop *shop, struct run *run)
{
	for (struct batch *batch = run->context.batches; batch != NULL; batch = batch->next) {
		/* One atomic append each, the service's own topic last. */
		ASSERT(batch->count <= BATCH_MAX);
		ASSERT((strcmp(batch->topic, run->service->topic) == 0) == (batch->next == NULL));
		meanwhile(shop);
		if (!versions_hold(shop, batch)) {
			context_forget(&run->context);
			return STEP_MORE;
		}
		bool repeated = shop_known_event(shop, batch->events->event_id);
		for (const struct new_event *e = batch->events; e != NULL; e = e->next)
			append(shop, e);
		if (batch->undo != NULL)
			run->undo = batch;
		if (shop->crash && batch->next != NULL && !repeated) {
			shop->crash = false;
			run->undo = NULL;
			return decide_fail(&run->context, ERR_UNAVAILABLE, "crashed");
		}
	}
	return STEP_DONE;
}

/* All or none, by the versions, as any append. */
static void undo(struct memory_shop *shop, const struct new_event *events)
{
	for (const struct new_event *e = events; e != NULL; e = e->next) {
		if (shop_record(shop, e->topic, e->entity_id)->version != e->expected_version)
			return;
	}
	for (const struct new_event *e = events; e != NULL; e = e->next)
		append(shop, e);
}

static enum step run_step(struct memory_shop *shop, struct run *run, decide_function *decide)
{
	run->command.applied = is_applied(shop, run);
	enum step step = context_decide(&run->context, decide, &run->command);
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (!need->known)
			fill_entity(shop, run->context.arena, need);
	}
	return step == STEP_DONE ? append_batches(shop, run) : step;
}

static struct answer run_command(struct memory_shop *shop, struct run *run, decide_function *decide)
{
	struct answer answer = { .result = NULL };
	struct arena *arena = arena_create();
	context_init(&run->context, arena, run->command.message_id);
	enum step step = STEP_MORE;
	for (int tries = 0; step == STEP_MORE; tries++) {
		ASSERT(tries < TRIES_MAX);
		step = run_step(shop, run, decide);
	}
	if (step == STEP_FAILED) {
		answer.error = run->context.error;
		answer.passing = run->context.passing;
		if (run->undo != NULL)
			undo(shop, run->undo->undo);
	} else {
		const struct buffer *result = &run->context.result;
		answer.result = arena_copy(shop->arena, result->bytes, result->len);
	}
	context_free(&run->context);
	arena_destroy(arena);
	return answer;
}

struct answer memory_shop_run(struct memory_shop *shop, const char *service_name,
                              const char *function_name, const char *message_id, const char *params)
{
	const struct service *service = domain_service_find(service_name);
	ASSERT(service != NULL);
	const struct function *function = domain_service_function(service, function_name);
	ASSERT(function != NULL);
	char number[32], made_id[UUID_SIZE];
	if (message_id == NULL) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)shop->message_count++);
		uuid_v5(made_id, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "message", number);
		message_id = made_id;
	}
	struct answer answer = { .result = NULL };
	struct json *json = NULL;
	if (params != NULL && !json_parse(params, strlen(params), &json, &answer.error))
		return answer;
	struct run run = { .service = service,
		           .command = { .function = function_name,
		                        .rules = function->rules,
		                        .message_id = message_id,
		                        .params = json,
		                        .now_us = 1700000000000000 } };
	answer = run_command(shop, &run, function->decide);
	json_free(json);
	return answer;
}

const char *memory_shop_do(struct memory_shop *shop, const char *service, const char *function,
                           const char *params, ...)
{
	char text[65536];
	va_list args;
	va_start(args, params);
	int len = vsnprintf(text, sizeof(text), params, args);
	va_end(args);
	ASSERT(len >= 0 && (size_t)len < sizeof(text));
	struct answer answer = memory_shop_run(shop, service, function, NULL, text);
	if (answer.result == NULL) {
		fprintf(stderr, "%s.%s %s: %s\n", service, function, text, answer.error.message);
		abort();
	}
	if (strncmp(answer.result, "[\"", 2) != 0)
		return "";
	char *id = arena_strdup(shop->arena, answer.result + 2);
	id[strcspn(id, "\"")] = '\0';
	return id;
}

/* ---- Reactions --------------------------------------------------------------------------- */

static void fill_reply(struct memory_shop *shop, struct reaction *reaction, struct need *need)
{
	reaction->busy = true;
	struct answer answer =
	    memory_shop_run(shop, need->service, need->function, need->message_id, need->params);
	reaction->busy = false;
	/* The runtime would decide again in a moment. */
	if (answer.passing)
		return;
	need->reply.error = answer.error;
	need->known = true;
	if (answer.result == NULL || need->kind == NEED_SEND)
		return;
	ASSERT(reaction->reply_count < ARRAY_LEN(reaction->replies));
	struct json **json = &reaction->replies[reaction->reply_count++];
	ASSERT(json_parse(answer.result, strlen(answer.result), json, &need->reply.error));
	need->reply.result = *json;
}

static struct need *unknown_need(struct memory_shop *shop, struct reaction *reaction)
{
	size_t count = 0;
	for (struct need *need = reaction->context.needs; need != NULL; need = need->next)
		count += !need->known;
	if (count == 0)
		return NULL;
	size_t chosen = pick(shop, count);
	for (struct need *need = reaction->context.needs;; need = need->next) {
		if (!need->known && chosen-- == 0)
			return need;
	}
}

/* Answers one need of a reaction, or ends it. */
static void step_reaction(struct memory_shop *shop, struct reaction *reaction)
{
	struct need *need = unknown_need(shop, reaction);
	if (need == NULL) {
		enum step step =
		    context_react(&reaction->context, reaction->saga->react, &reaction->event);
		ASSERT(step != STEP_FAILED);
		need = unknown_need(shop, reaction);
		ASSERT(step == STEP_DONE || need != NULL);
		if (need == NULL) {
			reaction_free(shop, reaction);
			return;
		}
	}
	if (need->kind == NEED_ENTITY)
		fill_entity(shop, reaction->arena, need);
	else if (need->kind == NEED_LIST)
		fill_list(shop, reaction->arena, need);
	else
		fill_reply(shop, reaction, need);
}

bool memory_shop_step(struct memory_shop *shop, size_t steps)
{
	while (steps-- > 0 && shop->reactions != NULL) {
		size_t chosen = pick(shop, shop->reaction_count);
		struct reaction *reaction = shop->reactions;
		while (chosen-- > 0)
			reaction = reaction->next;
		if (!reaction->busy)
			step_reaction(shop, reaction);
	}
	return shop->reactions != NULL;
}

void memory_shop_settle(struct memory_shop *shop)
{
	while (memory_shop_step(shop, 1000)) {
	}
}

void memory_shop_crash_next(struct memory_shop *shop)
{
	shop->crash = true;
}

void memory_shop_meanwhile(struct memory_shop *shop, void (*call)(void *arg), void *arg)
{
	shop->meanwhile = call;
	shop->meanwhile_arg = arg;
}

void memory_shop_redeliver(struct memory_shop *shop)
{
	shop->redeliver = true;
}
