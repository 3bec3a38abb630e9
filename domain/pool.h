/* pool.h - arenas for the next deliveries, so that a command costs no allocation of blocks. */
#ifndef DOMAIN_POOL_H
#define DOMAIN_POOL_H

#include "base/arena.h"

/* As many as deliveries can be in flight, and a few. */
enum { POOL_MAX = 272 };

struct pool {
	struct arena *arenas[POOL_MAX];
	size_t count;
};

static inline struct arena *pool_take(struct pool *pool)
{
	return pool->count > 0 ? pool->arenas[--pool->count] : arena_create();
}

static inline void pool_give(struct pool *pool, struct arena *arena)
{
	if (pool->count == POOL_MAX) {
		arena_destroy(arena);
		return;
	}
	arena_reset(arena);
	pool->arenas[pool->count++] = arena;
}

static inline void pool_free(struct pool *pool)
{
	while (pool->count > 0)
		arena_destroy(pool->arenas[--pool->count]);
}

#endif
