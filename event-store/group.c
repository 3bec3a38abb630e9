#include "event-store/group_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW_COUNT = 65536, /* events between the checkpoint and the last that was taken */
	UNDONE_COUNT = 8192,  /* of them, those that are held in memory */
	WINDOW_BYTES = 16 * 1024 * 1024,
	TICK_MS = 100,
	PAUSE_MIN_MS = 200, /* after the first nack; doubled by each further one */
	PAUSE_MAX_MS = 10000,
	/* A group that lost its last member between delivery and ack waits so long for another: what it
	 * knows of attempts and of parked events is only in memory. */
	LINGER_MS = 300000
};

static void open_group(struct group *group);
static void tick(void *arg);
static void end_turn(void *arg);

struct groups *groups_create(struct loop *loop, struct store *store, struct tail *tail)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	ASSERT(groups != NULL);
	groups->loop = loop;
	groups->store = store;
	groups->tail = tail;
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

static void group_free(struct group *group)
{
	free(group->key);
	free(group->topic);
	free(group->name);
	free(group);
}

bool group_answered(struct group *group)
{
	group->asked--;
	if (!group->gone)
		return true;
	if (group->asked == 0)
		group_free(group);
	return false;
}

static void move_checkpoint(struct group *group);
static void save_checkpoint(struct group *group);

static void close_group(struct group *group)
{
	struct groups *groups = group->groups;
	if (group->feed != NULL) {
		move_checkpoint(group);
		save_checkpoint(group);
	}
	if (!group->failed)
		HASH_DEL(groups->all, group);
	loop_timer_stop(groups->loop, &group->timer);
	feed_destroy(group->feed);
	group->feed = NULL;
	while (group->window != NULL)
		delivery_free(group->window);
	group->ready = NULL;
	group->gone = true;
	if (group->asked == 0)
		group_free(group);
}

void groups_close(struct groups *groups)
{
	struct group *group, *next;
	if (groups == NULL)
		return;
	HASH_ITER(hh, groups->all, group, next)
	{
		close_group(group);
	}
}

static void wake(void *arg)
{
	group_touch(arg);
}

/* Only while there is something that can expire. */
static void start_tick(struct group *group)
{
	if (group->timer.heap_index == 0 &&
	    (group->window != NULL || group->feed == NULL ||
	     entry_id_compare(group->saved, group->checkpoint) != 0))
		loop_timer_start(group->groups->loop, &group->timer, TICK_MS, tick, group);
}

static void tick(void *arg)
{
	struct group *group = arg;
	struct delivery *delivery, *next;
	uint64_t now = clock_monotonic_ms();
	if (group->feed == NULL) {
		open_group(group);
		return;
	}
	DL_FOREACH_SAFE(group->window, delivery, next)
	{
		if (delivery->due_ms > now)
			continue;
		if (delivery->state == DELAYED)
			delivery_ready(delivery);
		else if (delivery->state == DELIVERED)
			delivery_return(delivery, "not acknowledged within 30 s", 0, now);
	}
	save_checkpoint(group);
	if (group->members == NULL && now > group->left_ms + LINGER_MS)
		close_group(group);
	else
		start_tick(group);
}

static void fail_group(struct group *group, const struct error *err)
{
	struct groups *groups = group->groups;
	struct group_member *member, *next;
	group->failed = true;
	HASH_DEL(groups->all, group);
	loop_timer_stop(groups->loop, &group->timer);
	DL_FOREACH_SAFE(group->members, member, next)
	{
		member->events.failed(member->arg, err);
	}
}

static void opened(void *arg, const struct redis_value *value, const struct error *err)
{
	struct group *group = arg;
	struct error failure;
	size_t len;
	if (!group_answered(group))
		return;
	group->opening = false;
	if (err != NULL) {
		start_tick(group); /* tries again */
		return;
	}
	if (!entry_id_parse(redis_value_string(redis_value_at(value, 0), &len), &group->checkpoint,
	                    &failure) ||
	    !entry_id_parse(redis_value_string(redis_value_at(value, 1), &len), &group->older,
	                    &failure)) {
		error_set(&failure, ERR_INTERNAL, "group %s of topic %s: redis answered %.120s",
		          group->name, group->topic, redis_value_string(value, &len));
		fail_group(group, &failure);
		return;
	}
	group->saved = group->checkpoint;
	const char *topic = group->topic;
	struct feed_options options = {
		.topics = &topic, .topic_count = 1, .after = group->checkpoint, .after_topic = ""
	};
	group->feed = feed_create(group->groups->loop, group->groups->store, group->groups->tail,
	                          &options, wake, group);
}

