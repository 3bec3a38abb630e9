#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 8192, ALIGNMENT = 16 };

struct block {
	struct block *next;
	size_t size;
	size_t used;
	_Alignas(ALIGNMENT) char bytes[];
};

struct arena {
	struct block *blocks; /* newest first; the last one is kept by arena_reset */
	ProtobufCAllocator allocator;
};

static void *pb_alloc(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void pb_free(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

static struct block *block_create(size_t size, struct block *next)
{
	struct block *block = malloc(sizeof(*block) + size);
	ASSERT(block != NULL);
	block->next = next;
	block->size = size;
	block->used = 0;
	return block;
}

struct arena *arena_create(void)
{
	struct arena *arena = malloc(sizeof(*arena));
	ASSERT(arena != NULL);
	arena->blocks = block_create(BLOCK_SIZE, NULL);
	arena->allocator = (ProtobufCAllocator){ pb_alloc, pb_free, arena };
	return arena;
}

void arena_destroy(struct arena *arena)
{
	if (arena == NULL)
		return;
	arena_reset(arena);
	free(arena->blocks);
	free(arena);
}

void arena_reset(struct arena *arena)
{
	while (arena->blocks->next != NULL) {
		struct block *next = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = next;
	}
	arena->blocks->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	ASSERT(size < SIZE_MAX / 2);
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct block *block = arena->blocks;
	if (block->size - block->used < size) {
		block = block_create(size > BLOCK_SIZE ? size : BLOCK_SIZE, arena->blocks);
		arena->blocks = block;
	}
	void *memory = block->bytes + block->used;
	block->used += size;
	return memory;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	return memset(arena_alloc(arena, size), 0, size);
}

char *arena_copy(struct arena *arena, const char *bytes, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);
	if (len > 0)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_copy(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	char here[256]; /* mostly enough, and then it is formatted once */
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(here, sizeof(here), format, args);
	va_end(args);
	ASSERT(len >= 0);
	char *text = arena_alloc(arena, (size_t)len + 1);
	if ((size_t)len < sizeof(here))
		memcpy(text, here, (size_t)len + 1);
	else
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	return text;
}

ProtobufCAllocator *arena_allocator(struct arena *arena)
{
	return &arena->allocator;
}
