#include "base/loop.h"
#include "base/clock.h"
#include "base/log.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

/* More events in one turn would keep what was collected from leaving. */
enum { EVENTS_PER_TURN = 256, FDS_MAX = 64 };

struct hook {
	loop_hook *fn; /* NULL: removed, freed after the turn */
	void *arg;
	struct hook *prev, *next;
};

struct post {
	void (*fn)(void *arg);
	void *arg;
	struct post *prev, *next;
};

struct loop {
	grpc_completion_queue *queue;
	int grpc_fd;         /* gRPC's epoll set; -1: not found */
	int post_fd;         /* eventfd: wakes loop_wait_fds */
	atomic_bool waiting; /* in loop_wait_fds */
	/* An empty batch on a call that leads nowhere puts its tag into the queue: the way to wake
	 * the loop from other threads. */
	grpc_channel *lame_channel;
	grpc_call *wake_call;
	struct loop_tag wake_tag;

	pthread_mutex_t lock; /* of the two below */
	struct post *posts;
	bool waking; /* the wake tag is in the queue: once is enough */
	atomic_bool stopping;

	struct hook *hooks;
	bool hooks_removed;
	struct loop_task *tasks;
	bool again;                 /* loop_again was called */
	struct loop_timer **timers; /* a min-heap; the first is at index 1 */
	size_t timer_count;
	size_t timer_capacity;
};

/* gRPC prints what callers learn from errors anyway. */
static void log_of_grpc(gpr_log_func_args *args)
{
	if (args->severity == GPR_LOG_SEVERITY_ERROR)
		log_debug("grpc", "at=%s:%d text=\"%s\"", args->file, args->line, args->message);
}

static void on_wake(struct loop_tag *tag, bool ok)
{
	(void)ok;
	struct loop *loop = OWNER(struct loop, wake_tag, tag);
	pthread_mutex_lock(&loop->lock);
	struct post *posts = loop->posts, *post, *next;
	loop->posts = NULL;
	loop->waking = false;
	pthread_mutex_unlock(&loop->lock);
	DL_FOREACH_SAFE(posts, post, next)
	{
		post->fn(post->arg);
		free(post);
	}
}

/* The fds of this process that are epoll sets. */
static size_t list_epoll_fds(int *fds, size_t max)
{
	static const char kind[] = "anon_inode:[eventpoll]";
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;
	struct dirent *entry;
	while (folder != NULL && count < max && (entry = readdir(folder)) != NULL) {
		char target[64];
		ssize_t len = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target));
		if (len == sizeof(kind) - 1 && memcmp(target, kind, (size_t)len) == 0)
			fds[count++] = (int)strtol(entry->d_name, NULL, 10);
	}
	if (folder != NULL)
		closedir(folder);
	return count;
}

static bool contains(const int *fds, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] == fd)
			return true;
	}
	return false;
}

/* Debian builds gRPC's locks with a search for deadlocks at each. The parameter is an enum OnDeadlockCycle,
 * 0: kIgnore. Weak: another build of gRPC may not have it. */
void ignore_deadlocks(int mode) __asm__(
    "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE") __attribute__((weak));

/* gRPC tells no one which epoll set its sockets are in: it is the one that its start brings. The
 * set of a gRPC that ran already is remembered. */
static int init_grpc(void)
{
	static int known = -1;
	int before[FDS_MAX], after[FDS_MAX];
	size_t before_count = list_epoll_fds(before, FDS_MAX);
	gpr_set_log_function(log_of_grpc);
	if (ignore_deadlocks != NULL)
		ignore_deadlocks(0);
	grpc_init();
	size_t after_count = list_epoll_fds(after, FDS_MAX);
	for (size_t i = 0; i < after_count; i++) {
		if (!contains(before, before_count, after[i])) {
			known = after[i];
			return known;
		}
	}
	return contains(after, after_count, known) ? known : -1;
}

