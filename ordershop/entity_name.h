/* entity_name.h - entities as commands take and print them. */
#ifndef ORDERSHOP_ENTITY_NAME_H
#define ORDERSHOP_ENTITY_NAME_H

#include "ordershop/client.h"
#include "proto/eventstore_v1.pb-c.h"

/* ERR_INVALID for what can be no topic or no entity. */
MUST_USE bool entity_check(const char *topic, const char *id, struct error *err);
/* Its last event, in client->arena. ERR_NOT_FOUND if there never was one, with the name of a topic that may be
 * meant. */
MUST_USE bool entity_last(struct client *client, const char *topic, const char *id,
                          const Es__Event **out, struct error *err);

/* "2024-05-01T12:30:00.123456Z (1700000000000-12)" */
enum { EVENT_TIME_SIZE = 96 };
const char *event_time(const char *entry_id, char text[EVENT_TIME_SIZE]);

#endif
