#include "gateway/service.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/feed.h"
#include "gateway/gateway.h"
#include "gateway/health.h"
#include "gateway/metrics.h"
#include "gateway/pages.h"
#include "gateway/summary.h"

#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

enum {
	CONNECTIONS_MAX = 4096,
	LARGE_BLOCK = 256 * 1024,
	FILES = 256, /* others than connections */
	IDLE_TIMEOUT_S = 75,
	STREAM_MAX = 4 * 1024 * 1024,
	WAITING_MAX = 8192, /* requests at a time to one service */
	GRACE_MS = 4000,    /* less than `ordershop run` waits */
	LOOK_MS = 250,
	DOWN_MAX_US = 3000000,
};

/* ---- upstreams ---- */

static void upstream_look(struct upstream *upstream)
{
	if (rpc_mux_connected(upstream->mux))
		upstream->down_since_us = 0;
	else if (upstream->down_since_us == 0)
		upstream->down_since_us = clock_monotonic_us();
}

bool upstream_check(struct upstream *upstream, struct error *err)
{
	if (upstream->down_since_us == 0 || rpc_mux_connected(upstream->mux) ||
	    clock_monotonic_us() - upstream->down_since_us < DOWN_MAX_US)
		return true;
	return error_set(err, ERR_UNAVAILABLE, "the %s cannot be reached: try again later",
	                 upstream->name);
}

static void on_look(void *arg)
{
	struct gateway *gateway = arg;
	upstream_look(&gateway->queue);
	upstream_look(&gateway->model);
	loop_timer_start(gateway->loop, &gateway->look, LOOK_MS, on_look, gateway);
}

/* ---- on the loop ---- */

static void run_health(struct exchange *exchange)
{
	const struct health *health = exchange->gateway->health;
	struct buffer body;
	buffer_init(&body, BODY_MAX);
	health_write(health, &body);
	exchange_answer(exchange, health_ok(health) ? 200 : 503, "application/json", &body);
}

