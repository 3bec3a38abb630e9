/* log.h - appending.
 *
 * Requests of one topic are collected while its previous call is under way, or until the turn
 * ends, and leave as one call of append.lua. They are applied in the order of log_append. */
#ifndef EVENT_STORE_LOG_H
#define EVENT_STORE_LOG_H

#include "event-store/store.h"
#include "proto/eventstore_v1.pb-c.h"

struct log;

struct log *log_create(struct store *store);
/* Ends what waits with ERR_CANCELLED, after the store is gone. */
void log_destroy(struct log *log);

struct log_outcome {
	const struct error *err;  /* not NULL: refused */
	uint64_t current_version; /* of an ERR_CONFLICT */
	Es__Appended *const *events;
	size_t count;
};
/* `outcome` lives during the callback. */
typedef void log_done(void *arg, const struct log_outcome *outcome);

/* `settled` is called after the callbacks of a whole batch: answers can leave together. */
void log_on_settled(struct log *log, void (*settled)(void *arg), void *arg);

/* False: the request is wrong, and `done` will not be called. It is never called before this
 * returns. Nothing of `request` is kept.
 */
MUST_USE bool log_append(struct log *log, const Es__AppendRequest *request, size_t *bytes,
                         log_done *done, void *arg, struct error *err);
/* For requests that were checked by other rules than log_append's. */
void log_append_checked(struct log *log, const Es__AppendRequest *request, log_done *done,
                        void *arg);

/* No entry gets an id below this: the tail has told readers that it is past. */
void log_set_floor(struct log *log, struct entry_id floor);

#endif
