/* causes.h - what led to what: commands, messages and events of one origin, as trees.
 *
 *   command --> event --> message of a saga --> event --> ...
 *
 * An event names the message that caused it (causation_id) and the one that began it all (correlation_id).
 * What caused a message is not in the log, but its id follows from the event's and from the function. */
#ifndef ORDERSHOP_CAUSES_H
#define ORDERSHOP_CAUSES_H

#include "domain/decide.h"

struct causes;

/* Of the events of this entity, which are marked. The texts are borrowed. */
struct causes *causes_create(const char *topic, const char *id);
void causes_destroy(struct causes *causes);

/* The origin of an event of the entity: its tree is wanted. */
void causes_want(struct causes *causes, const char *metadata);
/* Any event of the log, in order. Those of other origins are left out. ERR_TOO_LARGE above 100,000. */
MUST_USE bool causes_add(struct causes *causes, const struct event *event, struct error *err);
/* Prints the trees, oldest first; unless `all`, only what led to events of the entity. */
void causes_print(struct causes *causes, bool all);

#endif
