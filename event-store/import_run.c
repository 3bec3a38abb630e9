/* Events of an import: checked, then written as one run for each topic of the message. */
#include "event-store/import_internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "event-store/check.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { BYTES_MAX = 4 * 1024 * 1024 };

struct entity {
	const char *id;
	size_t place; /* in the run */
	UT_hash_handle hh;
};

struct import_run {
	struct import_topic *topic;
	struct import_message *message;
	struct store_import_run body;
	struct store_import_entity *entities;
	struct store_import_known *known;
	uint64_t *numbers; /* of the first event of each entity */
	struct entity *by_id;
	struct import_run *next; /* of the message */
};

/* What is looked at before anything is sent. */
struct candidate {
	const Es__Event *event;
	struct import_topic *topic;
	struct entry_id id;
	bool skipped;
	UT_hash_handle hh;
};

void import_message_free(struct import_message *message)
{
	arena_destroy(message->arena);
	free(message);
}

static bool wrong(struct error *err, uint64_t number, const Es__Event *event)
{
	return error_wrap(err, "event %llu (topic %.64s, entry_id %.40s)",
	                  (unsigned long long)number, event->topic, event->entry_id);
}

static bool check_one(struct import *import, struct candidate *candidate, uint64_t now_ms,
                      size_t *bytes, struct error *err)
{
	const Es__Event *event = candidate->event;
	char last[ENTRY_ID_SIZE];
	HASH_FIND_STR(import->by_name, event->topic, candidate->topic);
	if (candidate->topic == NULL)
		return error_set(err, ERR_INVALID, "topic: is not among the topics of the start");
	if (!check_import(event, &candidate->id, bytes, err))
		return false;
	if (candidate->id.ms > now_ms)
		return error_set(err, ERR_INVALID, "entry_id: is in the future");
	struct import_topic *topic = candidate->topic;
	if (entry_id_compare(candidate->id, topic->sent) <= 0) {
		entry_id_format(topic->sent, last);
		return error_set(err, ERR_INVALID,
		                 "entry_id: must be above the one before it in the topic, %s",
		                 last);
	}
	topic->sent = candidate->id;
	candidate->skipped = entry_id_compare(candidate->id, topic->before) <= 0;
	if (!candidate->skipped && import->sealed)
		return error_set(err, ERR_PRECONDITION,
		                 "entry_id: is new, but the import was being finished, or is");
	return true;
}

static bool check_unique(struct candidate **known, struct candidate *candidate, struct error *err)
{
	struct candidate *other;
	const char *id = candidate->event->event_id;
	HASH_FIND(hh, *known, id, UUID_SIZE - 1, other);
	if (other != NULL)
		return error_set(err, ERR_INVALID, "event_id: %s is there twice", id);
	HASH_ADD_KEYPTR(hh, *known, id, UUID_SIZE - 1, candidate);
	return true;
}

static bool check_all(struct import *import, struct candidate *candidates, size_t count,
                      size_t *bytes, struct error *err)
{
	struct candidate *known = NULL;
	uint64_t now_ms = clock_wall_us() / 1000;
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		ok = check_one(import, &candidates[i], now_ms, bytes, err) &&
		     check_unique(&known, &candidates[i], err);
		if (!ok)
			wrong(err, import->received + i, candidates[i].event);
	}
	HASH_CLEAR(hh, known);
	if (ok && *bytes > BYTES_MAX)
		return error_set(err, ERR_INVALID,
		                 "events: must have at most %d bytes in a message, have %zu",
		                 BYTES_MAX, *bytes);
	return ok;
}

static struct import_run *run_of(struct import_topic *topic, struct import_message *message,
                                 size_t count)
{
	struct import_run *run = topic->run;
	if (run != NULL)
		return run;
	run = arena_zalloc(message->arena, sizeof(*run));
	run->topic = topic;
	run->message = message;
	run->entities = arena_alloc(message->arena, count * sizeof(*run->entities));
	run->known = arena_alloc(message->arena, count * sizeof(*run->known));
	run->numbers = arena_alloc(message->arena, count * sizeof(*run->numbers));
	topic->run = run;
	return run;
}

static bool follow_entity(struct import_run *run, const struct candidate *candidate,
                          uint64_t number, struct error *err)
{
	const Es__Event *event = candidate->event;
	struct entity *entity;
	HASH_FIND_STR(run->by_id, event->entity_id, entity);
	if (entity == NULL) {
		entity = arena_alloc(run->message->arena, sizeof(*entity));
		entity->id = arena_strdup(run->message->arena, event->entity_id);
		entity->place = run->body.entity_count++;
		HASH_ADD_STR(run->by_id, id, entity);
		run->numbers[entity->place] = number;
		run->entities[entity->place] = (struct store_import_entity){
			.id = entity->id,
			.before = event->entity_version - 1,
			.version = event->entity_version - 1,
		};
	}
	struct store_import_entity *state = &run->entities[entity->place];
	if (event->entity_version != state->version + 1)
		return error_set(err, ERR_INVALID,
		                 "entity_version: must be %llu, is %llu, of entity \"%.128s\"",
		                 (unsigned long long)state->version + 1,
		                 (unsigned long long)event->entity_version, event->entity_id);
	state->version = event->entity_version;
	state->last = candidate->id;
	state->deleted = strcmp(event->event_action, "entity_deleted") == 0;
	return true;
}

