/* entity_name.h - entities as commands take and print them. */
#ifndef ORDERSHOP_ENTITY_NAME_H
#define ORDERSHOP_ENTITY_NAME_H

#include "ordershop/client.h"
#include "proto/eventstore_v1.pb-c.h"

/* ERR_INVALID for what can be no topic or no entity. */
MUST_USE bool entity_check(const char *topic, const char *id, struct error *err);
/* ERR_NOT_FOUND: neither the shop nor its log has such a topic, with the name of one that may be meant. */
MUST_USE bool entity_topic_check(struct client *client, const char *topic, struct error *err);
/* Its last event, in client->arena. ERR_NOT_FOUND if there never was one, or no such topic. */
MUST_USE bool entity_last(struct client *client, const char *topic, const char *id,
                          const Es__Event **out, struct error *err);

/* "2024-05-01T12:30:00.123456Z (1700000000000-12)" */
enum { EVENT_TIME_SIZE = 96 };
const char *event_time(const char *entry_id, char text[EVENT_TIME_SIZE]);

#endif
