/* The steps of an import from its start to its end. */
#include "event-store/import_internal.h"

#include "base/fault.h"

#include <string.h>

enum { WAIT_MAX_MS = 60000 };

/* What is sent for each topic in a step (false: nothing); `next` follows when all have answered. */
struct step {
	const char *fault; /* between the two */
	const char *shape; /* of an answer */
	bool (*send)(struct import_topic *topic, redis_done *done);
	void (*take)(struct import_topic *topic, const struct redis_value *value);
	void (*next)(struct import *import);
};
static const struct step steps[IMPORT_STEPS];

bool import_refused(const struct import_topic *topic, const struct redis_value *value,
                    const char *shape, const struct error *err, struct error *failure)
{
	size_t len;
	const char *text = redis_value_string(value, &len);
	if (!redis_check(value, err == NULL && text[0] == '!' ? "s" : shape, err, failure))
		return true;
	if (strcmp(text, "!T") == 0)
		error_set(failure, ERR_CONFLICT,
		          "import_id: another call goes on with this import");
	else if (strcmp(text, "!E") == 0)
		error_set(failure, ERR_PRECONDITION,
		          "start.topics: %s has events that this import did not write",
		          topic->key.topic);
	else if (strncmp(text, "!O ", 3) == 0)
		error_set(failure, ERR_PRECONDITION,
		          "start.topics: %s is locked by the import %s; finish or abandon that",
		          topic->key.topic, text + 3);
	else if (strcmp(text, "!P") == 0)
		error_set(failure, ERR_PRECONDITION, IMPORT_IS_SEALED);
	else if (text[0] != '\0')
		error_set(failure, ERR_UNAVAILABLE, "redis answered %.150s", text);
	else
		return false;
	return true;
}

static void answer_topics(struct import *import)
{
	struct arena *arena = arena_create();
	Es__ImportResponse response = ES__IMPORT_RESPONSE__INIT;
	response.events = import->done;
	response.skipped = import->skipped;
	response.n_topics = import->topic_count;
	response.topics = arena_alloc(arena, import->topic_count * sizeof(*response.topics));
	for (size_t i = 0; i < import->topic_count; i++) {
		const struct import_topic *topic = &import->topics[i];
		Es__ImportedTopic *fact = arena_alloc(arena, sizeof(*fact));
		char first[ENTRY_ID_SIZE], last[ENTRY_ID_SIZE];
		es__imported_topic__init(fact);
		fact->topic = (char *)topic->key.topic;
		fact->events = topic->events;
		fact->finished = topic->finished;
		entry_id_format(topic->first, first);
		entry_id_format(topic->last, last);
		fact->first_id = topic->events > 0 ? arena_strdup(arena, first) : "";
		fact->last_id = topic->events > 0 ? arena_strdup(arena, last) : "";
		response.topics[i] = fact;
	}
	if (import->call != NULL)
		rpc_send(import->call, &response.base);
	arena_destroy(arena);
}

/* What another import or its events keep from being locked, keeps all of them from it. */
static void step_failed(struct import *import)
{
	if (import->step == IMPORT_BEGIN)
		import_do_step(import, IMPORT_UNDO);
	else
		import_fail(import, &import->failure);
}

static void got_step(void *arg, const struct redis_value *value, const struct error *err)
{
	struct import_topic *topic = arg;
	struct import *import = topic->import;
	const struct step *step = &steps[import->step];
	struct error failure;
	import->left--;
	if (import->step == IMPORT_OVER)
		(void)0;
	else if (import_refused(topic, value, step->shape, err, &failure))
		import->failure = failure;
	else if (step->take != NULL)
		step->take(topic, value);
	if (!import_answered(import) || import->left > 0)
		return;
	if (import->failure.code != ERR_NONE && import->step != IMPORT_UNDO) {
		step_failed(import);
	} else {
		FAULT(step->fault);
		step->next(import);
	}
}

void import_do_step(struct import *import, enum import_step which)
{
	import->step = which;
	import->left = 0;
	for (size_t i = 0; i < import->topic_count; i++) {
		bool sent = steps[which].send(&import->topics[i], got_step);
		import->left += sent;
		import->asked += sent;
	}
	if (import->left == 0)
		steps[which].next(import);
}

static bool send_begin(struct import_topic *topic, redis_done *done)
{
	struct import *import = topic->import;
	store_import_begin(import->store->store, &topic->key, import->id, done, topic);
	return true;
}

