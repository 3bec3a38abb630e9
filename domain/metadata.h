/* metadata.h - what caused what, carried from message to event to message.
 *
 *   causation_id    the message or event right before
 *   correlation_id  the message that started it all
 *   actor, traceparent, occurred_at (of events, only when given) */
#ifndef DOMAIN_METADATA_H
#define DOMAIN_METADATA_H

#include "base/arena.h"

#include <stdbool.h>

/* Metadata JSON of what `cause_id` causes; `cause_metadata` is that of the cause, "" for none.
 * `same_time`: occurred_at is carried over too. What is not readable is left out. */
const char *metadata_next(struct arena *arena, const char *cause_metadata, const char *cause_id,
                          bool same_time);
/* A member of metadata, "" if it has no such text. */
const char *metadata_text(struct arena *arena, const char *metadata, const char *name);
/* Was it made by metadata_next, or by a client that names a cause? */
bool metadata_caused(const char *metadata);

#endif
