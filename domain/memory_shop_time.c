#include "domain/memory_shop_internal.h"

#include <stdlib.h>

/* ---- Timers ------------------------------------------------------------------------------ */

static bool before(const struct timer *a, const struct timer *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void put(struct heap *heap, size_t place, struct timer *timer)
{
	heap->timers[place - 1] = timer;
	timer->place = place;
}

static void sift(struct heap *heap, struct timer *timer)
{
	size_t place = timer->place;
	while (place > 1 && before(timer, heap->timers[place / 2 - 1])) {
		put(heap, place, heap->timers[place / 2 - 1]);
		place /= 2;
	}
	for (;;) {
		size_t child = 2 * place;
		if (child < heap->count && before(heap->timers[child], heap->timers[child - 1]))
			child++;
		if (child > heap->count || !before(heap->timers[child - 1], timer))
			break;
		put(heap, place, heap->timers[child - 1]);
		place = child;
	}
	put(heap, place, timer);
}

void timer_clear(struct timer *timer)
{
	struct heap *heap = timer->heap;
	if (heap == NULL)
		return;
	struct timer *last = heap->timers[--heap->count];
	if (last != timer) {
		put(heap, timer->place, last);
		sift(heap, last);
	}
	timer->heap = NULL;
}

void timer_set(struct memory_shop *shop, struct heap *heap, struct timer *timer, uint64_t at_us,
               void (*fire)(struct memory_shop *shop, struct timer *timer))
{
	timer_clear(timer);
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity == 0 ? 64 : 2 * heap->capacity;
		heap->timers = realloc(heap->timers, heap->capacity * sizeof(struct timer *));
		ASSERT(heap->timers != NULL);
	}
	*timer = (struct timer){ at_us, shop->timer_number++, heap, 0, fire };
	put(heap, ++heap->count, timer);
	sift(heap, timer);
}

struct timer *heap_first(const struct heap *heap)
{
	return heap->count == 0 ? NULL : heap->timers[0];
}

static void fire_due(struct memory_shop *shop, struct heap *heap)
{
	while (heap->count > 0 && heap->timers[0]->at_us <= shop->clock_us) {
		struct timer *timer = heap->timers[0];
		timer_clear(timer);
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

void task_ready(struct memory_shop *shop, struct task *task)
{
	struct ring *ring = &shop->ring;
	if (task->place != 0)
		return;
	task_drop(shop, task);
	if (ring->tail - ring->head == ring->capacity)
		ring_grow(ring);
	*slot(ring, ring->tail) = task;
	task->place = ++ring->tail;
	ring->count++;
}

void task_wait(struct task *task)
{
	ASSERT(task->place == 0 && !task->waiting);
	task->waiting = true;
	DL_APPEND(task->server->waiting, task);
}

void task_drop(struct memory_shop *shop, struct task *task)
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

struct task *task_take(struct memory_shop *shop)
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
