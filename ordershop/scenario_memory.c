#include "ordershop/scenario_memory.h"

#include "base/array.h"
#include "base/id.h"
#include "ordershop/event_line.h"
#include "ordershop/scenario_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 2 * 1024 * 1024 };

struct memory {
	struct watched watched;
	struct log_hash *log_hash;
	struct arena *arena;
	struct buffer text;
	char run_id[UUID_SIZE];
	struct shop_event *events;
	size_t event_count;
};

/* ---- The log ----------------------------------------------------------------------------- */

static void appended(void *arg, const struct event *event, const char *data)
{
	struct memory *memory = arg;
	struct arena *arena = memory->arena;
	struct shop_event kept = {
		.topic = arena_strdup(arena, event->topic),
		.entry_id = arena_strdup(arena, event->entry_id),
		.event_id = arena_strdup(arena, event->event_id),
		.type = arena_strdup(arena, event->type),
		.action = arena_strdup(arena, event->action),
		.entity_id = arena_strdup(arena, event->entity_id == NULL ? "" : event->entity_id),
		.version = event->version,
		.data = arena_strdup(arena, data),
		.metadata = memory_shop_metadata(memory->watched.shop, arena, event->event_id),
	};
	memory->events = array_grown(memory->events, memory->event_count, sizeof(*memory->events));
	memory->events[memory->event_count++] = kept;
	buffer_clear(&memory->text);
	shop_event_write(&memory->text, &kept);
	ASSERT(!memory->text.overflow);
	log_hash_add(memory->log_hash, memory->text.bytes, memory->text.len);
}

static bool memory_events(void *shop, struct shop_events *events, struct error *err)
{
	struct memory *memory = shop;
	(void)err;
	*events = (struct shop_events){ memory->event_count, memory->events };
	return true;
}

static bool memory_state(void *shop, const char *topic, const char *id, const char **json,
                         struct error *err)
{
	struct memory *memory = shop;
	const char *text = memory_shop_get(memory->watched.shop, topic, id);
	(void)err;
	*json = text == NULL ? NULL : arena_strdup(memory->arena, text);
	return true;
}

/* ---- What a scenario does ---------------------------------------------------------------- */

static bool memory_rest(void *shop, struct error *err)
{
	struct memory *memory = shop;
	(void)err;
	memory_shop_settle(memory->watched.shop); /* what must hold is asked by memory_check */
	return true;
}

static bool memory_command(void *shop, const struct shop_command *command,
                           struct shop_answer *answer, struct error *err)
{
	struct memory *memory = shop;
	struct memory_message message = {
		.service = command->service,
		.function = command->function,
		.message_id = command->message_id,
		.params = command->params,
		.metadata = shop_metadata(memory->arena, command->message_id, command->actor),
	};
	if (!memory_shop_send(memory->watched.shop, &message, NULL, err))
		return false;
	if (!command->wait)
		return true;
	struct answer outcome = watched_answer(&memory->watched, command->message_id);
	answer->error = outcome.error;
	answer->result =
	    outcome.result == NULL ? NULL : arena_strdup(memory->arena, outcome.result);
	return true;
}

static bool memory_given(void *shop, const struct shop_event *event, struct error *err)
{
	struct memory *memory = shop;
	struct memory_event given = {
		.topic = event->topic,
		.type = event->type,
		.action = event->action,
		.entity_id = event->entity_id[0] == '\0' ? NULL : event->entity_id,
		.event_id = event->event_id,
		.data = event->data,
		.metadata = shop_metadata(memory->arena, event->event_id, NULL),
	};
	return memory_shop_give(memory->watched.shop, &given, err);
}

static bool memory_move(void *shop, const struct scenario_at *at, struct error *err)
{
	struct memory *memory = shop;
	uint64_t now = memory_shop_clock(memory->watched.shop);
	if (at->relative && at->us >= MEMORY_SHOP_END_US - now)
		return error_set(err, ERR_INVALID, "at: the clock ends with the year 9999");
	if (at->relative)
		memory_shop_advance(memory->watched.shop, at->us);
	else if (at->us >= now)
		memory_shop_set_clock(memory->watched.shop, at->us);
	else
		return error_set(err, ERR_INVALID,
		                 "at: the clock is %llu s past that time already, and never goes "
		                 "back",
		                 (unsigned long long)((now - at->us + 999999) / 1000000));
	return true;
}

static bool memory_work(void *shop, int64_t steps, struct error *err)
{
	struct memory *memory = shop;
	(void)err;
	(void)memory_shop_step(memory->watched.shop, (size_t)steps);
	return true;
}

static bool memory_trouble(void *shop, const struct scenario_trouble *trouble, struct error *err)
{
	struct memory *memory = shop;
	if (trouble->fault == FAULT_REDIS_RESTART)
		memory_shop_restart_redis(memory->watched.shop);
	else if (trouble->fault == FAULT_REQUEUE)
		memory_shop_requeue(memory->watched.shop);
	else
		return memory_shop_fault(memory->watched.shop, (enum memory_fault)trouble->fault,
		                         trouble->service, err);
	return true;
}

