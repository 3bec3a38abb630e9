#include "event-store/log_internal.h"

#include "event-store/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uthash.h>

enum {
	CALL_EVENTS = 256, /* a call is closed when it holds as many, or so many bytes */
	CALL_BYTES = 1024 * 1024
};

/* One call of append.lua. */
struct call {
	struct topic *topic;
	struct redis_command command;
	struct arena *arena;
	struct request *requests;
	size_t count, capacity;
	size_t events;
	/* Of a replicated one, until both answers are there. */
	unsigned waits;
	const char *answer;
	int64_t confirmed; /* replicas that have it */
	struct error failure;
	struct call *prev, *next;
};

/*   UNKNOWN ---> REGISTERING ---> KNOWN
 *      ^             |              |
 *      '--- failed --+--- Redis was lost ---'    A topic is in the registry before its first event. */
enum topic_state { UNKNOWN, REGISTERING, KNOWN };

struct topic {
	struct log *log;
	/* Appends that wait for replicas have lanes of their own, by their number: a replica that is late
	 * holds up nobody who did not ask for it. */
	char key[80]; /* the lane's letter and the name */
	const char *name;
	unsigned replicas;
	enum topic_state state;
	struct call *calls; /* collected, in order; the last one is open */
	size_t in_flight;
	UT_hash_handle hh;
};

struct log {
	struct store *store;
	struct topic *topics;
	struct call *spare; /* with their memory */
	struct entry_id floor;
	void (*settled)(void *arg);
	void *settled_arg;
};

static void flush_all(void *arg);

struct log *log_create(struct store *store)
{
	struct log *log = calloc(1, sizeof(*log));
	ASSERT(log != NULL);
	log->store = store;
	store_before_send(store, flush_all, log);
	return log;
}

static void call_destroy(struct call *call)
{
	redis_command_free(&call->command);
	arena_destroy(call->arena);
	free(call->requests);
	free(call);
}

void log_on_settled(struct log *log, void (*settled)(void *arg), void *arg)
{
	log->settled = settled;
	log->settled_arg = arg;
}

void log_set_floor(struct log *log, struct entry_id floor)
{
	log->floor = floor;
}

static struct topic *find_topic(struct log *log, const char *name, unsigned replicas)
{
	struct topic *topic;
	char key[sizeof(topic->key)];
	int len = snprintf(key, sizeof(key), "%c%s", (char)('0' + replicas), name);
	ASSERT(len > 0 && (size_t)len < sizeof(key));
	HASH_FIND_STR(log->topics, key, topic);
	if (topic == NULL) {
		topic = calloc(1, sizeof(*topic));
		ASSERT(topic != NULL);
		topic->log = log;
		memcpy(topic->key, key, sizeof(key));
		topic->name = topic->key + 1;
		topic->replicas = replicas;
		HASH_ADD_STR(log->topics, key, topic);
	}
	return topic;
}

static struct call *open_call(struct topic *topic)
{
	struct log *log = topic->log;
	struct call *call = topic->calls != NULL ? topic->calls->prev : NULL;
	if (call != NULL && call->events < CALL_EVENTS && call->command.args.len < CALL_BYTES)
		return call;
	call = log->spare;
	if (call != NULL) {
		DL_DELETE(log->spare, call);
	} else {
		call = calloc(1, sizeof(*call));
		ASSERT(call != NULL);
		redis_command_init(&call->command);
		call->arena = arena_create();
	}
	call->topic = topic;
	store_append_begin(&call->command, topic->name, log->floor);
	DL_APPEND(topic->calls, call);
	return call;
}

/* "<version>", or "<version> <id of the event that made it>" */
static void add_exact(struct redis_command *command, const Es__NewEvent *event)
{
	char text[32 + UUID_SIZE];
	if (event->after_event_id[0] == '\0') {
		redis_arg_integer(command, (int64_t)event->expected_version);
		return;
	}
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)event->expected_version,
	         event->after_event_id);
	redis_arg(command, text);
}

