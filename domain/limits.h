/* limits.h - how often and how long the services try: the runtime, and the shop in memory that does as it does. */
#ifndef DOMAIN_LIMITS_H
#define DOMAIN_LIMITS_H

/* Decisions of one command that end in a conflict with others. */
enum { TRIES_MAX = 16 };
/* Of decide_fail_for_now: 5 ms, then twice as long each time, about 2.5 s in all. */
enum { PASSING_FIRST_MS = 5, PASSING_LAST_MS = 1280 };

enum {
	/* Short, so that what a queue and its consumer took along when both were killed returns soon;
	 * extended while we live and work. */
	MESSAGE_LEASE_MS = 5000,
	/* Between two it waits up to 10 s, so an outage of four minutes parks nothing, though each try of it may be
	 * refused at once. */
	MESSAGE_ATTEMPTS = 40,
	/* Deliveries that may end in a conflict with others before that is the answer. What a
	 * reaction has sent gets all: nobody would send it again. */
	CROWDED_MAX = 3,
};

/* What the queue and the event store do by themselves; tests/simulation/same_limits_test.c compares. */
enum {
	OUTCOME_KEPT_S = 600,
	EVENT_LEASE_MS = 30000,
	EVENT_ATTEMPTS = 5,
	EVENT_ID_KEPT_S = 86400,
};

#endif
