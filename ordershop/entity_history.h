/* entity_history.h - the events of one entity, for commands. */
#ifndef ORDERSHOP_ENTITY_HISTORY_H
#define ORDERSHOP_ENTITY_HISTORY_H

#include "base/id.h"
#include "ordershop/client.h"
#include "proto/eventstore_v1.pb-c.h"

/* All of them, oldest first, in client->arena. ERR_NOT_FOUND if there are none, with the name of a topic that
 * may be meant. */
MUST_USE bool entity_history(struct client *client, const char *topic, const char *id,
                             const Es__ReadEntityResponse **out, struct error *err);
/* How many of them had happened up to that moment (NULL: now). */
size_t entity_history_until(const Es__ReadEntityResponse *history, const struct entry_id *at);
/* "2024-05-01T12:30:00.123456Z (1700000000000-12)" */
enum { EVENT_TIME_SIZE = 96 };
const char *event_time(const char *entry_id, char text[EVENT_TIME_SIZE]);
/* ERR_INVALID for what can be no topic or no entity. */
MUST_USE bool entity_check(const char *topic, const char *id, struct error *err);

#endif
