#include "event-store/watch.h"

#include "base/clock.h"
#include "base/log.h"

#include <utlist.h>

void watch_begin(struct watches *watches, struct watch *watch, struct rpc_call *call)
{
	watch->call = call;
	DL_APPEND(watches->first, watch);
}

void watch_end(struct watches *watches, struct watch *watch)
{
	DL_DELETE(watches->first, watch);
}

void watch_look(struct watches *watches, uint64_t stuck_ms)
{
	struct watch *watch, *next;
	uint64_t now_ms = clock_monotonic_ms();
	if (now_ms - watches->looked_ms > stuck_ms / 2)
		watches->awake_ms = now_ms;
	watches->looked_ms = now_ms;
	if (now_ms - watches->awake_ms < stuck_ms)
		return;
	DL_FOREACH_SAFE(watches->first, watch, next)
	{
		struct error err;
		if (rpc_stuck_ms(watch->call) < stuck_ms)
			continue;
		error_set(
		    &err, ERR_EXHAUSTED,
		    "the client took no message for %llu ms while %zu bytes waited; start again "
		    "after the last event that it has, and read all the time",
		    (unsigned long long)stuck_ms, rpc_queued_bytes(watch->call));
		log_warn("reader_stuck", "peer=%s waiting_bytes=%zu", rpc_peer(watch->call),
		         rpc_queued_bytes(watch->call));
		rpc_abort(watch->call, &err);
	}
}
