#include "event-store/group_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW_COUNT = 65536, /* events between the checkpoint and the last that was taken */
	UNDONE_COUNT = 8192,  /* of them, those that are held in memory */
	WINDOW_BYTES = 16 * 1024 * 1024,
	PAUSE_MIN_MS = 200, /* after the first nack; doubled by each further one */
	PAUSE_MAX_MS = 10000,
	HANDOVER_MS = 1000
};

static void end_turn(void *arg);

struct groups *groups_create(struct loop *loop, struct store *store, struct tail *tail,
                             const char *name)
{
	char life[UUID_SIZE];
	struct groups *groups = calloc(1, sizeof(*groups));
	ASSERT(groups != NULL);
	groups->loop = loop;
	groups->store = store;
	groups->tail = tail;
	uuid_v4(life);
	snprintf(groups->token, sizeof(groups->token), "%.80s#%.8s", name, life);
	for (char *c = groups->token; *c != '\0'; c++) {
		if (*c == ' ' || (*c == '#' && c[1 + 8] != '\0'))
			*c = '_';
	}
	group_renew_all(groups);
	store_before_send(store, end_turn, groups);
	return groups;
}

void groups_destroy(struct groups *groups)
{
	if (groups == NULL)
		return;
	ASSERT(groups->all == NULL);
	free(groups);
}

void group_touch(struct group *group)
{
	group->dirty = true;
}

void groups_close(struct groups *groups)
{
	struct group *group, *next;
	if (groups == NULL)
		return;
	bool any = groups->all != NULL;
	loop_timer_stop(groups->loop, &groups->renewal);
	HASH_ITER(hh, groups->all, group, next)
	{
		group_close(group);
	}
	if (any)
		store_flush(groups->store, HANDOVER_MS);
}

static struct group *find_group(struct groups *groups, const char *topic, const char *name)
{
	char key[160];
	struct group *group;
	snprintf(key, sizeof(key), "%s/%s", topic, name);
	HASH_FIND_STR(groups->all, key, group);
	return group;
}

static struct group *get_group(struct groups *groups, const struct group_join *join)
{
	struct group *group = find_group(groups, join->topic, join->group);
	if (group != NULL)
		return group;
	group = calloc(1, sizeof(*group));
	ASSERT(group != NULL);
	group->groups = groups;
	group->topic = strdup(join->topic);
	group->name = strdup(join->group);
	size_t size = strlen(join->topic) + strlen(join->group) + 2;
	group->key = malloc(size);
	ASSERT(group->topic != NULL && group->name != NULL && group->key != NULL);
	snprintf(group->key, size, "%s/%s", join->topic, join->group);
	group->live = join->live;
	HASH_ADD_KEYPTR(hh, groups->all, group->key, strlen(group->key), group);
	group_open(group);
	return group;
}

struct group_member *groups_join(struct groups *groups, const struct group_join *join,
                                 const struct group_events *events, void *arg)
{
	struct group_member *member = calloc(1, sizeof(*member));
	ASSERT(member != NULL);
	member->group = get_group(groups, join);
	member->credits = join->credits;
	member->lease_ms = join->lease_ms;
	member->events = *events;
	member->arg = arg;
	member->event_type_count = join->event_type_count;
	member->event_types = calloc(join->event_type_count + 1, sizeof(char *));
	ASSERT(member->event_types != NULL);
	for (size_t i = 0; i < join->event_type_count; i++) {
		member->event_types[i] = strdup(join->event_types[i]);
		ASSERT(member->event_types[i] != NULL);
	}
	member->batch = calloc(join->credits, sizeof(*member->batch));
	member->attempts = calloc(join->credits, sizeof(*member->attempts));
	ASSERT(member->batch != NULL && member->attempts != NULL);
	DL_APPEND(member->group->members, member);
	if (!member->group->owned)
		group_open(member->group);
	group_touch(member->group);
	return member;
}

void group_leave(struct group_member *member)
{
	struct group *group = member->group;
	struct delivery *delivery, *next;
	uint64_t now = clock_monotonic_ms();
	HASH_ITER(hh, group->by_id, delivery, next)
	{
		if (delivery->state == DELIVERED && delivery->member == member)
			delivery_return(delivery, "its consumer went away", 0, now);
	}
	DL_DELETE(group->members, member);
	for (size_t i = 0; i < member->event_type_count; i++)
		free(member->event_types[i]);
	free(member->event_types);
	free(member->batch);
	free(member->attempts);
	free(member);
	group->left_ms = now;
	if (group->members == NULL)
		group_release(group);
	if (group->members == NULL && group->undone == 0)
		group_close(group);
	else
		group_touch(group);
}

struct delivery *group_delivery(struct group *group, struct entry_id id)
{
	struct delivery *delivery;
	HASH_FIND(hh, group->by_id, &id, sizeof(id), delivery);
	return delivery;
}

void group_ack(struct group_member *member, struct entry_id id)
{
	struct delivery *delivery = group_delivery(member->group, id);
	if (delivery != NULL && delivery->state != PARKING && delivery->attempt > 0)
		delivery_done(delivery);
}

/* NULL: it is not with this member any more. */
static struct delivery *delivery_of(struct group_member *member, struct entry_id id)
{
	struct delivery *delivery = group_delivery(member->group, id);
	return delivery != NULL && delivery->state == DELIVERED && delivery->member == member
	           ? delivery
	           : NULL;
}

