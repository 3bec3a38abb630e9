/* memory_shop_fixture.h - the shop in memory as tests like it: commands in short, what the log has, and what can only
 * go wrong in a test. */
#ifndef DOMAIN_MEMORY_SHOP_FIXTURE_H
#define DOMAIN_MEMORY_SHOP_FIXTURE_H

#include "domain/memory_shop.h"

/* memory_shop_call in short; the result lives as long as the shop. */
struct answer memory_shop_run(struct memory_shop *shop, const char *service, const char *function,
                              const char *message_id, const char *params);
/* The same for a command that must succeed; `params` is a format. The string of the first id of
 * the result, or "" for another result. */
const char *memory_shop_do(struct memory_shop *shop, const char *service, const char *function,
                           const char *params, ...) PRINTF(4, 5);

/* The log: types of the events of a topic, and of the entity unless NULL, as "A B C". */
const char *memory_shop_events(struct memory_shop *shop, const char *topic, const char *id);
/* Events of the type that are kept. */
size_t memory_shop_count(struct memory_shop *shop, const char *type);

/* Called between the decision of a command and its append, and between its appends, of
 * memory_shop_call and its like: whatever it does there happens at the same time. Not called within
 * itself; NULL: nobody. */
void memory_shop_meanwhile(struct memory_shop *shop, void (*call)(void *arg), void *arg);

/* The next memory_shop_call that appends to several topics dies after the first of them, with
 * ERR_UNAVAILABLE; running it again with its message id is the repeated delivery. */
void memory_shop_crash_next(struct memory_shop *shop);
/* From now on every event is also delivered a second time, at any later moment. */
void memory_shop_redeliver(struct memory_shop *shop);

#endif
