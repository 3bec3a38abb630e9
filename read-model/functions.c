#include "read-model/service_internal.h"

#include "base/id.h"
#include "base/json.h"
#include "base/rpc_link.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	CREDITS = 256,
	LEASE_MS = 30000,
	ATTEMPTS_MAX = 20,
	RESULT_MAX = 3 * 1024 * 1024 /* what the queue takes as one result */
};

/* One delivery, from the queue to its settle. */
struct job {
	struct functions *functions;
	struct arena *arena;
	const char *message_id;
	const char *payload;
	const struct function *function;
	struct reading reading;
	const char *result; /* JSON; NULL: `err` */
	struct error err;
	struct job *prev, *next;
};

/* These questions carry no token, and must see what was written before they were asked: the ends of
 * the topics are read first, once for all that came meanwhile, and waited for.
 *
 *   delivered -> [waiting] -> ends of topics known [asked] -> model is there -> run -> [done] -> settled */
struct functions {
	struct read_model *model;
	struct rpc_link *link;
	bool asking;         /* a Topics call is under way for `asked` */
	struct job *waiting; /* came after it was made */
	struct job *asked;
	struct job *done;
	struct loop_task task;
};

struct function {
	const char *name;
	/* Runs or refuses; job_text, job_entity or job_page end it. */
	bool (*run)(struct job *job, const struct json *params, struct error *err);
};

static struct model_store *store_of(const struct job *job)
{
	return job->reading.from->store;
}

static void job_end(struct job *job, const char *result, size_t len, const struct error *err)
{
	struct functions *functions = job->functions;
	struct error invalid;
	if (err == NULL && !reading_valid(&job->reading, &invalid))
		err = &invalid;
	reading_end(&job->reading);
	if (err != NULL)
		job->err = *err;
	else
		job->result = arena_copy(job->arena, result, len);
	DL_APPEND(functions->done, job);
	loop_task_start(functions->model->loop, &functions->task);
}

/* ---- the functions ---- */

static void job_text(void *arg, const struct buffer *json, const struct error *err)
{
	job_end(arg, err == NULL ? json->bytes : NULL, err == NULL ? json->len : 0, err);
}

static void job_entity(void *arg, const struct model_store_entity *entity, const struct error *err)
{
	struct buffer json;
	buffer_init(&json, RESULT_MAX);
	if (err == NULL && entity != NULL)
		model_store_entity_json(entity, &json);
	else
		buffer_puts(&json, "null");
	job_end(arg, json.bytes, json.len, err);
	buffer_free(&json);
}

/* The first of the page, or null. */
static void job_first(void *arg, const struct query_page *page, const struct error *err)
{
	bool found = err == NULL && page->count > 0;
	job_end(arg, found ? page->entities[0].json : "null",
	        found ? page->entities[0].json_len : 4, err);
}

/* All of the page, as a list. */
static void job_page(void *arg, const struct query_page *page, const struct error *err)
{
	struct buffer json;
	buffer_init(&json, RPC_MESSAGE_MAX);
	buffer_putc(&json, '[');
	for (size_t i = 0; err == NULL && i < page->count; i++) {
		if (i > 0)
			buffer_putc(&json, ',');
		buffer_append(&json, page->entities[i].json, page->entities[i].json_len);
	}
	buffer_putc(&json, ']');
	job_end(arg, json.bytes, json.len, err);
	buffer_free(&json);
}

static bool text_param(const struct json *params, const char *name, const char **out,
                       struct error *err)
{
	const struct json *value = params == NULL ? NULL : json_member(params, name);
	*out = value == NULL ? NULL : json_text(value);
	return *out != NULL || error_set(err, ERR_INVALID, "%s: must be a string", name);
}

/* The text that a field has in the model: strings as they are, the rest as JSON. */
static const char *value_text(struct arena *arena, const struct json *value)
{
	if (json_text(value) != NULL)
		return arena_strdup(arena, json_text(value));
	struct buffer text;
	buffer_init(&text, RESULT_MAX);
	json_write(&text, value);
	const char *copy = arena_copy(arena, text.bytes, text.len);
	buffer_free(&text);
	return copy;
}

/* props: field -> value or list of values. */
static bool read_props(struct job *job, const struct json *props, struct query_list *list,
                       struct error *err)
{
	if (json_kind(props) != JSON_OBJECT)
		return error_set(err, ERR_INVALID, "props: must be an object");
	struct query_filter *filters =
	    arena_alloc(job->arena, (json_count(props) + 1) * sizeof(*filters));
	for (const struct json *prop = json_first(props); prop != NULL; prop = json_next(prop)) {
		bool many = json_kind(prop) == JSON_LIST;
		const char **values =
		    arena_alloc(job->arena, (many ? json_count(prop) + 1 : 1) * sizeof(*values));
		size_t count = 0;
		if (!many)
			values[count++] = value_text(job->arena, prop);
		for (const struct json *item = many ? json_first(prop) : NULL; item != NULL;
		     item = json_next(item))
			values[count++] = value_text(job->arena, item);
		filters[list->filter_count++] =
		    (struct query_filter){ arena_strdup(job->arena, json_name(prop)), values,
			                   count };
	}
	list->filters = filters;
	return true;
}

