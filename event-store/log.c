#include "event-store/log.h"

#include "event-store/check.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uthash.h>

enum {
	CALL_EVENTS = 256, /* a call is closed when it holds as many, or so many bytes */
	CALL_BYTES = 1024 * 1024
};

/* What an error message needs of an event whose version was checked. */
struct expectation {
	const char *entity_id;
	Es__Expect expect;
	uint64_t version;
};

struct request {
	log_done *done;
	void *arg;
	size_t count;
	struct expectation *expectations;
};

/* One call of append.lua. */
struct call {
	struct topic *topic;
	struct redis_command command;
	struct arena *arena;
	struct request *requests;
	size_t count, capacity;
	size_t events;
	struct call *prev, *next;
};

/*   UNKNOWN ---> REGISTERING ---> KNOWN
 *      ^             |              |
 *      '--- failed --+--- Redis was lost ---'    A topic is in the registry before its first event. */
enum topic_state { UNKNOWN, REGISTERING, KNOWN };

struct topic {
	struct log *log;
	char name[80];
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

static struct topic *find_topic(struct log *log, const char *name)
{
	struct topic *topic;
	HASH_FIND_STR(log->topics, name, topic);
	if (topic == NULL) {
		topic = calloc(1, sizeof(*topic));
		ASSERT(topic != NULL && strlen(name) < sizeof(topic->name));
		topic->log = log;
		memcpy(topic->name, name, strlen(name));
		HASH_ADD_STR(log->topics, name, topic);
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
		redis_arg_integer(command, (int64_t)event->expected_version);
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
	struct topic *topic = find_topic(log, request->topic);
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
	log_append_checked(log, request, done, arg);
	return true;
}

static void refusal(const struct request *request, const char *line, struct log_outcome *outcome,
                    struct error *err)
{
	char why = line[0];
	char *end;
	unsigned long index = strtoul(line + 1, &end, 10);
	unsigned long long version = strtoull(end, NULL, 10);
	outcome->err = err;
	if (why == 'M') {
		error_set(err, ERR_PRECONDITION,
		          "events: some of the event ids are in the log already and some are not; "
		          "an append is repeated as a whole or not at all");
		return;
	}
	if (index >= request->count || (why != 'D' && why != 'V')) {
		error_set(err, ERR_INTERNAL, "append.lua answered something else");
		return;
	}
	if (why == 'D') {
		error_set(err, ERR_INVALID, "events[%lu].event_id: is there twice", index);
		return;
	}
	const struct expectation *expected = &request->expectations[index];
	outcome->current_version = version;
	static const char *const words[] = {
		[ES__EXPECT__EXPECT_ANY] = "expected any",
		[ES__EXPECT__EXPECT_NONE] = "expected none",
		[ES__EXPECT__EXPECT_EXISTS] = "expected one that exists",
	};
	if (expected->expect == ES__EXPECT__EXPECT_EXACT)
		error_set(err, ERR_CONFLICT,
		          "events[%lu]: entity \"%.128s\" has version %llu, expected %llu", index,
		          expected->entity_id, version, (unsigned long long)expected->version);
	else
		error_set(err, ERR_CONFLICT, "events[%lu]: entity \"%.128s\" has version %llu, %s",
		          index, expected->entity_id, version, words[expected->expect]);
}

/* Reads "[=]<version> <entry id>\n"; returns what follows, NULL when it is something else. */
static const char *parse_appended(const char *line, struct arena *arena, Es__Appended *appended)
{
	es__appended__init(appended);
	if (*line == '=') {
		appended->duplicate = true;
		line++;
	}
	char *space;
	appended->version = strtoull(line, &space, 10);
	if (space == line || *space != ' ')
		return NULL;
	const char *id = space + 1, *end = id + strcspn(id, "\n");
	appended->entry_id = arena_copy(arena, id, (size_t)(end - id));
	return *end == '\n' ? end + 1 : end;
}

static const char *settle(struct call *call, const struct request *request, const char *line)
{
	struct log_outcome outcome = { 0 };
	struct error err;
	if (*line == '!') {
		refusal(request, line + 1, &outcome, &err);
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : "";
	} else {
		Es__Appended **events =
		    arena_alloc(call->arena, request->count * sizeof(Es__Appended *));
		Es__Appended *bodies =
		    arena_alloc(call->arena, request->count * sizeof(Es__Appended));
		for (size_t i = 0; i < request->count && line != NULL; i++) {
			events[i] = &bodies[i];
			line = parse_appended(line, call->arena, events[i]);
		}
		if (line == NULL) {
			error_set(&err, ERR_INTERNAL, "append.lua answered something else");
			outcome.err = &err;
			line = "";
		} else {
			outcome.events = events;
			outcome.count = request->count;
		}
	}
	request->done(request->arg, &outcome);
	return line;
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
	arena_reset(call->arena);
	DL_PREPEND(log->spare, call);
}

static void flush_topic(struct topic *topic);

static void appended(void *arg, const struct redis_value *value, const struct error *err)
{
	struct call *call = arg;
	struct topic *topic = call->topic;
	struct log *log = topic->log;
	struct error refused;
	size_t len;
	topic->in_flight--;
	if (err != NULL && err->code != ERR_CANCELLED) {
		/* it may come back as another server, or empty */
		struct topic *each, *next;
		HASH_ITER(hh, log->topics, each, next)
		{
			if (each->state == KNOWN)
				each->state = UNKNOWN;
		}
	}
	if (err == NULL)
		flush_topic(topic); /* the next call leaves before this one's answers */
	if (err == NULL && redis_value_kind(value) != REDIS_STRING) {
		error_set(&refused, ERR_UNAVAILABLE, "redis refused the append: %.200s",
		          redis_value_string(value, &len));
		err = &refused;
	}
	if (err != NULL) {
		fail(call, err);
	} else {
		const char *line = redis_value_string(value, &len);
		for (size_t i = 0; i < call->count; i++)
			line = settle(call, &call->requests[i], line);
	}
	retire(call);
	if (log->settled != NULL)
		log->settled(log->settled_arg);
}

static void registered(void *arg, const struct redis_value *value, const struct error *err)
{
	struct topic *topic = arg;
	struct log *log = topic->log;
	struct error refused;
	size_t len;
	if (err == NULL && redis_value_kind(value) == REDIS_ERROR) {
		error_set(&refused, ERR_UNAVAILABLE, "redis refused the topic: %.200s",
		          redis_value_string(value, &len));
		err = &refused;
	}
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
		store_append(topic->log->store, &call->command, appended, call);
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
