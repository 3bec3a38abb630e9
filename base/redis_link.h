/* redis_link.h - the connections of a `struct redis`. Only for base/redis*.c. */
#ifndef BASE_REDIS_LINK_H
#define BASE_REDIS_LINK_H

#include "base/backoff.h"
#include "base/redis_internal.h"

enum {
	REDIS_MASTERS_MAX = 256,
	REDIS_LATER_MS = 20, /* between two tries of what was refused for now */
};

/* One connection. Home finds the server; to a cluster it finds the way and leaves it then.
 *
 *            connect         (sentinel)       connect        is master       all loaded
 *   DOWN ---------------------> FINDING ------------> ASKING ---------> LOADING -----> READY
 *    ^                                                  ^                               |
 *    '-- loss, from everywhere                          '----- "Function not found" ----' */
enum redis_link_state { LINK_DOWN, LINK_FINDING, LINK_ASKING, LINK_LOADING, LINK_READY };

struct redis_link {
	struct redis *redis;
	struct redis_address address;
	enum redis_link_state state;
	int fd;
	redisReader *reader;
	uint64_t retry_at_us;
	struct backoff backoff;
	struct loop_timer timer; /* connects again after a loss */
	struct error last_error;
	size_t slot_count; /* that it serves */
	uint64_t
	    used_at_us; /* when it was given its last command for a slot that it does not serve */

	struct batch setup;     /* of FINDING, ASKING and LOADING */
	struct batch collected; /* queued, not sent */
	struct batch flight;    /* sent */
	struct batch done;      /* answered, its callbacks run */
};

struct redis_link *redis_link_create(struct redis *redis);
void redis_link_destroy(struct redis_link *link); /* what waits has been ended */
/* One step of whatever state it is in; waits for nothing but a connect. */
void redis_link_step(struct redis_link *link);
/* Connects, whether there is something to send or not. */
void redis_link_connect(struct redis_link *link);
bool redis_link_busy(const struct redis_link *link);
/* Closes the connection; what was collected stays. */
void redis_link_close(struct redis_link *link);
void redis_link_fail(struct redis_link *link, const struct error *err);
/* The events of poll that move it. */
short redis_link_events(const struct redis_link *link);

struct redis {
	struct loop *loop;
	struct redis_seeds seeds;
	const struct redis_library *libraries;
	size_t library_count;
	unsigned timeout_ms;

	struct redis_link *home; /* the only one, unless it is a cluster */
	struct redis_link *masters[REDIS_MASTERS_MAX];
	size_t master_count;
	struct redis_link **slots;   /* REDIS_SLOTS of them, some NULL; NULL: not a cluster */
	struct batch *last;          /* that took a command: a link's, or `later` */
	struct redis_link *map_from; /* is asked for the map; NULL: none */
	size_t map_turn;
	uint64_t redirects, losses;

	struct batch later;                     /* refused for now */
	uint64_t later_slots[REDIS_SLOTS / 64]; /* a bit for each slot with commands in it */
	uint64_t later_at_us;
	struct loop_timer later_timer;

	struct arena *waited; /* of the last redis_wait's value */
	bool keep_values;     /* the batch whose callbacks run holds a value of redis_wait */
	size_t seen_count;    /* of what was collected, at the last turn */
	unsigned poll_ms;
};

/* Takes the next command of the slot; one that `follows` goes where the last one went. */
struct batch *redis_batch_for(struct redis *redis, int slot, bool follows);
/* Places what was refused for now, at once or if it is time. */
void redis_place_later(struct redis *redis);
void redis_retry_later(struct redis *redis);
/* Gives each request of `from` to the link that serves it, and frees `from`. */
void redis_place_all(struct redis *redis, struct batch *from);
/* Sends on what did not run of the link's answered batch. True: functions are missing. */
bool redis_sort_out(struct redis_link *link);
/* The answer of CLUSTER SLOTS. `from` gave it. */
MUST_USE bool redis_take_map(struct redis *redis, const struct redis_link *from,
                             const struct redis_value *map, struct error *err);
/* Asks for the map again: a master was lost, or moved. */
void redis_refresh_map(struct redis *redis);
struct redis_link *redis_master_at(struct redis *redis, const struct redis_link *from,
                                   const char *host, int port);

#endif
