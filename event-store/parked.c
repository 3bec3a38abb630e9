/* The methods ListParked, ReplayParked and DropParked: what a group has set aside. */
#include "event-store/service_internal.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, IDS_MAX = 1000 };

/* Lives until the answer of Redis, which may come after the end of the call. */
struct parked_call {
	struct event_store *store;
	struct rpc_call *call; /* NULL: ended */
	const char *topic, *group;
	bool replay, all;
	uint64_t count;
};

static bool check_names(const char *topic, const char *group, struct error *err)
{
	return name_check("topic", topic, err) && name_check("group", group, err);
}

static struct parked_call *begin(struct event_store *store, struct rpc_call *call,
                                 const char *topic, const char *group)
{
	struct parked_call *parked = calloc(1, sizeof(*parked));
	ASSERT(parked != NULL);
	*parked =
	    (struct parked_call){ .store = store, .call = call, .topic = topic, .group = group };
	rpc_set_data(call, parked);
	return parked;
}

/* True: the answer can be used; else the call is ended. */
static bool usable(struct parked_call *parked, const struct redis_value *value, const char *shape,
                   const struct error *failed)
{
	struct error err;
	if (parked->call == NULL)
		return false;
	bool ok = redis_check(value, shape, failed, &err);
	if (!ok)
		rpc_finish(parked->call, &err);
	return ok;
}

static void finish(struct parked_call *parked)
{
	if (parked->call != NULL)
		rpc_set_data(parked->call, NULL);
	free(parked);
}

void parked_ended(void *ctx, struct rpc_call *call)
{
	struct parked_call *parked = rpc_data(call);
	(void)ctx;
	if (parked != NULL)
		parked->call = NULL;
}

/* `facts`: "<attempts> <parked at ms> <reason>". */
static Es__ParkedEvent *make_event(struct arena *arena, const char *topic, const char *id,
                                   const char *facts, struct event_batch *batch,
                                   const struct redis_value *entry)
{
	Es__ParkedEvent *event = arena_alloc(arena, sizeof(*event));
	char *end;
	size_t before = batch->count;
	es__parked_event__init(event);
	event->attempts = (uint32_t)strtoul(facts, &end, 10);
	event->parked_at_ms = strtoull(end, &end, 10);
	event->reason = arena_strdup(arena, *end == ' ' ? end + 1 : end);
	if (event_batch_add(batch, topic, entry) && batch->count > before) {
		event->event = &batch->events[before]->message;
	} else {
		event->event = arena_alloc(arena, sizeof(*event->event));
		es__event__init(event->event);
		event->event->topic = topic;
		event->event->entry_id = arena_strdup(arena, id);
	}
	return event;
}

static void listed(void *arg, const struct redis_value *value, const struct error *err)
{
	enum { HEAD = 2, PER_EVENT = 3 };
	struct parked_call *parked = arg;
	if (usable(parked, value, "a", err) &&
	    usable(parked, redis_value_at(value, 0), "i", NULL) &&
	    usable(parked, redis_value_at(value, 1), "s", NULL)) {
		struct arena *arena = rpc_call_arena(parked->call);
		struct event_batch *batch = event_batch_create();
		Es__ListParkedResponse response = ES__LIST_PARKED_RESPONSE__INIT;
		size_t len, count = redis_value_count(value);
		response.total = (uint64_t)redis_value_integer(redis_value_at(value, 0));
		response.next = redis_value_string(redis_value_at(value, 1), &len);
		response.events = arena_alloc(arena, (count + 1) * sizeof(*response.events));
		for (size_t i = HEAD; i + PER_EVENT <= count; i += PER_EVENT)
			response.events[response.n_events++] =
			    make_event(arena, parked->topic,
			               redis_value_string(redis_value_at(value, i), &len),
			               redis_value_string(redis_value_at(value, i + 1), &len),
			               batch, redis_value_at(value, i + 2));
		rpc_reply(parked->call, &response.base);
		event_batch_unref(batch);
	}
	finish(parked);
}

