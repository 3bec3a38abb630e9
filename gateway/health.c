#include "gateway/health.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/eventstore_v1.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

enum {
	INTERVAL_MS = 1000,
	STARTING_INTERVAL_MS = 50, /* until all were healthy once */
	TIMEOUT_MS = 1000,
	STALLED_ROUNDS = 3,
	DETAIL_SIZE = 256, /* as the message of an error */
};

enum check { CHECK_STORE, CHECK_QUEUE, CHECK_MODEL, CHECK_CONSUMERS, CHECK_GROUP };

static const struct {
	const char *name;
	enum check check;
	const char *queues; /* service name of its queues */
} services[] = {
	{ "event-store", CHECK_STORE, NULL },
	{ "message-queue", CHECK_QUEUE, NULL },
	{ "read-model", CHECK_MODEL, NULL },
	{ "customer", CHECK_CONSUMERS, "customer-service" },
	{ "product", CHECK_CONSUMERS, "product-service" },
	{ "inventory", CHECK_CONSUMERS, "inventory-service" },
	{ "cart", CHECK_CONSUMERS, "cart-service" },
	{ "order", CHECK_CONSUMERS, "order-service" },
	{ "billing", CHECK_CONSUMERS, "billing-service" },
	{ "shipping", CHECK_CONSUMERS, "shipping-service" },
	{ "mail", CHECK_CONSUMERS, "mail-service" },
	{ "crm", CHECK_GROUP, NULL },
};

struct state {
	bool healthy;
	char detail[DETAIL_SIZE];
	unsigned stalled; /* rounds in a row in which a group stood still */
};

struct probe {
	struct health *health;
	size_t service;
};

struct health {
	struct loop *loop;
	struct health_options options;
	struct loop_timer timer;
	struct state states[ARRAY_LEN(services)];
	struct probe probes[ARRAY_LEN(services)];
	unsigned waiting; /* answers of this round */
	bool ok, was_ok, stopped;
};

static void round_start(void *arg);

static void set(struct health *health, size_t service, bool healthy, const char *detail)
{
	struct state *state = &health->states[service];
	if (state->healthy != healthy && health->was_ok && !health->stopped)
		log_write(healthy ? LOG_INFO : LOG_WARN, "service_health",
		          "name=%s healthy=%d detail=\"%s\"", services[service].name, healthy,
		          detail);
	state->healthy = healthy;
	snprintf(state->detail, sizeof(state->detail), "%s", detail);
}

static void set_all(struct health *health, enum check check, bool healthy, const char *detail)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (services[i].check == check)
			set(health, i, healthy, detail);
	}
}

static void answered(struct health *health)
{
	if (--health->waiting > 0)
		return;
	health->ok = true;
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		health->ok = health->ok && health->states[i].healthy;
	if (health->stopped)
		return;
	loop_timer_start(health->loop, &health->timer,
	                 health->ok || health->was_ok ? INTERVAL_MS : STARTING_INTERVAL_MS,
	                 round_start, health);
	if (health->ok && !health->was_ok) {
		health->was_ok = true;
		if (health->options.ready != NULL)
			health->options.ready(health->options.ready_arg);
	}
}

