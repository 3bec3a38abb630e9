#include "read-model/service_internal.h"

#include "base/id.h"
#include "proto/eventstore_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100, MAILS_MAX = 1000 };

/* One unary call, from its request to its answer; outlives a client that goes away. */
struct ask {
	struct read_model *model;
	struct rpc_call *call; /* NULL: ended */
	const ProtobufCMessage *request;
	struct reading reading;
	void (*run)(struct ask *ask); /* when the model is as far as asked */
	bool answered;                /* nothing is under way for it */
};

/* False when the client has gone; then the ask is gone too. Else the caller answers now. */
static bool ask_answer(struct ask *ask)
{
	ask->answered = true;
	reading_end(&ask->reading);
	if (ask->call != NULL)
		return true;
	free(ask);
	return false;
}

static void ask_fail(struct ask *ask, const struct error *err)
{
	if (ask_answer(ask))
		rpc_finish(ask->call, err);
}

/* What was under way has ended. True: the caller answers now. */
static bool ask_done(struct ask *ask, const struct error *err)
{
	struct error invalid;
	if (err == NULL && !reading_valid(&ask->reading, &invalid))
		err = &invalid;
	if (err == NULL)
		return ask_answer(ask);
	ask_fail(ask, err);
	return false;
}

static void ask_run(struct ask *ask, struct generation *from)
{
	reading_begin(&ask->reading, from);
	ask->run(ask);
}

static void ask_given(void *arg, struct generation *from, const struct error *err)
{
	struct ask *ask = arg;
	if (err != NULL || ask->call == NULL)
		ask_fail(ask, err);
	else
		ask_run(ask, from);
}

static void ask_reached(void *arg, const struct error *err)
{
	struct ask *ask = arg;
	ask_given(ask, ask->model->live, err);
}

static void ask_begin(void *ctx, struct rpc_call *call, const ProtobufCMessage *request,
                      const Rm__Consistency *consistency, void (*run)(struct ask *ask))
{
	struct error err;
	struct model_position position;
	unsigned wait_ms;
	struct ask *ask = calloc(1, sizeof(*ask));
	ASSERT(ask != NULL);
	*ask = (struct ask){ .model = ctx, .call = call, .request = request, .run = run };
	rpc_set_data(call, ask);
	if (!model_consistency(consistency, &position, &wait_ms, &err)) {
		ask_fail(ask, &err);
	} else if (consistency != NULL && consistency->at[0] != '\0') {
		struct generation *from =
		    moments_ask(ask->model->moments, consistency->at, wait_ms, ask_given, ask);
		if (from != NULL)
			ask_run(ask, from);
	} else if (!model_ready(ask->model, &err)) {
		ask_fail(ask, &err);
	} else if (projector_wait(ask->model->live->projector, &position, wait_ms, ask_reached,
	                          ask)) {
		ask_run(ask, ask->model->live);
	}
}

static void ask_ended(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	struct ask *ask = rpc_data(call);
	if (ask == NULL)
		return;
	ask->call = NULL;
	if (ask->answered)
		free(ask);
}

/* ---- Get ---- */

static Rm__Entity *entity_message(struct arena *arena, const char *id, uint64_t version,
                                  const char *json, size_t json_len)
{
	Rm__Entity *entity = arena_alloc(arena, sizeof(*entity));
	rm__entity__init(entity);
	entity->id = arena_strdup(arena, id);
	entity->version = version;
	entity->json = arena_copy(arena, json, json_len);
	return entity;
}

static void get_done(void *arg, const struct model_store_entity *entity, const struct error *err)
{
	struct ask *ask = arg;
	if (!ask_done(ask, err))
		return;
	Rm__GetResponse response = RM__GET_RESPONSE__INIT;
	struct buffer json;
	buffer_init(&json, RPC_MESSAGE_MAX);
	if (entity != NULL) {
		model_store_entity_json(entity, &json);
		response.entity =
		    entity_message(rpc_call_arena(ask->call), model_store_entity_id(entity),
		                   model_store_entity_version(entity), json.bytes, json.len);
	}
	rpc_reply(ask->call, &response.base);
	buffer_free(&json);
}

