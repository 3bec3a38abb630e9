#include "tests/fuzz/fake.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { HOOKS_MAX = 16, TIMERS_MAX = 4096, ROUNDS_MAX = 100 };

struct posted {
	void (*fn)(void *arg);
	void *arg;
	struct posted *prev, *next;
};

struct loop {
	struct {
		loop_hook *fn;
		void *arg;
	} hooks[HOOKS_MAX];
	size_t hook_count;
	struct loop_timer *timers[TIMERS_MAX];
	size_t timer_count;
	struct loop_task *tasks;
	struct posted *posts;
};

static uint64_t now_us;

uint64_t clock_monotonic_us(void)
{
	return now_us;
}

uint64_t clock_wall_us(void)
{
	return 1700000000000000 + now_us;
}

struct loop *loop_create(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	ASSERT(loop != NULL);
	now_us = 1000000;
	return loop;
}

/* Its users have stopped what they had started. */
void loop_destroy(struct loop *loop)
{
	ASSERT(loop->hook_count == 0 && loop->timer_count == 0);
	ASSERT(loop->tasks == NULL && loop->posts == NULL);
	free(loop);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct posted *posted = calloc(1, sizeof(*posted));
	ASSERT(posted != NULL);
	posted->fn = fn;
	posted->arg = arg;
	DL_APPEND(loop->posts, posted);
}

void loop_add_hook(struct loop *loop, loop_hook *fn, void *arg)
{
	ASSERT(loop->hook_count < HOOKS_MAX);
	loop->hooks[loop->hook_count].fn = fn;
	loop->hooks[loop->hook_count++].arg = arg;
}

void loop_remove_hook(struct loop *loop, loop_hook *fn, void *arg)
{
	size_t i = 0;
	while (i < loop->hook_count && (loop->hooks[i].fn != fn || loop->hooks[i].arg != arg))
		i++;
	if (i == loop->hook_count)
		return;
	loop->hook_count--;
	memmove(&loop->hooks[i], &loop->hooks[i + 1],
	        (loop->hook_count - i) * sizeof(loop->hooks[0]));
}

void loop_again(struct loop *loop)
{
	(void)loop;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                      void (*fn)(void *arg), void *arg)
{
	loop_timer_stop(loop, timer);
	ASSERT(loop->timer_count < TIMERS_MAX && delay_ms < UINT64_MAX / 2000);
	timer->at_us = now_us + delay_ms * 1000;
	timer->fn = fn;
	timer->arg = arg;
	loop->timers[loop->timer_count++] = timer;
	timer->heap_index = loop->timer_count;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
	size_t index = timer->heap_index;
	if (index == 0)
		return;
	ASSERT(index <= loop->timer_count && loop->timers[index - 1] == timer);
	loop->timers[index - 1] = loop->timers[--loop->timer_count];
	loop->timers[index - 1]->heap_index = index;
	timer->heap_index = 0;
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

void loop_drain_until(struct loop *loop, const bool *done)
{
	while (!*done)
		fake_loop_turn(loop);
}

static void run_posts(struct loop *loop)
{
	while (loop->posts != NULL) {
		struct posted *posted = loop->posts;
		DL_DELETE(loop->posts, posted);
		posted->fn(posted->arg);
		free(posted);
	}
}

static void run_tasks(struct loop *loop)
{
	while (loop->tasks != NULL) {
		struct loop_task *task = loop->tasks;
		loop_task_stop(loop, task);
		task->fn(task);
	}
}

void fake_loop_turn(struct loop *loop)
{
	unsigned rounds = 0;
	do {
		run_posts(loop);
		for (size_t i = 0; i < loop->hook_count; i++)
			(void)loop->hooks[i].fn(loop->hooks[i].arg);
		run_tasks(loop);
		ASSERT(rounds++ < ROUNDS_MAX);
	} while (fake_rpc_settle());
}

void fake_loop_fire(struct loop *loop)
{
	struct loop_timer *next = NULL;
	for (size_t i = 0; i < loop->timer_count; i++) {
		if (next == NULL || loop->timers[i]->at_us < next->at_us)
			next = loop->timers[i];
	}
	if (next == NULL)
		return;
	loop_timer_stop(loop, next);
	now_us = next->at_us > now_us ? next->at_us : now_us;
	next->fn(next->arg);
}
