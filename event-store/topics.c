/* The method Topics: the registry with facts about each topic and its groups. */
#include "event-store/service_internal.h"

#include <stdlib.h>
#include <string.h>

/* All answers are in the call's arena. The call may end before: then `call` is NULL and the memory is
 * this struct's own. */
struct topics {
	struct event_store *store;
	struct rpc_call *call;
	struct arena *arena;
	Es__TopicsResponse response;
	enum store_detail last; /* that is asked for */
	size_t lag_max;
	size_t asked;
	bool failed;
};

struct question {
	struct topics *topics;
	Es__TopicInfo *topic;
	Es__GroupInfo *group; /* of its facts */
	enum store_detail detail;
};

static struct question *ask(struct topics *topics, Es__TopicInfo *topic, enum store_detail detail)
{
	struct question *question = arena_zalloc(topics->arena, sizeof(*question));
	question->topics = topics;
	question->topic = topic;
	question->detail = detail;
	topics->asked++;
	return question;
}

static void finish(struct topics *topics)
{
	if (topics->call != NULL && !topics->failed)
		rpc_reply(topics->call, &topics->response.base);
	if (topics->call != NULL)
		rpc_set_data(topics->call, NULL);
	arena_destroy(topics->arena);
	free(topics);
}

/* True: the answer can be used. */
static bool usable(struct topics *topics, const struct redis_value *value, const char *shape,
                   const struct error *failed)
{
	struct error err;
	if (!redis_check(value, shape, failed, &err) && !topics->failed) {
		topics->failed = true;
		if (topics->call != NULL)
			rpc_finish(topics->call, &err);
	}
	return !topics->failed && topics->call != NULL;
}

static void settle(struct topics *topics)
{
	if (--topics->asked == 0)
		finish(topics);
}

static void got_group(void *arg, const struct redis_value *value, const struct error *err)
{
	struct question *question = arg;
	Es__GroupInfo *group = question->group;
	size_t len;
	if (usable(question->topics, value, "(iiiis)", err)) {
		group->lag = (uint64_t)redis_value_integer(redis_value_at(value, 0));
		group->oldest_age_ms = (uint64_t)redis_value_integer(redis_value_at(value, 1));
		group->parked = (uint64_t)redis_value_integer(redis_value_at(value, 2));
		group->replaying = (uint64_t)redis_value_integer(redis_value_at(value, 3));
		group->owner = arena_strdup(question->topics->arena,
		                            redis_value_string(redis_value_at(value, 4), &len));
	}
	settle(question->topics);
}

static void add_groups(struct question *question, const struct redis_value *value)
{
	struct topics *topics = question->topics;
	Es__TopicInfo *topic = question->topic;
	size_t len;
	topic->groups = arena_zalloc(topics->arena,
	                             (redis_value_count(value) / 2 + 1) * sizeof(*topic->groups));
	for (size_t i = 0; i + 1 < redis_value_count(value); i += 2) {
		Es__GroupInfo *group = arena_alloc(topics->arena, sizeof(*group));
		es__group_info__init(group);
		group->group =
		    arena_strdup(topics->arena, redis_value_string(redis_value_at(value, i), &len));
		group->checkpoint = arena_strdup(
		    topics->arena, redis_value_string(redis_value_at(value, i + 1), &len));
		groups_count(topics->store->groups, topic->topic, group->group, &group->in_flight,
		             &group->members);
		topic->groups[topic->n_groups++] = group;
		struct question *more = ask(topics, topic, STORE_GROUPS);
		more->group = group;
		store_group_info(topics->store->store, topic->topic, group->group,
		                 group->checkpoint, topics->lag_max, got_group, more);
	}
}

static const char *shape_of(enum store_detail detail)
{
	switch (detail) {
	case STORE_FIRST:
	case STORE_LAST:
		return "[(sa)]";
	case STORE_GROUPS:
		return "[ss]";
	default:
		return "?i"; /* nil: the topic has no event yet */
	}
}

static void got_detail(void *arg, const struct redis_value *value, const struct error *err)
{
	struct question *question = arg;
	struct topics *topics = question->topics;
	Es__TopicInfo *topic = question->topic;
	const struct redis_value *id = redis_value_at(redis_value_at(value, 0), 0);
	size_t len;
	if (usable(topics, value, shape_of(question->detail), err)) {
		switch (question->detail) {
		case STORE_LENGTH:
			topic->length = (uint64_t)redis_value_integer(value);
			break;
		case STORE_FIRST:
			topic->first_id = arena_strdup(topics->arena, redis_value_string(id, &len));
			break;
		case STORE_LAST:
			topic->last_id = arena_strdup(topics->arena, redis_value_string(id, &len));
			break;
		case STORE_BYTES:
			topic->bytes = (uint64_t)redis_value_integer(value);
			break;
		case STORE_GROUPS:
			add_groups(question, value);
			break;
		}
	}
	settle(topics);
}

static void got_registry(void *arg, const struct redis_value *value, const struct error *err)
{
	struct topics *topics = arg;
	size_t count = redis_value_count(value);
	topics->response.topics =
	    arena_alloc(topics->arena, (count + 1) * sizeof(*topics->response.topics));
	bool ok = usable(topics, value, "[(s[s])]", err);
	for (size_t i = 0; ok && i < count; i++) {
		Es__TopicInfo *topic = arena_alloc(topics->arena, sizeof(*topic));
		es__topic_info__init(topic);
		topic->topic =
		    arena_strdup(topics->arena, store_topic_of_entry(redis_value_at(value, i)));
		topics->response.topics[topics->response.n_topics++] = topic;
		for (int detail = STORE_LENGTH; detail <= (int)topics->last; detail++)
			store_topic_detail(topics->store->store, topic->topic,
			                   (enum store_detail)detail, got_detail,
			                   ask(topics, topic, (enum store_detail)detail));
	}
	settle(topics);
}

void topics_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	struct event_store *store = ctx;
	const Es__TopicsRequest *message = (const Es__TopicsRequest *)request;
	struct error err;
	if (message->lag_limit > STORE_LAG_MAX) {
		error_set(&err, ERR_INVALID, "lag_limit: must be at most %d, is %u", STORE_LAG_MAX,
		          message->lag_limit);
		rpc_finish(call, &err);
		return;
	}
	struct topics *topics = calloc(1, sizeof(*topics));
	ASSERT(topics != NULL);
	topics->store = store;
	topics->call = call;
	topics->last = message->brief ? STORE_LAST : STORE_GROUPS;
	topics->lag_max = message->lag_limit > 0 ? message->lag_limit : STORE_LAG_MAX;
	topics->arena = arena_create();
	es__topics_response__init(&topics->response);
	rpc_set_data(call, topics);
	topics->asked = 1;
	store_topics(store->store, got_registry, topics);
}

void topics_ended(void *ctx, struct rpc_call *call)
{
	struct topics *topics = rpc_data(call);
	(void)ctx;
	if (topics != NULL)
		topics->call = NULL;
}
