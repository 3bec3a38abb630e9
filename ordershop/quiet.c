#include "ordershop/quiet.h"

#include "base/clock.h"
#include "ordershop/lines.h"
#include "ordershop/services.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 20 };

struct look {
	struct client *client;
	char *what; /* is left; "" for nothing */
	uint64_t events;
};

/* Is it a service of the shop ("crm", "mail-service")? Others' groups and queues are not waited for. */
static bool of_the_shop(const char *name)
{
	static const char suffix[] = "-service";
	char plain[64];
	size_t len = strlen(name), cut = sizeof(suffix) - 1;

	if (len > cut && strcmp(name + len - cut, suffix) == 0)
		len -= cut;
	snprintf(plain, sizeof(plain), "%.*s", (int)len, name);
	return service_find(plain) != NULL;
}

static bool ask(struct look *look, enum target target, const char *method,
                const ProtobufCMessage *request, const ProtobufCMessage **response)
{
	struct error err;

	if (client_call(look->client, target, method, request, response, &err))
		return true;
	snprintf(look->what, QUIET_TEXT_SIZE, "%.150s", err.message);
	return false;
}

static void look_at_queues(struct look *look)
{
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Mq__QueuesResponse *queues;

	if (!ask(look, TARGET_MESSAGE_QUEUE, "Queues", &request.base, &response))
		return;
	queues = (const void *)response;
	for (size_t i = 0; i < queues->n_queues; i++) {
		const Mq__QueueInfo *queue = queues->queues[i];

		if (of_the_shop(queue->service) && queue->depth + queue->in_flight > 0)
			snprintf(look->what, QUIET_TEXT_SIZE,
			         "queue %.40s/%.40s: %" PRIu64 " waiting, %" PRIu64 " in flight",
			         queue->service, queue->function, queue->depth, queue->in_flight);
	}
}

static void look_at_groups(struct look *look)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;

	look->events = 0;
	if (!ask(look, TARGET_EVENT_STORE, "Topics", &request.base, &response))
		return;
	topics = (const void *)response;
	for (size_t i = 0; i < topics->n_topics; i++) {
		look->events += topics->topics[i]->length;
		for (size_t j = 0; j < topics->topics[i]->n_groups; j++) {
			const Es__GroupInfo *group = topics->topics[i]->groups[j];

			if (of_the_shop(group->group) && group->lag + group->in_flight > 0)
				snprintf(look->what, QUIET_TEXT_SIZE,
				         "group %.40s of topic %.40s: %" PRIu64 " %s waiting",
				         group->group, topics->topics[i]->topic, group->lag,
				         plural(group->lag, "event", "events"));
		}
	}
}

static void wake(void *arg)
{
	loop_stop(arg);
}

static void pause_loop(struct client *client)
{
	struct loop_timer timer = { 0 };

	loop_timer_start(client->loop, &timer, LOOK_MS, wake, client->loop);
	loop_run(client->loop);
}

bool shop_quiet(struct client *client, unsigned timeout_ms, char what[QUIET_TEXT_SIZE],
                uint64_t *at_rest)
{
	uint64_t end = clock_monotonic_ms() + timeout_ms;
	struct look look = { .client = client, .what = what };
	bool quiet = false;

	for (unsigned looks = 1;; looks++) {
		bool before = quiet;
		uint64_t events = look.events;

		what[0] = '\0';
		look_at_groups(&look);
		look_at_queues(&look);
		arena_reset(client->arena);
		quiet = what[0] == '\0';
		if (quiet && before && events == look.events) {
			if (at_rest)
				*at_rest = events;
			return true;
		}
		if (looks >= 2 && clock_monotonic_ms() >= end)
			break;
		/* What was on its way at one look is seen at the next one, however soon that is. */
		if (!quiet)
			pause_loop(client);
	}
	if (quiet)
		snprintf(what, QUIET_TEXT_SIZE, "new events come");
	return false;
}

static bool brief_topics(struct client *client, const ProtobufCMessage **response,
                         struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;

	request.brief = true;
	return client_call(client, TARGET_EVENT_STORE, "Topics", &request.base, response, err);
}

bool shop_answers(struct client *client, struct error *err)
{
	const ProtobufCMessage *response;
	bool answers = brief_topics(client, &response, err);

	arena_reset(client->arena);
	return answers;
}

uint64_t shop_events(struct client *client)
{
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;
	struct error err;
	uint64_t events = 0;

	if (brief_topics(client, &response, &err)) {
		topics = (const void *)response;
		for (size_t i = 0; i < topics->n_topics; i++)
			events += topics->topics[i]->length;
	}
	arena_reset(client->arena);
	return events;
}