static void open_group(struct group *group)
{
	if (group->opening)
		return;
	group->opening = true;
	group->asked++;
	store_group_open(group->groups->store, group->topic, group->name, group->live, opened,
	                 group);
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
	open_group(group);
	return group;
}

struct group_member *groups_join(struct groups *groups, const struct group_join *join,
                                 const struct group_events *events, void *arg)
{
	struct group_member *member = calloc(1, sizeof(*member));
	ASSERT(member != NULL);
	member->group = get_group(groups, join);
	member->credits = join->credits;
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
	group_touch(member->group);
	return member;
}

void group_leave(struct group_member *member)
{
	struct group *group = member->group;
	struct delivery *delivery, *next;
	uint64_t now = clock_monotonic_ms();
	DL_FOREACH_SAFE(group->window, delivery, next)
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
	if (group->members == NULL && group->undone == 0)
		close_group(group);
	else
		group_touch(group);
}

static struct delivery *find_delivery(struct group *group, struct entry_id id)
{
	struct delivery *delivery;
	HASH_FIND(hh, group->by_id, &id, sizeof(id), delivery);
	return delivery;
}

void group_ack(struct group_member *member, struct entry_id id)
{
	struct delivery *delivery = find_delivery(member->group, id);
	if (delivery != NULL && delivery->state != DONE && delivery->state != PARKING &&
	    delivery->attempt > 0)
		delivery_done(delivery);
}

void group_nack(struct group_member *member, struct entry_id id, const char *reason, bool park)
{
	struct delivery *delivery = find_delivery(member->group, id);
	if (delivery == NULL || delivery->state != DELIVERED || delivery->member != member)
		return;
	if (park) {
		delivery_park(delivery, reason);
		return;
	}
	uint64_t pause = (uint64_t)PAUSE_MIN_MS << (delivery->attempt - 1);
	delivery_return(delivery, reason, pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause,
	                clock_monotonic_ms());
}

size_t groups_in_flight(struct groups *groups, const char *topic, const char *name)
{
	struct group *group = find_group(groups, topic, name);
	size_t count = 0;
	struct group_member *member;
	if (group == NULL)
		return 0;
	DL_FOREACH(group->members, member)
	{
		count += member->in_flight;
	}
	return count;
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
				.redelivered = delivery->attempt > 1 ||
				               entry_id_compare(delivery->id, group->older) <= 0,
			};
		} else if (!any_room(group)) {
			break;
		}
	}
}

static bool take_more(struct group *group)
{
	if (group->feed == NULL || !any_room(group) || group->count >= WINDOW_COUNT ||
	    group->undone >= UNDONE_COUNT || group->bytes >= WINDOW_BYTES)
		return false;
	struct event_slice *slice = feed_take(group->feed);
	if (slice == NULL)
		return false;
	for (size_t i = 0; i < slice->count; i++)
		delivery_create(group, slice->events[i]);
	event_slice_unref(slice);
	return true;
}

static void saved(void *arg, const struct redis_value *value, const struct error *err)
{
	struct group *group = arg;
	if (!group_answered(group))
		return;
	group->saving = false;
	if (err != NULL || redis_value_kind(value) == REDIS_ERROR)
		group->saved = (struct entry_id){ 0, 1 }; /* unknown: the tick saves again */
	start_tick(group);
}

/* By the tick, not by the turn: with AOF `always` each save is a disk write of its own, and a crash
 * only has the deliveries since the last one delivered again. */
static void save_checkpoint(struct group *group)
{
	if (group->saving || entry_id_compare(group->saved, group->checkpoint) == 0)
		return;
	group->saving = true;
	group->saved = group->checkpoint;
	group->asked++;
	store_group_save(group->groups->store, group->topic, group->name, group->checkpoint, saved,
	                 group);
}

static void move_checkpoint(struct group *group)
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

static void end_group_turn(struct group *group)
{
	uint64_t now = clock_monotonic_ms();
	group->dirty = false;
	DL_SORT2(group->ready, delivery_compare, ready_prev, ready_next);
	do {
		if (group->members != NULL) /* else nobody would be there to want them */
			deliver_ready(group, now);
	} while (take_more(group));
	move_checkpoint(group);
	flush_members(group);
	start_tick(group);
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
