/* memory_shop.h - the whole shop without processes: the rules of all services on a log in memory.
 *
 * For tests. Commands run at once; what follows from their events waits until it is asked for, and
 * then runs in small steps in an order that `seed` decides, so that sagas overtake each other as
 * they do in life. Every step checks what the store would check. */
#ifndef DOMAIN_MEMORY_SHOP_H
#define DOMAIN_MEMORY_SHOP_H

#include "domain/decide.h"

struct memory_shop;

struct memory_shop *memory_shop_create(unsigned seed);
void memory_shop_destroy(struct memory_shop *shop);

struct answer {
	char *result; /* JSON; NULL if error is set. Lives as long as the shop. */
	struct error error;
	bool passing;
};

/* `service` as in "order"; `message_id` NULL: a new one. A known one is a repeated delivery. */
struct answer memory_shop_run(struct memory_shop *shop, const char *service, const char *function,
                              const char *message_id, const char *params);
/* The same for a command that must succeed; `params` is a format. The string of the first id of
 * the result, or "" for another result. */
const char *memory_shop_do(struct memory_shop *shop, const char *service, const char *function,
                           const char *params, ...) PRINTF(4, 5);

/* Runs at most `steps` steps of what follows; false: there was nothing left to do. */
bool memory_shop_step(struct memory_shop *shop, size_t steps);
void memory_shop_settle(struct memory_shop *shop);
/* Called between the decision of a command and its append, and between its appends: whatever it does
 * there happens at the same time. Not called within itself; NULL: nobody. */
void memory_shop_meanwhile(struct memory_shop *shop, void (*call)(void *arg), void *arg);
/* The next command that appends to several topics dies after the first of them, with
 * ERR_UNAVAILABLE; running it again with its message id is the repeated delivery. */
void memory_shop_crash_next(struct memory_shop *shop);
/* From now on every event is also delivered a second time, at any later moment. */
void memory_shop_redeliver(struct memory_shop *shop);

/* The state as JSON; NULL: none. */
const char *memory_shop_get(struct memory_shop *shop, const char *topic, const char *id);
/* The state as a message that lives as long as the shop; NULL: none. */
const void *memory_shop_state(struct memory_shop *shop, const char *topic, const char *id);
/* Calls `each` for all entities of the topic, in the order of their ids' first events. */
void memory_shop_each(struct memory_shop *shop, const char *topic,
                      void (*each)(void *arg, const char *id, const void *state), void *arg);

/* The log: types of the events of a topic, and of the entity unless NULL, as "A B C". */
const char *memory_shop_events(struct memory_shop *shop, const char *topic, const char *id);
/* Calls `each` for all events of the topic, oldest first. */
void memory_shop_replay(struct memory_shop *shop, const char *topic,
                        void (*each)(void *arg, const struct event *event), void *arg);
size_t memory_shop_count(struct memory_shop *shop, const char *type);

#endif
