#include "gateway/gateway.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/when.h"

#include <string.h>

#include "proto/readmodel_v1.pb-c.h"

enum {
	PAGE_LIMIT = 1000,
	REPORT_TIMEOUT_MS = 60000,
	/* Queries with large answers at a time: they bound the memory. */
	LARGE_RUNNING_MAX = 8,
	LARGE_WAITING_MAX = 1000,
	LARGE_WAIT_US = 10000000,
	MOMENT_WAIT_MS = 9000, /* for the model of a moment to be built */
};

/* What an answer depends on: it waits until our writes to these topics are projected. */
static const char *const unbilled_topics[] = { "order", "billing", NULL };
static const char *const unshipped_topics[] = { "order", "shipping", NULL };
static const char *const delivered_topics[] = { "shipping", NULL };
static const char *const mail_topics[] = { "mail", NULL };

enum answer_shape { SHAPE_LIST, SHAPE_MAP, SHAPE_MAILS };

static const struct query {
	const char *method;
	enum answer_shape shape;
	const char *const *topics; /* NULL: that of the entity */
} queries[ROUTE_ACTIONS] = {
	[ROUTE_LIST] = { "List", SHAPE_LIST, NULL },
	[ROUTE_UNBILLED] = { "Unbilled", SHAPE_MAP, unbilled_topics },
	[ROUTE_UNSHIPPED] = { "Unshipped", SHAPE_MAP, unshipped_topics },
	[ROUTE_DELIVERED] = { "Delivered", SHAPE_LIST, delivered_topics },
	[ROUTE_MAILS] = { "Mails", SHAPE_MAILS, mail_topics },
};

/* One moment for all pages, whatever the clock says when they are asked for. */
bool query_prepare(struct exchange *exchange, struct error *err)
{
	const char *text = http_query(exchange->request, "at");
	struct entry_id at;
	struct error ignored;
	if (text == NULL)
		return true;
	if (!entry_id_parse(text, &at, &ignored) && !moment_parse(text, clock_wall_us(), &at, err))
		return error_wrap(err, "at");
	entry_id_format(at, exchange->at);
	return true;
}

/* What the query waits for, or the moment that it is about. */
static void pick_consistency(struct exchange *exchange, Rm__Consistency *out)
{
	enum route_action action = exchange->route->action;
	if (exchange->at[0] != '\0') {
		rm__consistency__init(out);
		out->at = exchange->at;
		out->wait_ms = MOMENT_WAIT_MS;
		return;
	}
	if (action == ROUTE_REPORT || action == ROUTE_REPORT_ORDERS) {
		tokens_pick(&exchange->gateway->tokens, NULL, out); /* of all topics */
		return;
	}
	const struct query *query = &queries[action];
	const char *own[] = { exchange->entity != NULL ? exchange->entity->name : NULL, NULL };
	tokens_pick(&exchange->gateway->tokens, query->topics != NULL ? query->topics : own, out);
}

/* ---- one entity ---- */

static void on_entity(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct exchange *exchange = arg;
	if (failure != NULL) {
		exchange_fail(exchange, failure);
		return;
	}
	const Rm__GetResult *result = (const Rm__GetResult *)message;
	if (result->error != NULL) {
		struct error err;
		error_set(&err, error_from_grpc((int)result->error->code), "%s",
		          result->error->message);
		exchange_fail(exchange, &err);
		return;
	}
	exchange_result(exchange, result->entity != NULL ? result->entity->json : "");
}

static void get_entity(struct exchange *exchange)
{
	Rm__Consistency consistency;
	Rm__GetRequest request = RM__GET_REQUEST__INIT;
	Rm__GetItem item = RM__GET_ITEM__INIT;
	pick_consistency(exchange, &consistency);
	request.name = exchange->entity->name;
	request.id = exchange->id;
	if (consistency.n_tokens > 0 || exchange->at[0] != '\0')
		request.consistency = &consistency;
	item.request = &request;
	rpc_mux_request(exchange->gateway->model.mux, &item.base, QUERY_TIMEOUT_MS, on_entity,
	                exchange);
}

/* ---- large answers ---- */

static void start_large(struct exchange *exchange);

static void next_large(struct gateway *gateway)
{
	struct exchange *exchange;
	while (gateway->large_running < LARGE_RUNNING_MAX &&
	       (exchange = gateway->large_first) != NULL) {
		gateway->large_first = exchange->next;
		if (gateway->large_first == NULL)
			gateway->large_last = &gateway->large_first;
		gateway->large_waiting--;
		exchange->next = NULL;
		if (clock_monotonic_us() - exchange->started_us < LARGE_WAIT_US) {
			gateway->large_running++;
			start_large(exchange);
			continue;
		}
		struct error err;
		error_set(&err, ERR_DEADLINE, "too many large queries were before this one");
		exchange_fail(exchange, &err);
	}
}

static void end_large(struct exchange *exchange, const struct error *failure)
{
	struct gateway *gateway = exchange->gateway;
	if (failure != NULL)
		exchange_fail(exchange, failure);
	else
		exchange_answer(exchange, 200, "application/json", &exchange->text);
	gateway->large_running--;
	next_large(gateway);
}

static void wait_large(struct exchange *exchange)
{
	struct gateway *gateway = exchange->gateway;
	struct error err;
	if (gateway->large_waiting >= LARGE_WAITING_MAX) {
		error_set(&err, ERR_EXHAUSTED, "too many large queries at once: try again later");
		exchange_fail(exchange, &err);
		return;
	}
	*gateway->large_last = exchange;
	gateway->large_last = &exchange->next;
	gateway->large_waiting++;
	next_large(gateway);
}