void group_retry(struct group_member *member, struct entry_id id, const char *reason,
                 uint64_t delay_ms)
{
	struct delivery *delivery = delivery_of(member, id);
	if (delivery == NULL)
		return;
	uint64_t pause = (uint64_t)PAUSE_MIN_MS << (delivery->attempt - 1);
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	delivery_return(delivery, reason, delay_ms > 0 ? delay_ms : pause, clock_monotonic_ms());
}

void group_park(struct group_member *member, struct entry_id id, const char *reason)
{
	struct delivery *delivery = delivery_of(member, id);
	if (delivery != NULL)
		delivery_park(delivery, reason);
}

void group_extend(struct group_member *member, struct entry_id id, uint64_t lease_ms)
{
	struct delivery *delivery = delivery_of(member, id);
	if (delivery != NULL)
		delivery->due_ms =
		    clock_monotonic_ms() + (lease_ms > 0 ? lease_ms : member->lease_ms);
}

const char *groups_token(const struct groups *groups)
{
	return groups->token;
}

void groups_replay(struct groups *groups, const char *topic, const char *name)
{
	struct group *group = find_group(groups, topic, name);
	if (group != NULL)
		replay_load(group);
}

void groups_count(struct groups *groups, const char *topic, const char *name, uint64_t *in_flight,
                  uint32_t *members)
{
	struct group *group = find_group(groups, topic, name);
	struct group_member *member;
	*in_flight = 0;
	*members = 0;
	if (group == NULL)
		return;
	DL_FOREACH(group->members, member)
	{
		*in_flight += member->in_flight;
		++*members;
	}
}

static bool wants(const struct group_member *member, const char *type)
{
	for (size_t i = 0; i < member->event_type_count; i++) {
		if (strcmp(member->event_types[i], type) == 0)
			return true;
	}
	return member->event_type_count == 0;
}

static bool has_room(const struct group_member *member)
{
	return member->in_flight < member->credits;
}

/* Who gets it; NULL: nobody now. *unwanted: nobody ever, of those who are there. */
static struct group_member *choose(struct group *group, const struct delivery *delivery,
                                   bool *unwanted)
{
	const struct entity *entity = delivery->entity;
	struct group_member *member, *best = NULL;
	*unwanted = true;
	DL_FOREACH(group->members, member)
	{
		if (!wants(member, delivery->event->message.event_type))
			continue;
		*unwanted = false;
		if (has_room(member) && (best == NULL || member->in_flight < best->in_flight))
			best = member;
	}
	if (*unwanted || entity == NULL)
		return best;
	if (entity->blocked > 0)
		return NULL;
	if (entity->owner != NULL)
		return has_room(entity->owner) ? entity->owner : NULL;
	return best;
}

static bool any_room(const struct group *group)
{
	struct group_member *member;
	DL_FOREACH(group->members, member)
	{
		if (has_room(member))
			return true;
	}
	return false;
}

static void deliver_ready(struct group *group, uint64_t now)
{
	struct delivery *delivery, *next;
	for (delivery = group->ready; delivery != NULL; delivery = next) {
		bool unwanted;
		next = delivery->ready_next;
		struct group_member *member = choose(group, delivery, &unwanted);
		if (unwanted) {
			delivery_done(delivery);
		} else if (member != NULL) {
			delivery_deliver(delivery, member, now);
			member->batch[member->batch_count] = delivery->event;
			member->attempts[member->batch_count++] = (struct group_attempt){
				.number = delivery->attempt,
				.redelivered = delivery->attempt > 1 || delivery->replay ||
				               entry_id_compare(delivery->id, group->older) <= 0,
			};
		} else if (!any_room(group)) {
			break;
		}
	}
}

static bool take_more(struct group *group)
{
	if (!group->owned || group->feed == NULL || !any_room(group) ||
	    group->count >= WINDOW_COUNT || group->undone >= UNDONE_COUNT ||
	    group->bytes >= WINDOW_BYTES)
		return false;
	struct event_slice *slice = feed_take(group->feed);
	if (slice == NULL)
		return false;
	for (size_t i = 0; i < slice->count; i++) {
		/* A replay may be ahead of the feed. */
		if (group_delivery(group, slice->events[i]->id) == NULL)
			delivery_create(group, slice->events[i]);
	}
	event_slice_unref(slice);
	return true;
}

void group_move_checkpoint(struct group *group)
{
	while (group->window != NULL && group->window->state == DONE) {
		group->checkpoint = group->window->id;
		delivery_free(group->window);
	}
}

static void flush_members(struct group *group)
{
	struct group_member *member, *next;
	DL_FOREACH_SAFE(group->members, member, next)
	{
		size_t count = member->batch_count;
		member->batch_count = 0;
		if (count > 0)
			member->events.deliver(member->arg, member->batch, member->attempts, count);
	}
}

/* Without members nobody would be there to want them; without the lease they may be another
 * store's. */
static bool may_deliver(const struct group *group, uint64_t now)
{
	return group->members != NULL && group->owned && now < group->owned_until_ms;
}

static void end_group_turn(struct group *group)
{
	uint64_t now = clock_monotonic_ms();
	group->dirty = false;
	DL_SORT2(group->ready, delivery_compare, ready_prev, ready_next);
	do {
		if (may_deliver(group, now))
			deliver_ready(group, now);
	} while (take_more(group));
	group_move_checkpoint(group);
	flush_members(group);
	group_start_tick(group);
}

/* Acks, returns and new events of a turn are looked at together. */
static void end_turn(void *arg)
{
	struct groups *groups = arg;
	struct group *group, *next;
	HASH_ITER(hh, groups->all, group, next)
	{
		if (group->dirty)
			end_group_turn(group);
	}
}
