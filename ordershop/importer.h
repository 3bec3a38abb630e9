/* importer.h - a history on its way into topics of the event store that have no events, by its method Import.
 *
 *   importer_begin --> importer_add ... --> importer_finish
 *
 * What was interrupted goes on when the same history is sent again under the same id: what is there already is
 * skipped. Until it is finished or abandoned its topics are locked. At most a few thousand events are on
 * their way, so that memory is bounded; adding waits for them. */
#ifndef ORDERSHOP_IMPORTER_H
#define ORDERSHOP_IMPORTER_H

#include "domain/decide.h"
#include "ordershop/client.h"

/* Of one import, as the store says. */
enum { IMPORT_TOPICS_MAX = 256, IMPORT_GROUPS_MAX = 1000, IMPORT_ID_SIZE = 65 };

struct importer;

struct importer_group {
	const char *topic, *group;
	const char *checkpoint; /* "": the last event */
};

/* Errors of all four are the store's, with its address. On failure there is nothing to destroy. `client` must
 * outlive the importer. */
MUST_USE bool importer_begin(struct client *client, const char *import_id,
                             const char *const *topics, size_t count, struct importer **out,
                             struct error *err);
/* `event->state` is not looked at; `data` is its JSON. */
MUST_USE bool importer_add(struct importer *importer, const struct event *event, const char *data,
                           struct error *err);
/* When it returns true, all of it can be read. */
MUST_USE bool importer_finish(struct importer *importer, const struct importer_group *groups,
                              size_t count, struct error *err);
/* Forgets what the import wrote, and unlocks its topics. */
MUST_USE bool importer_abandon(struct importer *importer, struct error *err);
/* Without a finish it can be gone on with. NULL is fine. */
void importer_destroy(struct importer *importer);

/* Events that the topics had before this call: of an import that was interrupted, or is finished already. */
uint64_t importer_resumed(const struct importer *importer);
bool importer_was_finished(const struct importer *importer);
/* The store still takes what comes. */
bool importer_is_open(const struct importer *importer);

#endif
