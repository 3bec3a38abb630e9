#include "domain/saga_runtime.h"

#include "base/backoff.h"
#include "base/id.h"
#include "base/log.h"
#include "base/rpc_link.h"
#include "domain/asks.h"
#include "domain/metadata.h"
#include "domain/pool.h"

#include "proto/eventstore_v1.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	CREDITS = 256,
	TYPES_MAX = 32,
	/* Well within the lease of 30 s that the event store gives. */
	EXTEND_MS = 10000,
};

static const char unreadable[] = "the service cannot handle this event: its log says why";

/* One event, from its delivery to its acknowledgement. Lives in its arena. */
struct reaction {
	struct source *source;
	struct arena *arena;
	const struct saga *saga;
	struct event event;
	struct context context;
	unsigned waiting; /* asks in flight */
	bool stuck;       /* one of them failed for now */
	bool old;         /* it was there at the last look */
	const char *park; /* nobody can handle this event: set it aside for this reason */
	struct backoff backoff;
	struct loop_timer timer;
	UT_hash_handle hh; /* by entry id, while it runs */
	struct reaction *next;
};

/* The events of one topic. */
struct source {
	struct saga_runtime *sagas;
	const char *topic;
	const char *types[TYPES_MAX];
	size_t type_count;
	struct rpc_link *link;
	struct reaction *running;
	struct reaction *done; /* to be acknowledged in this turn */
	size_t done_count;
	struct source *next;
};

struct saga_runtime {
	struct loop *loop;
	struct saga_options options;
	struct asks *asks;
	struct source *sources;
	struct pool pool;
	bool draining;
	struct loop_timer extend;
};

static void advance(void *arg);

static void reaction_free(struct reaction *reaction)
{
	struct saga_runtime *sagas = reaction->source->sagas;
	loop_timer_stop(sagas->loop, &reaction->timer);
	asks_forget(&reaction->context);
	context_free(&reaction->context);
	pool_give(&sagas->pool, reaction->arena);
}

static void acknowledge_later(struct reaction *reaction)
{
	struct source *source = reaction->source;
	HASH_DEL(source->running, reaction);
	reaction->next = source->done;
	source->done = reaction;
	source->done_count++;
}

/* A command that came to no answer, and will not by trying again. */
static const struct need *lost_command(const struct reaction *reaction)
{
	const struct need *need = reaction->context.needs;
	while (need != NULL && (need->known || need->reply.error.code == ERR_NONE))
		need = need->next;
	return need;
}

/* What would follow must not happen without that answer. */
static void give_up(struct reaction *reaction, const struct need *lost)
{
	reaction->park =
	    arena_printf(reaction->arena, "%s-service.%s, message %s: %s", lost->service,
	                 lost->function, lost->message_id, lost->reply.error.message);
	log_error("reaction_parked", "topic=%s entry=%s type=%s reason=\"%s\"",
	          reaction->event.topic, reaction->event.entry_id, reaction->event.type,
	          reaction->park);
	acknowledge_later(reaction);
}

static void answered(void *arg, const struct error *err)
{
	struct reaction *reaction = arg;
	if (err != NULL && backoff_fresh(&reaction->backoff))
		log_warn("reaction_waits", "topic=%s entry=%s type=%s reason=\"%s\"",
		         reaction->event.topic, reaction->event.entry_id, reaction->event.type,
		         err->message);
	if (err != NULL)
		reaction->stuck = true;
	if (--reaction->waiting > 0)
		return;
	if (!reaction->stuck) {
		advance(reaction);
		return;
	}
	const struct need *lost = lost_command(reaction);
	if (lost != NULL) {
		give_up(reaction, lost);
		return;
	}
	loop_timer_start(reaction->source->sagas->loop, &reaction->timer,
	                 backoff_ms(&reaction->backoff), advance, reaction);
}

static void ask_all(struct reaction *reaction)
{
	reaction->stuck = false;
	reaction->waiting = 1; /* this loop: answers may come at once */
	for (struct need *need = reaction->context.needs; need != NULL; need = need->next) {
		if (need->known)
			continue;
		reaction->waiting++;
		asks_start(reaction->source->sagas->asks, &reaction->context, &reaction->event,
		           need, answered, reaction);
	}
	answered(reaction, NULL);
}

static bool all_known(const struct reaction *reaction)
{
	const struct need *need = reaction->context.needs;
	while (need != NULL && need->known)
		need = need->next;
	return need == NULL;
}

static void advance(void *arg)
{
	struct reaction *reaction = arg;
	enum step step = context_react(&reaction->context, reaction->saga->react, &reaction->event);
	if (step != STEP_FAILED && !all_known(reaction)) {
		ask_all(reaction);
		return;
	}
	if (step != STEP_DONE) {
		log_error("reaction_failed", "topic=%s entry=%s type=%s reason=\"%s\"",
		          reaction->event.topic, reaction->event.entry_id, reaction->event.type,
		          reaction->context.error.message);
		reaction->park = unreadable;
	}
	acknowledge_later(reaction);
}

