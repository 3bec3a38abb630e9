/* group_internal.h - group.c: members and the flow of events; delivery.c: the life of one. */
#ifndef EVENT_STORE_GROUP_INTERNAL_H
#define EVENT_STORE_GROUP_INTERNAL_H

#include "event-store/feed.h"
#include "event-store/group.h"

#include <uthash.h>
#include <utlist.h>

enum delivery_state { READY, DELIVERED, DELAYED, PARKING, DONE };

/* The events of one entity that are under way. */
struct entity {
	char *id;
	struct group_member *owner; /* of those delivered */
	size_t deliveries;          /* not done */
	size_t delivered, blocked;  /* with the owner; delayed or being parked */
	UT_hash_handle hh;
};

struct delivery {
	struct group *group;
	struct entry_id id;
	struct event *event;   /* NULL: DONE */
	struct entity *entity; /* NULL: of none, or DONE */
	enum delivery_state state;
	struct group_member *member; /* while DELIVERED */
	unsigned attempt;
	uint64_t due_ms; /* DELIVERED: when it returns; DELAYED: when it is ready */
	char reason[200];
	struct delivery *prev, *next;             /* in the window */
	struct delivery *ready_prev, *ready_next; /* while READY */
	UT_hash_handle hh;                        /* by id */
};

struct group_member {
	struct group *group;
	size_t credits, in_flight;
	char **event_types;
	size_t event_type_count;
	struct group_events events;
	void *arg;
	struct event **batch; /* of this turn */
	struct group_attempt *attempts;
	size_t batch_count;
	struct group_member *prev, *next;
};

struct group {
	struct groups *groups;
	char *key; /* "topic/group" */
	char *topic;
	char *name;
	bool live;
	bool failed; /* could not be opened; its members leave, who joins now opens another */
	bool gone;   /* without members; freed when nothing refers to it */
	size_t asked;
	bool opening, dirty;
	struct feed *feed; /* NULL: not open */
	struct group_member *members;
	struct delivery *window; /* all, in order */
	struct delivery *ready;  /* in order, linked by ready_next */
	struct delivery *by_id;
	size_t count;         /* in the window */
	size_t undone, bytes; /* of them, those that are not DONE */
	struct entity *entities;
	struct entry_id checkpoint, saved;
	/* Up to this entry, another life of the group may have delivered. */
	struct entry_id older;
	bool saving;
	uint64_t left_ms; /* when the last member to leave left */
	struct loop_timer timer;
	UT_hash_handle hh;
};

struct groups {
	struct loop *loop;
	struct store *store;
	struct tail *tail;
	struct group *all;
};

/* delivery.c */
struct delivery *delivery_create(struct group *group, struct event *event); /* READY, at the end */
void delivery_free(struct delivery *delivery);
void delivery_deliver(struct delivery *delivery, struct group_member *member, uint64_t now_ms);
void delivery_done(struct delivery *delivery);
/* From DELIVERED: to READY at once, or after a pause; after the last attempt it is parked. */
void delivery_return(struct delivery *delivery, const char *reason, uint64_t pause_ms,
                     uint64_t now_ms);
void delivery_park(struct delivery *delivery, const char *reason);
void delivery_ready(struct delivery *delivery); /* from DELAYED */
int delivery_compare(const struct delivery *a, const struct delivery *b);

/* group.c: looks at the group at the end of the turn. */
void group_touch(struct group *group);
/* One answer of Redis less to come; false: the group is gone. */
bool group_answered(struct group *group);

#endif
