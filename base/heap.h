/* heap.h - what comes first. Its items lie in what they are about; the heap owns nothing of them. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_item {
	uint64_t at;     /* the least comes first */
	uint64_t number; /* among equals the least of these */
	size_t place;    /* in the heap, from 1 */
};

/* All zero: empty. */
struct heap {
	struct heap_item **items;
	size_t count, capacity;
};

/* `at` and `number` must not change while it is in there. */
void heap_put(struct heap *heap, struct heap_item *item);
/* Takes out any item that is in there. */
void heap_take(struct heap *heap, struct heap_item *item);
struct heap_item *heap_first(const struct heap *heap); /* NULL: empty */
void heap_free(struct heap *heap);

#endif