static void take_begin(struct import_topic *topic, const struct redis_value *value)
{
	struct import *import = topic->import;
	size_t len;
	const char *state = redis_value_string(redis_value_at(value, 0), &len);
	const char *first = redis_value_string(redis_value_at(value, 2), &len);
	const char *last = redis_value_string(redis_value_at(value, 3), &len);
	struct error ignored;
	if (!entry_id_parse(first, &topic->first, &ignored) ||
	    !entry_id_parse(last, &topic->last, &ignored)) {
		error_set(&import->failure, ERR_INTERNAL, "import.lua answered something else");
		return;
	}
	topic->events = (uint64_t)redis_value_integer(redis_value_at(value, 1));
	topic->begun = true;
	import->sealed = import->sealed || strcmp(state, "open") != 0;
	topic->finished = strcmp(state, "done") == 0;
	topic->before = topic->written = topic->last;
}

static void opened(struct import *import)
{
	import->step = IMPORT_OPEN;
	answer_topics(import);
	rpc_resume(import->call);
}

static bool send_undo(struct import_topic *topic, redis_done *done)
{
	if (!topic->begun || topic->events > 0 || topic->import->sealed)
		return false;
	store_import_abandon(topic->import->store->store, &topic->key, done, topic);
	return true;
}

static void undone(struct import *import)
{
	import_fail(import, &import->failure);
}

static bool send_seize(struct import_topic *topic, redis_done *done)
{
	struct event_store *store = topic->import->store;
	if (topic->finished)
		return false;
	store_import_seize(store->store, &topic->key, groups_token(store->groups), done, topic);
	return true;
}

static void take_seize(struct import_topic *topic, const struct redis_value *value)
{
	struct import *import = topic->import;
	int64_t wait_ms = redis_value_integer(redis_value_at(value, 0));
	if (wait_ms > (int64_t)import->wait_ms)
		import->wait_ms = wait_ms < WAIT_MAX_MS ? (uint64_t)wait_ms : WAIT_MAX_MS;
	groups_seize(import->store->groups, topic->key.topic);
}

static void publish(void *arg)
{
	import_do_step(arg, IMPORT_PUBLISH);
}

/* Another store may not have heard yet that its groups were taken. */
static void seized(struct import *import)
{
	if (import->wait_ms == 0)
		publish(import);
	else
		loop_timer_start(import->store->loop, &import->timer, import->wait_ms, publish,
		                 import);
}

static bool send_publish(struct import_topic *topic, redis_done *done)
{
	if (topic->finished)
		return false;
	store_import_publish(topic->import->store->store, &topic->key,
	                     (const char *const(*)[2])topic->groups, topic->group_count, done,
	                     topic);
	return true;
}

static void published(struct import *import)
{
	import_do_step(import, IMPORT_REGISTER);
}

/* All at once, so that nobody hears of some of them: by the first one. */
static bool send_register(struct import_topic *topic, redis_done *done)
{
	struct import *import = topic->import;
	size_t count = 0;
	if (topic != &import->topics[0])
		return false;
	struct store_import_history *histories =
	    arena_alloc(import->arena, import->topic_count * sizeof(*histories));
	for (size_t i = 0; i < import->topic_count; i++) {
		topic = &import->topics[i];
		if (topic->events > 0 && !topic->finished)
			histories[count++] =
			    (struct store_import_history){ topic->key.topic, topic->first,
				                           topic->last };
	}
	if (count > 0)
		store_import_register(import->store->store, histories, count, done,
		                      &import->topics[0]);
	return count > 0;
}

static void registered(struct import *import)
{
	import_do_step(import, IMPORT_RELEASE);
}

static bool send_release(struct import_topic *topic, redis_done *done)
{
	if (topic->finished)
		return false;
	store_import_release(topic->import->store->store, &topic->key, done, topic);
	return true;
}

static void take_release(struct import_topic *topic, const struct redis_value *value)
{
	(void)value;
	topic->finished = true;
}

static bool send_abandon(struct import_topic *topic, redis_done *done)
{
	store_import_abandon(topic->import->store->store, &topic->key, done, topic);
	return true;
}

static void take_abandon(struct import_topic *topic, const struct redis_value *value)
{
	(void)value;
	topic->events = 0;
}

static void ended(struct import *import)
{
	import->step = IMPORT_OVER;
	answer_topics(import);
	rpc_finish(import->call, NULL);
}

static const struct step steps[IMPORT_STEPS] = {
	[IMPORT_BEGIN] = { "import_begun", "(ssss)", send_begin, take_begin, opened },
	[IMPORT_UNDO] = { "import_undone", "s", send_undo, NULL, undone },
	[IMPORT_SEIZE] = { "import_seized", "(i)", send_seize, take_seize, seized },
	[IMPORT_PUBLISH] = { "import_published", "s", send_publish, NULL, published },
	[IMPORT_REGISTER] = { "import_registered", "s", send_register, NULL, registered },
	[IMPORT_RELEASE] = { "import_released", "s", send_release, take_release, ended },
	[IMPORT_ABANDON] = { "import_abandoned", "s", send_abandon, take_abandon, ended },
};
