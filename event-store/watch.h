/* watch.h - clients that take nothing.
 *
 * A slow reader costs a bound of memory and is waited for. One that has not taken its next message for a while
 * is stuck: its call ends with ERR_EXHAUSTED, so that what it holds goes to others, or away. */
#ifndef EVENT_STORE_WATCH_H
#define EVENT_STORE_WATCH_H

#include "base/rpc_server.h"

enum { WATCH_STUCK_MS = 30000 };

struct watch {
	struct rpc_call *call;
	struct watch *prev, *next;
};

struct watches {
	struct watch *first;
	uint64_t looked_ms; /* when they were looked at last */
	uint64_t awake_ms;  /* since then they were, all the time */
};

void watch_begin(struct watches *watches, struct watch *watch, struct rpc_call *call);
void watch_end(struct watches *watches, struct watch *watch);
/* Ends the calls that are stuck for `stuck_ms`. To be called several times in that; when it was not, this process
 * stood still itself, and that time does not count. */
void watch_look(struct watches *watches, uint64_t stuck_ms);

#endif
