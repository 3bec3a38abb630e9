/* tail_thread.h - the thread of tail.h: reads, and hands over batches. Only for tail*.c. */
#ifndef EVENT_STORE_TAIL_THREAD_H
#define EVENT_STORE_TAIL_THREAD_H

#include "event-store/tail.h"

struct tail_thread;

struct tail_post {
	unsigned generation;
	struct event_batch *batch; /* NULL: the thread has just begun to read this generation */
	bool has_closed;
	struct entry_id closed;
	const struct tail_history *histories; /* with the batch */
	size_t history_count;
	struct tail_thread *thread;
};

/* `posted` is called on the loop's thread and takes over the post's batch. */
MUST_USE bool tail_thread_create(struct loop *loop, const char *url,
                                 void (*posted)(void *arg, struct tail_post *post), void *arg,
                                 struct tail_thread **out, struct error *err);
void tail_thread_destroy(struct tail_thread *thread);
/* Read, from the ends of all topics as they are now on; 0: rest. */
void tail_thread_set_generation(struct tail_thread *thread, unsigned generation);

#endif