static bool collect(struct import_message *message, const struct candidate *candidate, size_t count,
                    uint64_t number, struct entry_id window, struct error *err)
{
	const Es__Event *event = candidate->event;
	struct import_run *run = run_of(candidate->topic, message, count);
	if (event->entity_id[0] != '\0' && !follow_entity(run, candidate, number, err))
		return false;
	if (run->body.count++ == 0)
		run->body.first = candidate->id;
	run->body.last = candidate->id;
	if (entry_id_compare(candidate->id, window) >= 0)
		run->known[run->body.known_count++] = (struct store_import_known){
			.event_id = arena_strdup(message->arena, event->event_id),
			.id = candidate->id,
			.version = event->entity_version,
		};
	return true;
}

static void refuse(const struct import_run *run, const char *answer, struct error *err)
{
	const struct import_topic *topic = run->topic;
	char *end;
	unsigned long entity = strtoul(answer + 2, &end, 10);
	if (answer[1] == 'V' && entity < run->body.entity_count)
		error_set(err, ERR_INVALID,
		          "event %llu (topic %s): entity_version: must be %llu, is %llu, of entity "
		          "\"%.128s\"",
		          (unsigned long long)run->numbers[entity], topic->key.topic,
		          strtoull(end, NULL, 10) + 1,
		          (unsigned long long)run->entities[entity].before + 1,
		          run->entities[entity].id);
	else if (answer[1] == 'D')
		error_set(err, ERR_INVALID, "topic %s: event_id: %.40s is there twice",
		          topic->key.topic, answer + 3);
	else
		error_set(err, ERR_UNAVAILABLE,
		          "topic %s: redis did not take all events; go on with the same import_id",
		          topic->key.topic);
}

static void noted(void *arg, const struct redis_value *value, const struct error *err)
{
	struct import_run *run = arg;
	struct import_message *message = run->message;
	struct import_topic *topic = run->topic;
	struct import *import = topic->import;
	struct error failure;
	size_t len;
	const char *answer = redis_value_string(value, &len);
	message->runs--;
	if (err == NULL && answer[0] == '!' && strchr("VDL", answer[1]) != NULL) {
		refuse(run, answer, &failure);
		import_fail(import, &failure);
	} else if (import_refused(topic, value, "s", err, &failure)) {
		import_fail(import, &failure);
	} else {
		if (topic->events == 0)
			topic->first = run->body.first;
		topic->events += run->body.count;
		topic->last = run->body.last;
		FAULT("import_noted");
	}
	if (import_answered(import))
		import_progress(import);
}

static void send_run(struct import_topic *topic)
{
	struct import_run *run = topic->run;
	struct import *import = topic->import;
	run->body.entities = run->entities;
	run->body.known = run->known;
	run->body.noted = topic->written;
	topic->written = run->body.last;
	run->message->runs++;
	import->asked++;
	store_import_note(import->store->store, &topic->key, &run->body, noted, run);
}

/* All runs of the message are complete, or not to be sent. */
static void end_runs(struct import *import, bool send)
{
	for (size_t i = 0; i < import->topic_count; i++) {
		struct import_topic *topic = &import->topics[i];
		if (topic->run == NULL)
			continue;
		if (send)
			send_run(topic);
		HASH_CLEAR(hh, topic->run->by_id);
		topic->run = NULL;
	}
}

static bool collect_all(struct import_message *message, const struct candidate *candidates,
                        size_t count, struct error *err)
{
	struct import *import = message->import;
	struct entry_id window = store_window_start();
	for (size_t i = 0; i < count; i++) {
		if (candidates[i].skipped)
			message->skipped++;
		else if (!collect(message, &candidates[i], count, import->received + i, window,
		                  err))
			return wrong(err, import->received + i, candidates[i].event);
	}
	return true;
}

bool import_take(struct import *import, Es__Event *const *events, size_t count, struct error *err)
{
	if (count > STORE_IMPORT_RUN)
		return error_set(err, ERR_INVALID,
		                 "events: must be at most %d in a message, are %zu",
		                 STORE_IMPORT_RUN, count);
	size_t bytes = 0;
	struct import_message *message = calloc(1, sizeof(*message));
	ASSERT(message != NULL);
	message->import = import;
	message->arena = arena_create();
	message->events = count;
	struct candidate *candidates = arena_zalloc(message->arena, count * sizeof(*candidates));
	for (size_t i = 0; i < count; i++)
		candidates[i].event = events[i];
	bool ok = check_all(import, candidates, count, &bytes, err) &&
	          collect_all(message, candidates, count, err);
	for (size_t i = 0; ok && i < count; i++) {
		if (!candidates[i].skipped)
			store_import_event(import->store->store, &candidates[i].topic->key,
			                   events[i]);
	}
	end_runs(import, ok);
	if (!ok) {
		import_message_free(message);
		return false;
	}
	message->bytes = bytes;
	import->received += count;
	import->bytes += bytes;
	DL_APPEND(import->messages, message);
	return true;
}
