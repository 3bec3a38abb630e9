/* A group and Redis: which store serves it, its checkpoint, its end. */
#include "event-store/group_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 100,
	WAIT_MS = 250,   /* a group that another store serves is asked for so often */
	LEASE_MS = 5000, /* of the group itself */
	RENEW_MS = 1500,
	/* A group that lost its last member between delivery and ack waits so long for another: what it
	 * knows of attempts and of parked events is only in memory. */
	LINGER_MS = 300000,
	LOST = -1
};

static void tick(void *arg);

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

/* All that this store knows of the group but its members. */
static void forget(struct group *group)
{
	struct delivery *delivery, *next;
	struct group_member *member;
	feed_destroy(group->feed);
	group->feed = NULL;
	HASH_ITER(hh, group->by_id, delivery, next)
	{
		if (delivery->replay)
			delivery_free(delivery);
	}
	while (group->window != NULL)
		delivery_free(group->window);
	group->ready = NULL;
	DL_FOREACH(group->members, member)
	{
		member->in_flight = 0;
		member->batch_count = 0;
	}
}

void group_close(struct group *group)
{
	struct groups *groups = group->groups;
	group_release(group);
	if (!group->failed)
		HASH_DEL(groups->all, group);
	loop_timer_stop(groups->loop, &group->timer);
	forget(group);
	group->gone = true;
	if (group->asked == 0)
		group_free(group);
}

/* Only while there is something that can expire, or to be asked for. */
void group_start_tick(struct group *group)
{
	struct loop *loop = group->groups->loop;
	if (group->timer.heap_index != 0)
		return;
	if (!group->owned && group->members != NULL)
		loop_timer_start(loop, &group->timer, group->waits ? WAIT_MS : TICK_MS, tick,
		                 group);
	else if (group->window != NULL || group->by_id != NULL ||
	         entry_id_compare(group->saved, group->checkpoint) != 0)
		loop_timer_start(loop, &group->timer, TICK_MS, tick, group);
}

static void tick(void *arg)
{
	struct group *group = arg;
	struct delivery *delivery, *next;
	uint64_t now = clock_monotonic_ms();
	if (!group->owned && group->members != NULL) {
		group_open(group);
		return;
	}
	HASH_ITER(hh, group->by_id, delivery, next)
	{
		if (delivery->due_ms > now)
			continue;
		if (delivery->state == DELAYED)
			delivery_ready(delivery);
		else if (delivery->state == DELIVERED)
			delivery_return(delivery, "not acknowledged in time", 0, now);
	}
	group_save(group);
	if (group->members == NULL && now > group->left_ms + LINGER_MS)
		group_close(group);
	else
		group_start_tick(group);
}

static void fail_group(struct group *group, const struct error *err)
{
	struct groups *groups = group->groups;
	struct group_member *member, *next;
	forget(group); /* so that the last member to leave closes it */
	if (group->members == NULL) {
		group_close(group);
		return;
	}
	group->failed = true;
	HASH_DEL(groups->all, group);
	loop_timer_stop(groups->loop, &group->timer);
	DL_FOREACH_SAFE(group->members, member, next)
	{
		member->events.failed(member->arg, err);
	}
}

static void wake(void *arg)
{
	group_touch(arg);
}

static bool begin(struct group *group, const struct redis_value *value, struct error *err)
{
	struct entry_id checkpoint, older;
	struct error ignored;
	size_t len;
	if (!entry_id_parse(redis_value_string(redis_value_at(value, 0), &len), &checkpoint,
	                    &ignored) ||
	    !entry_id_parse(redis_value_string(redis_value_at(value, 1), &len), &older, &ignored))
		return error_set(err, ERR_INTERNAL, "group %s of topic %s: redis answered %.120s",
		                 group->name, group->topic, redis_value_string(value, &len));
	if (group->feed != NULL && redis_value_integer(redis_value_at(value, 2)) == 1)
		return true; /* nobody else had it since: what this store knows is right */
	forget(group);
	group->checkpoint = group->saved = checkpoint;
	group->older = older;
	const char *topic = group->topic;
	struct feed_options options = {
		.topics = &topic, .topic_count = 1, .after = checkpoint, .after_topic = ""
	};
	group->feed = feed_create(group->groups->loop, group->groups->store, group->groups->tail,
	                          &options, wake, group);
	return true;
}

