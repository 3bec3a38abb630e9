/* feed.h - all events after a position, in order, without a gap or a repeat, for ever.
 *
 *   WAITING --tail runs--> READING --reached the end, tail joined--> LIVE
 *                             ^                                       |
 *                             '------- too far behind (8 MiB) --------'
 *
 * While it reads, the feed collects what the tail brings. When a pass over the log ends and nothing
 * of the tail had to be thrown away meanwhile, the two meet: what the pass has delivered already is
 * skipped. One topic is read to its end; several up to a closed time. Whoever holds a feed takes
 * slices from it; what is not taken is bounded.
 *
 * A history that is imported into its topics is read as well, unless the feed has passed its time in the order of
 * several topics: then the feed has failed. */
#ifndef EVENT_STORE_FEED_H
#define EVENT_STORE_FEED_H

#include "event-store/tail.h"

struct feed;

struct feed_options {
	const char *const *topics;
	size_t topic_count; /* 0: all, also those that appear later */
	bool live_only;     /* else from `after` on */
	struct entry_id after;
	const char *after_topic; /* "": none */
};

/* `wake`: feed_take may have something, or the feed became live. Not called before this returns. */
struct feed *feed_create(struct loop *loop, struct store *store, struct tail *tail,
                         const struct feed_options *options, void (*wake)(void *arg), void *arg);
void feed_destroy(struct feed *feed);
/* The next events, the caller's reference; NULL: none now. */
struct event_slice *feed_take(struct feed *feed);
/* True: what was taken lacks imported events, and nothing will come any more. */
bool feed_failed(const struct feed *feed, struct error *err);
/* The log had no more when the last slice was taken. */
bool feed_live(const struct feed *feed);

#endif
