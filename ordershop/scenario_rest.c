/* scenario_rest.c - the same shop by REST. */
#include "ordershop/scenario_live.h"

#include "ordershop/log_reader.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *plural;
} kinds[] = {
	{ "billing", "billings" },      { "cart", "carts" },   { "customer", "customers" },
	{ "inventory", "inventories" }, { "order", "orders" }, { "product", "products" },
	{ "shipping", "shippings" },
};

static const char *plural_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].plural;
	}
	return NULL;
}

/* The answer's `result`, or its `error`. */
static bool take_answer(struct live *live, int status, const char *body, struct shop_answer *answer,
                        struct error *err)
{
	struct json *json;
	if (!json_parse(body, strlen(body), &json, err))
		return error_wrap(err, "the answer with status %d is no JSON", status);
	const struct json *result =
	    json_kind(json) == JSON_OBJECT ? json_member(json, "result") : NULL;
	const struct json *error =
	    json_kind(json) == JSON_OBJECT ? json_member(json, "error") : NULL;
	struct buffer text;
	bool ok = true;
	if (status == 200 && result != NULL) {
		buffer_init(&text, SIZE_MAX / 2);
		json_write(&text, result);
		answer->result = arena_copy(live->arena, text.bytes, text.len);
		buffer_free(&text);
	} else if (status != 200 && error != NULL && json_text(error) != NULL) {
		error_set(&answer->error, ERR_INTERNAL, "%s", json_text(error));
	} else {
		ok = error_set(err, ERR_INTERNAL, "status %d with %.100s", status, body);
	}
	json_free(json);
	return ok;
}

/* ---- Is it the same shop? ---------------------------------------------------------------- */

static bool find_event(void *arg, const struct event *event, const char *data)
{
	struct entry_id *wanted = arg, entry;
	struct error err;
	(void)data;
	if (entry_id_parse(event->entry_id, &entry, &err) && entry_id_compare(entry, *wanted) == 0)
		*wanted = (struct entry_id){ 0 };
	return false; /* the newest up to it was enough */
}

static bool log_has(struct live *live, const char *topic, struct entry_id entry, struct error *err)
{
	const struct entry_id until = entry;
	const struct log_range range = { .topic = topic, .until = &until, .backward = true };
	char text[ENTRY_ID_SIZE];
	if (!log_read_range(live->client, &range, find_event, &entry, err))
		return false;
	if (entry.ms == 0)
		return true;
	entry_id_format(entry, text);
	return error_set(
	    err, ERR_PRECONDITION,
	    "--rest: its shop is another than that of --data: %s of its topic %s is not in the log "
	    "of the event store at %s",
	    text, topic, live->client->targets[TARGET_EVENT_STORE]);
}

/* A gateway that has no summary, or no events yet, is believed. */
bool live_rest_same_shop(struct live *live, struct error *err)
{
	const struct http_question question = { .method = "GET", .path = "/summary" };
	struct json *summary;
	struct entry_id entry;
	struct error ignored;
	int status;
	const char *body;
	if (!http_ask(live->rest, &question, live->arena, &status, &body, err))
		return error_wrap(err, "--rest");
	if (status != 200 || !json_parse(body, strlen(body), &summary, &ignored))
		return true;
	const struct json *events = json_member(summary, "recent_events");
	const struct json *last = events ? json_first(events) : NULL;
	const struct json *topic = last ? json_member(last, "topic") : NULL;
	const struct json *id = last ? json_member(last, "entry_id") : NULL;
	bool told = topic && json_text(topic) && id && json_text(id) &&
	            entry_id_parse(json_text(id), &entry, &ignored);
	bool ok = !told || log_has(live, json_text(topic), entry, err);
	json_free(summary);
	return ok;
}

/* ---- Commands ---------------------------------------------------------------------------- */

/* The id in the params of an update or deletion that a path can hold; NULL: none. */
static const char *path_id(struct live *live, const char *params)
{
	static const char plain[] =
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	struct json *json;
	struct error err;
	const char *id = NULL;
	if (!json_parse(params, strlen(params), &json, &err))
		return NULL;
	const struct json *member =
	    json_kind(json) == JSON_OBJECT ? json_member(json, "entity_id") : NULL;
	const char *text = member == NULL ? NULL : json_text(member);
	if (text != NULL && text[0] != '\0' && text[strspn(text, plain)] == '\0')
		id = arena_strdup(live->arena, text);
	json_free(json);
	return id;
}

