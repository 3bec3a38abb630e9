#include "domain/asks.h"

#include "base/log.h"
#include "domain/metadata.h"

#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	WAITING_MAX = 16384,
	CALL_TIMEOUT_MS = 30000,
	PAGE = 1000,
	LIST_WAIT_MS = 5000,
	LIST_TIMEOUT_MS = 10000,
};

struct asks {
	struct saga_options options;
	struct rpc_mux *queue;
};

/* `runner` of a need: what is kept between its tries and its end. In the arena. */
struct ask {
	struct asks *asks;
	struct context *context;
	const struct event *event;
	struct need *need;
	bool first; /* nobody has asked for this before: no earlier delivery, no earlier try */
	ask_done *done;
	void *arg;
	struct json *json; /* of the reply, or of the params of a local command; not in the arena */
	struct json *params;
	struct task task;
	struct entity *entities; /* of a list so far */
	size_t entity_count, entity_capacity;
	const char *cursor;
};

struct asks *asks_create(struct loop *loop, const struct saga_options *options)
{
	struct asks *asks = calloc(1, sizeof(*asks));
	ASSERT(asks != NULL);
	asks->options = *options;
	asks->queue = rpc_mux_create(loop, options->queue, &mq__message_queue__descriptor,
	                             "SubmitStream", WAITING_MAX);
	return asks;
}

void asks_destroy(struct asks *asks)
{
	if (asks == NULL)
		return;
	rpc_mux_destroy(asks->queue);
	free(asks);
}

static void ask_forget(struct ask *ask)
{
	json_free(ask->json);
	json_free(ask->params);
	ask->json = ask->params = NULL;
}

void asks_forget(struct context *context)
{
	for (struct need *need = context->needs; need != NULL; need = need->next) {
		if (need->runner != NULL)
			ask_forget(need->runner);
	}
}

static void end(struct ask *ask, const struct error *failure)
{
	if (failure == NULL)
		ask->need->known = true;
	ask->done(ask->arg, failure);
}

/* ---- Entities ---------------------------------------------------------------------------- */

static void loaded(void *arg, const ProtobufCMessage *item, const struct error *failure)
{
	struct ask *ask = arg;
	struct error err;
	bool filled = domain_store_fill(ask->need, ask->context->arena, item, failure, &err);
	end(ask, filled ? NULL : &err);
}

/* ---- Lists ------------------------------------------------------------------------------- */

static void next_page(struct ask *ask);

static void list_add(struct ask *ask, const Rm__Entity *entity)
{
	struct arena *arena = ask->context->arena;
	if (ask->entity_count == ask->entity_capacity) {
		size_t capacity = ask->entity_capacity == 0 ? PAGE : 2 * ask->entity_capacity;
		struct entity *more = arena_alloc(arena, capacity * sizeof(*more));
		if (ask->entity_count > 0)
			memcpy(more, ask->entities, ask->entity_count * sizeof(*more));
		ask->entities = more;
		ask->entity_capacity = capacity;
	}
	ask->entities[ask->entity_count++] = (struct entity){
		.topic = ask->need->loaded.topic,
		.id = arena_strdup(arena, entity->id),
		.version = entity->version,
		.state = event_state(arena, ask->need->loaded.topic, entity->json),
	};
}

static void on_page(void *arg, const ProtobufCMessage *response, const struct error *failure)
{
	struct ask *ask = arg;
	const Rm__ListResponse *page = (const Rm__ListResponse *)response;
	if (failure != NULL) {
		struct error err = *failure;
		(void)error_wrap(&err, "list of %s", ask->need->loaded.topic);
		end(ask, &err);
		return;
	}
	for (size_t i = 0; i < page->n_entities; i++)
		list_add(ask, page->entities[i]);
	if (page->cursor[0] != '\0') {
		ask->cursor = arena_strdup(ask->context->arena, page->cursor);
		next_page(ask);
		return;
	}
	ask->need->list = (struct entity_list){ ask->entity_count, ask->entities };
	end(ask, NULL);
}

static void next_page(struct ask *ask)
{
	Rm__Token token = RM__TOKEN__INIT;
	token.topic = ask->event->topic;
	token.entry_id = ask->event->entry_id;
	Rm__Token *tokens[] = { &token };
	Rm__Consistency consistency = RM__CONSISTENCY__INIT;
	consistency.n_tokens = 1;
	consistency.tokens = tokens;
	consistency.wait_ms = LIST_WAIT_MS;
	Rm__Filter filter = RM__FILTER__INIT;
	filter.field = ask->need->field;
	filter.n_values = 1;
	filter.values = &ask->need->value;
	Rm__Filter *filters[] = { &filter };
	Rm__ListRequest request = RM__LIST_REQUEST__INIT;
	request.name = ask->need->loaded.topic;
	request.n_filters = 1;
	request.filters = filters;
	request.limit = PAGE;
	request.cursor = ask->cursor;
	request.consistency = &consistency;
	rpc_unary(ask->asks->options.read_model, &rm__read_model__descriptor, "List", &request.base,
	          LIST_TIMEOUT_MS, on_page, ask);
}

/* ---- Commands ---------------------------------------------------------------------------- */

/* Says the rule no? Everything else tells of the way there: a command that was parked, or that
 * others were faster than every time. */
