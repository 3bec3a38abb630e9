#include "domain/store.h"

#include "base/log.h"
#include "domain/probe.h"

#include <stdlib.h>
#include <string.h>

enum {
	WAITING_MAX = 16384,
	/* Within the lease of a delivery (worker.c), so that its outcome is told in time. */
	TIMEOUT_MS = 20000,
	EVENT_MAX = 1024 * 1024,
};

struct domain_store {
	struct rpc_mux *appends;
	struct rpc_mux *reads;
	struct buffer scratch;
	bool closing; /* answers still come, questions are dropped */
};

struct domain_store *domain_store_create(struct loop *loop, struct rpc_channel *channel)
{
	struct domain_store *store = calloc(1, sizeof(*store));
	ASSERT(store != NULL);
	buffer_init(&store->scratch, EVENT_MAX);
	store->appends = rpc_mux_create(loop, channel, &es__event_store__descriptor, "AppendStream",
	                                WAITING_MAX);
	store->reads = rpc_mux_create(loop, channel, &es__event_store__descriptor,
	                              "ReadEntityStream", WAITING_MAX);
	return store;
}

void domain_store_destroy(struct domain_store *store)
{
	if (store == NULL)
		return;
	store->closing = true;
	rpc_mux_destroy(store->appends);
	rpc_mux_destroy(store->reads);
	buffer_free(&store->scratch);
	free(store);
}

bool domain_store_connected(const struct domain_store *store)
{
	return rpc_mux_connected(store->appends);
}

bool error_transient(const struct error *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_DEADLINE ||
	       err->code == ERR_EXHAUSTED || err->code == ERR_CANCELLED;
}

/* ---- Loads ------------------------------------------------------------------------------- */

const ProtobufCMessage *event_state(struct arena *arena, const char *topic, const char *event_data)
{
	struct error err;
	if (entity_type(topic) == NULL)
		return NULL;
	const ProtobufCMessage *state = entity_read(arena, topic, event_data, &err);
	if (state == NULL)
		log_error("unreadable_event", "topic=%s reason=\"%s\"", topic, err.message);
	return state;
}

void domain_store_load(struct domain_store *store, const char *topic, const char *id,
                       rpc_mux_done *done, void *arg)
{
	if (store->closing)
		return;
	Es__ReadEntityItem item = ES__READ_ENTITY_ITEM__INIT;
	item.topic = topic;
	item.entity_id = id;
	rpc_mux_request(store->reads, &item.base, TIMEOUT_MS, done, arg);
}

bool domain_store_fill(struct need *need, struct arena *arena, const ProtobufCMessage *item,
                       const struct error *failure, struct error *err)
{
	const Es__ReadEntityResult *result = (const Es__ReadEntityResult *)item;
	if (failure != NULL) {
		*err = *failure;
		return error_wrap(err, "load %s %s", need->loaded.topic, need->loaded.id);
	}
	if (result->error != NULL)
		return error_set(err, error_from_grpc((int)result->error->code), "load %s %s: %s",
		                 need->loaded.topic, need->loaded.id, result->error->message);
	need->loaded.version = result->event == NULL ? 0 : result->event->entity_version;
	need->loaded.state = need->loaded.last = NULL;
	if (result->event != NULL) {
		const ProtobufCMessage *state =
		    event_state(arena, need->loaded.topic, result->event->event_data);
		if (strcmp(result->event->event_action, ENTITY_DELETED) == 0)
			need->loaded.last = state;
		else
			need->loaded.state = state;
	}
	need->known = true;
	return true;
}

/* ---- Appends ----------------------------------------------------------------------------- */

static const char *event_text(struct domain_store *store, struct arena *arena,
                              const ProtobufCMessage *state)
{
	struct buffer *scratch = &store->scratch;
	buffer_clear(scratch);
	json_write_message(scratch, state);
	return scratch->overflow ? NULL : arena_copy(arena, scratch->bytes, scratch->len);
}

static Es__NewEvent *event_pack(struct domain_store *store, struct arena *arena,
                                const struct new_event *event, const char *metadata)
{
	Es__NewEvent *out = arena_alloc(arena, sizeof(*out));
	es__new_event__init(out);
	out->event_id = event->event_id;
	out->event_action = event->action;
	out->event_type = event->type;
	out->event_data = event_text(store, arena, event->state);
	out->metadata = metadata;
	if (event->entity_id != NULL) {
		out->entity_id = event->entity_id;
		out->expect =
		    event->expect_none ? ES__EXPECT__EXPECT_NONE : ES__EXPECT__EXPECT_EXACT;
		out->expected_version = event->expect_none ? 0 : event->expected_version;
		const struct need *need = event->need;
		if (need != NULL && need->made_by != NULL && !event->expect_none &&
		    event->expected_version == need->loaded.version)
			out->after_event_id = need->made_by;
	}
	return out->event_data == NULL ? NULL : out;
}

