/* arena.h - memory that lives as long as one request.
 *
 * Allocations are never freed one by one; arena_reset frees all of them and keeps the first block
 * for the next request. Out of memory aborts: every request is bounded before it allocates. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/error.h"

#include <protobuf-c/protobuf-c.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena *arena); /* NULL is fine */
void arena_reset(struct arena *arena);

/* Aligned for any type; not zeroed. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_zalloc(struct arena *arena, size_t size);
char *arena_copy(struct arena *arena, const char *bytes, size_t len); /* NUL-terminated */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF(2, 3);

/* For protobuf_c_message_unpack: its messages then live in the arena, free is a no-op. */
ProtobufCAllocator *arena_allocator(struct arena *arena);

#endif
