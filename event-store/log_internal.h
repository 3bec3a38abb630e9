/* log_internal.h - log.c: requests on their way to Redis; log_answer.c: what it answered. */
#ifndef EVENT_STORE_LOG_INTERNAL_H
#define EVENT_STORE_LOG_INTERNAL_H

#include "event-store/log.h"

/* What an error message needs of an event whose version was checked. */
struct expectation {
	const char *entity_id;
	Es__Expect expect;
	uint64_t version;
};

struct request {
	log_done *done;
	void *arg;
	size_t count;
	struct expectation *expectations;
};

/* Reads the request's lines of what append.lua answered and calls its `done`; returns what follows.
 * `failure` is not NULL: what befell the events after they were appended; a refusal is one all the same. */
const char *log_answer(const struct request *request, const char *line, const struct error *failure,
                       struct arena *arena);

#endif
