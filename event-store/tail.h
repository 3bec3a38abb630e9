/* tail.h - the live end of all topics, read once per process.
 *
 *   thread:  XREAD BLOCK ... -> batch          -> posted to the loop
 *            TIME, then XREAD -> batch, closed -> posted to the loop
 *   loop:    listeners of one topic get its events at once;
 *            listeners of several get them merged, up to the closed time: nothing at or below it
 *            can still appear, so the order (entry id, topic) is final
 *
 * The thread runs only while somebody listens. It keeps its position over a loss of Redis. What the
 * loop has not handled yet is bounded; the thread waits at the bound. */
#ifndef EVENT_STORE_TAIL_H
#define EVENT_STORE_TAIL_H

#include "event-store/event.h"
#include "event-store/store.h"

struct tail;
struct tail_channel;

/* What an import brought. */
struct tail_history {
	const char *topic;
	struct entry_id first, last;
};

/* Callbacks must not listen or unlisten. */
struct tail_listener {
	/* The slice is the tail's: reference it. */
	void (*events)(struct tail_listener *listener, struct event_slice *slice);
	/* Topics that are listened to have got a history, which stands in the log and does not come by the tail:
	 * its first and last id, of them together. */
	void (*imported)(struct tail_listener *listener, struct entry_id first,
	                 struct entry_id last);
	/* Of several topics: some of what came stands in the log and does not come by the tail, since it had to be
	 * held for too long. All of it is closed. */
	void (*behind)(struct tail_listener *listener);
	/* The tail runs: what is read from the log from now on, meets it. */
	void (*ready)(struct tail_listener *listener);
	struct tail_channel *channel;
	struct tail_listener *prev, *next;
};

MUST_USE bool tail_create(struct loop *loop, const char *url, struct tail **out, struct error *err);
/* Waits for the thread, up to the end of its current read (250 ms; of a cluster 500 ms). */
void tail_destroy(struct tail *tail);
/* `closed` only grows. */
void tail_on_closed(struct tail *tail, void (*closed)(void *arg, struct entry_id id), void *arg);

/* Up to here everything is past, or was when the tail began. */
struct entry_id tail_closed(const struct tail *tail);

/* `topics` empty: all, also those that appear later. True: it runs already, `ready` will not be
 * called. */
bool tail_listen(struct tail *tail, struct tail_listener *listener, const char *const *topics,
                 size_t count);
void tail_unlisten(struct tail *tail, struct tail_listener *listener);

#endif
