/* fold.h - the state of a shop, folded from its log one event at a time.
 *
 *   events in merged order --> fold_add --> entities by topic and id, mails, one hash of it all
 *
 * Pure, and fast: an event costs a look-up and a copy of the entity's state. A fold holds each entity's
 * last state, also that of deleted ones, and copies what it keeps: events need not live longer than the
 * call. Topics that are not of this shop are folded too, their data as text. */
#ifndef DOMAIN_FOLD_H
#define DOMAIN_FOLD_H

#include "base/digest.h"
#include "base/id.h"
#include "domain/decide.h"

struct fold;

struct fold_entity {
	const struct fold_topic *topic;
	const char *id;
	uint64_t version;
	bool deleted;
	bool was_deleted; /* ever */
	/* After the last event; of a deleted entity before its deletion. NULL: see `data`. */
	const ProtobufCMessage *state;
	const char *data; /* of what cannot be read as an entity of this shop; else NULL */
	struct entry_id first, last;
	/* Free for whoever folds; NULL at first. */
	const struct fold_entity *links[2];
	const void *user;
	UT_hash_handle hh; /* hh.next: in order of first events */
	void *memory;      /* of state and data */
};

struct fold_topic {
	const char *name;
	const ProtobufCMessageDescriptor *type; /* NULL: not of this shop */
	struct fold_entity *entities;
	uint64_t events;
	uint64_t living; /* entities that are not deleted */
	uint64_t loose;  /* events of no entity, such as mails */
	unsigned char
	    loose_last[DIGEST_BYTES]; /* hash of action, type and data of the last of them */
	unsigned char loose_hash[DIGEST_BYTES]; /* of them all, in order */
	struct entry_id first, last;            /* events */
	const void *user;                       /* free for whoever folds; NULL at first */
	UT_hash_handle hh;
};

/* What one event changed. */
struct fold_change {
	struct fold_topic *topic;
	struct fold_entity *entity; /* as it is now; NULL: an event of no entity */
	/* What stood before, until the next event is added. */
	struct entry_id last_in_topic; /* 0-0: nothing */
	uint64_t version;              /* 0: never written */
	bool existed;                  /* written, and not deleted */
	const ProtobufCMessage *state; /* NULL: it did not exist, or cannot be read */
};

struct fold *fold_create(void);
void fold_destroy(struct fold *fold); /* NULL is fine */

/* `data`: the event's JSON, for an event without a state; else it may be NULL. The entry id must be one. */
struct fold_change fold_add(struct fold *fold, const struct event *event, const char *data);

/* NULL: never written. */
struct fold_entity *fold_find(const struct fold *fold, const char *topic, const char *id);
/* All topics, in order of their first events, through hh.next. */
const struct fold_topic *fold_topics(const struct fold *fold);
const struct fold_topic *fold_topic_find(const struct fold *fold, const char *name);
uint64_t fold_events(const struct fold *fold);

/* SHA-256 over topic, id, version and JSON of each entity, living or deleted, by topic and id, and over
 * the events of no entity in their order. Equal logs give equal hashes; entry ids are not in it. */
void fold_hash(const struct fold *fold, char out[DIGEST_TEXT_SIZE]);
/* The state as JSON with all fields, or the data as it is. */
void fold_entity_write(const struct fold_entity *entity, struct buffer *out);

#endif