struct loop *loop_create(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	ASSERT(loop != NULL);
	loop->grpc_fd = init_grpc();
	loop->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT(loop->post_fd >= 0);
	atomic_init(&loop->waiting, false);
	loop->queue = grpc_completion_queue_create_for_next(NULL);
	loop->lame_channel = grpc_lame_client_channel_create("wake", GRPC_STATUS_INTERNAL, "wake");
	loop->wake_call =
	    grpc_channel_create_call(loop->lame_channel, NULL, GRPC_PROPAGATE_DEFAULTS, loop->queue,
	                             grpc_slice_from_static_string("/wake"), NULL,
	                             gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	loop->wake_tag.done = on_wake;
	pthread_mutex_init(&loop->lock, NULL);
	atomic_init(&loop->stopping, false);
	return loop;
}

static void dispatch(const grpc_event *event)
{
	struct loop_tag *tag = event->tag;
	tag->done(tag, event->success != 0);
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	grpc_call_unref(loop->wake_call);
	grpc_channel_destroy(loop->lame_channel);
	grpc_completion_queue_shutdown(loop->queue);
	for (;;) {
		grpc_event event = grpc_completion_queue_next(
		    loop->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			break;
		dispatch(&event);
	}
	grpc_completion_queue_destroy(loop->queue);
	struct hook *hook, *next_hook;
	DL_FOREACH_SAFE(loop->hooks, hook, next_hook)
	{
		free(hook);
	}
	struct post *post, *next_post;
	DL_FOREACH_SAFE(loop->posts, post, next_post)
	{
		free(post);
	}
	pthread_mutex_destroy(&loop->lock);
	free(loop->timers);
	close(loop->post_fd);
	free(loop);
	grpc_shutdown();
}

void *loop_queue(struct loop *loop)
{
	return loop->queue;
}

/* ---- posts ---- */

/* With the lock held. */
static void wake(struct loop *loop)
{
	if (loop->waking)
		return;
	loop->waking = true;
	if (atomic_load(&loop->waiting))
		(void)eventfd_write(loop->post_fd, 1);
	grpc_call_error error =
	    grpc_call_start_batch(loop->wake_call, NULL, 0, &loop->wake_tag, NULL);
	ASSERT(error == GRPC_CALL_OK);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post *post = malloc(sizeof(*post));
	ASSERT(post != NULL);
	*post = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->lock);
	DL_APPEND(loop->posts, post);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	pthread_mutex_lock(&loop->lock);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* ---- hooks and tasks ---- */

void loop_add_hook(struct loop *loop, loop_hook *fn, void *arg)
{
	struct hook *hook = malloc(sizeof(*hook));
	ASSERT(hook != NULL);
	*hook = (struct hook){ .fn = fn, .arg = arg };
	DL_APPEND(loop->hooks, hook);
}

void loop_remove_hook(struct loop *loop, loop_hook *fn, void *arg)
{
	struct hook *hook;
	DL_FOREACH(loop->hooks, hook)
	{
		if (hook->fn == fn && hook->arg == arg) {
			hook->fn = NULL;
			loop->hooks_removed = true;
			return;
		}
	}
}

static bool run_hooks(struct loop *loop)
{
	bool again = false;
	struct hook *hook, *next;
	DL_FOREACH(loop->hooks, hook)
	{
		if (hook->fn != NULL && hook->fn(hook->arg))
			again = true;
	}
	if (!loop->hooks_removed)
		return again;
	loop->hooks_removed = false;
	DL_FOREACH_SAFE(loop->hooks, hook, next)
	{
		if (hook->fn == NULL) {
			DL_DELETE(loop->hooks, hook);
			free(hook);
		}
	}
	return again;
}

void loop_task_start(struct loop *loop, struct loop_task *task)
{
	if (task->prev == NULL)
		DL_APPEND(loop->tasks, task);
}

void loop_task_stop(struct loop *loop, struct loop_task *task)
{
	if (task->prev == NULL)
		return;
	DL_DELETE(loop->tasks, task);
	task->prev = NULL;
}

void loop_again(struct loop *loop)
{
	loop->again = true;
}

static void run_tasks(struct loop *loop)
{
	while (loop->tasks != NULL) {
		struct loop_task *task = loop->tasks;
		loop_task_stop(loop, task);
		task->fn(task);
	}
}

/* ---- timers ---- */

static void timer_place(struct loop *loop, size_t index, struct loop_timer *timer)
{
	loop->timers[index] = timer;
	timer->heap_index = index;
}

static void timer_sift(struct loop *loop, size_t index, struct loop_timer *timer)
{
	while (index > 1 && loop->timers[index / 2]->at_us > timer->at_us) {
		timer_place(loop, index, loop->timers[index / 2]);
		index /= 2;
	}
	for (;;) {
		size_t child = index * 2;
		if (child < loop->timer_count &&
		    loop->timers[child + 1]->at_us < loop->timers[child]->at_us)
			child++;
		if (child > loop->timer_count || loop->timers[child]->at_us >= timer->at_us)
			break;
		timer_place(loop, index, loop->timers[child]);
		index = child;
	}
	timer_place(loop, index, timer);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                      void (*fn)(void *arg), void *arg)
{
	timer->fn = fn;
	timer->arg = arg;
	timer->at_us = clock_monotonic_us() + delay_ms * 1000;
	size_t index = timer->heap_index;
	if (index == 0) {
		index = ++loop->timer_count;
		if (index >= loop->timer_capacity) {
			loop->timer_capacity = loop->timer_capacity > 0 ? 2 * index : 16;
			loop->timers =
			    realloc(loop->timers, loop->timer_capacity * sizeof(*loop->timers));
			ASSERT(loop->timers != NULL);
		}
		loop->timers[index] = timer;
	}
	timer_sift(loop, index, timer);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
	size_t index = timer->heap_index;
	if (index == 0)
		return;
	timer->heap_index = 0;
	struct loop_timer *last = loop->timers[loop->timer_count--];
	if (last != timer)
		timer_sift(loop, index, last);
}

static void run_timers(struct loop *loop)
{
	if (loop->timer_count == 0)
		return;
	uint64_t now_us = clock_monotonic_us();
	while (loop->timer_count > 0 && loop->timers[1]->at_us <= now_us) {
		struct loop_timer *timer = loop->timers[1];
		loop_timer_stop(loop, timer);
		timer->fn(timer->arg);
	}
}

static gpr_timespec next_timer(const struct loop *loop)
{
	if (loop->timer_count == 0)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	uint64_t at_us = loop->timers[1]->at_us;
	return (gpr_timespec){ .tv_sec = (int64_t)(at_us / 1000000),
		               .tv_nsec = (int32_t)(at_us % 1000000 * 1000),
		               .clock_type = GPR_CLOCK_MONOTONIC };
}

/* ---- the loop ---- */

bool loop_wait_fds(struct loop *loop, const struct pollfd *given, size_t count, unsigned timeout_ms)
{
	struct pollfd fds[2 + LOOP_FDS_MAX] = { { .fd = loop->post_fd, .events = POLLIN },
		                                { .fd = loop->grpc_fd, .events = POLLIN } };
	if (count > LOOP_FDS_MAX)
		count = LOOP_FDS_MAX;
	memcpy(fds + 2, given, count * sizeof(*fds));
	if (loop->timer_count > 0) {
		uint64_t now_us = clock_monotonic_us(), at_us = loop->timers[1]->at_us;
		uint64_t left_ms = at_us > now_us ? (at_us - now_us + 999) / 1000 : 0;
		timeout_ms = left_ms < timeout_ms ? (unsigned)left_ms : timeout_ms;
	}
	atomic_store(&loop->waiting, true);
	pthread_mutex_lock(&loop->lock);
	bool posted = loop->waking;
	pthread_mutex_unlock(&loop->lock);
	/* poll ignores a descriptor below 0 */
	int ready = poll(fds, 2 + count, posted ? 0 : (int)timeout_ms);
	atomic_store(&loop->waiting, false);
	eventfd_t ignored;
	bool own = ready > 0 && fds[0].revents != 0;
	if (own)
		(void)eventfd_read(loop->post_fd, &ignored);
	return ready > (own ? 1 : 0) + (ready > 0 && fds[1].revents != 0 ? 1 : 0);
}

void loop_run(struct loop *loop)
{
	gpr_timespec at_once = gpr_inf_past(GPR_CLOCK_MONOTONIC);
	bool again = true; /* what was queued before the loop ran has no event yet */
	while (!atomic_load(&loop->stopping)) {
		grpc_event event = grpc_completion_queue_next(
		    loop->queue, again ? at_once : next_timer(loop), NULL);
		for (int i = 0; event.type == GRPC_OP_COMPLETE; i++) {
			dispatch(&event);
			if (i == EVENTS_PER_TURN)
				break;
			event = grpc_completion_queue_next(loop->queue, at_once, NULL);
		}
		run_timers(loop);
		loop->again = false;
		again = run_hooks(loop);
		run_tasks(loop);
		again |= loop->again;
	}
	atomic_store(&loop->stopping, false);
}

void loop_drain_until(struct loop *loop, const bool *done)
{
	run_tasks(loop);
	while (!*done) {
		grpc_event event = grpc_completion_queue_next(
		    loop->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		dispatch(&event);
		run_tasks(loop);
	}
}
