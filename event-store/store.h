/* store.h - the keys of the event store, and the commands on them. Nobody else knows key names.
 *
 *   events:{topic}            stream: the log of a topic
 *   entities:{topic}          hash: entity id -> "version entry_id", " d" after it when deleted;
 *                            "" -> the topic's last entry id
 *   recent:{topic}:<half day> hash, expires: event id -> "version entry_id", the dedupe window
 *   groups:{topic}            hash: persistent group -> checkpoint
 *   owners:{topic}            hash: group -> which store serves it, and until when
 *   parked:{topic}:<group>    hash: entry id -> why the group set this event aside
 *   parked_ids:{topic}:<group> sorted set: the same entry ids in the order of the log
 *   replays:{topic}:<group>   sorted set: entry ids of parked events that are to be delivered again
 *   import:{topic}            hash: which import wrote the topic's history, or does
 *   import_events:{topic}:<token> stream, import_entities:{topic} hash: of an import until it is finished
 *   topics                    stream: the registry of topics, {topic: name}, with {imported: "first last"}
 *
 * Values are handed to redis_done callbacks as redis.h describes. Writes and reads go over
 * connections of their own, so that a long history does not hold up an append. */
#ifndef EVENT_STORE_STORE_H
#define EVENT_STORE_STORE_H

#include "base/id.h"
#include "base/redis.h"
#include "proto/eventstore_v1.pb-c.h"

struct store;

MUST_USE bool store_create(struct loop *loop, const char *url, struct store **out,
                           struct error *err);
void store_destroy(struct store *store);
/* Waits for Redis. Fails on a server that may throw away events (maxmemory-policy); *warning is
 * a literal, or NULL. */
MUST_USE bool store_check(struct store *store, const char **warning, struct error *err);
/* Calls `hook` in every turn before the commands leave: for what collects them. */
void store_before_send(struct store *store, void (*hook)(void *arg), void *arg);
/* For the health timer; one at a time. An answer that is no REDIS_ERROR: all is well. */
void store_ping(struct store *store, redis_done *done, void *arg);

/* When Redis answers, what was written is ... */
enum store_disk {
	STORE_DISK_UNKNOWN,   /* (it hides its configuration) */
	STORE_DISK_NONE,      /* in memory only */
	STORE_DISK_LATER,     /* in memory, and on disk soon */
	STORE_DISK_EACH_WRITE /* on disk */
};
/* As of the last ping, it is on disk. */
MUST_USE bool store_syncs(const struct store *store, struct error *err);

/* --- writing --- */

/* Clears the command and begins an append; its requests are added as append.lua describes. No
 * entry gets an id below `floor`. */
void store_append_begin(struct redis_command *command, const char *topic, struct entry_id floor);
void store_append(struct store *store, const struct redis_command *command, redis_done *done,
                  void *arg);
/* `done` gets the answer; right after it `replicated` gets how many replicas have what was written:
 * waits for `replicas` of them, STORE_REPLICAS_MS at most. */
enum { STORE_REPLICAS_MS = 1000 };
void store_append_replicated(struct store *store, const struct redis_command *command,
                             unsigned replicas, redis_done *done, redis_done *replicated,
                             void *arg);
void store_register_topic(struct store *store, const char *topic, redis_done *done, void *arg);

/* Groups: answers as group.lua describes them. `token` is this store's. */
void store_group_open(struct store *store, const char *topic, const char *group, bool live,
                      const char *token, unsigned lease_ms, redis_done *done, void *arg);
void store_group_save(struct store *store, const char *topic, const char *group, const char *token,
                      struct entry_id checkpoint, unsigned lease_ms, redis_done *done, void *arg);

/* Parked events: answers as parked.lua describes them. */
void store_group_park(struct store *store, const char *topic, const char *group, const char *token,
                      struct entry_id id, unsigned attempts, const char *reason, redis_done *done,
                      void *arg);
void store_parked(struct store *store, const char *topic, const char *group, const char *after,
                  size_t limit, redis_done *done, void *arg);
/* `count` 0: as many of all as fit one call, STORE_TAKE_BATCH. */
enum { STORE_TAKE_BATCH = 5000 };
void store_parked_take(struct store *store, const char *topic, const char *group, bool replay,
                       const char *const *entry_ids, size_t count, redis_done *done, void *arg);
void store_replays(struct store *store, const char *topic, const char *group, size_t limit,
                   redis_done *done, void *arg);
void store_replay_done(struct store *store, const char *topic, const char *group,
                       struct entry_id id);

/* --- imports: answers as import.lua describes them ---
 *
 * `token` is of the call that writes, a UUID; another one takes the import over. What an import writes goes
 * over a connection of its own, in the order of these calls. */

struct store_import {
	const char *topic;
	const char *token;
};
void store_import_begin(struct store *store, const struct store_import *import, const char *id,
                        redis_done *done, void *arg);
/* Whether it was taken is told by the note of its run. */
void store_import_event(struct store *store, const struct store_import *import,
                        const Es__Event *event);
struct store_import_entity {
	const char *id;
	uint64_t before, version; /* of the entity, before and after the run */
	struct entry_id last;
	bool deleted;
};
struct store_import_known { /* for the dedupe window */
	const char *event_id;
	struct entry_id id;
	uint64_t version;
};
struct store_import_run {
	struct entry_id noted; /* the last id of the run before */
	struct entry_id first, last;
	size_t count;
	const struct store_import_entity *entities;
	size_t entity_count;
	const struct store_import_known *known; /* in the order of their ids */
	size_t known_count;
};
enum { STORE_IMPORT_RUN = 1000 }; /* events of a run, at most */
void store_import_note(struct store *store, const struct store_import *import,
                       const struct store_import_run *run, redis_done *done, void *arg);
