/* when.h - a place in the log, as people write it. */
#ifndef BASE_WHEN_H
#define BASE_WHEN_H

#include "base/id.h"

/* One of both; none: the beginning. */
struct when {
	char entry_id[ENTRY_ID_SIZE]; /* after this entry */
	uint64_t time_ms;             /* from this time on */
	unsigned time_us;             /* microseconds within it */
	bool has_us;                  /* they were given */
};

/* "1700000000000-12" | "2024-05-01" | "2024-05-01T12:30[:00[.123456]][Z]" (UTC) | "90s", "10m", "2h", "3d" before
 * `now_ms` | "". What is left out of a time is zero. */
MUST_USE bool when_parse(const char *text, uint64_t now_ms, struct when *when, struct error *err);

/* "90s", "10m", "2h", "3d": how long it is, at most `max_ms`. False: it is none. */
MUST_USE bool when_span_parse(const char *text, uint64_t max_ms, uint64_t *ms);

/* The same for the last moment that counts: `*last` is the entry, or what happens up to that time, with all of
 * its millisecond (or microsecond, if they are given). "" is not one; ERR_INVALID for what is in the future. */
MUST_USE bool moment_parse(const char *text, uint64_t now_us, struct entry_id *last,
                           struct error *err);

#endif
