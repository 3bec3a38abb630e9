/* The commands of persistent groups and of what they have set aside. */
#include "event-store/store_internal.h"

#include <stdio.h>

static void add_group_key(struct redis_command *command, const char *kind, const char *topic,
                          const char *group)
{
	char key[192];
	snprintf(key, sizeof(key), "%s:{%s}:%s", kind, topic, group);
	redis_arg(command, key);
}

static struct redis_command *begin_call(struct store *store, const char *function, unsigned keys)
{
	struct redis_command *command = store_begin(store, "FCALL");
	redis_arg(command, function);
	redis_arg_integer(command, keys);
	return command;
}

void store_group_open(struct store *store, const char *topic, const char *group, bool live,
                      const char *token, unsigned lease_ms, redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_group_open", 3);
	store_add_key(command, GROUPS, topic);
	store_add_key(command, EVENTS, topic);
	store_add_key(command, OWNERS, topic);
	redis_arg(command, group);
	redis_arg(command, live ? "live" : "beginning");
	redis_arg(command, token);
	redis_arg_integer(command, lease_ms);
	redis_queue(store->writes, command, done, arg);
}

void store_group_save(struct store *store, const char *topic, const char *group, const char *token,
                      struct entry_id checkpoint, unsigned lease_ms, redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_group_save", 3);
	store_add_key(command, GROUPS, topic);
	store_add_key(command, OWNERS, topic);
	add_group_key(command, REPLAYS, topic, group);
	redis_arg(command, group);
	redis_arg(command, token);
	store_add_id(command, checkpoint, false);
	redis_arg_integer(command, lease_ms);
	redis_queue(store->writes, command, done, arg);
}

void store_group_park(struct store *store, const char *topic, const char *group, const char *token,
                      struct entry_id id, unsigned attempts, const char *reason, redis_done *done,
                      void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_park", 4);
	store_add_key(command, OWNERS, topic);
	add_group_key(command, PARKED, topic, group);
	add_group_key(command, INDEX, topic, group);
	add_group_key(command, REPLAYS, topic, group);
	redis_arg(command, group);
	redis_arg(command, token);
	store_add_id(command, id, false);
	redis_arg_integer(command, attempts);
	redis_arg(command, reason);
	redis_queue(store->writes, command, done, arg);
}

void store_parked(struct store *store, const char *topic, const char *group, const char *after,
                  size_t limit, redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_parked", 3);
	add_group_key(command, PARKED, topic, group);
	add_group_key(command, INDEX, topic, group);
	store_add_key(command, EVENTS, topic);
	redis_arg(command, after);
	redis_arg_integer(command, (int64_t)limit);
	redis_queue(store->writes, command, done, arg);
}

void store_parked_take(struct store *store, const char *topic, const char *group, bool replay,
                       const char *const *entry_ids, size_t count, redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_parked_take", 3);
	add_group_key(command, PARKED, topic, group);
	add_group_key(command, INDEX, topic, group);
	add_group_key(command, REPLAYS, topic, group);
	redis_arg(command, replay ? "replay" : "drop");
	for (size_t i = 0; i < count; i++)
		redis_arg(command, entry_ids[i]);
	redis_queue(store->writes, command, done, arg);
}

void store_replays(struct store *store, const char *topic, const char *group, size_t limit,
                   redis_done *done, void *arg)
{
	struct redis_command *command = begin_call(store, "eventstore_replays", 2);
	add_group_key(command, REPLAYS, topic, group);
	store_add_key(command, EVENTS, topic);
	redis_arg_integer(command, (int64_t)limit);
	redis_queue(store->writes, command, done, arg);
}

void store_replay_done(struct store *store, const char *topic, const char *group,
                       struct entry_id id)
{
	struct redis_command *command = store_begin(store, "ZREM");
	add_group_key(command, REPLAYS, topic, group);
	store_add_id(command, id, false);
	redis_queue(store->writes, command, NULL, NULL);
}

void store_group_info(struct store *store, const char *topic, const char *group,
                      const char *checkpoint, size_t lag_max, redis_done *done, void *arg)
{
	struct redis_command *command = store_begin(store, "FCALL_RO");
	redis_arg(command, "eventstore_group_info");
	redis_arg(command, "4");
	store_add_key(command, EVENTS, topic);
	store_add_key(command, OWNERS, topic);
	add_group_key(command, PARKED, topic, group);
	add_group_key(command, REPLAYS, topic, group);
	redis_arg(command, group);
	redis_arg(command, checkpoint);
	redis_arg_integer(command, (int64_t)lag_max);
	/* on the connection that loads functions */
	redis_queue(store->writes, command, done, arg);
}