static bool get_entity(struct job *job, const struct json *params, struct error *err)
{
	struct query_list list = { .limit = 1, .cursor = "" };
	const char *id;
	if (!text_param(params, "name", &list.name, err) || !name_check("name", list.name, err))
		return false;
	const struct json *props = json_member(params, "props");
	if (props != NULL) {
		if (!read_props(job, props, &list, err))
			return false;
		query_list(store_of(job), &list, job_first, job);
		return true;
	}
	if (!text_param(params, "id", &id, err))
		return false;
	model_store_get(store_of(job), list.name, id, job_entity, job);
	return true;
}

static bool get_entities(struct job *job, const struct json *params, struct error *err)
{
	struct query_list list = { .limit = QUERY_LIMIT_MAX, .cursor = "" };
	if (!text_param(params, "name", &list.name, err) || !name_check("name", list.name, err))
		return false;
	const struct json *props = json_member(params, "props");
	const struct json *ids = json_member(params, "ids");
	if (props != NULL && !read_props(job, props, &list, err))
		return false;
	if (ids == NULL) {
		query_all(store_of(job), &list, QUERY_LIST, RESULT_MAX, job_text, job);
		return true;
	}
	if (json_kind(ids) != JSON_LIST)
		return error_set(err, ERR_INVALID, "ids: must be a list");
	const char **texts = arena_alloc(job->arena, (json_count(ids) + 1) * sizeof(*texts));
	size_t count = 0;
	for (const struct json *item = json_first(ids); item != NULL; item = json_next(item)) {
		texts[count] = json_text(item);
		if (texts[count++] == NULL)
			return error_set(err, ERR_INVALID, "ids[%zu]: must be a string", count - 1);
	}
	query_many(store_of(job), list.name, texts, count, job_page, job);
	return true;
}

static bool get_mails(struct job *job, const struct json *params, struct error *err)
{
	(void)params;
	(void)err;
	query_mails(store_of(job), RESULT_MAX, job_text, job);
	return true;
}

static bool all_of_set(struct job *job, const char *name, const char *set, enum query_shape shape)
{
	struct query_list list = { .name = name, .set = set };
	query_all(store_of(job), &list, shape, RESULT_MAX, job_text, job);
	return true;
}

static bool get_unbilled(struct job *job, const struct json *params, struct error *err)
{
	(void)params;
	(void)err;
	return all_of_set(job, "order", "unbilled_order_ids", QUERY_MAP);
}

static bool get_unshipped(struct job *job, const struct json *params, struct error *err)
{
	(void)params;
	(void)err;
	return all_of_set(job, "order", "unshipped_order_ids", QUERY_MAP);
}

static bool get_delivered(struct job *job, const struct json *params, struct error *err)
{
	(void)params;
	(void)err;
	return all_of_set(job, "shipping", "delivered_shipping_ids", QUERY_LIST);
}

static const struct function table[] = {
	{ "get_entity", get_entity },
	{ "get_entities", get_entities },
	{ "get_mails", get_mails },
	{ "get_unbilled_orders", get_unbilled },
	{ "get_unshipped_orders", get_unshipped },
	{ "get_delivered_orders", get_delivered },
};

/* ---- from the delivery to the function ---- */

static void run_job(void *arg, const struct error *wait_err)
{
	struct job *job = arg;
	struct error err;
	struct json *payload = NULL;
	if (wait_err != NULL) {
		job_end(job, NULL, 0, wait_err);
		return;
	}
	if (!model_ready(job->functions->model, &err) ||
	    !json_parse(job->payload, strlen(job->payload), &payload, &err)) {
		job_end(job, NULL, 0, &err);
		return;
	}
	reading_begin(&job->reading, job->functions->model->live);
	const struct json *params =
	    json_kind(payload) == JSON_OBJECT ? json_member(payload, "params") : NULL;
	if (!job->function->run(job, params, &err))
		job_end(job, NULL, 0, &err);
	json_free(payload);
}

static void ask_topics(struct functions *functions);

