/* when.h - a place in the log, as people write it. */
#ifndef ORDERSHOP_WHEN_H
#define ORDERSHOP_WHEN_H

#include "base/id.h"

/* One of both; none: the beginning. */
struct when {
	char entry_id[ENTRY_ID_SIZE]; /* after this entry */
	uint64_t time_ms;             /* from this time on */
};

/* "1700000000000-12" | "2024-05-01" | "2024-05-01T12:30:00[Z]" (UTC) | "90s", "10m", "2h", "3d" before
 * `now_ms` | "" */
MUST_USE bool when_parse(const char *text, uint64_t now_ms, struct when *when, struct error *err);

#endif