static void get_run(struct ask *ask)
{
	const Rm__GetRequest *request = (const Rm__GetRequest *)ask->request;
	struct error err;
	if (!name_check("name", request->name, &err))
		ask_fail(ask, &err);
	else
		model_store_get(ask->reading.from->store, request->name, request->id, get_done,
		                ask);
}

static void get(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__GetRequest *request = (const Rm__GetRequest *)message;
	ask_begin(ctx, call, message, request->consistency, get_run);
}

/* ---- lists ---- */

static void page_done(void *arg, const struct query_page *page, const struct error *err)
{
	struct ask *ask = arg;
	if (!ask_done(ask, err))
		return;
	struct arena *arena = rpc_call_arena(ask->call);
	Rm__ListResponse response = RM__LIST_RESPONSE__INIT;
	response.entities = arena_alloc(arena, (page->count + 1) * sizeof(*response.entities));
	response.n_entities = page->count;
	response.cursor = page->cursor;
	response.total = page->total;
	for (size_t i = 0; i < page->count; i++) {
		const struct query_entity *entity = &page->entities[i];
		response.entities[i] = entity_message(arena, entity->id, entity->version,
		                                      entity->json, entity->json_len);
	}
	rpc_reply(ask->call, &response.base);
}

static void get_many_run(struct ask *ask)
{
	const Rm__GetManyRequest *request = (const Rm__GetManyRequest *)ask->request;
	struct error err;
	if (!name_check("name", request->name, &err))
		ask_fail(ask, &err);
	else
		query_many(ask->reading.from->store, request->name,
		           (const char *const *)request->ids, request->n_ids, page_done, ask);
}

static void get_many(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__GetManyRequest *request = (const Rm__GetManyRequest *)message;
	ask_begin(ctx, call, message, request->consistency, get_many_run);
}

static void list_run(struct ask *ask)
{
	const Rm__ListRequest *request = (const Rm__ListRequest *)ask->request;
	struct query_filter filters[QUERY_FILTERS_MAX + 1];
	struct error err;
	struct query_list list = {
		.name = request->name,
		.filters = filters,
		.filter_count = request->n_filters,
		.limit = request->limit > 0 ? request->limit : LIMIT_DEFAULT,
		.cursor = request->cursor,
	};
	if (!name_check("name", request->name, &err)) {
		ask_fail(ask, &err);
		return;
	}
	for (size_t i = 0; i < request->n_filters && i < ARRAY_LEN(filters); i++)
		filters[i] =
		    (struct query_filter){ request->filters[i]->field,
			                   (const char *const *)request->filters[i]->values,
			                   request->filters[i]->n_values };
	query_list(ask->reading.from->store, &list, page_done, ask);
}

static void list(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__ListRequest *request = (const Rm__ListRequest *)message;
	ask_begin(ctx, call, message, request->consistency, list_run);
}

static void set_run(struct ask *ask, const char *name, const char *set)
{
	const Rm__OrdersRequest *request = (const Rm__OrdersRequest *)ask->request;
	struct query_list query = {
		.name = name,
		.set = set,
		.limit = request->limit > 0 ? request->limit : LIMIT_DEFAULT,
		.cursor = request->cursor,
	};
	query_list(ask->reading.from->store, &query, page_done, ask);
}

static void unbilled_run(struct ask *ask)
{
	set_run(ask, "order", "unbilled_order_ids");
}

static void unshipped_run(struct ask *ask)
{
	set_run(ask, "order", "unshipped_order_ids");
}

static void delivered_run(struct ask *ask)
{
	set_run(ask, "shipping", "delivered_shipping_ids");
}

static void unbilled(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	ask_begin(ctx, call, message, ((const Rm__OrdersRequest *)message)->consistency,
	          unbilled_run);
}

