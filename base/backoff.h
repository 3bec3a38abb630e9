/* backoff.h - how long to wait before the next try of what failed for now.
 *
 * 50 ms, then twice as long each time, up to a second: the first try is soon, since most losses are
 * restarts, and an outage costs one try per second. Zeroed is fresh. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdbool.h>

enum { BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 1000 };

struct backoff {
	unsigned next_ms; /* 0: fresh */
};

/* Nothing has failed since the last success. */
static inline bool backoff_fresh(const struct backoff *backoff)
{
	return backoff->next_ms == 0;
}

static inline unsigned backoff_ms(struct backoff *backoff)
{
	unsigned ms = backoff->next_ms > 0 ? backoff->next_ms : BACKOFF_MIN_MS;
	backoff->next_ms = ms * 2 < BACKOFF_MAX_MS ? ms * 2 : BACKOFF_MAX_MS;
	return ms;
}

static inline void backoff_reset(struct backoff *backoff)
{
	backoff->next_ms = 0;
}

#endif
