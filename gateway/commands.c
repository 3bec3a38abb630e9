#include "gateway/gateway.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/messagequeue_v1.pb-c.h"

enum {
	CALL_TIMEOUT_MS = 30000,
	/* The queue ends a call first: its error says that the work goes on. */
	MUX_TIMEOUT_MS = CALL_TIMEOUT_MS + 1000,
	PAYLOAD_MAX = BODY_MAX + 256,
};

/* ---- on the HTTP thread ---- */

/* The second is what curl -d says of any body. A page of another site cannot use it to send JSON:
 * browsers encode the braces of a form in it. */
static bool may_be_json(const char *content_type)
{
	static const char *const types[] = { "application/json",
		                             "application/x-www-form-urlencoded" };
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t len = strlen(types[i]);
		if (strncasecmp(content_type, types[i], len) == 0 &&
		    strchr("; ", content_type[len]) != NULL) /* its NUL counts */
			return true;
	}
	return false;
}

static bool check_create(const struct json *body, struct error *err)
{
	if (json_kind(body) == JSON_OBJECT)
		return true;
	if (json_kind(body) != JSON_LIST)
		return error_set(err, ERR_INVALID,
		                 "the body must be an object or a list of objects, is %s",
		                 json_kind_name(json_kind(body)));
	if (json_count(body) == 0)
		return error_set(err, ERR_INVALID, "the list in the body is empty");
	size_t index = 0;
	for (const struct json *item = json_first(body); item != NULL; item = json_next(item)) {
		if (json_kind(item) != JSON_OBJECT)
			return error_set(err, ERR_INVALID, "[%zu]: must be an object, is %s", index,
			                 json_kind_name(json_kind(item)));
		index++;
	}
	return true;
}

/* The body's fields with the path's id among them. */
static bool write_update(struct exchange *exchange, const struct json *body, const char *text,
                         size_t len, struct error *err)
{
	struct buffer *out = &exchange->text;
	if (json_kind(body) != JSON_OBJECT)
		return error_set(err, ERR_INVALID, "the body must be an object, is %s",
		                 json_kind_name(json_kind(body)));
	const struct json *id = json_member(body, "entity_id");
	if (id != NULL) {
		if (json_kind(id) != JSON_STRING || strcmp(json_text(id), exchange->id) != 0)
			return error_set(err, ERR_INVALID,
			                 "entity_id: must be %s as in the path, or left out",
			                 exchange->id);
		buffer_append(out, text, len);
		return true;
	}
	const char *fields = (const char *)memchr(text, '{', len) + 1;
	buffer_printf(out, "{\"entity_id\": \"%s\"%s", exchange->id,
	              json_count(body) > 0 ? ", " : "");
	buffer_append(out, fields, (size_t)(text + len - fields));
	return true;
}

static bool read_body(struct exchange *exchange, struct error *err)
{
	size_t len;
	const char *text = http_body(exchange->request, &len);
	struct json *body;
	if (len == 0)
		return error_set(err, ERR_INVALID, "the body is empty: it must be a JSON object%s",
		                 exchange->route->action == ROUTE_UPDATE ? ""
		                                                         : " or a list of them");
	if (!json_parse(text, len, &body, err))
		return error_wrap(err, "body");
	bool ok;
	if (exchange->route->action == ROUTE_UPDATE) {
		ok = write_update(exchange, body, text, len, err);
	} else {
		ok = check_create(body, err);
		buffer_append(&exchange->text, text, len);
	}
	json_free(body);
	return ok;
}

bool command_prepare(struct exchange *exchange, struct error *err)
{
	const char *key = http_header(exchange->request, "Idempotency-Key");
	exchange->given_id = key != NULL;
	if (key == NULL)
		uuid_v4(exchange->message_id);
	else if (uuid_valid(key))
		strcpy(exchange->message_id, key);
	else
		return error_set(err, ERR_INVALID, "Idempotency-Key: must be a UUID in lower case");
	buffer_init(&exchange->text, PAYLOAD_MAX);
	buffer_puts(&exchange->text, "{\"params\": ");
	if (exchange->route->action == ROUTE_DELETE)
		buffer_printf(&exchange->text, "{\"entity_id\": \"%s\"}", exchange->id);
	else if (!read_body(exchange, err))
		return false;
	buffer_putc(&exchange->text, '}');
	return true;
}

bool command_accepts(const struct route *route, const struct http_request *request)
{
	const char *content_type = http_header(request, "Content-Type");
	return route->action == ROUTE_DELETE || content_type == NULL || may_be_json(content_type);
}

/* ---- on the loop ---- */

/* The message is in the queue and stays there: the same id gives its outcome. */
static void say_it_waits(const struct exchange *exchange, struct error *err)
{
	error_set(err, ERR_DEADLINE,
	          "no answer from %s within %d s (ordershop status shows whether it runs); the "
	          "command waits for it. Its outcome: this request again, with the header "
	          "Idempotency-Key: %s",
	          exchange->entity->service, CALL_TIMEOUT_MS / 1000, exchange->message_id);
}

static void on_result(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct exchange *exchange = arg;
	if (failure != NULL) {
		exchange_fail(exchange, failure);
		return;
	}
	const Mq__SubmitResult *submitted = (const Mq__SubmitResult *)message;
	const Mq__Result *result = submitted->result;
	if (result != NULL && result->error != NULL) {
		struct error err;
		error_set(&err, error_from_grpc((int)result->error->code), "%s",
		          result->error->message);
		if (err.code == ERR_DEADLINE)
			say_it_waits(exchange, &err);
		exchange_fail(exchange, &err);
		return;
	}
	if (exchange->route->action == ROUTE_SEND) {
		char json[UUID_SIZE + 2];
		snprintf(json, sizeof(json), "\"%s\"", exchange->message_id);
		exchange_result(exchange, json);
		return;
	}
	if (result == NULL) {
		exchange_result(exchange, "");
		return;
	}
	for (size_t i = 0; i < result->n_tokens; i++)
		tokens_note(&exchange->gateway->tokens, result->tokens[i]->topic,
		            result->tokens[i]->entry_id);
	exchange_result(exchange, result->result);
}

static const char *function_of(const struct exchange *exchange)
{
	switch (exchange->route->action) {
	case ROUTE_UPDATE:
		return exchange->entity->update;
	case ROUTE_DELETE:
		return exchange->entity->remove;
	default:
		return exchange->entity->create;
	}
}

void command_run(struct exchange *exchange)
{
	struct upstream *queue = &exchange->gateway->queue;
	struct error err;
	if (!upstream_check(queue, &err)) {
		exchange_fail(exchange, &err);
		return;
	}
	char metadata[UUID_SIZE + 64];
	snprintf(metadata, sizeof(metadata), "{\"correlation_id\":\"%s\",\"actor\":\"rest\"}",
	         exchange->message_id);
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = exchange->entity->service;
	message.function = function_of(exchange);
	message.message_id = exchange->message_id;
	message.payload = exchange->text.bytes;
	message.metadata = metadata;
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	item.send_only = exchange->route->action == ROUTE_SEND;
	item.timeout_ms = CALL_TIMEOUT_MS;
	item.sending = exchange->given_id ? MQ__SENDING__ANY : MQ__SENDING__FIRST;
	rpc_mux_request(queue->mux, &item.base, MUX_TIMEOUT_MS, on_result, exchange);
	buffer_free(&exchange->text);
}