static void add_event(struct redis_command *command, const Es__NewEvent *event)
{
	switch (event->expect) {
	case ES__EXPECT__EXPECT_NONE:
		redis_arg_bytes(command, "!", 1);
		break;
	case ES__EXPECT__EXPECT_EXISTS:
		redis_arg_bytes(command, "+", 1);
		break;
	case ES__EXPECT__EXPECT_EXACT:
		add_exact(command, event);
		break;
	case ES__EXPECT__EXPECT_NEVER:
		redis_arg_bytes(command, "-", 1);
		break;
	default:
		redis_arg_bytes(command, "*", 1);
	}
	redis_arg(command, event->event_id);
	redis_arg(command, event->event_action);
	redis_arg(command, event->event_data);
	redis_arg(command, event->event_type);
	redis_arg(command, event->entity_id);
	redis_arg(command, event->metadata[0] == '\0' ? "{}" : event->metadata);
}

void log_append_checked(struct log *log, const Es__AppendRequest *request, log_done *done,
                        void *arg)
{
	struct topic *topic = find_topic(log, request->topic, request->replicas);
	struct call *call = open_call(topic);
	if (call->count == call->capacity) {
		call->capacity = call->capacity == 0 ? 16 : call->capacity * 2;
		call->requests = realloc(call->requests, call->capacity * sizeof(*call->requests));
		ASSERT(call->requests != NULL);
	}
	struct expectation *expectations =
	    arena_alloc(call->arena, request->n_events * sizeof(*expectations));
	redis_arg_integer(&call->command, (int64_t)request->n_events);
	for (size_t i = 0; i < request->n_events; i++) {
		const Es__NewEvent *event = request->events[i];
		expectations[i] =
		    (struct expectation){ "", event->expect, event->expected_version };
		if (event->expect != ES__EXPECT__EXPECT_ANY)
			expectations[i].entity_id = arena_strdup(call->arena, event->entity_id);
		add_event(&call->command, event);
	}
	call->requests[call->count++] =
	    (struct request){ done, arg, request->n_events, expectations };
	call->events += request->n_events;
}

bool log_append(struct log *log, const Es__AppendRequest *request, size_t *bytes, log_done *done,
                void *arg, struct error *err)
{
	if (!check_append(request, bytes, err))
		return false;
	if (request->durability == ES__DURABILITY__DURABILITY_FSYNC &&
	    !store_syncs(log->store, err))
		return false;
	log_append_checked(log, request, done, arg);
	return true;
}

static void fail(struct call *call, const struct error *err)
{
	struct log_outcome outcome = { .err = err };
	for (size_t i = 0; i < call->count; i++)
		call->requests[i].done(call->requests[i].arg, &outcome);
}

static void retire(struct call *call)
{
	struct log *log = call->topic->log;
	call->count = 0;
	call->events = 0;
	call->answer = NULL;
	call->confirmed = 0;
	call->failure.code = ERR_NONE;
	arena_reset(call->arena);
	DL_PREPEND(log->spare, call);
}

static void flush_topic(struct topic *topic);

/* It may come back as another server, or empty. */
static void forget_topics(struct log *log, const struct error *err)
{
	struct topic *each, *next;
	if (err == NULL || err->code == ERR_CANCELLED)
		return;
	HASH_ITER(hh, log->topics, each, next)
	{
		if (each->state == KNOWN)
			each->state = UNKNOWN;
	}
}

/* `err`: of those that were appended; a refusal is one whatever the replicas have. */
static void settle_all(struct call *call, const char *answer, const struct error *err)
{
	struct log *log = call->topic->log;
	if (answer == NULL) {
		fail(call, err);
	} else {
		for (size_t i = 0; i < call->count; i++)
			answer = log_answer(&call->requests[i], answer, err, call->arena);
	}
	retire(call);
	if (log->settled != NULL)
		log->settled(log->settled_arg);
}

