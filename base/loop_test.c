#include "base/clock.h"
#include "base/loop.h"
#include "tests/support/suite.h"

#include <check.h>
#include <pthread.h>
#include <string.h>

static struct loop *loop;

static void setup(void)
{
	loop = loop_create();
}

static void teardown(void)
{
	loop_destroy(loop);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* ---- timers ---- */

enum { TIMERS = 200 };
static struct loop_timer timers[TIMERS];
static uint64_t fired_at[TIMERS];
static int fired;

static void on_timer(void *arg)
{
	struct loop_timer *timer = arg;
	fired_at[fired++] = timer->at_us;
	if (fired == TIMERS / 2)
		loop_stop(loop);
}

START_TEST(timers_fire_in_order_unless_stopped)
{
	for (int i = 0; i < TIMERS; i++)
		loop_timer_start(loop, &timers[i], (uint64_t)(i * 7919 % 40), on_timer, &timers[i]);
	for (int i = 0; i < TIMERS; i++) /* again, at other times */
		loop_timer_start(loop, &timers[i], (uint64_t)(i * 104729 % 40), on_timer,
		                 &timers[i]);
	for (int i = 0; i < TIMERS; i += 2)
		loop_timer_stop(loop, &timers[i]);
	loop_run(loop);
	ck_assert_int_eq(fired, TIMERS / 2);
	for (int i = 1; i < fired; i++)
		ck_assert_uint_le(fired_at[i - 1], fired_at[i]);
	for (int i = 0; i < TIMERS; i++)
		ck_assert_uint_eq(timers[i].heap_index, 0);
}
END_TEST

START_TEST(a_timer_is_not_early)
{
	static struct loop_timer timer;
	uint64_t start_us = clock_monotonic_us();
	loop_timer_start(loop, &timer, 20, stop, NULL);
	loop_run(loop);
	uint64_t took_us = clock_monotonic_us() - start_us;
	ck_assert_uint_ge(took_us, 20000);
	ck_assert_uint_lt(took_us, 500000);
}
END_TEST

/* ---- posts ---- */

enum { THREADS = 4, POSTS = 5000 };
static int posted[THREADS];
static int posted_in_all;

static void on_post(void *arg)
{
	int *count = arg;
	(*count)++;
	if (++posted_in_all == THREADS * POSTS)
		loop_stop(loop);
}

static void *post_many(void *arg)
{
	for (int i = 0; i < POSTS; i++)
		loop_post(loop, on_post, arg);
	return NULL;
}

START_TEST(posts_of_many_threads_all_run)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, post_many, &posted[i]), 0);
	loop_run(loop);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(posted[i], POSTS);
	}
}
END_TEST

START_TEST(a_stop_before_the_run_counts_and_the_loop_runs_again)
{
	loop_stop(loop);
	loop_run(loop);
	loop_post(loop, stop, NULL);
	loop_run(loop);
}
END_TEST

/* ---- hooks and tasks ---- */

static char order[64];
static int turns;
static struct loop_task first_task, second_task;

static void note(const char *what)
{
	ck_assert_uint_lt(strlen(order) + strlen(what), sizeof(order));
	strcat(order, what);
}

static void on_first_task(struct loop_task *task)
{
	(void)task;
	note("t");
	loop_task_start(loop, &second_task);
}

static void on_second_task(struct loop_task *task)
{
	(void)task;
	note("u");
}

/* Wants to be called again twice. */
static bool eager_hook(void *arg)
{
	(void)arg;
	note("a");
	if (turns == 0) {
		loop_task_start(loop, &first_task);
		loop_task_start(loop, &first_task); /* once is enough */
	}
	return ++turns < 3;
}

static bool last_hook(void *arg)
{
	(void)arg;
	note("b");
	if (turns == 3)
		loop_stop(loop);
	return false;
}

static bool hook_once(void *arg)
{
	(void)arg;
	note("o");
	loop_remove_hook(loop, hook_once, NULL);
	return true;
}

START_TEST(hooks_run_in_order_then_tasks_and_again_while_wanted)
{
	first_task.fn = on_first_task;
	second_task.fn = on_second_task;
	loop_add_hook(loop, eager_hook, NULL);
	loop_add_hook(loop, last_hook, NULL);
	loop_run(loop);
	ck_assert_str_eq(order, "abtuabab");
}
END_TEST

START_TEST(a_removed_hook_is_not_called)
{
	loop_add_hook(loop, hook_once, NULL);
	loop_add_hook(loop, eager_hook, NULL);
	loop_add_hook(loop, last_hook, NULL);
	first_task.fn = on_second_task;
	loop_run(loop);
	ck_assert_str_eq(order, "oabuabab");
}
END_TEST

START_TEST(a_stopped_task_does_not_run)
{
	first_task.fn = on_first_task;
	loop_task_start(loop, &first_task);
	loop_task_stop(loop, &first_task);
	loop_task_stop(loop, &first_task);
	loop_post(loop, stop, NULL);
	loop_run(loop);
	ck_assert_str_eq(order, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, timers_fire_in_order_unless_stopped);
	tcase_add_test(all, a_timer_is_not_early);
	tcase_add_test(all, posts_of_many_threads_all_run);
	tcase_add_test(all, a_stop_before_the_run_counts_and_the_loop_runs_again);
	tcase_add_test(all, hooks_run_in_order_then_tasks_and_again_while_wanted);
	tcase_add_test(all, a_removed_hook_is_not_called);
	tcase_add_test(all, a_stopped_task_does_not_run);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