static void run_metrics(struct exchange *exchange)
{
	struct gateway *gateway = exchange->gateway;
	struct buffer body;
	buffer_init(&body, BODY_MAX);
	metrics_write(gateway->metrics, &body);
	buffer_printf(&body,
	              "# HELP ordershop_feed_clients Who reads the live feed now.\n"
	              "# TYPE ordershop_feed_clients gauge\nordershop_feed_clients %zu\n",
	              feed_clients(gateway->feed));
	health_write_metrics(gateway->health, &body);
	exchange_answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void run_events(struct exchange *exchange)
{
	feed_open(exchange->gateway->feed, exchange);
}

static void run_summary(struct exchange *exchange)
{
	summary_run(exchange->gateway->summary, exchange);
}

/* Pages are answered on the HTTP thread. */
static void (*const actions[ROUTE_ACTIONS])(struct exchange *exchange) = {
	[ROUTE_EVENTS] = run_events,   [ROUTE_SUMMARY] = run_summary,
	[ROUTE_HEALTH] = run_health,   [ROUTE_METRICS] = run_metrics,
	[ROUTE_REPORT] = query_run,    [ROUTE_REPORT_ORDERS] = query_run,
	[ROUTE_UNBILLED] = query_run,  [ROUTE_UNSHIPPED] = query_run,
	[ROUTE_DELIVERED] = query_run, [ROUTE_MAILS] = query_run,
	[ROUTE_LIST] = query_run,      [ROUTE_GET] = query_run,
	[ROUTE_CREATE] = command_run,  [ROUTE_SEND] = command_run,
	[ROUTE_UPDATE] = command_run,  [ROUTE_DELETE] = command_run,
};

static void run_batch(void *arg)
{
	struct exchange *exchange = arg;
	while (exchange != NULL) {
		struct exchange *next = exchange->next;
		exchange->next = NULL;
		actions[exchange->route->action](exchange);
		exchange = next;
	}
}

/* ---- on the HTTP thread ---- */

static void refuse(struct gateway *gateway, struct http_request *request, const struct route *route,
                   int status, const char *message)
{
	metrics_count(gateway->metrics, route, status, 0);
	http_answer_error(request, status, message);
}

static void refuse_path(struct gateway *gateway, struct http_request *request)
{
	char message[256] =
	    "there is nothing at this path; one entity is at /X/ID, all are at /Xs; X: ";
	for (size_t i = 0; i < route_entities_count; i++) {
		size_t used = strlen(message);
		snprintf(message + used, sizeof(message) - used, "%s%s", i > 0 ? ", " : "",
		         route_entities[i].name);
	}
	refuse(gateway, request, NULL, 404, message);
}

static void refuse_method(struct gateway *gateway, struct http_request *request,
                          const struct route_match *match)
{
	struct buffer body;
	char header[ROUTE_ALLOW_SIZE + 16];
	buffer_init(&body, BODY_MAX);
	buffer_printf(&body, "{\"error\": \"this path takes only %s", match->allow);
	if (match->entity != NULL)
		buffer_printf(&body, "; one %s is at /%s/ID, all are at /%s", match->entity->name,
		              match->entity->name, match->entity->plural);
	buffer_puts(&body, "\"}");
	snprintf(header, sizeof(header), "Allow: %s\r\n", match->allow);
	metrics_count(gateway->metrics, NULL, 405, 0);
	http_answer(request, 405, "application/json", &body, header);
}

/* What the handler must take from the request before it leaves this thread. */
static bool prepare(struct exchange *exchange, struct error *err)
{
	enum route_action action = exchange->route->action;
	if (action == ROUTE_CREATE || action == ROUTE_SEND || action == ROUTE_UPDATE ||
	    action == ROUTE_DELETE)
		return command_prepare(exchange, err);
	if (actions[action] == query_run)
		return query_prepare(exchange, err);
	if (action == ROUTE_EVENTS) {
		const char *position = http_header(exchange->request, "Last-Event-ID");
		snprintf(exchange->last_event, sizeof(exchange->last_event), "%s",
		         position != NULL ? position : "");
	}
	return true;
}

static void collect(struct gateway *gateway, struct http_request *request,
                    const struct route_match *match)
{
	struct error err;
	if (match->id != NULL && !uuid_valid(match->id)) {
		error_set(&err, ERR_INVALID,
		          "\"%.100s\" is not an id: it must be a UUID in lower case", match->id);
		refuse(gateway, request, match->route, 400, err.message);
		return;
	}
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	ASSERT(exchange != NULL);
	exchange->gateway = gateway;
	exchange->request = request;
	exchange->route = match->route;
	exchange->entity = match->entity;
	if (match->id != NULL)
		strcpy(exchange->id, match->id);
	exchange->started_us = clock_monotonic_us();
	if (!prepare(exchange, &err)) {
		exchange_fail(exchange, &err);
		return;
	}
	*gateway->last = exchange;
	gateway->last = &exchange->next;
}

/* Not of the original, whose clients may send what they like: here a parameter is a mistake. */
static const bool takes_no_parameters[ROUTE_ACTIONS] = {
	[ROUTE_STYLE] = true,   [ROUTE_SCRIPT] = true, [ROUTE_EVENTS] = true,
	[ROUTE_SUMMARY] = true, [ROUTE_HEALTH] = true, [ROUTE_METRICS] = true,
};

static bool check_parameters(struct http_request *request, const struct route *route,
                             struct error *err)
{
	const char *name = takes_no_parameters[route->action] ? http_query_first(request) : NULL;
	return name == NULL ||
	       error_set(err, ERR_INVALID,
	                 "%.60s: %s takes no parameters; at, of routes that ask the read model, is "
	                 "the only one there is",
	                 name, route->pattern);
}

static void handle(void *ctx, struct http_request *request)
{
	struct gateway *gateway = ctx;
	struct route_match match;
	switch (route_find(http_method(request), http_path(request), &match)) {
	case ROUTE_UNKNOWN_PATH:
		refuse_path(gateway, request);
		return;
	case ROUTE_WRONG_METHOD:
		refuse_method(gateway, request, &match);
		return;
	case ROUTE_FOUND:
		break;
	}
	enum route_action action = match.route->action;
	struct error err;
	if (!check_parameters(request, match.route, &err)) {
		refuse(gateway, request, match.route, 400, err.message);
	} else if (actions[action] == NULL) {
		metrics_count(gateway->metrics, match.route, 200, 0);
		page_answer(action, request);
	} else if (actions[action] == command_run && !command_accepts(match.route, request)) {
		refuse(gateway, request, match.route, 415,
		       "the body must be JSON: send Content-Type: application/json");
	} else {
		collect(gateway, request, &match);
	}
}

static void turn(void *ctx)
{
	struct gateway *gateway = ctx;
	if (gateway->first == NULL)
		return;
	loop_post(gateway->loop, run_batch, gateway->first);
	gateway->first = NULL;
	gateway->last = &gateway->first;
}

/* ---- start and stop ---- */

static void upstream_create(struct gateway *gateway, struct upstream *upstream, const char *name,
                            const char *target, const ProtobufCServiceDescriptor *service,
                            const char *method)
{
	upstream->name = name;
	upstream->channel = rpc_channel_create(gateway->loop, target);
	upstream->mux =
	    rpc_mux_create(gateway->loop, upstream->channel, service, method, WAITING_MAX);
}

static void upstream_destroy(struct upstream *upstream)
{
	rpc_mux_destroy(upstream->mux);
	rpc_channel_destroy(upstream->channel);
}

/* Each connection is a file; the usual 1024 would be reached before CONNECTIONS_MAX. */
static void allow_connections(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= CONNECTIONS_MAX + FILES)
		return;
	limit.rlim_cur =
	    limit.rlim_max < CONNECTIONS_MAX + FILES ? limit.rlim_max : CONNECTIONS_MAX + FILES;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("few_files", "limit=%llu", (unsigned long long)limit.rlim_cur);
}

