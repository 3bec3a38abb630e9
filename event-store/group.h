/* group.h - persistent groups: the store keeps the position, the members share the events.
 *
 *                 deliver            ack
 *   READY  -----------------> DELIVERED -----> DONE ---> the checkpoint moves over it
 *     ^ ^                      |  |  |          ^
 *     | '- left, lease over  -'  |  '- park -> PARKING (written to parked:{topic}:<group>)
 *     |                           | nack
 *     '------- after a pause -- DELAYED
 *
 * The checkpoint is the id up to which everything is done; only it is kept in Redis. After a crash
 * what was done above it is delivered again. A group whose last member left while something was not
 * done remembers its attempts for five minutes. An event that was delivered ATTEMPTS times without an
 * ack is parked. Events of one entity are with one member while they are under way, and in order.
 *
 * One store serves a group at a time, by a lease in Redis that it renews; members at another wait for
 * its end. A store whose lease ran out delivers nothing more and saves nothing more. */
#ifndef EVENT_STORE_GROUP_H
#define EVENT_STORE_GROUP_H

#include "event-store/tail.h"

enum {
	GROUP_ATTEMPTS = 5,
	GROUP_CREDITS_MAX = 4096,
	GROUP_LEASE_MS = 30000, /* of a delivery, unless its member asks for another */
	GROUP_LEASE_MIN_MS = 100,
	GROUP_LEASE_MAX_MS = 3600000,
	GROUP_DELAY_MAX_MS = 3600000
};

struct groups;
struct group_member;

/* `name` tells this store from others on the same Redis, and is equal after a restart. */
struct groups *groups_create(struct loop *loop, struct store *store, struct tail *tail,
                             const char *name);
/* All members have left; before the store goes. Waits for Redis, up to a second, so that others can
 * take the groups over at once. NULL is fine. */
void groups_close(struct groups *groups);
void groups_destroy(struct groups *groups); /* after groups_close, when the store is gone */

struct group_join {
	const char *topic;
	const char *group;
	bool live; /* where a group begins that does not exist yet */
	size_t credits;
	uint64_t lease_ms;
	const char *const *event_types; /* 0: all; copied */
	size_t event_type_count;
};
struct group_attempt {
	unsigned number;
	bool redelivered; /* it may have been delivered before, also by another life of the group */
};
struct group_events {
	/* The events live until they are settled. Must not leave. */
	void (*deliver)(void *arg, struct event *const *events,
	                const struct group_attempt *attempts, size_t count);
	/* The group cannot be opened; the member must leave. */
	void (*failed)(void *arg, const struct error *err);
};
struct group_member *groups_join(struct groups *groups, const struct group_join *join,
                                 const struct group_events *events, void *arg);
void group_leave(struct group_member *member); /* what it had goes to others */
/* Ids that are not under way are ignored: they were settled before. */
void group_ack(struct group_member *member, struct entry_id id);
/* Delivers again after `delay_ms`; 0: a pause that grows with the attempts. */
void group_retry(struct group_member *member, struct entry_id id, const char *reason,
                 uint64_t delay_ms);
void group_park(struct group_member *member, struct entry_id id, const char *reason);
/* The delivery is this member's for `lease_ms` from now; 0: as at the join. */
void group_extend(struct group_member *member, struct entry_id id, uint64_t lease_ms);

/* This store's, as its groups have it in Redis. */
const char *groups_token(const struct groups *groups);
/* The groups of the topic were taken away in Redis: they forget everything, and are opened again when they can be. */
void groups_seize(struct groups *groups, const char *topic);

/* The group has replays in Redis: if it is served here, they are fetched now. */
void groups_replay(struct groups *groups, const char *topic, const char *name);
/* How many deliveries and members a group has here. */
void groups_count(struct groups *groups, const char *topic, const char *name, uint64_t *in_flight,
                  uint32_t *members);

#endif
