/* group_internal.h - group.c: members and the flow of events; group_owner.c: the group and Redis;
 * delivery.c: the life of one event; replay.c: parked events that come again. */
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
	bool replay;                 /* not in the window, which is past it; gone when DONE */
	struct group_member *member; /* while DELIVERED */
	unsigned attempt;
	uint64_t due_ms; /* DELIVERED: when it returns; DELAYED: when it is ready */
	char reason[200];
	struct delivery *prev, *next;             /* in the window */
	struct delivery *ready_prev, *ready_next; /* while READY */
	UT_hash_handle hh;                        /* by id, until DONE */
};

struct group_member {
	struct group *group;
	size_t credits, in_flight;
	uint64_t lease_ms;
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
	bool seized; /* while opening: see groups_seize */
	/* This store serves the group, and nobody else may until then. What it knows stays when it gives the
	 * group up, and is of use again if nobody else had it meanwhile. */
	bool owned;
	uint64_t owned_until_ms, opening_ms, saving_ms;
	bool waits;        /* for another store, which was logged */
	struct feed *feed; /* NULL: not open */
	struct group_member *members;
	struct delivery *window; /* all, in order */
	struct delivery *ready;  /* in order, linked by ready_next */
	struct delivery *by_id;  /* those that are not DONE, of the window and the replays */
	size_t replays;          /* of them */
	bool loading_replays, replays_stale;
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
	char token[128]; /* "<name>#<random>": see group.lua */
	struct loop_timer renewal;
	struct group *all;
};

/* group.c: looks at the group at the end of the turn. */
void group_touch(struct group *group);
struct delivery *group_delivery(struct group *group, struct entry_id id); /* NULL: none, or DONE */
void group_move_checkpoint(struct group *group);

/* group_owner.c */
void group_open(struct group *group);
/* Saves the checkpoint if it moved, and keeps the group. */
void group_save(struct group *group);
void group_release(struct group *group); /* to whoever opens it next */
/* Another store serves it: forgets everything and waits. */
void group_lose(struct group *group);
void group_close(struct group *group);
void group_start_tick(struct group *group);
void group_renew_all(void *arg); /* the groups */
/* One answer of Redis less to come; false: the group is gone. */
bool group_answered(struct group *group);

/* delivery.c */
struct delivery *delivery_create(struct group *group, struct event *event); /* READY, at the end */
struct delivery *delivery_create_replay(struct group *group, struct event *event);
void delivery_free(struct delivery *delivery);
void delivery_deliver(struct delivery *delivery, struct group_member *member, uint64_t now_ms);
void delivery_done(struct delivery *delivery); /* frees it if it is a replay */
/* From DELIVERED: to READY at once, or after a pause; after the last attempt it is parked. */
void delivery_return(struct delivery *delivery, const char *reason, uint64_t pause_ms,
                     uint64_t now_ms);
void delivery_park(struct delivery *delivery, const char *reason);
void delivery_ready(struct delivery *delivery); /* from DELAYED */
int delivery_compare(const struct delivery *a, const struct delivery *b);

/* replay.c */
void replay_load(struct group *group);
void replay_done(struct group *group, struct entry_id id, bool parked);

#endif
