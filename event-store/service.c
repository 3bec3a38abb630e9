#include "event-store/service_internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { HEALTH_MS = 1000, GRACE_MS = 500 };

static const struct rpc_method methods[] = {
	{ "Append", RPC_UNARY, .message = append_message, .ended = append_ended },
	{ "AppendStream", RPC_BIDI_STREAM, append_stream_open, append_stream_message,
	  append_stream_half_close, append_stream_drained, append_stream_ended },
	{ "Read", RPC_SERVER_STREAM, .message = read_message, .drained = read_drained,
	  .ended = read_ended },
	{ "ReadEntity", RPC_UNARY, .message = read_entity_message, .ended = read_entity_ended },
	{ "ReadEntityStream", RPC_BIDI_STREAM, read_entities_open, read_entities_message,
	  read_entities_half_close, NULL, read_entities_ended },
	{ "Subscribe", RPC_SERVER_STREAM, .message = subscribe_message,
	  .drained = subscribe_drained, .ended = subscribe_ended },
	{ "Consume", RPC_BIDI_STREAM, .message = consume_message, .half_close = consume_half_close,
	  .ended = consume_ended },
	{ "ListParked", RPC_UNARY, .message = list_parked_message, .ended = parked_ended },
	{ "ReplayParked", RPC_UNARY, .message = replay_parked_message, .ended = parked_ended },
	{ "DropParked", RPC_UNARY, .message = drop_parked_message, .ended = parked_ended },
	{ "Topics", RPC_UNARY, .message = topics_message, .ended = topics_ended },
	{ "Import", RPC_BIDI_STREAM, import_open, import_message, import_half_close, import_drained,
	  import_ended },
};

static void ping(void *arg);

static void pong(void *arg, const struct redis_value *value, const struct error *err)
{
	struct event_store *store = arg;
	bool healthy = err == NULL && redis_value_kind(value) != REDIS_ERROR;
	store->ping_waits = false;
	if (err != NULL && err->code == ERR_CANCELLED)
		return;
	if (healthy != store->healthy) {
		log_write(healthy ? LOG_INFO : LOG_WARN, "redis", "answers=%s",
		          healthy ? "yes" : "no");
		rpc_server_set_healthy(store->server, healthy);
	}
	store->healthy = healthy;
}

static void ping(void *arg)
{
	struct event_store *store = arg;
	watch_look(&store->readers, store->stuck_ms);
	if (!store->ping_waits) {
		store->ping_waits = true;
		store_ping(store->store, pong, store);
	}
	loop_timer_start(store->loop, &store->health, HEALTH_MS, ping, store);
}

static void closed(void *arg, struct entry_id id)
{
	struct event_store *store = arg;
	log_set_floor(store->log, id);
}

static bool listen_all(struct event_store *store, const struct event_store_options *options,
                       struct error *err)
{
	store->server = rpc_server_create(store->loop);
	rpc_server_add(store->server, &es__event_store__descriptor, methods, ARRAY_LEN(methods),
	               store);
	compat_add(store);
	for (size_t i = 0; i < options->listen_count; i++) {
		int port;
		if (!rpc_server_listen(store->server, options->listen[i], &port, err))
			return error_wrap(err, "event-store");
		if (i == 0)
			store->port = port;
	}
	return true;
}

static void create_groups(struct event_store *store, const struct event_store_options *options)
{
	char name[INSTANCE_NAME_SIZE];
	instance_name(name, options->listen[0], store->port);
	store->groups = groups_create(store->loop, store->store, store->tail, name);
}

bool event_store_serve(struct loop *loop, const struct event_store_options *options,
                       struct event_store **out, struct error *err)
{
	const char *warning;
	struct event_store *store = calloc(1, sizeof(*store));
	ASSERT(store != NULL);
	store->loop = loop;
	store->stuck_ms = options->stuck_ms > 0 ? options->stuck_ms : WATCH_STUCK_MS;
	if (!store_create(loop, options->redis_url, &store->store, err) ||
	    !store_check(store->store, &warning, err))
		goto fail;
	if (warning != NULL)
		log_warn("redis", "warning=\"%s\"", warning);
	store->log = log_create(store->store);
	log_on_settled(store->log, append_settled, store);
	if (!tail_create(loop, options->redis_url, &store->tail, err))
		goto fail;
	tail_on_closed(store->tail, closed, store);
	if (!listen_all(store, options, err))
		goto fail;
	create_groups(store, options);
	rpc_server_start(store->server);
	ping(store);
	*out = store;
	return true;
fail:
	event_store_destroy(store);
	return false;
}

int event_store_port(const struct event_store *store)
{
	return store->port;
}

void event_store_stop(struct event_store *store, void (*done)(void *arg), void *arg)
{
	loop_timer_stop(store->loop, &store->health);
	rpc_server_shutdown(store->server, GRACE_MS, done, arg);
}

void event_store_destroy(struct event_store *store)
{
	if (store == NULL)
		return;
	loop_timer_stop(store->loop, &store->health);
	if (store->server != NULL)
		rpc_server_destroy(store->server);
	groups_close(store->groups);
	/* The last answers of Redis still find the log and the groups. */
	store_destroy(store->store);
	log_destroy(store->log);
	groups_destroy(store->groups);
	tail_destroy(store->tail);
	free(store);
}
