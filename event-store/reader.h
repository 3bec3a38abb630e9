/* reader.h - reading one topic, or several merged into one order, in slices.
 *
 * One XRANGE cursor for each topic, a chunk in memory for each, and a merge over them; from its second chunk on
 * a cursor reads the next one ahead. So memory is bounded by topics x two chunks. The order is total only if nothing
 * can still appear within the ranges: give them an upper end that is closed (store_closed). */
#ifndef EVENT_STORE_READER_H
#define EVENT_STORE_READER_H

#include "event-store/event.h"
#include "event-store/store.h"

struct reader;

struct reader *reader_create(struct store *store, bool backward);
/* Also while a read is under way: `done` is then not called. */
void reader_destroy(struct reader *reader);
/* Before the first reader_next. `range`: count and backward are the reader's own. */
void reader_add(struct reader *reader, const char *topic, const struct store_range *range);

/* The next events. `slice` belongs to the callee; NULL: the end, or `err`. May be called back
 * before it returns. One at a time. */
typedef void reader_done(void *arg, struct event_slice *slice, const struct error *err);
void reader_next(struct reader *reader, reader_done *done, void *arg);

/* Narrows a range of `topic` to what is after the position (before it, when backward). With an
 * empty `after_topic` the position excludes its id in every topic. */
void reader_after(struct store_range *range, const char *topic, struct entry_id after,
                  const char *after_topic, bool backward);

#endif