void list_parked_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ListParkedRequest *request = (const Es__ListParkedRequest *)message;
	struct event_store *store = ctx;
	struct entry_id page;
	struct error err;
	bool ok = check_names(request->topic, request->group, &err);
	if (ok && request->page[0] != '\0' && !entry_id_parse(request->page, &page, &err))
		ok = error_wrap(&err, "page");
	if (ok && request->limit > LIMIT_MAX)
		ok = error_set(&err, ERR_INVALID, "limit: must be at most %d, is %u", LIMIT_MAX,
		               request->limit);
	if (!ok) {
		rpc_finish(call, &err);
		return;
	}
	store_parked(store->store, request->topic, request->group, request->page,
	             request->limit > 0 ? request->limit : LIMIT_DEFAULT, listed,
	             begin(store, call, request->topic, request->group));
}

static void taken(void *arg, const struct redis_value *value, const struct error *err)
{
	struct parked_call *parked = arg;
	if (!usable(parked, value, "i", err)) {
		finish(parked);
		return;
	}
	uint64_t count = (uint64_t)redis_value_integer(value);
	parked->count += count;
	if (parked->replay)
		groups_replay(parked->store->groups, parked->topic, parked->group);
	if (parked->all && count >= STORE_TAKE_BATCH) {
		store_parked_take(parked->store->store, parked->topic, parked->group,
		                  parked->replay, NULL, 0, taken, parked);
		return;
	}
	if (parked->replay) {
		Es__ReplayParkedResponse response = ES__REPLAY_PARKED_RESPONSE__INIT;
		response.replayed = parked->count;
		rpc_reply(parked->call, &response.base);
	} else {
		Es__DropParkedResponse response = ES__DROP_PARKED_RESPONSE__INIT;
		response.dropped = parked->count;
		rpc_reply(parked->call, &response.base);
	}
	finish(parked);
}

/* What a call names. */
struct selection {
	const char *topic, *group;
	const char *const *ids;
	size_t count;
	bool all;
};

static bool check_selection(const struct selection *selection, struct error *err)
{
	struct entry_id id;
	if (!check_names(selection->topic, selection->group, err))
		return false;
	if (selection->all && selection->count > 0)
		return error_set(err, ERR_INVALID,
		                 "entry_ids: must be empty when `all` is set; choose one of both");
	if (!selection->all && (selection->count < 1 || selection->count > IDS_MAX))
		return error_set(err, ERR_INVALID,
		                 "entry_ids: must be 1 to %d, are %zu; set `all` for all of them",
		                 IDS_MAX, selection->count);
	for (size_t i = 0; i < selection->count; i++) {
		if (!entry_id_parse(selection->ids[i], &id, err))
			return error_wrap(err, "entry_ids[%zu]", i);
	}
	return true;
}

static void replay_or_drop(struct event_store *store, struct rpc_call *call,
                           const struct selection *selection, bool replay)
{
	struct error err;
	if (!check_selection(selection, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct parked_call *parked = begin(store, call, selection->topic, selection->group);
	parked->replay = replay;
	parked->all = selection->all;
	store_parked_take(store->store, selection->topic, selection->group, replay, selection->ids,
	                  selection->count, taken, parked);
}

void replay_parked_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReplayParkedRequest *request = (const Es__ReplayParkedRequest *)message;
	struct selection selection = { request->topic, request->group,
		                       (const char *const *)request->entry_ids,
		                       request->n_entry_ids, request->all };
	replay_or_drop(ctx, call, &selection, true);
}

void drop_parked_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__DropParkedRequest *request = (const Es__DropParkedRequest *)message;
	struct selection selection = { request->topic, request->group,
		                       (const char *const *)request->entry_ids,
		                       request->n_entry_ids, request->all };
	replay_or_drop(ctx, call, &selection, false);
}
