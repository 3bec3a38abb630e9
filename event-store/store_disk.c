/* What Redis does with what was written: asked at the start and with every ping. */
#include "event-store/store_internal.h"

#include <string.h>

enum { SETTING_SIZE = 64 };

static bool ask(struct redis *redis, struct redis_command *command, const char *section,
                const char *name, char out[SETTING_SIZE], struct error *err)
{
	const struct redis_value *value;
	size_t len;
	redis_command_clear(command);
	redis_arg(command, "CONFIG");
	redis_arg(command, section);
	redis_arg(command, name);
	if (!redis_wait(redis, command, 0, &value, err))
		return false;
	const char *text = redis_value_string(redis_value_at(value, 1), &len);
	if (len > SETTING_SIZE - 1)
		len = SETTING_SIZE - 1;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

static enum store_disk disk_of(const char *append_only, const char *append_fsync)
{
	if (strcmp(append_only, "yes") != 0)
		return STORE_DISK_NONE;
	return strcmp(append_fsync, "always") == 0 ? STORE_DISK_EACH_WRITE : STORE_DISK_LATER;
}

bool store_check(struct store *store, const char **warning, struct error *err)
{
	static const char *const warnings[] = {
		[STORE_DISK_NONE] = "appendonly is off in Redis: events do not survive its end",
		[STORE_DISK_LATER] =
		    "appendfsync is not always in Redis: events of its last second "
		    "may not survive the end of its machine",
		[STORE_DISK_EACH_WRITE] = NULL,
	};
	char policy[SETTING_SIZE], memory[SETTING_SIZE];
	char append_only[SETTING_SIZE], append_fsync[SETTING_SIZE];
	struct error ignored;
	struct redis_command *ping = store_begin(store, "PING");
	const struct redis_value *value;
	*warning = NULL;
	if (!redis_wait(store->writes, ping, 0, &value, err))
		return error_wrap(err, "redis");
	/* Hosted servers may hide their configuration: then nothing can be said. */
	if (!ask(store->writes, ping, "GET", "maxmemory-policy", policy, &ignored) ||
	    !ask(store->writes, ping, "GET", "maxmemory", memory, &ignored) ||
	    !ask(store->writes, ping, "GET", "appendonly", append_only, &ignored) ||
	    !ask(store->writes, ping, "GET", "appendfsync", append_fsync, &ignored)) {
		*warning = "the configuration of Redis cannot be read; events are as safe as it is";
		store->disk = STORE_DISK_UNKNOWN;
		return true;
	}
	if (strcmp(memory, "0") != 0 && strcmp(policy, "noeviction") != 0)
		return error_set(err, ERR_PRECONDITION,
		                 "redis: maxmemory-policy is %s, so it may throw away events; set "
		                 "it to noeviction",
		                 policy);
	store->disk = disk_of(append_only, append_fsync);
	*warning = warnings[store->disk];
	return true;
}

bool store_syncs(const struct store *store, struct error *err)
{
	static const char *const states[] = {
		[STORE_DISK_UNKNOWN] = "hides its configuration",
		[STORE_DISK_NONE] = "has appendonly no",
		[STORE_DISK_LATER] = "has another appendfsync",
	};
	if (store->disk == STORE_DISK_EACH_WRITE)
		return true;
	return error_set(err, ERR_PRECONDITION,
	                 "durability: FSYNC needs a Redis with appendonly yes and appendfsync "
	                 "always; this one %s. Set it so, or append with DEFAULT",
	                 states[store->disk]);
}

/* Pairs of names and values. */
static const char *setting(const struct redis_value *pairs, const char *name)
{
	size_t len;
	for (size_t i = 0; i + 1 < redis_value_count(pairs); i += 2) {
		if (strcmp(redis_value_string(redis_value_at(pairs, i), &len), name) == 0)
			return redis_value_string(redis_value_at(pairs, i + 1), &len);
	}
	return "";
}

static void pinged(void *arg, const struct redis_value *value, const struct error *err)
{
	struct store *store = arg;
	if (err == NULL && redis_value_kind(value) == REDIS_ARRAY)
		store->disk = disk_of(setting(value, "appendonly"), setting(value, "appendfsync"));
	store->ping_done(store->ping_arg, value, err);
}

/* Another server may have taken over, or somebody has set this one otherwise. */
void store_ping(struct store *store, redis_done *done, void *arg)
{
	bool hidden = store->disk == STORE_DISK_UNKNOWN;
	struct redis_command *command = store_begin(store, hidden ? "PING" : "CONFIG");
	if (!hidden) {
		redis_arg(command, "GET");
		redis_arg(command, "append*");
	}
	store->ping_done = done;
	store->ping_arg = arg;
	redis_queue(store->writes, command, pinged, store);
}

void store_flush(struct store *store, unsigned timeout_ms)
{
	const struct redis_value *value;
	struct error ignored;
	if (redis_connected(store->writes) &&
	    !redis_wait(store->writes, store_begin(store, "PING"), timeout_ms, &value, &ignored))
		return; /* nothing depends on it */
}