static void unshipped(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	ask_begin(ctx, call, message, ((const Rm__OrdersRequest *)message)->consistency,
	          unshipped_run);
}

static void delivered(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	ask_begin(ctx, call, message, ((const Rm__OrdersRequest *)message)->consistency,
	          delivered_run);
}

/* ---- Mails ---- */

static void mails_done(void *arg, const struct model_store_mail *mails, size_t count,
                       const struct error *err)
{
	struct ask *ask = arg;
	if (!ask_done(ask, err))
		return;
	const Rm__MailsRequest *request = (const Rm__MailsRequest *)ask->request;
	size_t limit = request->limit > 0 ? request->limit : LIMIT_DEFAULT, bytes = 0;
	struct arena *arena = rpc_call_arena(ask->call);
	Rm__MailsResponse response = RM__MAILS_RESPONSE__INIT;
	response.mails = arena_alloc(arena, (count + 1) * sizeof(*response.mails));
	for (size_t i = 0; i < count && bytes < QUERY_PAGE_BYTES; i++) {
		Rm__Mail *mail = arena_alloc(arena, sizeof(*mail));
		rm__mail__init(mail);
		mail->entry_id = mails[i].entry_id;
		mail->event_id = mails[i].event_id;
		mail->json = mails[i].json;
		bytes += strlen(mail->json);
		response.mails[response.n_mails++] = mail;
	}
	if (count == limit || response.n_mails < count)
		response.cursor = response.mails[response.n_mails - 1]->entry_id;
	rpc_reply(ask->call, &response.base);
}

static void mails_run(struct ask *ask)
{
	const Rm__MailsRequest *request = (const Rm__MailsRequest *)ask->request;
	struct error err;
	struct entry_id id;
	size_t limit = request->limit > 0 ? request->limit : LIMIT_DEFAULT;
	if (limit > MAILS_MAX)
		error_set(&err, ERR_INVALID, "limit: must be 1 to %d", MAILS_MAX);
	else if (request->cursor[0] == '\0' || entry_id_parse(request->cursor, &id, &err)) {
		model_store_mails(ask->reading.from->store, request->cursor, limit, mails_done,
		                  ask);
		return;
	} else
		error_wrap(&err, "cursor");
	ask_fail(ask, &err);
}

static void mails(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__MailsRequest *request = (const Rm__MailsRequest *)message;
	ask_begin(ctx, call, message, request->consistency, mails_run);
}

/* ---- Report ---- */

static void report_done(void *arg, const struct buffer *json, const struct error *err)
{
	struct ask *ask = arg;
	if (!ask_done(ask, err))
		return;
	Rm__ReportResponse response = RM__REPORT_RESPONSE__INIT;
	response.json = json->bytes;
	rpc_reply(ask->call, &response.base);
}

static void report_run(struct ask *ask)
{
	const Rm__ReportRequest *request = (const Rm__ReportRequest *)ask->request;
	struct error err;
	if (request->name[0] == '\0') {
		query_report(ask->reading.from->store, report_done, ask);
	} else if (strcmp(request->name, "orders") == 0) {
		query_report_orders(ask->reading.from->store, report_done, ask);
	} else {
		error_set(&err, ERR_INVALID, "name: must be empty or \"orders\"");
		ask_fail(ask, &err);
	}
}

static void report(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Rm__ReportRequest *request = (const Rm__ReportRequest *)message;
	ask_begin(ctx, call, message, request->consistency, report_run);
}

/* ---- Checkpoints ---- */

