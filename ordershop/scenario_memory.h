/* scenario_memory.h - a shop in this process for one scenario: domain/memory_shop.h, the read model in
 * memory, and the invariants that watch both. */
#ifndef ORDERSHOP_SCENARIO_MEMORY_H
#define ORDERSHOP_SCENARIO_MEMORY_H

#include "base/digest.h"
#include "ordershop/scenario_shop.h"
#include "ordershop/watched_shop.h"

/* The same start and seed give the same shop on every machine. `cast` NULL: the services of the shop. */
void scenario_memory_open(uint64_t start_us, int64_t seed, const struct cast *cast,
                          struct shop *shop);
/* Of the log as it is exported, and of the state that it comes to. */
void scenario_memory_hashes(struct shop *shop, char log[DIGEST_TEXT_SIZE],
                            char state[DIGEST_TEXT_SIZE]);

/* Plays the file: does it fail, and name this invariant? */
bool scenario_shows(const char *path, const struct cast *cast, const char *invariant);

#endif
