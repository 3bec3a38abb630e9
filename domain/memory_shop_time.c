#include "domain/memory_shop_internal.h"

#include <stdlib.h>

/* ---- Timers ------------------------------------------------------------------------------ */

void shop_timer_clear(struct timer *timer)
{
	if (timer->heap == NULL)
		return;
	heap_take(timer->heap, &timer->item);
	timer->heap = NULL;
}

void shop_timer_set(struct memory_shop *shop, struct heap *heap, struct timer *timer,
                    uint64_t at_us, void (*fire)(struct memory_shop *shop, struct timer *timer))
{
	shop_timer_clear(timer);
	*timer = (struct timer){ { at_us, shop->timer_number++, 0 }, heap, fire };
	heap_put(heap, &timer->item);
}

static void fire_due(struct memory_shop *shop, struct heap *heap)
{
	struct heap_item *first;
	while ((first = heap_first(heap)) != NULL && first->at <= shop->clock_us) {
		struct timer *timer = CONTAINER(first, struct timer, item);
		shop_timer_clear(timer);
		timer->fire(shop, timer);
	}
}

void shop_fire_due(struct memory_shop *shop)
{
	fire_due(shop, &shop->leases);
	fire_due(shop, &shop->timers);
}

/* ---- Tasks ------------------------------------------------------------------------------- */

static struct task **slot(struct ring *ring, size_t position)
{
	return &ring->tasks[position & (ring->capacity - 1)];
}

static void ring_grow(struct ring *ring)
{
	size_t capacity = ring->capacity == 0 ? 256 : 2 * ring->capacity;
	struct task **tasks = malloc(capacity * sizeof(struct task *));
	ASSERT(tasks != NULL);
	size_t tail = 0;
	for (size_t i = ring->head; i < ring->tail; i++) {
		struct task *task = *slot(ring, i);
		if (task != NULL) {
			task->place = tail + 1;
			tasks[tail++] = task;
		}
	}
	free(ring->tasks);
	*ring = (struct ring){ .tasks = tasks, .tail = tail, .capacity = capacity, .count = tail };
}

void shop_task_ready(struct memory_shop *shop, struct task *task)
{
	struct ring *ring = &shop->ring;
	if (task->place != 0)
		return;
	shop_task_drop(shop, task);
	if (ring->tail - ring->head == ring->capacity)
		ring_grow(ring);
	*slot(ring, ring->tail) = task;
	task->place = ++ring->tail;
	ring->count++;
}

void shop_task_wait(struct task *task)
{
	ASSERT(task->place == 0 && !task->waiting);
	task->waiting = true;
	DL_APPEND(task->server->waiting, task);
}

void shop_task_drop(struct memory_shop *shop, struct task *task)
{
	if (task->waiting)
		DL_DELETE(task->server->waiting, task);
	task->waiting = false;
	if (task->place == 0)
		return;
	*slot(&shop->ring, task->place - 1) = NULL;
	shop->ring.count--;
	task->place = 0;
}

/* Of the places from head to tail, one that is taken; the first one takes its place. */
static void choose(struct memory_shop *shop)
{
	struct ring *ring = &shop->ring;
	struct task **first = slot(ring, ring->head), **chosen;
	do {
		chosen = slot(ring, ring->head + shop_pick(shop, ring->tail - ring->head));
	} while (*chosen == NULL);
	struct task *task = *chosen;
	*chosen = *first;
	if (*chosen != NULL)
		(*chosen)->place = task->place;
	*first = task;
}

struct task *shop_task_take(struct memory_shop *shop)
{
	struct ring *ring = &shop->ring;
	if (ring->count == 0)
		return NULL;
	if (!shop->in_order)
		choose(shop);
	while (*slot(ring, ring->head) == NULL)
		ring->head++;
	struct task *task = *slot(ring, ring->head++);
	ring->count--;
	task->place = 0;
	return task;
}