/* False: REST has no such request. What REST refuses itself, in its own words, goes by gRPC too. */
static bool find_route(struct live *live, const struct shop_command *command,
                       struct http_question *question)
{
	const char *plural = plural_of(command->service), *id = path_id(live, command->params);
	if (plural == NULL || command->actor != NULL)
		return false;
	question->body = command->params;
	if (strcmp(command->function, arena_printf(live->arena, "create_%s", plural)) == 0) {
		if (command->params[0] != '{' &&
		    (command->params[0] != '[' || command->params[1] != '{'))
			return false;
		question->method = "POST";
		question->path =
		    arena_printf(live->arena, "/%s", command->wait ? command->service : plural);
		return true;
	}
	question->path = arena_printf(live->arena, "/%s/%s", command->service, id);
	question->method = "PUT";
	if (strcmp(command->function, arena_printf(live->arena, "delete_%s", command->service)) ==
	    0) {
		question->method = "DELETE";
		question->body = NULL;
	} else if (strcmp(command->function,
	                  arena_printf(live->arena, "update_%s", command->service)) != 0) {
		return false;
	}
	return id != NULL && command->wait;
}

bool live_rest_command(struct live *live, const struct shop_command *command,
                       struct shop_answer *answer, bool *handled, struct error *err)
{
	struct http_question question = { .method = "POST" };
	int status;
	const char *body;
	*handled = find_route(live, command, &question);
	if (!*handled)
		return true;
	question.headers =
	    arena_printf(live->arena, "Idempotency-Key: %s\r\n", command->message_id);
	if (!http_ask(live->rest, &question, live->arena, &status, &body, err) ||
	    !take_answer(live, status, body, answer, err))
		return error_wrap(err, "%s %s", question.method, question.path);
	answer->http_status = status;
	return true;
}

/* ---- Questions --------------------------------------------------------------------------- */

static const char *route_of(struct live *live, const struct shop_question *question)
{
	switch (question->query) {
	case QUERY_GET:
		return arena_printf(live->arena, "/%s/%s", question->topic, question->id);
	case QUERY_LIST_OF: /* no filters by REST */
		return question->filter_count > 0 || plural_of(question->topic) == NULL
		           ? NULL
		           : arena_printf(live->arena, "/%s", plural_of(question->topic));
	case QUERY_UNBILLED:
		return "/orders/unbilled";
	case QUERY_UNSHIPPED:
		return "/orders/unshipped";
	case QUERY_DELIVERED:
		return "/orders/delivered";
	default:
		return "/mails/sent";
	}
}

static void add_value(struct texts *texts, const struct json *value)
{
	struct buffer text;
	buffer_init(&text, SIZE_MAX / 2);
	json_write(&text, value);
	texts_add(texts, text.bytes);
	buffer_free(&text);
}

/* [[entry id, {"event_data": JSON text, ...}], ...] */
static void take_mails(const struct live *live, struct texts *texts, const struct json *result)
{
	for (const struct json *mail = json_first(result); mail != NULL; mail = json_next(mail)) {
		const struct json *fields = json_at(mail, 1);
		const struct json *data = fields == NULL ? NULL : json_member(fields, "event_data");
		const char *entry_id = json_text(json_at(mail, 0));
		if (data != NULL && json_text(data) != NULL && entry_id != NULL &&
		    live_owns(live, entry_id))
			texts_add(texts, json_text(data));
	}
}

/* A list of entities, or a map of them by id. */
static void take_entities(const struct live *live, struct texts *texts, const struct json *result)
{
	for (const struct json *entity = json_first(result); entity != NULL;
	     entity = json_next(entity)) {
		const struct json *id =
		    json_kind(entity) == JSON_OBJECT ? json_member(entity, "entity_id") : NULL;
		if (id != NULL && json_text(id) != NULL && live_owns(live, json_text(id)))
			add_value(texts, entity);
	}
}

bool live_rest_ask(struct live *live, const struct shop_question *question, struct shop_list *list,
                   bool *handled, struct error *err)
{
	struct http_question ask = { .method = "GET", .path = route_of(live, question) };
	struct shop_answer answer = { .result = NULL };
	struct texts texts = { .arena = live->arena };
	struct json *result;
	int status;
	const char *body;
	*handled = ask.path != NULL;
	if (!*handled)
		return true;
	if (!http_ask(live->rest, &ask, live->arena, &status, &body, err) ||
	    !take_answer(live, status, body, &answer, err))
		return error_wrap(err, "GET %s", ask.path);
	if (answer.result == NULL)
		return error_set(err, ERR_INTERNAL, "GET %s: status %d: %s", ask.path, status,
		                 answer.error.message);
	if (!json_parse(answer.result, strlen(answer.result), &result, err))
		return false;
	if (question->query == QUERY_MAILS)
		take_mails(live, &texts, result);
	else if (question->query != QUERY_GET)
		take_entities(live, &texts, result);
	else if (json_kind(result) != JSON_NULL)
		texts_add(&texts, answer.result);
	json_free(result);
	*list = (struct shop_list){ texts.count, texts.texts };
	return true;
}
