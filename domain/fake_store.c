#include "domain/fake_store.h"

#include "base/rpc_server.h"
#include "domain/decide.h"

#include "proto/eventstore_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_entity {
	char key[256];
	uint64_t version;
	bool deleted;
	char *action, *data;
	UT_hash_handle hh;
};

struct fake_event {
	char key[256]; /* topic and event id */
	uint64_t version;
	char entry_id[32]; /* empty: given up */
	UT_hash_handle hh;
};

struct fake_store {
	struct rpc_server *server;
	struct fake_entity *entities;
	struct fake_event *events;
	uint64_t asked, conflicts, loads, clock;
	bool importing;
	void (*hook)(void *arg, const char *topic, uint64_t append);
	void *arg;
};

static struct fake_entity *entity_find(struct fake_store *store, const char *topic, const char *id)
{
	char key[256];
	struct fake_entity *entity;
	snprintf(key, sizeof(key), "%s/%s", topic, id);
	HASH_FIND_STR(store->entities, key, entity);
	if (entity == NULL) {
		entity = calloc(1, sizeof(*entity));
		ASSERT(entity != NULL);
		strcpy(entity->key, key);
		HASH_ADD_STR(store->entities, key, entity);
	}
	return entity;
}

static struct fake_event *event_find(struct fake_store *store, const char *topic, const char *id)
{
	char key[256];
	struct fake_event *event;
	snprintf(key, sizeof(key), "%s/%s", topic, id);
	HASH_FIND_STR(store->events, key, event);
	return event;
}

void fake_store_write(struct fake_store *store, const char *topic, const char *id,
                      const char *action, const char *data)
{
	struct fake_entity *entity = entity_find(store, topic, id);
	free(entity->action);
	free(entity->data);
	entity->action = strdup(action);
	entity->data = strdup(data);
	entity->deleted = strcmp(action, ENTITY_DELETED) == 0;
	entity->version++;
}

const char *fake_store_data(struct fake_store *store, const char *topic, const char *id,
                            uint64_t *version)
{
	const struct fake_entity *entity = entity_find(store, topic, id);
	*version = entity->version;
	return entity->data == NULL ? "" : entity->data;
}

void fake_store_before_append(struct fake_store *store,
                              void (*hook)(void *arg, const char *topic, uint64_t append),
                              void *arg)
{
	store->hook = hook;
	store->arg = arg;
}

uint64_t fake_store_conflicts(const struct fake_store *store)
{
	return store->conflicts;
}

uint64_t fake_store_loads(const struct fake_store *store)
{
	return store->loads;
}

static bool expected(struct fake_store *store, const Es__AppendRequest *request)
{
	for (size_t i = 0; i < request->n_events; i++) {
		const Es__NewEvent *event = request->events[i];
		const struct fake_entity *entity =
		    entity_find(store, request->topic, event->entity_id);
		uint64_t version = entity->version;
		for (size_t j = 0; j < i; j++)
			version += strcmp(request->events[j]->entity_id, event->entity_id) == 0;
		bool exists = version > 0 && !(entity->deleted && version == entity->version);
		if (event->expect == ES__EXPECT__EXPECT_EXACT && event->expected_version != version)
			return false;
		if (event->expect == ES__EXPECT__EXPECT_NONE && exists)
			return false;
	}
	return true;
}

static struct fake_event *event_add(struct fake_store *store, const char *topic,
                                    const char *event_id)
{
	struct fake_event *event = calloc(1, sizeof(*event));
	ASSERT(event != NULL);
	snprintf(event->key, sizeof(event->key), "%s/%s", topic, event_id);
	snprintf(event->entry_id, sizeof(event->entry_id), "%llu-0",
	         (unsigned long long)++store->clock);
	HASH_ADD_STR(store->events, key, event);
	return event;
}

void fake_store_know(struct fake_store *store, const char *topic, const char *event_id)
{
	if (event_find(store, topic, event_id) == NULL)
		event_add(store, topic, event_id);
}

void fake_store_give_up(struct fake_store *store, const char *topic, const char *event_id)
{
	if (event_find(store, topic, event_id) == NULL)
		event_add(store, topic, event_id)->entry_id[0] = '\0';
}

void fake_store_import(struct fake_store *store, bool importing)
{
	store->importing = importing;
}

static void apply(struct fake_store *store, const char *topic, const Es__NewEvent *event,
                  Es__Appended *appended)
{
	struct fake_event *known = event_find(store, topic, event->event_id);
	appended->duplicate = known != NULL;
	if (known == NULL && event->expect == ES__EXPECT__EXPECT_NEVER) {
		fake_store_give_up(store, topic, event->event_id);
		known = event_find(store, topic, event->event_id);
	} else if (known == NULL) {
		known = event_add(store, topic, event->event_id);
		fake_store_write(store, topic, event->entity_id, event->event_action,
		                 event->event_data);
		known->version = entity_find(store, topic, event->entity_id)->version;
	}
	appended->version = known->version;
	appended->entry_id = known->entry_id;
}