static void put_checkpoint(struct ask *ask, Rm__CheckpointsResponse *response,
                           const struct generation *generation, const struct log_end *end)
{
	if (generation == NULL)
		return;
	struct arena *arena = rpc_call_arena(ask->call);
	const struct model_position *position = generation_position(generation);
	uint64_t events = generation_events(generation);
	bool behind = model_position_compare(&end->position, position) > 0;
	Rm__Checkpoint *checkpoint = arena_alloc(arena, sizeof(*checkpoint));
	rm__checkpoint__init(checkpoint);
	checkpoint->projection =
	    arena_printf(arena, "model:%" PRIu64, model_store_generation(generation->store));
	checkpoint->version = MODEL_VERSION;
	checkpoint->entry_id = arena_strdup(arena, position->entry_id);
	checkpoint->topic = arena_strdup(arena, position->topic);
	checkpoint->log_entry_id = arena_strdup(arena, end->position.entry_id);
	checkpoint->lag = behind && end->events > events ? end->events - events : 0;
	checkpoint->events = events;
	checkpoint->log_events = end->events;
	checkpoint->live = generation == ask->model->live;
	response->checkpoints[response->n_checkpoints++] = checkpoint;
}

static void checkpoints_done(void *arg, const ProtobufCMessage *message, const struct error *err)
{
	struct ask *ask = arg;
	if (!ask_done(ask, err))
		return;
	Rm__Checkpoint *checkpoints[2];
	Rm__CheckpointsResponse response = RM__CHECKPOINTS_RESPONSE__INIT;
	response.checkpoints = checkpoints;
	struct log_end end = log_end_of(message);
	put_checkpoint(ask, &response, ask->model->live, &end);
	put_checkpoint(ask, &response, ask->model->next, &end);
	rpc_reply(ask->call, &response.base);
}

static void checkpoints(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	ASSERT(ask != NULL);
	*ask = (struct ask){ .model = ctx, .call = call, .request = message };
	rpc_set_data(call, ask);
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	request.brief = true;
	rpc_unary(ask->model->event_store, &es__event_store__descriptor, "Topics", &request.base,
	          MODEL_TOPICS_TIMEOUT_MS, checkpoints_done, ask);
}

/* ---- Rebuild ---- */

static void rebuild_begun(void *arg, uint64_t generation, const struct error *err)
{
	struct ask *ask = arg;
	if (!ask_done(ask, err))
		return;
	Rm__RebuildResponse response = RM__REBUILD_RESPONSE__INIT;
	response.projection = arena_printf(rpc_call_arena(ask->call), "model:%" PRIu64, generation);
	rpc_reply(ask->call, &response.base);
}

static void rebuild(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	ASSERT(ask != NULL);
	*ask = (struct ask){ .model = ctx, .call = call, .request = message };
	rpc_set_data(call, ask);
	generations_rebuild(ask->model->generations, rebuild_begun, ask);
}

const struct rpc_method model_methods[] = {
	{ .name = "Get", .kind = RPC_UNARY, .message = get, .ended = ask_ended },
	{ .name = "GetMany", .kind = RPC_UNARY, .message = get_many, .ended = ask_ended },
	{ .name = "List", .kind = RPC_UNARY, .message = list, .ended = ask_ended },
	{ .name = "Unbilled", .kind = RPC_UNARY, .message = unbilled, .ended = ask_ended },
	{ .name = "Unshipped", .kind = RPC_UNARY, .message = unshipped, .ended = ask_ended },
	{ .name = "Delivered", .kind = RPC_UNARY, .message = delivered, .ended = ask_ended },
	{ .name = "Mails", .kind = RPC_UNARY, .message = mails, .ended = ask_ended },
	{ .name = "Report", .kind = RPC_UNARY, .message = report, .ended = ask_ended },
	{ .name = "Checkpoints", .kind = RPC_UNARY, .message = checkpoints, .ended = ask_ended },
	{ .name = "Rebuild", .kind = RPC_UNARY, .message = rebuild, .ended = ask_ended },
	{ .name = "GetStream",
	  .kind = RPC_BIDI_STREAM,
	  .open = model_stream_open,
	  .message = model_stream_message,
	  .half_close = model_stream_half_close,
	  .drained = model_stream_drained,
	  .ended = model_stream_ended },
};
const size_t model_method_count = ARRAY_LEN(model_methods);