static bool memory_parked(void *shop, uint64_t *count, struct error *err)
{
	struct memory *memory = shop;
	(void)err;
	*count = memory_shop_dead(memory->watched.shop) + memory_shop_parked(memory->watched.shop);
	return true;
}

/* ---- Questions --------------------------------------------------------------------------- */

static void take(void *arg, const char *id, const char *json)
{
	(void)id;
	texts_add(arg, json);
}

static bool ask_list(struct memory *memory, const struct shop_question *question,
                     struct texts *found, struct error *err)
{
	struct memory_filter *filters =
	    arena_alloc(memory->arena, (question->filter_count + 1) * sizeof(*filters));
	for (size_t i = 0; i < question->filter_count; i++)
		filters[i] = (struct memory_filter){ question->fields[i], question->values[i] };
	return memory_model_list(memory->watched.model, question->topic, filters,
	                         question->filter_count, take, found, err);
}

static bool memory_ask(void *shop, const struct shop_question *question, struct shop_list *list,
                       struct error *err)
{
	static void (*const lists[QUERIES])(const struct memory_model *, memory_model_each *,
	                                    void *) = {
		[QUERY_UNBILLED] = memory_model_unbilled,
		[QUERY_UNSHIPPED] = memory_model_unshipped,
		[QUERY_DELIVERED] = memory_model_delivered,
		[QUERY_MAILS] = memory_model_mails,
	};
	struct memory *memory = shop;
	struct texts found = { .arena = memory->arena };
	watched_project(&memory->watched);
	buffer_clear(&memory->text);
	if (lists[question->query] != NULL)
		lists[question->query](memory->watched.model, take, &found);
	else if (question->query == QUERY_LIST_OF && !ask_list(memory, question, &found, err))
		return false;
	else if (question->query == QUERY_GET &&
	         memory_model_get(memory->watched.model, question->topic, question->id,
	                          &memory->text))
		texts_add(&found, memory->text.bytes);
	*list = (struct shop_list){ found.count, found.texts };
	return true;
}

/* ---- What must always hold --------------------------------------------------------------- */

static bool memory_check(void *shop, struct error *err)
{
	struct watched *watched = &((struct memory *)shop)->watched;
	watched_rest(watched);
	watched_check_model(watched);
	return watched->finding.invariant[0] == '\0' ||
	       error_set(err, ERR_INTERNAL, "invariant %s: %s", watched->finding.invariant,
	                 watched->finding.what);
}

/* ---- All --------------------------------------------------------------------------------- */

static void memory_close(void *shop)
{
	struct memory *memory = shop;
	watched_close(&memory->watched);
	log_hash_destroy(memory->log_hash);
	buffer_free(&memory->text);
	free(memory->events);
	arena_destroy(memory->arena);
	free(memory);
}

static const struct shop_methods methods = {
	.command = memory_command,
	.given = memory_given,
	.rest = memory_rest,
	.move = memory_move,
	.work = memory_work,
	.trouble = memory_trouble,
	.state = memory_state,
	.events = memory_events,
	.ask = memory_ask,
	.parked = memory_parked,
	.check = memory_check,
	.close = memory_close,
};

void scenario_memory_open(uint64_t start_us, int64_t seed, const struct cast *cast,
                          struct shop *shop)
{
	/* The space of the ids of runs. */
	static const char space[] = "4b7ee0c4-25d8-4a9a-9d6d-3c0f0a4a5c11";
	struct memory *memory = calloc(1, sizeof(*memory));
	char number[32];
	ASSERT(memory != NULL);
	snprintf(number, sizeof(number), "%lld", (long long)seed);
	uuid_v5(memory->run_id, space, "run", number);
	memory->arena = arena_create();
	buffer_init(&memory->text, JSON_MAX);
	memory->log_hash = log_hash_create();
	watched_open(&memory->watched, start_us, (uint64_t)seed, cast);
	memory->watched.appended = appended;
	memory->watched.arg = memory;
	*shop = (struct shop){ &methods, memory, memory->run_id };
}

void scenario_memory_hashes(struct shop *shop, char log[DIGEST_TEXT_SIZE],
                            char state[DIGEST_TEXT_SIZE])
{
	struct memory *memory = shop->shop;
	log_hash_text(memory->log_hash, log);
	fold_hash(invariants_fold(memory->watched.invariants), state);
}

bool scenario_shows(const char *path, const struct cast *cast, const char *name)
{
	struct arena *arena = arena_create();
	struct scenario scenario;
	struct scenario_report report = { .failures = 0 };
	struct shop shop;
	struct error err;
	bool shows = scenario_read(path, arena, &scenario, &err);
	if (shows) {
		scenario_memory_open(scenario.start_us, scenario.seed, cast, &shop);
		scenario_run(&scenario, &shop, &report);
		shows = report.failures > 0 && strstr(report.text.bytes, name) != NULL;
		buffer_free(&report.text);
		shop.methods->close(shop.shop);
	}
	arena_destroy(arena);
	return shows;
}