static void topics_done(void *arg, const ProtobufCMessage *message, const struct error *err)
{
	struct functions *functions = arg;
	struct read_model *model = functions->model;
	struct job *asked = functions->asked, *job, *next;
	struct log_end last = { .position = { "", "" } };
	functions->asking = false;
	functions->asked = NULL;
	if (err == NULL)
		last = log_end_of(message);
	DL_FOREACH_SAFE(asked, job, next)
	{
		DL_DELETE(asked, job);
		if (err != NULL || model->live == NULL ||
		    projector_wait(model->live->projector, &last.position, MODEL_WAIT_MS, run_job,
		                   job))
			run_job(job, err);
	}
	if (functions->waiting != NULL)
		ask_topics(functions);
}

static void ask_topics(struct functions *functions)
{
	struct read_model *model = functions->model;
	functions->asking = true;
	functions->asked = functions->waiting;
	functions->waiting = NULL;
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	request.brief = true;
	rpc_unary(model->event_store, &es__event_store__descriptor, "Topics", &request.base,
	          MODEL_TOPICS_TIMEOUT_MS, topics_done, functions);
}

static void on_deliveries(void *arg, const ProtobufCMessage *message)
{
	struct functions *functions = arg;
	const Mq__ConsumeResponse *response = (const Mq__ConsumeResponse *)message;
	for (size_t i = 0; i < response->n_deliveries; i++) {
		const Mq__Message *given = response->deliveries[i]->message;
		const struct function *function = NULL;
		for (size_t f = 0; given != NULL && f < ARRAY_LEN(table); f++) {
			if (strcmp(table[f].name, given->function) == 0)
				function = &table[f];
		}
		if (function == NULL)
			continue;
		struct arena *arena = arena_create();
		struct job *job = arena_zalloc(arena, sizeof(*job));
		job->functions = functions;
		job->arena = arena;
		job->function = function;
		job->message_id = arena_strdup(arena, given->message_id);
		job->payload = arena_strdup(arena, given->payload);
		DL_APPEND(functions->waiting, job);
	}
	if (functions->waiting != NULL && !functions->asking)
		ask_topics(functions);
}

/* ---- settling ---- */

static void send_settle(struct functions *functions, const struct job *job)
{
	Mq__Error error = MQ__ERROR__INIT;
	Mq__Result result = MQ__RESULT__INIT;
	Mq__Settle settle = MQ__SETTLE__INIT, *settles[] = { &settle };
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	settle.message_id = job->message_id;
	settle.function = job->function->name;
	settle.result = &result;
	if (job->result != NULL) {
		result.result = job->result;
	} else {
		error.code = (uint32_t)error_grpc_status(job->err.code);
		error.message = job->err.message;
		result.error = &error;
	}
	request.settles = settles;
	request.n_settles = 1;
	rpc_link_send(functions->link, &request.base);
}

static void settle_done(struct loop_task *task)
{
	struct functions *functions = OWNER(struct functions, task, task);
	struct job *job, *next;
	DL_FOREACH_SAFE(functions->done, job, next)
	{
		DL_DELETE(functions->done, job);
		send_settle(functions, job);
		arena_destroy(job->arena);
	}
}

/* ---- life ---- */

struct functions *functions_create(struct read_model *model)
{
	struct functions *functions = calloc(1, sizeof(*functions));
	ASSERT(functions != NULL);
	functions->model = model;
	functions->task.fn = settle_done;
	const char *names[ARRAY_LEN(table)];
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		names[i] = table[i].name;
	Mq__ConsumeStart consume = MQ__CONSUME_START__INIT;
	consume.service = "read-model";
	consume.functions = names;
	consume.n_functions = ARRAY_LEN(names);
	consume.credits = CREDITS;
	consume.lease_ms = LEASE_MS;
	consume.max_attempts = ATTEMPTS_MAX;
	Mq__ConsumeRequest request = MQ__CONSUME_REQUEST__INIT;
	request.start = &consume;
	functions->link =
	    rpc_link_create(model->loop, &(struct rpc_link_options){
	                                     .name = "queue",
	                                     .channel = model->message_queue,
	                                     .service = &mq__message_queue__descriptor,
	                                     .method = "Consume",
	                                     .start = &request.base,
	                                     .message = on_deliveries,
	                                     .arg = functions,
	                                 });
	return functions;
}

void functions_stop(struct functions *functions)
{
	rpc_link_close(functions->link);
}

static void free_jobs(struct job *jobs)
{
	struct job *job, *next;
	DL_FOREACH_SAFE(jobs, job, next)
	{
		arena_destroy(job->arena);
	}
}

void functions_destroy(struct functions *functions)
{
	if (functions == NULL)
		return;
	rpc_link_destroy(functions->link);
	loop_task_stop(functions->model->loop, &functions->task);
	free_jobs(functions->waiting);
	free_jobs(functions->asked);
	free_jobs(functions->done);
	free(functions);
}
