#include "base/redis_link.h"

#include <stdlib.h>
#include <string.h>

struct redis_link *redis_master_at(struct redis *redis, const struct redis_link *from,
                                   const char *host, int port)
{
	if (host[0] == '\0')
		host = from->address.host != NULL ? from->address.host : "127.0.0.1";
	for (size_t i = 0; i < redis->master_count; i++) {
		const struct redis_address *address = &redis->masters[i]->address;
		if (address->port == port && strcmp(address->host, host) == 0)
			return redis->masters[i];
	}
	if (redis->master_count == REDIS_MASTERS_MAX)
		return NULL;
	struct redis_link *link = redis_link_create(redis);
	redis_address_set(&link->address, &from->address, host, port);
	redis->masters[redis->master_count++] = link;
	return link;
}

static bool take_range(struct redis *redis, const struct redis_link *from,
                       const struct redis_value *range)
{
	const struct redis_value *master = redis_value_at(range, 2);
	int64_t first = redis_value_integer(redis_value_at(range, 0));
	int64_t last = redis_value_integer(redis_value_at(range, 1));
	int64_t port = redis_value_integer(redis_value_at(master, 1));
	size_t len;
	const char *host = redis_value_string(redis_value_at(master, 0), &len);
	if (first < 0 || last >= REDIS_SLOTS || port <= 0 || port > 65535)
		return false;
	struct redis_link *link = redis_master_at(redis, from, host, (int)port);
	if (link == NULL)
		return false;
	for (int64_t slot = first; slot <= last; slot++) {
		redis->slots[slot] = link;
		link->slot_count++;
	}
	return true;
}

bool redis_take_map(struct redis *redis, const struct redis_link *from,
                    const struct redis_value *map, struct error *err)
{
	if (redis_value_count(map) == 0)
		return error_set(err, ERR_UNAVAILABLE, "the redis cluster has no slots yet");
	if (redis->slots == NULL)
		redis->slots = malloc(REDIS_SLOTS * sizeof(struct redis_link *));
	ASSERT(redis->slots != NULL);
	memset(redis->slots, 0, REDIS_SLOTS * sizeof(struct redis_link *));
	bool served[REDIS_MASTERS_MAX] = { false };
	for (size_t i = 0; i < redis->master_count; i++) {
		served[i] = redis->masters[i]->slot_count > 0;
		redis->masters[i]->slot_count = 0;
	}
	for (size_t i = 0; i < redis_value_count(map); i++) {
		if (!take_range(redis, from, redis_value_at(map, i)))
			return error_set(err, ERR_UNAVAILABLE,
			                 "CLUSTER SLOTS of redis cannot be understood");
	}
	for (size_t i = 0; i < redis->master_count; i++)
		redis->losses += served[i] && redis->masters[i]->slot_count == 0;
	return true;
}