bool domain_store_append(struct domain_store *store, struct arena *arena, const struct batch *batch,
                         const char *metadata, rpc_mux_done *done, void *arg, struct error *err)
{
	if (batch->count > BATCH_MAX)
		return error_set(err, ERR_TOO_LARGE, "%zu events of %s at once, limit %d",
		                 batch->count, batch->topic, BATCH_MAX);
	Es__AppendItem item = ES__APPEND_ITEM__INIT;
	Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
	item.request = &request;
	request.topic = batch->topic;
	request.events = arena_alloc(arena, batch->count * sizeof(*request.events));
	for (const struct new_event *event = batch->events; event != NULL; event = event->next) {
		request.events[request.n_events] = event_pack(store, arena, event, metadata);
		if (request.events[request.n_events++] == NULL)
			return error_set(err, ERR_TOO_LARGE,
			                 "an event of %s is longer than %d bytes", batch->topic,
			                 EVENT_MAX);
	}
	if (!store->closing)
		rpc_mux_request(store->appends, &item.base, TIMEOUT_MS, done, arg);
	return true;
}

static bool item_error(const Es__AppendResult *result, const struct error *failure,
                       struct error *err)
{
	if (failure != NULL) {
		*err = *failure;
		return true;
	}
	if (result->error == NULL)
		return false;
	enum error_code code = error_from_grpc((int)result->error->code);
	if (code == ERR_EXISTS)
		code = ERR_PRECONDITION; /* void */
	else if (code == ERR_PRECONDITION)
		code = ERR_CONFLICT; /* some of it known, or an import: later it may go */
	(void)error_set(err, code, "%s", result->error->message);
	return true;
}

bool domain_store_appended(const struct batch *batch, const ProtobufCMessage *item,
                           const struct error *failure, struct error *err)
{
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	if (item_error(result, failure, err)) {
		if (err->code == ERR_PRECONDITION)
			return probe_error(err);
		return error_wrap(err, "append to %s", batch->topic);
	}
	if (result->n_events != batch->count)
		return error_set(err, ERR_INTERNAL, "append to %s: %zu of %zu events answered",
		                 batch->topic, result->n_events, batch->count);
	return true;
}

void domain_store_ask(struct domain_store *store, const char *topic, const char *event_id,
                      bool give_up, rpc_mux_done *done, void *arg)
{
	if (store->closing)
		return;
	Es__NewEvent event = ES__NEW_EVENT__INIT;
	event.event_id = event_id;
	if (give_up) {
		event.expect = ES__EXPECT__EXPECT_NEVER;
	} else { /* The store knows the id, or no entity has this version. */
		event.event_action = ENTITY_UPDATED;
		event.event_data = "{}";
		event.entity_id = event_id;
		event.expect = ES__EXPECT__EXPECT_EXACT;
		event.expected_version = 1ULL << 50;
	}
	Es__NewEvent *events[] = { &event };
	Es__AppendRequest request = ES__APPEND_REQUEST__INIT;
	request.topic = topic;
	request.n_events = 1;
	request.events = events;
	Es__AppendItem item = ES__APPEND_ITEM__INIT;
	item.request = &request;
	rpc_mux_request(store->appends, &item.base, TIMEOUT_MS, done, arg);
}

/* Of a version that no entity has, or void. */
static bool tells_of_event(const Es__Error *error)
{
	enum error_code code = error_from_grpc((int)error->code);
	return code == ERR_CONFLICT || code == ERR_EXISTS;
}

bool domain_store_known(const ProtobufCMessage *item, const struct error *failure,
                        const char **entry_id, struct error *err)
{
	const Es__AppendResult *result = (const Es__AppendResult *)item;
	*entry_id = NULL;
	if (item_error(result, failure, err)) {
		if (failure == NULL && tells_of_event(result->error))
			return true;
		/* Nothing was given up, for an import has the topic: so nothing may be answered yet. */
		if (err->code == ERR_CONFLICT)
			err->code = ERR_UNAVAILABLE;
		return false;
	}
	if (result->n_events == 1 && result->events[0]->entry_id[0] != '\0')
		*entry_id = result->events[0]->entry_id;
	return true;
}