static void on_check(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct probe *probe = arg;
	const Health__HealthCheckResponse *response = (const Health__HealthCheckResponse *)message;
	if (failure != NULL)
		set(probe->health, probe->service, false, failure->message);
	else if (response->status == HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		set(probe->health, probe->service, true, "");
	else
		set(probe->health, probe->service, false, "it is not serving");
	answered(probe->health);
}

/* A service takes all its functions by one stream. A queue of it that nobody takes besides was made by who sent to a
 * function that it does not have. */
static void judge_queues(struct health *health, size_t service, const Mq__QueuesResponse *response)
{
	const char *detail = "it has not come yet";
	for (size_t i = 0; i < response->n_queues; i++) {
		const Mq__QueueInfo *queue = response->queues[i];
		if (strcmp(queue->service, services[service].queues) != 0)
			continue;
		if (queue->consumers > 0) {
			set(health, service, true, "");
			return;
		}
		detail = "nobody takes its commands";
	}
	set(health, service, false, detail);
}

static void on_queues(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct health *health = arg;
	if (failure != NULL)
		set_all(health, CHECK_CONSUMERS, false, "unknown: the queue does not answer");
	for (size_t i = 0; failure == NULL && i < ARRAY_LEN(services); i++) {
		if (services[i].check == CHECK_CONSUMERS)
			judge_queues(health, i, (const Mq__QueuesResponse *)message);
	}
	answered(health);
}

static bool stands_still(const Es__TopicsResponse *response, const char *name)
{
	for (size_t t = 0; t < response->n_topics; t++) {
		const Es__TopicInfo *topic = response->topics[t];
		for (size_t g = 0; g < topic->n_groups; g++) {
			const Es__GroupInfo *group = topic->groups[g];
			if (strcmp(group->group, name) == 0 && group->lag > 0 &&
			    group->in_flight == 0)
				return true;
		}
	}
	return false;
}

static void on_topics(void *arg, const ProtobufCMessage *message, const struct error *failure)
{
	struct health *health = arg;
	if (failure != NULL)
		set_all(health, CHECK_GROUP, false, "unknown: the event store does not answer");
	for (size_t i = 0; failure == NULL && i < ARRAY_LEN(services); i++) {
		if (services[i].check != CHECK_GROUP)
			continue;
		struct state *state = &health->states[i];
		bool still = stands_still((const Es__TopicsResponse *)message, services[i].name);
		state->stalled = still ? state->stalled + 1 : 0;
		bool healthy = state->stalled < STALLED_ROUNDS;
		set(health, i, healthy, healthy ? "" : "it does not take its events");
	}
	answered(health);
}

static void check(struct health *health, size_t service, struct rpc_channel *channel)
{
	Health__HealthCheckRequest request = HEALTH__HEALTH_CHECK_REQUEST__INIT;
	rpc_unary(channel, &health__health__descriptor, "Check", &request.base, TIMEOUT_MS,
	          on_check, &health->probes[service]);
}

static void round_start(void *arg)
{
	struct health *health = arg;
	const struct health_options *options = &health->options;
	Mq__QueuesRequest queues = MQ__QUEUES_REQUEST__INIT;
	Es__TopicsRequest topics = ES__TOPICS_REQUEST__INIT;
	topics.lag_limit = 1;
	health->waiting = 5;
	check(health, CHECK_STORE, options->store);
	check(health, CHECK_QUEUE, options->queue);
	check(health, CHECK_MODEL, options->model);
	rpc_unary(options->queue, &mq__message_queue__descriptor, "Queues", &queues.base,
	          TIMEOUT_MS, on_queues, health);
	rpc_unary(options->store, &es__event_store__descriptor, "Topics", &topics.base, TIMEOUT_MS,
	          on_topics, health);
}

struct health *health_create(struct loop *loop, const struct health_options *options)
{
	struct health *health = calloc(1, sizeof(*health));
	ASSERT(health != NULL);
	health->loop = loop;
	health->options = *options;
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		health->probes[i] = (struct probe){ health, i };
		strcpy(health->states[i].detail, "not asked yet");
	}
	loop_timer_start(loop, &health->timer, 0, round_start, health);
	return health;
}

void health_stop(struct health *health)
{
	health->stopped = true;
	loop_timer_stop(health->loop, &health->timer);
}

void health_destroy(struct health *health)
{
	if (health == NULL)
		return;
	loop_timer_stop(health->loop, &health->timer);
	free(health);
}

bool health_ok(const struct health *health)
{
	return health->ok;
}

void health_write(const struct health *health, struct buffer *out)
{
	buffer_printf(out, "{\"status\": \"%s\", \"services\": {", health->ok ? "ok" : "degraded");
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct state *state = &health->states[i];
		buffer_printf(out, "%s\"%s\": {\"healthy\": %s, \"detail\": ", i > 0 ? ", " : "",
		              services[i].name, state->healthy ? "true" : "false");
		json_write_string(out, state->detail, strlen(state->detail));
		buffer_putc(out, '}');
	}
	buffer_puts(out, "}}");
}

void health_write_metrics(const struct health *health, struct buffer *out)
{
	buffer_puts(out, "# HELP ordershop_service_healthy 1 if it was at the last check.\n"
	                 "# TYPE ordershop_service_healthy gauge\n");
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		buffer_printf(out, "ordershop_service_healthy{service=\"%s\"} %d\n",
		              services[i].name, health->states[i].healthy);
}
