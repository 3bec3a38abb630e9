/* The method Import. */
#include "event-store/import_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	TOPICS_MAX = 256,
	GROUPS_MAX = 1000,
	UNNOTED_BYTES = 8 * 1024 * 1024, /* then the stream is read no more, */
	UNREAD_BYTES = 64 * 1024         /* nor while the client does not take its answers */
};

static void import_free(struct import *import)
{
	struct import_message *message, *next;
	DL_FOREACH_SAFE(import->messages, message, next)
	{
		import_message_free(message);
	}
	HASH_CLEAR(hh, import->by_name);
	loop_timer_stop(import->store->loop, &import->timer);
	arena_destroy(import->arena);
	free(import);
}

/* A call that has ended is kept while Redis has something to answer. */
static bool free_if_over(struct import *import)
{
	if (import->call != NULL || import->asked > 0)
		return false;
	import_free(import);
	return true;
}

bool import_answered(struct import *import)
{
	import->asked--;
	if (free_if_over(import))
		return false;
	return import->step != IMPORT_OVER;
}

void import_fail(struct import *import, const struct error *err)
{
	if (import->step == IMPORT_OVER)
		return;
	import->step = IMPORT_OVER;
	if (import->call != NULL)
		rpc_finish(import->call, err);
}

static void regulate(struct import *import)
{
	bool full = import->bytes > UNNOTED_BYTES || rpc_queued_bytes(import->call) > UNREAD_BYTES;
	if (full == import->paused)
		return;
	import->paused = full;
	if (full)
		rpc_pause(import->call);
	else
		rpc_resume(import->call);
}

void import_progress(struct import *import)
{
	uint64_t before = import->done;
	while (import->messages != NULL && import->messages->runs == 0) {
		struct import_message *message = import->messages;
		DL_DELETE(import->messages, message);
		import->done += message->events;
		import->skipped += message->skipped;
		import->bytes -= message->bytes;
		import_message_free(message);
	}
	if (import->call == NULL)
		return;
	if (import->messages == NULL && import->ending != IMPORT_NEW) {
		import_do_step(import, import->ending);
	} else if (import->done > before) {
		Es__ImportResponse response = ES__IMPORT_RESPONSE__INIT;
		response.events = import->done;
		response.skipped = import->skipped;
		rpc_send(import->call, &response.base);
	}
	if (import->call == NULL || import->ending != IMPORT_NEW)
		return;
	if (import->half_closed && import->messages == NULL)
		rpc_finish(import->call, NULL);
	else
		regulate(import);
}

static bool add_topics(struct import *import, const Es__ImportStart *start, struct error *err)
{
	import->topics = arena_zalloc(import->arena, start->n_topics * sizeof(*import->topics));
	for (size_t i = 0; i < start->n_topics; i++) {
		struct import_topic *topic = &import->topics[i], *other;
		if (!name_check("start.topics", start->topics[i], err))
			return false;
		HASH_FIND_STR(import->by_name, start->topics[i], other);
		if (other != NULL)
			return error_set(err, ERR_INVALID, "start.topics: \"%s\" is there twice",
			                 start->topics[i]);
		topic->import = import;
		topic->key.topic = arena_strdup(import->arena, start->topics[i]);
		topic->key.token = import->token;
		HASH_ADD_KEYPTR(hh, import->by_name, topic->key.topic, strlen(topic->key.topic),
		                topic);
		import->topic_count++;
	}
	return true;
}

static bool start(struct import *import, const Es__ImportRequest *request, struct error *err)
{
	const Es__ImportStart *start = request->start;
	if (start == NULL)
		return error_set(err, ERR_INVALID, "start: is needed in the first message");
	if (request->n_events > 0)
		return error_set(err, ERR_INVALID, "events: must be empty beside start");
	if (!name_check("start.import_id", start->import_id, err))
		return false;
	if (start->n_topics == 0 || start->n_topics > TOPICS_MAX)
		return error_set(err, ERR_INVALID, "start.topics: must be 1 to %d, are %zu",
		                 TOPICS_MAX, start->n_topics);
	import->id = arena_strdup(import->arena, start->import_id);
	return add_topics(import, start, err);
}

