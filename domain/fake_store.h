/* fake_store.h - an event store in memory, for tests: appends and loads of entities, over gRPC.
 *
 * It checks what the real one checks: versions, atomic batches, known event ids. */
#ifndef DOMAIN_FAKE_STORE_H
#define DOMAIN_FAKE_STORE_H

#include "base/loop.h"

#include <stdint.h>

struct fake_store;

struct fake_store *fake_store_create(struct loop *loop, const char *address);
void fake_store_destroy(struct fake_store *store);

/* Somebody else's event: the entity gets its next version. */
void fake_store_write(struct fake_store *store, const char *topic, const char *id,
                      const char *action, const char *data);
/* Somebody else's instance applied the event of this id; what it wrote is for fake_store_write. */
void fake_store_know(struct fake_store *store, const char *topic, const char *event_id);
/* Somebody else's instance gave up the event of this id. */
void fake_store_give_up(struct fake_store *store, const char *topic, const char *event_id);
/* An import locks all topics: nothing is appended. */
void fake_store_import(struct fake_store *store, bool importing);
/* The entity's data, "" when it was never written; *version its version. */
const char *fake_store_data(struct fake_store *store, const char *topic, const char *id,
                            uint64_t *version);
/* Called before each append with its number, 1 for the first. */
void fake_store_before_append(struct fake_store *store,
                              void (*hook)(void *arg, const char *topic, uint64_t append),
                              void *arg);
uint64_t fake_store_conflicts(const struct fake_store *store);
uint64_t fake_store_loads(const struct fake_store *store);

#endif
