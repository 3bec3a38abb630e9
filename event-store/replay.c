/* Parked events that are to be delivered once more: Redis holds their ids until they are done. */
#include "event-store/group_internal.h"

enum { REPLAYS_MAX = 256 /* in memory at a time */ };

static void loaded(void *arg, const struct redis_value *value, const struct error *err)
{
	struct group *group = arg;
	struct error ignored;
	if (!group_answered(group))
		return;
	group->loading_replays = false;
	/* without an answer the next save of the checkpoint tells of them again */
	if (!redis_check(value, "[(sa)]", err, &ignored) || !group->owned)
		return;
	if (group->replays_stale) {
		replay_load(group);
		return;
	}
	struct event_batch *batch = event_batch_create();
	(void)event_batch_add(batch, group->topic,
	                      value); /* the log is read with the same tolerance */
	for (size_t i = 0; i < batch->count; i++) {
		if (group_delivery(group, batch->events[i]->id) == NULL)
			delivery_create_replay(group, batch->events[i]);
	}
	event_batch_unref(batch);
	group_touch(group);
}

void replay_load(struct group *group)
{
	if (group->loading_replays || !group->owned)
		return;
	group->loading_replays = true;
	group->replays_stale = false;
	group->asked++;
	store_replays(group->groups->store, group->topic, group->name, REPLAYS_MAX, loaded, group);
}

void replay_done(struct group *group, struct entry_id id, bool parked)
{
	/* An answer under way may still name it: it must not be delivered for that. */
	group->replays_stale = true;
	if (!parked)
		store_replay_done(group->groups->store, group->topic, group->name, id);
	if (group->replays == 0)
		replay_load(group); /* there may be more than were in memory */
}