/* The dedupe window knows events from this id on. */
struct entry_id store_window_start(void);
void store_import_seize(struct store *store, const struct store_import *import,
                        const char *groups_token, redis_done *done, void *arg);
/* `groups`: pairs of name and checkpoint. */
void store_import_publish(struct store *store, const struct store_import *import,
                          const char *const (*groups)[2], size_t group_count, redis_done *done,
                          void *arg);
struct store_import_history {
	const char *topic;
	struct entry_id first, last;
};
/* Puts them into the registry, also if they are there: as histories that are seen from now on. Not again. */
void store_import_register(struct store *store, const struct store_import_history *histories,
                           size_t count, redis_done *done, void *arg);
void store_import_release(struct store *store, const struct store_import *import, redis_done *done,
                          void *arg);
void store_import_abandon(struct store *store, const struct store_import *import, redis_done *done,
                          void *arg);

/* Waits until what was written so far has left, if Redis is there at all. For the end. */
void store_flush(struct store *store, unsigned timeout_ms);

/* --- reading --- */

struct store_range {
	struct entry_id from; /* the lower end */
	bool from_exclusive;
	struct entry_id to; /* the upper end */
	bool to_exclusive;
	bool backward;
	size_t count;
};
#define ENTRY_ID_FIRST ((struct entry_id){ 0, 0 })
#define ENTRY_ID_LAST  ((struct entry_id){ UINT64_MAX, UINT64_MAX })

void store_read(struct store *store, const char *topic, const struct store_range *range,
                redis_done *done, void *arg);
/* The registry: entries {topic: name}. */
void store_topics(struct store *store, redis_done *done, void *arg);
const char *store_topic_of_entry(const struct redis_value *entry);
/* False: the topic did not come with a history. */
bool store_history_of_entry(const struct redis_value *entry, struct entry_id *first,
                            struct entry_id *last);
/* The last id that is certainly past: nothing at or below it appears, on any master of a cluster. */
typedef void store_time_done(void *arg, struct entry_id closed, const struct error *err);
void store_time(struct store *store, store_time_done *done, void *arg);
/* What one server's TIME says of that. */
struct entry_id store_closed(const struct redis_value *value);
/* Heads of entities, as an array of strings or nil. */
void store_heads(struct store *store, const char *topic, const char *const *entity_ids,
                 size_t count, redis_done *done, void *arg);
/* False when it is no head. */
bool store_head_parse(const char *head, uint64_t *version, struct entry_id *id);

enum store_detail { STORE_LENGTH, STORE_FIRST, STORE_LAST, STORE_BYTES, STORE_GROUPS };
/* Facts about a topic, the cheap ones first: XLEN; the first or last entry; bytes; the hash of groups. */
void store_topic_detail(struct store *store, const char *topic, enum store_detail detail,
                        redis_done *done, void *arg);
/* How a group stands, as group_info.lua describes it. Each event of the lag is read to be counted, while Redis
 * does nothing else. */
enum { STORE_LAG_MAX = 10000 };
void store_group_info(struct store *store, const char *topic, const char *group,
                      const char *checkpoint, size_t lag_max, redis_done *done, void *arg);

/* --- the live tail, on a connection and a thread of its own --- */

struct store_tail;
MUST_USE bool store_tail_connect(const char *url, struct store_tail **out, struct error *err);
void store_tail_destroy(struct store_tail *tail);
struct store_tail_topic {
	const char *topic;
	struct entry_id last;
	bool began; /* its first events came; whose they are is not known yet */
	bool own;   /* they are no import's */
};
/* What a read answers, in one or several parts: pairs (key, entries). On a cluster a part may be that of a read
 * before, whose master answers late: it begins after what was then the last. */
typedef void store_tail_take(void *arg, const struct redis_value *value);
/* Reads what came after `last` in the registry and in each topic, at most `count` of each. With
 * block_ms it waits so long for the first. *closed: up to here all topics were read, unless they had
 * more than `count`; 0-0 when nothing is known about that. What was taken before a failure counts: on a cluster
 * that is all that the healthy masters have, within half a second. */
MUST_USE bool store_tail_read(struct store_tail *tail, struct entry_id registry_last,
                              const struct store_tail_topic *topics, size_t topic_count,
                              size_t count, unsigned block_ms, struct entry_id *closed,
                              store_tail_take *take, void *arg, struct error *err);
/* The topic of a key that store_tail_read answered; NULL: the registry. In the arena. */
const char *store_tail_topic(const struct redis_value *key, struct arena *arena);
/* The last id ever given in the topic (NULL: in the registry); 0-0 when it is empty. */
MUST_USE bool store_tail_last(struct store_tail *tail, const char *topic, struct entry_id *last,
                              struct error *err);
/* Whether an import brought the events of a topic, up to now or to the end of its history. */
MUST_USE bool store_tail_imported(struct store_tail *tail, const char *topic, bool *imported,
                                  struct error *err);
MUST_USE bool store_tail_topics(struct store_tail *tail, const struct redis_value **entries,
                                struct error *err);

#endif