static bool is_refusal(enum error_code code)
{
	return code == ERR_INVALID || code == ERR_NOT_FOUND || code == ERR_EXISTS ||
	       code == ERR_PRECONDITION;
}

static void reply_error(struct ask *ask, enum error_code code, const char *message)
{
	const struct need *need = ask->need;
	(void)error_set(&ask->need->reply.error, code, "%s", message);
	log_write(is_refusal(code) ? LOG_INFO : LOG_ERROR,
	          is_refusal(code) ? "command_refused" : "command_lost",
	          "command=%s-service.%s message=%s event=%s reason=\"%s\"", need->service,
	          need->function, need->message_id, ask->event->event_id, message);
}

static bool need_answered(const struct need *need)
{
	return need->reply.result != NULL || is_refusal(need->reply.error.code);
}

static void reply_result(struct ask *ask, const char *text)
{
	struct error err;
	if (!json_parse(text, strlen(text), &ask->json, &err))
		reply_error(ask, ERR_INTERNAL, err.message);
	else
		ask->need->reply.result = ask->json;
}

/* The reply, be it an answer or the end of hope. */
static void end_replied(struct ask *ask)
{
	bool none = ask->need->reply.error.code == ERR_NONE;
	end(ask, none || need_answered(ask->need) ? NULL : &ask->need->reply.error);
}

static void submitted(void *arg, const ProtobufCMessage *item, const struct error *failure)
{
	struct ask *ask = arg;
	const Mq__SubmitResult *answer = (const Mq__SubmitResult *)item;
	if (failure != NULL) {
		end(ask, failure);
		return;
	}
	const Mq__Result *result = answer->result;
	if (result != NULL && result->error != NULL) {
		struct error err;
		(void)error_set(&err, error_from_grpc((int)result->error->code), "%s",
		                result->error->message);
		if (error_transient(&err)) {
			end(ask, &err);
			return;
		}
		reply_error(ask, err.code, err.message);
	} else if (ask->need->kind == NEED_CALL) {
		reply_result(ask, result == NULL ? "null" : result->result);
	}
	end_replied(ask);
}

static void submit(struct ask *ask)
{
	struct arena *arena = ask->context->arena;
	const struct need *need = ask->need;
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = arena_printf(arena, "%s-service", need->service);
	message.function = need->function;
	message.message_id = need->message_id;
	message.payload = arena_printf(arena, "{\"params\":%s}", need->params);
	message.metadata = metadata_next(arena, ask->event->metadata, ask->event->event_id, false);
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	item.send_only = need->kind == NEED_SEND;
	item.timeout_ms = CALL_TIMEOUT_MS;
	item.sending = ask->first ? MQ__SENDING__FIRST : MQ__SENDING__AGAIN;
	rpc_mux_request(ask->asks->queue, &item.base, CALL_TIMEOUT_MS + 1000, submitted, ask);
}

static void ran_here(void *arg, const struct outcome *outcome)
{
	struct ask *ask = arg;
	if (outcome->result == NULL &&
	    (error_transient(&outcome->error) || outcome->error.code == ERR_CONFLICT)) {
		end(ask, &outcome->error);
		return;
	}
	if (outcome->result != NULL)
		reply_result(ask, outcome->result);
	else
		reply_error(ask, outcome->error.code, outcome->error.message);
	end_replied(ask);
}

static void run_here(struct ask *ask)
{
	struct arena *arena = ask->context->arena;
	const struct need *need = ask->need;
	struct error err;
	json_free(ask->params);
	ask->params = NULL;
	ask->task = (struct task){
		.function = domain_service_function(ask->asks->options.service, need->function),
		.message_id = need->message_id,
		.metadata = metadata_next(arena, ask->event->metadata, ask->event->event_id, false),
		.comes_again = true,
	};
	ASSERT(ask->task.function != NULL);
	if (!json_parse(need->params, strlen(need->params), &ask->params, &err)) {
		reply_error(ask, ERR_INTERNAL, err.message);
		end_replied(ask);
		return;
	}
	ask->task.params = ask->params;
	runtime_run(ask->asks->options.runtime, arena, &ask->task, ran_here, ask);
}

/* ---- All --------------------------------------------------------------------------------- */

void asks_start(struct asks *asks, struct context *context, const struct event *event,
                struct need *need, ask_done *done, void *arg)
{
	struct ask *ask = need->runner;
	bool first = ask == NULL && !event->redelivered;
	if (ask == NULL)
		need->runner = ask = arena_zalloc(context->arena, sizeof(*ask));
	else
		ask_forget(ask);
	*ask = (struct ask){ .asks = asks,
		             .context = context,
		             .event = event,
		             .need = need,
		             .first = first,
		             .done = done,
		             .arg = arg,
		             .cursor = "" };
	switch (need->kind) {
	case NEED_ENTITY:
		domain_store_load(asks->options.store, need->loaded.topic, need->loaded.id, loaded,
		                  ask);
		break;
	case NEED_LIST:
		next_page(ask);
		break;
	case NEED_CALL:
	case NEED_SEND:
		if (strcmp(need->service, asks->options.service->name) == 0)
			run_here(ask);
		else
			submit(ask);
		break;
	}
}