/* Its members left before it was open: others need not wait for the end of the lease. */
static void give_back(struct group *group, const struct redis_value *value)
{
	struct groups *groups = group->groups;
	struct group *another;
	struct entry_id checkpoint;
	struct error ignored;
	size_t len;
	HASH_FIND_STR(groups->all, group->key, another);
	if (another == NULL && redis_check(value, "(ssi)", NULL, &ignored) &&
	    entry_id_parse(redis_value_string(redis_value_at(value, 0), &len), &checkpoint,
	                   &ignored))
		store_group_save(groups->store, group->topic, group->name, groups->token,
		                 checkpoint, 0, NULL, NULL);
}

static void opened(void *arg, const struct redis_value *value, const struct error *err)
{
	struct group *group = arg;
	struct error failure;
	size_t len;
	if (group->gone && err == NULL)
		give_back(group, value);
	if (!group_answered(group))
		return;
	group->opening = false;
	bool seized = group->seized; /* that was an answer of before */
	group->seized = false;
	bool busy = redis_check(value, "(s)", err, &failure);
	if (busy && !group->waits)
		log_info("group_waits", "topic=%s group=%s owner=%s", group->topic, group->name,
		         redis_value_string(redis_value_at(value, 0), &len));
	group->waits = busy;
	if (err != NULL || busy || seized) {
		group_start_tick(group); /* tries again */
		return;
	}
	if (!begin(group, value, &failure)) {
		fail_group(group, &failure);
		return;
	}
	group->owned = true;
	group->owned_until_ms = group->opening_ms + LEASE_MS;
	if (group->members == NULL)
		group_release(group); /* they left meanwhile */
	replay_load(group);
	group_touch(group);
}

void group_open(struct group *group)
{
	if (group->opening)
		return;
	group->opening = true;
	group->opening_ms = clock_monotonic_ms();
	group->asked++;
	store_group_open(group->groups->store, group->topic, group->name, group->live,
	                 group->groups->token, LEASE_MS, opened, group);
}

void group_lose(struct group *group)
{
	log_warn("group_lost", "topic=%s group=%s reason=\"another store serves it\"", group->topic,
	         group->name);
	group->owned = false;
	forget(group);
	if (group->members != NULL)
		group_open(group);
	else
		group_close(group);
}

void groups_seize(struct groups *groups, const char *topic)
{
	struct group *group, *next;
	HASH_ITER(hh, groups->all, group, next)
	{
		if (strcmp(group->topic, topic) != 0)
			continue;
		group->seized = group->opening;
		if (group->owned)
			group_lose(group);
	}
}

static void saved(void *arg, const struct redis_value *value, const struct error *err)
{
	struct group *group = arg;
	if (!group_answered(group))
		return;
	group->saving = false;
	if (err != NULL || redis_value_kind(value) != REDIS_INTEGER) {
		group->saved = (struct entry_id){ 0, 1 }; /* unknown: the tick saves again */
	} else if (!group->owned) {
		return; /* given up meanwhile */
	} else if (redis_value_integer(value) == LOST) {
		group_lose(group);
		return;
	} else {
		/* members that waited for the lease to be renewed may go on */
		if (clock_monotonic_ms() >= group->owned_until_ms)
			group_touch(group);
		group->owned_until_ms = group->saving_ms + LEASE_MS;
		if ((uint64_t)redis_value_integer(value) > group->replays)
			replay_load(group);
	}
	group_start_tick(group);
}

static void ask_to_save(struct group *group, unsigned lease_ms)
{
	group->saving = true;
	group->saving_ms = clock_monotonic_ms();
	group->saved = group->checkpoint;
	group->asked++;
	store_group_save(group->groups->store, group->topic, group->name, group->groups->token,
	                 group->checkpoint, lease_ms, saved, group);
}

/* By the tick, not by the turn: with AOF `always` each save is a disk write of its own, and a crash
 * only has the deliveries since the last one delivered again. */
void group_save(struct group *group)
{
	if (group->owned && !group->saving &&
	    entry_id_compare(group->saved, group->checkpoint) != 0)
		ask_to_save(group, LEASE_MS);
}

void group_release(struct group *group)
{
	if (!group->owned)
		return;
	group_move_checkpoint(group);
	ask_to_save(group, 0);
	group->owned = false;
}

void group_renew_all(void *arg)
{
	struct groups *groups = arg;
	struct group *group, *next;
	HASH_ITER(hh, groups->all, group, next)
	{
		if (group->owned && !group->saving)
			ask_to_save(group, LEASE_MS);
	}
	loop_timer_start(groups->loop, &groups->renewal, RENEW_MS, group_renew_all, groups);
}