/* ---- lists, page by page ---- */

static void on_page(void *arg, const ProtobufCMessage *message, const struct error *failure);

static void ask_page(struct exchange *exchange, const char *cursor)
{
	const struct query *query = &queries[exchange->route->action];
	Rm__Consistency consistency;
	Rm__ListRequest list = RM__LIST_REQUEST__INIT;
	Rm__OrdersRequest orders = RM__ORDERS_REQUEST__INIT;
	Rm__MailsRequest mails = RM__MAILS_REQUEST__INIT;
	const ProtobufCMessage *request;
	pick_consistency(exchange, &consistency);
	if (exchange->route->action == ROUTE_LIST) {
		list.name = exchange->entity->name;
		list.limit = PAGE_LIMIT;
		list.cursor = cursor;
		list.consistency = &consistency;
		request = &list.base;
	} else if (query->shape == SHAPE_MAILS) {
		mails.limit = PAGE_LIMIT;
		mails.cursor = cursor;
		mails.consistency = &consistency;
		request = &mails.base;
	} else {
		orders.limit = PAGE_LIMIT;
		orders.cursor = cursor;
		orders.consistency = &consistency;
		request = &orders.base;
	}
	rpc_unary(exchange->gateway->model.channel, &rm__read_model__descriptor, query->method,
	          request, QUERY_TIMEOUT_MS, on_page, exchange);
}

static void add_separator(struct exchange *exchange)
{
	buffer_puts(&exchange->text, exchange->separator);
	exchange->separator = ", ";
}

static const char *add_entities(struct exchange *exchange, const Rm__ListResponse *page)
{
	bool map = queries[exchange->route->action].shape == SHAPE_MAP;
	for (size_t i = 0; i < page->n_entities; i++) {
		const Rm__Entity *entity = page->entities[i];
		add_separator(exchange);
		if (map) {
			json_write_string(&exchange->text, entity->id, strlen(entity->id));
			buffer_puts(&exchange->text, ": ");
		}
		buffer_puts(&exchange->text, entity->json);
	}
	return page->cursor;
}

/* As the events stand in the log, data as a JSON text: what clients of the original parse. */
static const char *add_mails(struct exchange *exchange, const Rm__MailsResponse *page)
{
	struct buffer *out = &exchange->text;
	for (size_t i = 0; i < page->n_mails; i++) {
		const Rm__Mail *mail = page->mails[i];
		add_separator(exchange);
		buffer_printf(out,
		              "[\"%s\", {\"event_id\": \"%s\", \"event_action\": \"mail_sent\", "
		              "\"event_data\": ",
		              mail->entry_id, mail->event_id);
		json_write_string(out, mail->json, strlen(mail->json));
		buffer_puts(out, "}]");
	}
	return page->cursor;
}

static void on_page(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct exchange *exchange = arg;
	enum answer_shape shape = queries[exchange->route->action].shape;
	struct error err;
	if (failure != NULL) {
		end_large(exchange, failure);
		return;
	}
	const char *cursor = shape == SHAPE_MAILS
	                         ? add_mails(exchange, (const Rm__MailsResponse *)message)
	                         : add_entities(exchange, (const Rm__ListResponse *)message);
	if (cursor[0] != '\0' && !exchange->text.overflow) {
		ask_page(exchange, cursor);
		return;
	}
	buffer_puts(&exchange->text, shape == SHAPE_MAP ? "}}" : "]}");
	if (exchange->text.overflow)
		error_set(
		    &err, ERR_EXHAUSTED,
		    "the list is larger than %d MiB: read it in pages from the read model (List)",
		    ANSWER_MAX >> 20);
	end_large(exchange, exchange->text.overflow ? &err : NULL);
}

static void get_list(struct exchange *exchange)
{
	bool map = queries[exchange->route->action].shape == SHAPE_MAP;
	buffer_puts(&exchange->text, map ? "{\"result\": {" : "{\"result\": [");
	exchange->separator = "";
	ask_page(exchange, "");
}

/* ---- reports ---- */

static void on_report(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct exchange *exchange = arg;
	if (failure == NULL) {
		buffer_puts(&exchange->text, "{\"result\": ");
		buffer_puts(&exchange->text, ((const Rm__ReportResponse *)message)->json);
		buffer_putc(&exchange->text, '}');
	}
	end_large(exchange, failure);
}

static void get_report(struct exchange *exchange)
{
	Rm__Consistency consistency;
	Rm__ReportRequest request = RM__REPORT_REQUEST__INIT;
	pick_consistency(exchange, &consistency);
	request.name = exchange->route->action == ROUTE_REPORT_ORDERS ? "orders" : "";
	request.consistency = &consistency;
	rpc_unary(exchange->gateway->model.channel, &rm__read_model__descriptor, "Report",
	          &request.base, REPORT_TIMEOUT_MS, on_report, exchange);
}

static void start_large(struct exchange *exchange)
{
	enum route_action action = exchange->route->action;
	buffer_init(&exchange->text, ANSWER_MAX + 64);
	if (action == ROUTE_REPORT || action == ROUTE_REPORT_ORDERS)
		get_report(exchange);
	else
		get_list(exchange);
}

void query_run(struct exchange *exchange)
{
	struct error err;
	if (!upstream_check(&exchange->gateway->model, &err))
		exchange_fail(exchange, &err);
	else if (exchange->route->action == ROUTE_GET)
		get_entity(exchange);
	else
		wait_large(exchange);
}