/* The checkpoint is compared with what will be there: with all that was sent. */
static bool add_group(struct import *import, const Es__GroupCheckpoint *group, struct error *err)
{
	struct import_topic *topic;
	struct entry_id id;
	HASH_FIND_STR(import->by_name, group->topic, topic);
	if (topic == NULL)
		return error_set(err, ERR_INVALID, "topic: is not among the topics of the start");
	if (!name_check("group", group->group, err))
		return false;
	struct entry_id last = topic->written;
	if (group->checkpoint[0] == '\0')
		id = last;
	else if (!entry_id_parse(group->checkpoint, &id, err))
		return error_wrap(err, "checkpoint");
	else if (entry_id_compare(id, last) > 0)
		return error_set(err, ERR_INVALID, "checkpoint: is after the last id of %s",
		                 group->topic);
	if (topic->group_count == topic->group_capacity) {
		size_t capacity = topic->group_capacity > 0 ? topic->group_capacity * 2 : 8;
		const char *(*groups)[2] = arena_alloc(import->arena, capacity * sizeof(*groups));
		if (topic->group_count > 0)
			memcpy((void *)groups, (const void *)topic->groups,
			       topic->group_count * sizeof(*groups));
		topic->groups = groups;
		topic->group_capacity = capacity;
	}
	char text[ENTRY_ID_SIZE];
	entry_id_format(id, text);
	topic->groups[topic->group_count][0] = arena_strdup(import->arena, group->group);
	topic->groups[topic->group_count++][1] = arena_strdup(import->arena, text);
	return true;
}

static bool add_groups(struct import *import, const Es__ImportFinish *finish, struct error *err)
{
	if (finish->n_groups > GROUPS_MAX)
		return error_set(err, ERR_INVALID, "finish.groups: must be at most %d, are %zu",
		                 GROUPS_MAX, finish->n_groups);
	for (size_t i = 0; i < finish->n_groups; i++) {
		if (!add_group(import, finish->groups[i], err))
			return error_wrap(err, "finish.groups[%zu]", i);
	}
	return true;
}

static bool take(struct import *import, const Es__ImportRequest *request, struct error *err)
{
	if (request->start != NULL)
		return error_set(err, ERR_INVALID, "start: belongs into the first message only");
	if (import->ending != IMPORT_NEW)
		return error_set(err, ERR_INVALID, "finish, abandon: must be in the last message");
	if (request->abandon && (request->n_events > 0 || request->finish != NULL))
		return error_set(err, ERR_INVALID, "abandon: must be alone");
	if (request->abandon && import->sealed)
		return error_set(err, ERR_PRECONDITION, IMPORT_IS_SEALED);
	if (request->n_events > 0 && !import_take(import, request->events, request->n_events, err))
		return false;
	if (request->finish != NULL && !add_groups(import, request->finish, err))
		return false;
	if (request->finish != NULL)
		import->ending = IMPORT_SEIZE;
	if (request->abandon)
		import->ending = IMPORT_ABANDON;
	return true;
}

void import_open(void *ctx, struct rpc_call *call)
{
	struct import *import = calloc(1, sizeof(*import));
	ASSERT(import != NULL);
	import->store = ctx;
	import->call = call;
	import->arena = arena_create();
	uuid_v4(import->token);
	rpc_set_data(call, import);
}

void import_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct import *import = rpc_data(call);
	const Es__ImportRequest *request = (const Es__ImportRequest *)message;
	struct error err;
	(void)ctx;
	if (import->step == IMPORT_OVER)
		return;
	bool first = import->step == IMPORT_NEW;
	if (!(first ? start(import, request, &err) : take(import, request, &err))) {
		import_fail(import, &err);
	} else if (first) {
		rpc_pause(call);
		import_do_step(import, IMPORT_BEGIN);
	} else {
		import_progress(import);
	}
}

void import_drained(void *ctx, struct rpc_call *call)
{
	struct import *import = rpc_data(call);
	(void)ctx;
	if (import->step == IMPORT_OPEN && import->ending == IMPORT_NEW)
		regulate(import);
}

/* Without a finish: it can be resumed. */
void import_half_close(void *ctx, struct rpc_call *call)
{
	struct import *import = rpc_data(call);
	(void)ctx;
	import->half_closed = true;
	if (import->step == IMPORT_NEW ||
	    (import->step == IMPORT_OPEN && import->messages == NULL &&
	     import->ending == IMPORT_NEW))
		rpc_finish(call, NULL);
}

void import_ended(void *ctx, struct rpc_call *call)
{
	struct import *import = rpc_data(call);
	(void)ctx;
	import->call = NULL;
	import->step = IMPORT_OVER;
	free_if_over(import);
}