bool gateway_serve(struct loop *loop, const struct gateway_options *options, struct gateway **out,
                   struct error *err)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	ASSERT(gateway != NULL);
	gateway->loop = loop;
	gateway->last = &gateway->first;
	gateway->large_last = &gateway->large_first;
	allow_connections();
	/* Fixed: large answers then go back to the system when they are sent. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
	gateway->metrics = metrics_create();
	upstream_create(gateway, &gateway->queue, "message queue", options->message_queue,
	                &mq__message_queue__descriptor, "SubmitStream");
	upstream_create(gateway, &gateway->model, "read model", options->read_model,
	                &rm__read_model__descriptor, "GetStream");
	gateway->store = rpc_channel_create(loop, options->event_store);
	gateway->feed = feed_create(loop, gateway->store);
	gateway->summary = summary_create(gateway);
	struct health_options health = { .store = gateway->store,
		                         .queue = gateway->queue.channel,
		                         .model = gateway->model.channel,
		                         .ready = options->ready,
		                         .ready_arg = options->ready_arg };
	gateway->health = health_create(loop, &health);
	on_look(gateway);
	struct http_options http = { .host = options->host != NULL ? options->host : "127.0.0.1",
		                     .port = options->port,
		                     .body_max = BODY_MAX,
		                     .stream_max = STREAM_MAX,
		                     .connection_max = CONNECTIONS_MAX,
		                     .idle_timeout_s = IDLE_TIMEOUT_S,
		                     .turn = turn };
	if (!http_server_create(&http, handle, gateway, &gateway->http, err)) {
		gateway_destroy(gateway);
		return false;
	}
	*out = gateway;
	return true;
}

int gateway_port(const struct gateway *gateway)
{
	return http_server_port(gateway->http);
}

static void on_http_gone(void *arg)
{
	struct gateway *gateway = arg;
	pthread_join(gateway->stopper, NULL);
	gateway->http = NULL;
	gateway->stopped(gateway->stopped_arg);
}

/* Waits for the HTTP server, which waits for answers of the loop: so not on the loop. */
static void *stop_http(void *arg)
{
	struct gateway *gateway = arg;
	http_server_destroy(gateway->http, GRACE_MS);
	loop_post(gateway->loop, on_http_gone, gateway);
	return NULL;
}

void gateway_stop(struct gateway *gateway, void (*done)(void *arg), void *arg)
{
	gateway->stopped = done;
	gateway->stopped_arg = arg;
	health_stop(gateway->health);
	feed_stop(gateway->feed);
	ASSERT(pthread_create(&gateway->stopper, NULL, stop_http, gateway) == 0);
}

void gateway_destroy(struct gateway *gateway)
{
	if (gateway == NULL)
		return;
	ASSERT(gateway->http == NULL);
	loop_timer_stop(gateway->loop, &gateway->look);
	health_stop(gateway->health);
	upstream_destroy(&gateway->queue);
	upstream_destroy(&gateway->model);
	rpc_channel_destroy(gateway->store);
	feed_destroy(gateway->feed);
	summary_destroy(gateway->summary);
	health_destroy(gateway->health);
	metrics_destroy(gateway->metrics);
	free(gateway);
}
