#include "domain/memory_shop_internal.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_US = 50 };

static void topic_add(struct memory_shop *shop, const char *name)
{
	if (name == NULL || shop_topic(shop, name) != NULL)
		return;
	ASSERT(shop->topic_count < TOPICS_MAX);
	shop->topics[shop->topic_count++] =
	    (struct topic){ .name = name, .type = entity_type(name) };
}

void memory_shop_use(struct memory_shop *shop, const struct service *const *services, size_t count)
{
	ASSERT(count <= SERVERS_MAX && shop->log_count == 0);
	shop->services = services;
	shop->service_count = count;
	shop->topic_count = shop->group_count = 0;
	for (size_t i = 0; i < count; i++) {
		shop->servers[i] = (struct server){ .service = services[i] };
		topic_add(shop, services[i]->topic);
	}
	groups_create(shop);
}

struct memory_shop *memory_shop_create(uint64_t seed, uint64_t start_us)
{
	struct memory_shop *shop = calloc(1, sizeof(*shop));
	ASSERT(shop != NULL);
	shop->arena = arena_create();
	shop->random = seed;
	shop->in_order = seed == 0;
	shop->clock_us = start_us;
	memory_shop_use(shop, domain_services, domain_service_count);
	return shop;
}

void memory_shop_destroy(struct memory_shop *shop)
{
	struct run *run, *next_run;
	struct reaction *reaction, *next;
	if (shop == NULL)
		return;
	for (size_t i = 0; i < shop->service_count; i++) {
		DL_FOREACH_SAFE(shop->servers[i].runs, run, next_run)
		{
			shop_run_kill(shop, run);
		}
		DL_FOREACH_SAFE(shop->servers[i].reactions, reaction, next)
		{
			reaction_free(shop, reaction);
		}
	}
	DL_FOREACH_SAFE(shop->parked, reaction, next)
	{
		reaction_free(shop, reaction);
	}
	messages_free(shop);
	groups_free(shop);
	shop_log_free(shop);
	pool_free(&shop->pool);
	arena_destroy(shop->arena);
	heap_free(&shop->timers);
	heap_free(&shop->leases);
	free(shop->ring.tasks);
	free(shop);
}

struct server *shop_server(struct memory_shop *shop, const char *service)
{
	for (size_t i = 0; i < shop->service_count; i++) {
		if (strcmp(shop->services[i]->name, service) == 0)
			return &shop->servers[i];
	}
	return NULL;
}

size_t shop_pick(struct memory_shop *shop, size_t count)
{
	if (shop->in_order)
		return 0;
	return (size_t)(random_next(&shop->random) % count);
}