static const struct saga *saga_for(const struct service *service, const Es__Event *event)
{
	for (size_t i = 0; i < service->saga_count; i++) {
		const struct saga *saga = &service->sagas[i];
		if (strcmp(saga->topic, event->topic) != 0)
			continue;
		for (const char *const *type = saga->event_types; *type != NULL; type++) {
			if (strcmp(*type, event->event_type) == 0)
				return saga;
		}
	}
	return NULL;
}

static void start(struct source *source, const Es__Event *given, bool redelivered)
{
	struct reaction *reaction;
	HASH_FIND_STR(source->running, given->entry_id, reaction);
	if (reaction != NULL)
		return;
	struct saga_runtime *sagas = source->sagas;
	struct arena *arena = pool_take(&sagas->pool);
	reaction = arena_zalloc(arena, sizeof(*reaction));
	reaction->source = source;
	reaction->arena = arena;
	reaction->event = (struct event){
		.event_id = arena_strdup(arena, given->event_id),
		.topic = source->topic,
		.entry_id = arena_strdup(arena, given->entry_id),
		.type = arena_strdup(arena, given->event_type),
		.action = arena_strdup(arena, given->event_action),
		.entity_id = arena_strdup(arena, given->entity_id),
		.version = given->entity_version,
		.state = event_state(arena, source->topic, given->event_data),
		.metadata = arena_strdup(arena, given->metadata),
		.redelivered = redelivered,
	};
	context_init(&reaction->context, arena, reaction->event.event_id);
	HASH_ADD_KEYPTR(hh, source->running, reaction->event.entry_id,
	                strlen(reaction->event.entry_id), reaction);
	reaction->saga = saga_for(sagas->options.service, given);
	/* Clients of the original interface publish under any id; ours are derived from UUIDs. */
	bool has_uuid = uuid_valid(reaction->event.event_id);
	if (reaction->saga != NULL && !has_uuid)
		log_error("unreadable_event", "topic=%s entry=%s reason=\"event_id is no UUID\"",
		          source->topic, reaction->event.entry_id);
	if (reaction->saga == NULL || reaction->event.state == NULL || !has_uuid) {
		if (reaction->saga != NULL)
			reaction->park = unreadable;
		acknowledge_later(reaction);
		return;
	}
	advance(reaction);
}

static void on_deliveries(void *arg, const ProtobufCMessage *message)
{
	struct source *source = arg;
	const Es__ConsumeResponse *response = (const Es__ConsumeResponse *)message;
	for (size_t i = 0; i < response->n_deliveries && !source->sagas->draining; i++) {
		if (response->deliveries[i]->event != NULL)
			start(source, response->deliveries[i]->event,
			      response->deliveries[i]->redelivered);
	}
}

static void acknowledge(struct source *source)
{
	if (source->done_count == 0)
		return;
	struct arena *arena = pool_take(&source->sagas->pool);
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	request.acks = arena_alloc(arena, source->done_count * sizeof(*request.acks));
	request.nacks = arena_alloc(arena, source->done_count * sizeof(*request.nacks));
	for (const struct reaction *reaction = source->done; reaction != NULL;
	     reaction = reaction->next) {
		if (reaction->park == NULL) {
			request.acks[request.n_acks++] = reaction->event.entry_id;
			continue;
		}
		Es__Nack *nack = arena_alloc(arena, sizeof(*nack));
		es__nack__init(nack);
		nack->entry_id = reaction->event.entry_id;
		nack->reason = reaction->park;
		nack->action = ES__NACK_ACTION__NACK_PARK;
		request.nacks[request.n_nacks++] = nack;
	}
	rpc_link_send(source->link, &request.base);
	pool_give(&source->sagas->pool, arena);
	while (source->done != NULL) {
		struct reaction *reaction = source->done;
		source->done = reaction->next;
		reaction_free(reaction);
	}
	source->done_count = 0;
}

/* The hook of the turn. */
static bool acknowledge_all(void *arg)
{
	struct saga_runtime *sagas = arg;
	for (struct source *source = sagas->sources; source != NULL; source = source->next) {
		acknowledge(source);
		if (sagas->draining && source->running == NULL)
			rpc_link_close(source->link);
	}
	return false;
}