/* ERR_NONE: it is appended. */
static enum error_code judge(struct fake_store *store, const Es__AppendRequest *request)
{
	const Es__NewEvent *first = request->events[0];
	if (store->importing)
		return ERR_PRECONDITION;
	const struct fake_event *known = event_find(store, request->topic, first->event_id);
	if (known != NULL && known->entry_id[0] == '\0' &&
	    first->expect != ES__EXPECT__EXPECT_NEVER)
		return ERR_EXISTS;
	return known != NULL || expected(store, request) ? ERR_NONE : ERR_CONFLICT;
}

static void append(struct fake_store *store, const Es__AppendItem *item, Es__AppendResult *result,
                   struct arena *arena)
{
	const Es__AppendRequest *request = item->request;
	result->tag = item->tag;
	if (store->hook != NULL)
		store->hook(store->arg, request->topic, ++store->asked);
	enum error_code refused = judge(store, request);
	if (refused != ERR_NONE) {
		store->conflicts += refused == ERR_CONFLICT;
		result->error = arena_alloc(arena, sizeof(*result->error));
		es__error__init(result->error);
		result->error->code = (uint32_t)error_grpc_status(refused);
		result->error->message = "refused";
		return;
	}
	result->events = arena_alloc(arena, request->n_events * sizeof(*result->events));
	for (; result->n_events < request->n_events; result->n_events++) {
		Es__Appended *appended = arena_alloc(arena, sizeof(*appended));
		es__appended__init(appended);
		apply(store, request->topic, request->events[result->n_events], appended);
		result->events[result->n_events] = appended;
	}
}

static void on_append(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__AppendStreamRequest *request = (const Es__AppendStreamRequest *)message;
	Es__AppendStreamResponse response = ES__APPEND_STREAM_RESPONSE__INIT;
	struct arena *arena = arena_create();
	response.n_items = request->n_items;
	response.items = arena_alloc(arena, request->n_items * sizeof(*response.items));
	for (size_t i = 0; i < request->n_items; i++) {
		response.items[i] = arena_alloc(arena, sizeof(*response.items[i]));
		es__append_result__init(response.items[i]);
		append(ctx, request->items[i], response.items[i], arena);
	}
	rpc_send(call, &response.base);
	arena_destroy(arena);
}

static void on_read(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct fake_store *store = ctx;
	const Es__ReadEntityStreamRequest *request = (const Es__ReadEntityStreamRequest *)message;
	for (size_t i = 0; i < request->n_items; i++) {
		const Es__ReadEntityItem *item = request->items[i];
		const struct fake_entity *entity = entity_find(store, item->topic, item->entity_id);
		Es__Event event = ES__EVENT__INIT;
		Es__ReadEntityResult result = ES__READ_ENTITY_RESULT__INIT;
		Es__ReadEntityResult *results[] = { &result };
		Es__ReadEntityStreamResponse response = ES__READ_ENTITY_STREAM_RESPONSE__INIT;
		response.n_items = 1;
		response.items = results;
		result.tag = item->tag;
		if (entity->version > 0) {
			result.event = &event;
			event.entity_version = entity->version;
			event.event_action = entity->action;
			event.event_data = entity->data;
		}
		store->loads++;
		rpc_send(call, &response.base);
	}
}

static void unimplemented(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)ctx;
	(void)message;
	struct error err;
	(void)error_set(&err, ERR_UNIMPLEMENTED, "not in this test");
	rpc_finish(call, &err);
}

static void half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	rpc_finish(call, NULL);
}

static const struct rpc_method methods[] = {
	{ .name = "Append", .kind = RPC_UNARY, .message = unimplemented },
	{ .name = "AppendStream",
	  .kind = RPC_BIDI_STREAM,
	  .message = on_append,
	  .half_close = half_close },
	{ .name = "Read", .kind = RPC_SERVER_STREAM, .message = unimplemented },
	{ .name = "ReadEntity", .kind = RPC_UNARY, .message = unimplemented },
	{ .name = "ReadEntityStream",
	  .kind = RPC_BIDI_STREAM,
	  .message = on_read,
	  .half_close = half_close },
	{ .name = "Subscribe", .kind = RPC_SERVER_STREAM, .message = unimplemented },
	{ .name = "Consume", .kind = RPC_BIDI_STREAM, .message = unimplemented },
	{ .name = "Topics", .kind = RPC_UNARY, .message = unimplemented },
};

struct fake_store *fake_store_create(struct loop *loop, const char *address)
{
	struct fake_store *store = calloc(1, sizeof(*store));
	struct error err;
	ASSERT(store != NULL);
	store->server = rpc_server_create(loop);
	rpc_server_add(store->server, &es__event_store__descriptor, methods, ARRAY_LEN(methods),
	               store);
	ASSERT(rpc_server_listen(store->server, address, NULL, &err));
	rpc_server_start(store->server);
	return store;
}

void fake_store_destroy(struct fake_store *store)
{
	struct fake_entity *entity, *next_entity;
	struct fake_event *event, *next_event;
	rpc_server_destroy(store->server);
	HASH_ITER(hh, store->entities, entity, next_entity)
	{
		HASH_DEL(store->entities, entity);
		free(entity->action);
		free(entity->data);
		free(entity);
	}
	HASH_ITER(hh, store->events, event, next_event)
	{
		HASH_DEL(store->events, event);
		free(event);
	}
	free(store);
}
