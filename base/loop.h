/* loop.h - one thread, one gRPC completion queue, everything of a process on it.
 *
 *        .-----------------------------------------------.
 *        v                                               |
 *   wait for one event -> take all that are ready -> turn hooks -> tasks
 *
 * Batching comes from the turn: callbacks only collect work (a Redis command, an item for a
 * stream), the hooks send it in one piece. A hook that returns true is called again after the
 * next look at the queue, without waiting: that is how a batch in flight overlaps with the
 * collection of the next. Hooks run in the order in which they were added.
 *
 * Everything is called on the loop's thread, except loop_post and loop_stop. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/error.h"

#include <stddef.h>

/* The struct that `pointer` is a member of: how a task or a tag finds its owner. */
#define OWNER(type, member, pointer) ((type *)((char *)(pointer)-offsetof(type, member)))

struct loop;

struct loop *loop_create(void); /* calls grpc_init */
void loop_destroy(struct loop *loop);
/* Returns after loop_stop. Can be called again. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* from any thread or a signal handler's thread */

/* Runs `fn(arg)` on the loop's thread soon. From any thread. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

typedef bool loop_hook(void *arg);
void loop_add_hook(struct loop *loop, loop_hook *fn, void *arg);
void loop_remove_hook(struct loop *loop, loop_hook *fn, void *arg);
/* Calls the hooks once more without waiting: for what is collected after they ran, in a task. */
void loop_again(struct loop *loop);

/* For a hook whose work is under way outside gRPC: waits until one of `fds` is ready for its events (of
 * poll), or gRPC, a timer or a post has something for the loop, or the time has passed. True: one of
 * them is. What gRPC has fetched but not handled yet does not end it: wait a few milliseconds at
 * most. At most LOOP_FDS_MAX; later ones are not looked at. */
enum { LOOP_FDS_MAX = 256 };
struct pollfd;
bool loop_wait_fds(struct loop *loop, const struct pollfd *fds, size_t count, unsigned timeout_ms);

/* A timer belongs to its owner and must be stopped before its memory goes. Fires once. */
struct loop_timer {
	uint64_t at_us;
	void (*fn)(void *arg);
	void *arg;
	size_t heap_index; /* 0: not running */
};
/* Starts, or restarts, the timer. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                      void (*fn)(void *arg), void *arg);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/* Work for the end of this turn, after the hooks; tasks started meanwhile run in the same turn. It
 * belongs to its owner. For what must leave in one piece whoever queued it, a hook included. A task
 * must not call back into others: hooks would see what those collect only after the next event. */
struct loop_task {
	void (*fn)(struct loop_task *task); /* set by the owner before the first start */
	struct loop_task *prev, *next;      /* prev is NULL: not waiting */
};
/* Nothing happens when the task waits already. */
void loop_task_start(struct loop *loop, struct loop_task *task);
void loop_task_stop(struct loop *loop, struct loop_task *task);

/* For base/rpc_*: a tag's `done` is called with the event's success. The tag must live until then. */
struct loop_tag {
	void (*done)(struct loop_tag *tag, bool ok);
};
/* The grpc_completion_queue. */
void *loop_queue(struct loop *loop);
/* For destructors: waits for events and runs tasks, but no hooks or timers, until *done. */
void loop_drain_until(struct loop *loop, const bool *done);

#endif
