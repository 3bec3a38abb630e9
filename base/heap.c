#include "base/heap.h"

#include "base/error.h"

#include <stdlib.h>

static bool before(const struct heap_item *a, const struct heap_item *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void place(struct heap *heap, size_t at, struct heap_item *item)
{
	heap->items[at - 1] = item;
	item->place = at;
}

static void sift(struct heap *heap, struct heap_item *item, size_t at)
{
	for (; at > 1 && before(item, heap->items[at / 2 - 1]); at /= 2)
		place(heap, at, heap->items[at / 2 - 1]);
	for (;;) {
		size_t child = 2 * at;
		if (child < heap->count && before(heap->items[child], heap->items[child - 1]))
			child++;
		if (child > heap->count || !before(heap->items[child - 1], item))
			break;
		place(heap, at, heap->items[child - 1]);
		at = child;
	}
	place(heap, at, item);
}

void heap_put(struct heap *heap, struct heap_item *item)
{
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity == 0 ? 64 : 2 * heap->capacity;
		heap->items = realloc(heap->items, heap->capacity * sizeof(struct heap_item *));
		ASSERT(heap->items != NULL);
	}
	heap->count++;
	sift(heap, item, heap->count);
}

void heap_take(struct heap *heap, struct heap_item *item)
{
	ASSERT(item->place > 0 && heap->items[item->place - 1] == item);
	struct heap_item *last = heap->items[--heap->count];
	if (last != item)
		sift(heap, last, item->place);
	item->place = 0;
}

struct heap_item *heap_first(const struct heap *heap)
{
	return heap->count == 0 ? NULL : heap->items[0];
}

void heap_free(struct heap *heap)
{
	free(heap->items);
	*heap = (struct heap){ .items = NULL };
}
