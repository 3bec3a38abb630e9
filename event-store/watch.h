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

/* Joins and leaves a list of them. */
void watch_begin(struct watch **watches, struct watch *watch, struct rpc_call *call);
void watch_end(struct watch **watches, struct watch *watch);
/* Ends the calls that are stuck for `stuck_ms`. */
void watch_look(struct watch *watches, uint64_t stuck_ms);

#endif
