#include "event-store/group_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARK_RETRY_MS = 1000 };

static struct entity *entity_of(struct group *group, const char *id)
{
	struct entity *entity;
	if (id[0] == '\0')
		return NULL;
	HASH_FIND_STR(group->entities, id, entity);
	if (entity == NULL) {
		entity = calloc(1, sizeof(*entity));
		ASSERT(entity != NULL);
		entity->id = strdup(id);
		ASSERT(entity->id != NULL);
		HASH_ADD_KEYPTR(hh, group->entities, entity->id, strlen(entity->id), entity);
	}
	entity->deliveries++;
	return entity;
}

static struct delivery *create(struct group *group, struct event *event)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	ASSERT(delivery != NULL);
	delivery->group = group;
	delivery->id = event->id;
	delivery->event = event;
	event->batch->refs++;
	delivery->entity = entity_of(group, event->message.entity_id);
	delivery->state = READY;
	DL_APPEND2(group->ready, delivery, ready_prev, ready_next);
	HASH_ADD(hh, group->by_id, id, sizeof(delivery->id), delivery);
	group->undone++;
	group->bytes += event->bytes;
	return delivery;
}

struct delivery *delivery_create(struct group *group, struct event *event)
{
	struct delivery *delivery = create(group, event);
	DL_APPEND(group->window, delivery);
	group->count++;
	return delivery;
}

struct delivery *delivery_create_replay(struct group *group, struct event *event)
{
	struct delivery *delivery = create(group, event);
	delivery->replay = true;
	group->replays++;
	return delivery;
}

/* A delivery that is done waits in the window for those before it, without its event. */
static void release_event(struct delivery *delivery)
{
	struct group *group = delivery->group;
	struct entity *entity = delivery->entity;
	if (delivery->event == NULL)
		return;
	HASH_DEL(group->by_id, delivery);
	group->undone--;
	group->bytes -= delivery->event->bytes;
	event_batch_unref(delivery->event->batch);
	delivery->event = NULL;
	delivery->entity = NULL;
	if (entity != NULL && --entity->deliveries == 0) {
		HASH_DEL(group->entities, entity);
		free(entity->id);
		free(entity);
	}
}

void delivery_free(struct delivery *delivery)
{
	struct group *group = delivery->group;
	release_event(delivery);
	if (delivery->replay) {
		group->replays--;
	} else {
		DL_DELETE(group->window, delivery);
		group->count--;
	}
	free(delivery);
}

/* Out of the state that it is in. */
static void leave_state(struct delivery *delivery)
{
	struct entity *entity = delivery->entity;
	switch (delivery->state) {
	case READY:
		DL_DELETE2(delivery->group->ready, delivery, ready_prev, ready_next);
		break;
	case DELIVERED:
		delivery->member->in_flight--;
		delivery->member = NULL;
		if (entity != NULL && --entity->delivered == 0)
			entity->owner = NULL;
		break;
	case DELAYED:
	case PARKING:
		if (entity != NULL)
			entity->blocked--;
		break;
	case DONE:
		break;
	}
}

void delivery_deliver(struct delivery *delivery, struct group_member *member, uint64_t now_ms)
{
	ASSERT(delivery->state == READY);
	leave_state(delivery);
	delivery->state = DELIVERED;
	delivery->member = member;
	delivery->attempt++;
	delivery->due_ms = now_ms + member->lease_ms;
	member->in_flight++;
	if (delivery->entity != NULL) {
		delivery->entity->delivered++;
		delivery->entity->owner = member;
	}
}

void delivery_done(struct delivery *delivery)
{
	struct group *group = delivery->group;
	bool parked = delivery->state == PARKING;
	leave_state(delivery);
	delivery->state = DONE;
	release_event(delivery);
	group_touch(group);
	if (delivery->replay) {
		struct entry_id id = delivery->id;
		delivery_free(delivery);
		replay_done(group, id, parked);
	}
}

static void block(struct delivery *delivery, enum delivery_state state)
{
	leave_state(delivery);
	delivery->state = state;
	if (delivery->entity != NULL)
		delivery->entity->blocked++;
}

void delivery_ready(struct delivery *delivery)
{
	leave_state(delivery);
	delivery->state = READY;
	/* returned events go before those that are new */
	DL_APPEND2(delivery->group->ready, delivery, ready_prev, ready_next);
	group_touch(delivery->group);
}

void delivery_return(struct delivery *delivery, const char *reason, uint64_t pause_ms,
                     uint64_t now_ms)
{
	if (delivery->attempt >= GROUP_ATTEMPTS) {
		delivery_park(delivery, reason);
	} else if (pause_ms == 0) {
		delivery_ready(delivery);
	} else {
		block(delivery, DELAYED);
		delivery->due_ms = now_ms + pause_ms;
		group_touch(delivery->group);
	}
}

/* Of a parking: where to find the delivery, which stays in the window until the answer. */
struct parking {
	struct group *group;
	struct entry_id id;
};

static void parked(void *arg, const struct redis_value *value, const struct error *err)
{
	struct parking *parking = arg;
	struct group *group = parking->group;
	struct delivery *delivery;
	struct entry_id id = parking->id;
	free(parking);
	if (!group_answered(group))
		return;
	bool answered = err == NULL && redis_value_kind(value) == REDIS_INTEGER;
	if (answered && redis_value_integer(value) < 0) {
		if (group->owned)
			group_lose(group);
		return;
	}
	delivery = group_delivery(group, id);
	if (delivery == NULL || delivery->state != PARKING)
		return;
	if (answered) {
		log_warn("event_parked", "topic=%s group=%s entry=%s reason=\"%s\"", group->topic,
		         group->name, delivery->event->message.entry_id, delivery->reason);
		delivery_done(delivery);
		return;
	}
	leave_state(delivery);
	delivery->state = DELAYED;
	if (delivery->entity != NULL)
		delivery->entity->blocked++;
	delivery->due_ms = clock_monotonic_ms() + PARK_RETRY_MS;
	group_touch(group);
}

void delivery_park(struct delivery *delivery, const char *reason)
{
	struct group *group = delivery->group;
	struct parking *parking = malloc(sizeof(*parking));
	ASSERT(parking != NULL);
	*parking = (struct parking){ group, delivery->id };
	block(delivery, PARKING);
	snprintf(delivery->reason, sizeof(delivery->reason), "%s", reason);
	group->asked++;
	store_group_park(group->groups->store, group->topic, group->name, group->groups->token,
	                 delivery->id, delivery->attempt, delivery->reason, parked, parking);
}

int delivery_compare(const struct delivery *a, const struct delivery *b)
{
	return entry_id_compare(a->id, b->id);
}