static void appended(void *arg, const struct redis_value *value, const struct error *err)
{
	struct call *call = arg;
	struct topic *topic = call->topic;
	struct log *log = topic->log;
	struct error refused;
	size_t len;
	topic->in_flight--;
	forget_topics(log, err);
	if (err == NULL)
		flush_topic(topic); /* the next call leaves before this one's answers */
	if (!redis_check(value, "s", err, &refused))
		err = &refused;
	settle_all(call, err == NULL ? redis_value_string(value, &len) : NULL, err);
}

static void finish_replicated(struct call *call)
{
	struct topic *topic = call->topic;
	bool failed = call->failure.code != ERR_NONE;
	topic->in_flight--;
	if (!failed)
		flush_topic(topic);
	else
		forget_topics(topic->log, &call->failure);
	if (!failed && call->confirmed < (int64_t)topic->replicas)
		error_set(&call->failure, ERR_DEADLINE,
		          "replicas: %lld of %u have the events after %d ms. They are in the log: "
		          "append them again with the same ids to wait again",
		          (long long)call->confirmed, topic->replicas, STORE_REPLICAS_MS);
	settle_all(call, call->answer, call->failure.code != ERR_NONE ? &call->failure : NULL);
}

/* The answer to the append, and that to the WAIT behind it. */
static void appended_replicated(void *arg, const struct redis_value *value, const struct error *err)
{
	struct call *call = arg;
	size_t len;
	if (redis_check(value, "s", err, &call->failure))
		call->answer = arena_strdup(call->arena, redis_value_string(value, &len));
	if (--call->waits == 0)
		finish_replicated(call);
}

static void replicated(void *arg, const struct redis_value *value, const struct error *err)
{
	struct call *call = arg;
	if (redis_check(value, "i", err, &call->failure))
		call->confirmed = redis_value_integer(value);
	if (--call->waits == 0)
		finish_replicated(call);
}

static void registered(void *arg, const struct redis_value *value, const struct error *err)
{
	struct topic *topic = arg;
	struct log *log = topic->log;
	struct error refused;
	if (!redis_check(value, "i", err, &refused))
		err = &refused;
	topic->state = err == NULL ? KNOWN : UNKNOWN;
	if (err == NULL) {
		flush_topic(topic);
		return;
	}
	while (topic->calls != NULL) {
		struct call *call = topic->calls;
		DL_DELETE(topic->calls, call);
		fail(call, err);
		retire(call);
	}
	if (log->settled != NULL)
		log->settled(log->settled_arg);
}

static void send_call(struct call *call)
{
	struct topic *topic = call->topic;
	struct store *store = topic->log->store;
	if (topic->replicas == 0) {
		store_append(store, &call->command, appended, call);
		return;
	}
	call->waits = 2;
	store_append_replicated(store, &call->command, topic->replicas, appended_replicated,
	                        replicated, call);
}

static void flush_topic(struct topic *topic)
{
	if (topic->calls == NULL)
		return;
	if (topic->state == UNKNOWN) {
		topic->state = REGISTERING;
		store_register_topic(topic->log->store, topic->name, registered, topic);
	}
	while (topic->state == KNOWN && topic->calls != NULL && topic->in_flight == 0) {
		struct call *call = topic->calls;
		DL_DELETE(topic->calls, call);
		topic->in_flight++;
		send_call(call);
	}
}

static void flush_all(void *arg)
{
	struct log *log = arg;
	struct topic *topic, *next;
	HASH_ITER(hh, log->topics, topic, next)
	{
		flush_topic(topic);
	}
}

void log_destroy(struct log *log)
{
	if (log == NULL)
		return;
	struct error err;
	struct topic *topic, *next;
	struct call *call, *after;
	error_set(&err, ERR_CANCELLED, "the event store stops");
	HASH_ITER(hh, log->topics, topic, next)
	{
		DL_FOREACH_SAFE(topic->calls, call, after)
		{
			fail(call, &err);
			call_destroy(call);
		}
		HASH_DEL(log->topics, topic);
		free(topic);
	}
	DL_FOREACH_SAFE(log->spare, call, after)
	{
		call_destroy(call);
	}
	free(log);
}