/* Asks for more time for what takes long. */
static void source_extend(struct source *source)
{
	struct arena *arena = pool_take(&source->sagas->pool);
	struct reaction *reaction, *next;
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	request.extensions =
	    arena_alloc(arena, HASH_COUNT(source->running) * sizeof(*request.extensions));
	HASH_ITER(hh, source->running, reaction, next)
	{
		if (reaction->old) {
			Es__LeaseExtension *extension = arena_alloc(arena, sizeof(*extension));
			es__lease_extension__init(extension);
			extension->entry_id = reaction->event.entry_id;
			request.extensions[request.n_extensions++] = extension;
		}
		reaction->old = true;
	}
	if (request.n_extensions > 0 && rpc_link_up(source->link))
		rpc_link_send(source->link, &request.base);
	pool_give(&source->sagas->pool, arena);
}

static void extend_old(void *arg)
{
	struct saga_runtime *sagas = arg;
	uint64_t every_ms = sagas->options.extend_ms == 0 ? EXTEND_MS : sagas->options.extend_ms;
	loop_timer_start(sagas->loop, &sagas->extend, every_ms, extend_old, sagas);
	for (struct source *source = sagas->sources; source != NULL; source = source->next) {
		if (source->running != NULL)
			source_extend(source);
	}
}

static struct source *source_of(struct saga_runtime *sagas, const char *topic)
{
	struct source *source = sagas->sources;
	while (source != NULL && strcmp(source->topic, topic) != 0)
		source = source->next;
	if (source == NULL) {
		source = calloc(1, sizeof(*source));
		ASSERT(source != NULL);
		source->sagas = sagas;
		source->topic = topic;
		source->next = sagas->sources;
		sagas->sources = source;
	}
	return source;
}

static void source_open(struct source *source)
{
	struct saga_runtime *sagas = source->sagas;
	Es__ConsumeStart consume = ES__CONSUME_START__INIT;
	consume.topic = source->topic;
	consume.group = sagas->options.service->name;
	consume.start = ES__START__START_BEGINNING;
	consume.credits = CREDITS;
	consume.event_types = source->types;
	consume.n_event_types = source->type_count;
	Es__ConsumeRequest request = ES__CONSUME_REQUEST__INIT;
	request.start = &consume;
	source->link = rpc_link_create(sagas->loop, &(struct rpc_link_options){
	                                                .name = source->topic,
	                                                .channel = sagas->options.event_store,
	                                                .service = &es__event_store__descriptor,
	                                                .method = "Consume",
	                                                .start = &request.base,
	                                                .message = on_deliveries,
	                                                .arg = source,
	                                            });
}

struct saga_runtime *saga_runtime_create(struct loop *loop, const struct saga_options *options)
{
	struct saga_runtime *sagas = calloc(1, sizeof(*sagas));
	ASSERT(sagas != NULL);
	sagas->loop = loop;
	sagas->options = *options;
	const struct service *service = options->service;
	for (size_t i = 0; i < service->saga_count; i++) {
		struct source *source = source_of(sagas, service->sagas[i].topic);
		for (const char *const *type = service->sagas[i].event_types; *type != NULL;
		     type++) {
			ASSERT(source->type_count < TYPES_MAX);
			source->types[source->type_count++] = *type;
		}
	}
	if (sagas->sources != NULL)
		sagas->asks = asks_create(loop, options);
	for (struct source *source = sagas->sources; source != NULL; source = source->next)
		source_open(source);
	loop_add_hook(loop, acknowledge_all, sagas);
	extend_old(sagas);
	return sagas;
}

void saga_runtime_destroy(struct saga_runtime *sagas)
{
	if (sagas == NULL)
		return;
	loop_remove_hook(sagas->loop, acknowledge_all, sagas);
	loop_timer_stop(sagas->loop, &sagas->extend);
	asks_destroy(sagas->asks);
	while (sagas->sources != NULL) {
		struct source *source = sagas->sources;
		sagas->sources = source->next;
		rpc_link_destroy(source->link);
		while (source->running != NULL)
			acknowledge_later(source->running);
		while (source->done != NULL) {
			struct reaction *reaction = source->done;
			source->done = reaction->next;
			reaction_free(reaction);
		}
		free(source);
	}
	pool_free(&sagas->pool);
	free(sagas);
}

bool saga_runtime_up(const struct saga_runtime *sagas)
{
	const struct source *source = sagas->sources;
	while (source != NULL && rpc_link_up(source->link))
		source = source->next;
	return source == NULL;
}

void saga_runtime_drain(struct saga_runtime *sagas)
{
	sagas->draining = true;
}

bool saga_runtime_idle(const struct saga_runtime *sagas)
{
	const struct source *source = sagas->sources;
	while (source != NULL && source->running == NULL && source->done == NULL)
		source = source->next;
	return source == NULL;
}

bool saga_runtime_drained(const struct saga_runtime *sagas)
{
	const struct source *source = sagas->sources;
	while (source != NULL && source->running == NULL && rpc_link_closed(source->link))
		source = source->next;
	return source == NULL;
}