void shop_make_id(struct memory_shop *shop, const char *kind, char out[UUID_SIZE])
{
	char number[32];
	snprintf(number, sizeof(number), "%llu", (unsigned long long)shop->message_number++);
	uuid_v5(out, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", kind, number);
}

/* ---- Time -------------------------------------------------------------------------------- */

uint64_t memory_shop_clock(const struct memory_shop *shop)
{
	return shop->clock_us;
}

void memory_shop_set_clock(struct memory_shop *shop, uint64_t us)
{
	if (us > MEMORY_SHOP_END_US)
		us = MEMORY_SHOP_END_US;
	if (us > shop->clock_us)
		shop->clock_us = us;
}

void memory_shop_advance(struct memory_shop *shop, uint64_t us)
{
	memory_shop_set_clock(shop, us < MEMORY_SHOP_END_US ? shop->clock_us + us : us);
}

bool memory_shop_step(struct memory_shop *shop, size_t steps)
{
	shop_fire_due(shop);
	while (steps-- > 0) {
		struct task *task = shop_task_take(shop);
		if (task == NULL)
			return false;
		shop->counts.steps++;
		shop->clock_us += STEP_US;
		task->turn(shop, task);
		shop_fire_due(shop);
	}
	return shop->ring.count > 0;
}

struct memory_counts memory_shop_counts(const struct memory_shop *shop)
{
	return shop->counts;
}

bool memory_shop_wait(struct memory_shop *shop)
{
	const struct heap_item *timer = heap_first(&shop->timers);
	if (timer != NULL)
		memory_shop_set_clock(shop, timer->at);
	return timer != NULL;
}

void memory_shop_settle(struct memory_shop *shop)
{
	do {
		while (memory_shop_step(shop, 1000)) {
		}
	} while (memory_shop_wait(shop));
}

bool memory_shop_settled(const struct memory_shop *shop)
{
	for (size_t i = 0; i < shop->service_count; i++) {
		if (shop->servers[i].runs != NULL || shop->servers[i].reactions != NULL ||
		    shop->servers[i].waiting != NULL)
			return false;
	}
	return shop->ring.count == 0 && shop->timers.count == 0 && shop->dead_count == 0 &&
	       shop->parked_count == 0;
}

void memory_shop_watch(struct memory_shop *shop,
                       void (*appended)(void *arg, const struct event *event), void *arg)
{
	shop->appended = appended;
	shop->appended_arg = arg;
}

/* ---- Commands and events ----------------------------------------------------------------- */

static bool check_event(struct memory_shop *shop, const struct memory_event *event,
                        struct error *err)
{
	if (event->topic == NULL || shop_topic(shop, event->topic) == NULL)
		return error_set(err, ERR_INVALID, "topic: must be one of the shop's, is \"%.64s\"",
		                 event->topic == NULL ? "" : event->topic);
	if (event->type == NULL || event->type[0] == '\0' || event->action == NULL ||
	    event->action[0] == '\0')
		return error_set(err, ERR_INVALID, "%s: is missing",
		                 event->type == NULL || event->type[0] == '\0' ? "event_type"
		                                                               : "event_action");
	if (event->entity_id != NULL && strlen(event->entity_id) > 128)
		return error_set(err, ERR_INVALID, "entity_id: must have up to 128 bytes");
	if (event->event_id != NULL && !uuid_valid(event->event_id))
		return error_set(err, ERR_INVALID, "event_id: must be a UUID, is \"%.60s\"",
		                 event->event_id);
	if (event->state == NULL && event->data == NULL)
		return error_set(err, ERR_INVALID, "data: is missing");
	if (event->state != NULL &&
	    event->state->descriptor != shop_topic(shop, event->topic)->type)
		return error_set(err, ERR_INVALID, "state: must be an entity of topic %s",
		                 event->topic);
	return true;
}

static bool read_state(struct arena *arena, const struct memory_event *event,
                       const ProtobufCMessage **state, struct error *err)
{
	struct json *json;
	ProtobufCMessage *read = NULL;
	*state = event->state;
	if (event->state != NULL)
		return true;
	if (!json_parse(event->data, strlen(event->data), &json, err))
		return error_wrap(err, "data");
	bool ok =
	    json_read_message(json, entity_type(event->topic), arena, false, NULL, &read, err);
	json_free(json);
	*state = read;
	return ok || error_wrap(err, "data");
}

bool memory_shop_give(struct memory_shop *shop, const struct memory_event *event, struct error *err)
{
	char id[UUID_SIZE];
	if (!check_event(shop, event, err))
		return false;
	if (event->event_id == NULL)
		shop_make_id(shop, "event", id);
	else
		memcpy(id, event->event_id, UUID_SIZE);
	if (shop_log_known(shop, id) != NULL)
		return true;
	struct arena *arena = pool_take(&shop->pool);
	const ProtobufCMessage *state;
	bool ok = read_state(arena, event, &state, err);
	if (ok) {
		struct origin *origin = origin_create(true, id, event->metadata);
		shop_log_append(shop, &(struct entry){
		                          .event_id = id,
		                          .type = event->type,
		                          .action = event->action,
		                          .topic = event->topic,
		                          .entity_id = event->entity_id,
		                          .state = state,
		                          .cause_id = id,
		                          .origin = origin,
		                          .given = true,
		                          .unnoticed = event->unnoticed,
		                      });
		origin_unref(origin);
	}
	pool_give(&shop->pool, arena);
	return ok;
}
