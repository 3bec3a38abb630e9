/* projection.h - what a run of events changes in the model.
 *
 *   event, event, ... --add--> projection --at--> one write per entity or mail
 *
 * Pure: no Redis, no clock. Several events of one entity in a run become one write of its last
 * state; `before` keeps what the store must know about the states in between. Only the actions
 * entity_created, entity_updated and entity_deleted change entities, and mail_sent of topic `mail` adds a
 * mail: other actions are passed over, as are events that cannot be read (counted).
 *
 * An entity's place in lists is the time of its creation. */
#ifndef READ_MODEL_PROJECTION_H
#define READ_MODEL_PROJECTION_H

#include "base/arena.h"
#include "read-model/kinds.h"

struct projection_event {
	const char *topic;
	const char *entry_id;
	const char *event_id;
	const char *action;
	const char *data;
	const char *entity_id;
	uint64_t version;
};

enum projection_action { PROJECTION_PUT, PROJECTION_REMOVE, PROJECTION_MAIL };

enum projection_before {
	PROJECTION_KEEP, /* an entity that is there keeps its creation */
	PROJECTION_NEW,  /* there is none: its first event is in this run */
	PROJECTION_DROP /* an entity that is there was deleted in this run, and this is a new one */
};

struct projection_text {
	const char *bytes;
	size_t len;
};

/* Lives until the projection is cleared. */
struct projection_write {
	enum projection_action action;
	const struct kind *kind;
	const char *topic;
	const char *id; /* of the entity; of a mail the entry id */
	uint64_t version;
	uint64_t created_us; /* microseconds since the epoch */
	enum projection_before before;
	/* Of PUT: by position in the kind. Of MAIL: event_id, json. */
	struct projection_text *values;
	size_t value_count;
	/* Members that the kind does not know: `"name":value,...`; may be empty. */
	struct projection_text more;
};

struct projection;

struct projection *projection_create(void);
void projection_destroy(struct projection *projection);
void projection_clear(struct projection *projection);
/* Copies what it needs. */
void projection_add(struct projection *projection, const struct projection_event *event);
size_t projection_events(const struct projection *projection); /* added */
size_t projection_writes(const struct projection *projection);
size_t projection_bytes(const struct projection *projection); /* that it holds, about */
size_t projection_unreadable(const struct projection *projection);
/* False: nothing to write for this one (created and deleted in the run, or unreadable). */
bool projection_at(struct projection *projection, size_t index, struct projection_write *write);
/* The same without the values, of which nothing is read yet. */
bool projection_head(const struct projection *projection, size_t index,
                     struct projection_write *write);

/* The place in lists of what was created by this entry. */
uint64_t projection_created_us(const char *entry_id);

#endif
