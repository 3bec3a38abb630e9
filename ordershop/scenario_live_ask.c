/* scenario_live_ask.c - questions to a shop that runs: is it at rest, and what has its read model? */
#include "base/clock.h"
#include "ordershop/lines.h"
#include "ordershop/quiet.h"
#include "ordershop/scenario_live.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { REST_TIMEOUT_MS = 30000, LOOK_MS = 5, PAGE = 1000 };

/* ---- Rest -------------------------------------------------------------------------------- */

static bool model_lag(struct live *live, uint64_t *lag, struct error *err)
{
	Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
	const ProtobufCMessage *response;
	if (!client_call(live->client, TARGET_READ_MODEL, "Checkpoints", &request.base, &response,
	                 err))
		return false;
	const Rm__CheckpointsResponse *answer = (const Rm__CheckpointsResponse *)response;
	*lag = 0;
	for (size_t i = 0; i < answer->n_checkpoints; i++) {
		if (answer->checkpoints[i]->live)
			*lag = answer->checkpoints[i]->lag;
	}
	return true;
}

/* Nothing is left to do, and then the read model has come to the end of the log. */
bool live_rest(void *shop, struct error *err)
{
	struct live *live = shop;
	char left[QUIET_TEXT_SIZE];
	uint64_t deadline = clock_monotonic_ms() + REST_TIMEOUT_MS, lag = 1;
	if (!shop_quiet(live->client, REST_TIMEOUT_MS, left, NULL))
		return error_set(err, ERR_DEADLINE, "not at rest within %d s: %s",
		                 REST_TIMEOUT_MS / 1000, left);
	while (model_lag(live, &lag, err)) {
		arena_reset(live->client->arena);
		if (lag == 0)
			return true;
		if (clock_monotonic_ms() > deadline)
			return error_set(
			    err, ERR_DEADLINE,
			    "not at rest within %d s: the read model is %" PRIu64 " %s behind",
			    REST_TIMEOUT_MS / 1000, lag, plural(lag, "event", "events"));
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
	}
	return false;
}

static bool count_dead(struct live *live, uint64_t *count, struct error *err)
{
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;
	const ProtobufCMessage *response;
	if (!client_call(live->client, TARGET_MESSAGE_QUEUE, "Queues", &request.base, &response,
	                 err))
		return false;
	const Mq__QueuesResponse *queues = (const Mq__QueuesResponse *)response;
	for (size_t i = 0; i < queues->n_queues; i++)
		*count += queues->queues[i]->dead;
	return true;
}

static bool count_parked(struct live *live, uint64_t *count, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	if (!client_call(live->client, TARGET_EVENT_STORE, "Topics", &request.base, &response, err))
		return false;
	const Es__TopicsResponse *topics = (const Es__TopicsResponse *)response;
	for (size_t i = 0; i < topics->n_topics; i++) {
		for (size_t j = 0; j < topics->topics[i]->n_groups; j++)
			*count += topics->topics[i]->groups[j]->parked;
	}
	return true;
}

bool live_parked(void *shop, uint64_t *count, struct error *err)
{
	struct live *live = shop;
	uint64_t all = 0;
	bool ok = count_dead(live, &all, err) && count_parked(live, &all, err);
	arena_reset(live->client->arena);
	if (ok)
		*count = all - live->parked_before;
	return ok;
}

/* ---- The read model ---------------------------------------------------------------------- */

/* Adds those of a page that are ours; the cursor of the next page, NULL: that was all. */
static const char *take_entities(const struct live *live, struct texts *texts,
                                 const ProtobufCMessage *response)
{
	const Rm__ListResponse *page = (const Rm__ListResponse *)response;
	for (size_t i = 0; i < page->n_entities; i++) {
		if (live_owns(live, page->entities[i]->id))
			texts_add(texts, page->entities[i]->json);
	}
	return page->cursor;
}

static const char *take_mails(const struct live *live, struct texts *texts,
                              const ProtobufCMessage *response)
{
	const Rm__MailsResponse *page = (const Rm__MailsResponse *)response;
	for (size_t i = 0; i < page->n_mails; i++) {
		if (live_owns(live, page->mails[i]->entry_id))
			texts_add(texts, page->mails[i]->json);
	}
	return page->cursor;
}

static bool ask_get(struct live *live, const struct shop_question *question, struct texts *texts,
                    struct error *err)
{
	Rm__GetRequest request = RM__GET_REQUEST__INIT;
	const ProtobufCMessage *response;
	request.name = question->topic;
	request.id = question->id;
	if (!client_call(live->client, TARGET_READ_MODEL, "Get", &request.base, &response, err))
		return false;
	const Rm__Entity *entity = ((const Rm__GetResponse *)response)->entity;
	if (entity != NULL)
		texts_add(texts, entity->json);
	return true;
}

static const struct {
	const char *method;
	const char *(*take)(const struct live *live, struct texts *texts,
	                    const ProtobufCMessage *response);
} methods[QUERIES] = {
	[QUERY_LIST_OF] = { "List", take_entities },
	[QUERY_UNBILLED] = { "Unbilled", take_entities },
	[QUERY_UNSHIPPED] = { "Unshipped", take_entities },
	[QUERY_DELIVERED] = { "Delivered", take_entities },
	[QUERY_MAILS] = { "Mails", take_mails },
};

static void fill_filters(struct live *live, const struct shop_question *question,
                         Rm__ListRequest *request)
{
	size_t count = question->filter_count;
	Rm__Filter *filters = arena_alloc(live->arena, (count + 1) * sizeof(*filters));
	request->n_filters = count;
	request->filters = arena_alloc(live->arena, (count + 1) * sizeof(Rm__Filter *));
	for (size_t i = 0; i < count; i++) {
		rm__filter__init(&filters[i]);
		filters[i].field = question->fields[i];
		filters[i].n_values = 1;
		filters[i].values = (const char **)&question->values[i];
		request->filters[i] = &filters[i];
	}
}

static bool ask_pages(struct live *live, const struct shop_question *question, struct texts *texts,
                      struct error *err)
{
	Rm__ListRequest list = RM__LIST_REQUEST__INIT;
	Rm__OrdersRequest orders = RM__ORDERS_REQUEST__INIT;
	Rm__MailsRequest mails = RM__MAILS_REQUEST__INIT;
	list.name = question->topic;
	list.limit = orders.limit = mails.limit = PAGE;
	fill_filters(live, question, &list);
	const ProtobufCMessage *request = question->query == QUERY_LIST_OF ? &list.base
	                                  : question->query == QUERY_MAILS ? &mails.base
	                                                                   : &orders.base;
	const char *cursor = "";
	do {
		const ProtobufCMessage *response;
		list.cursor = orders.cursor = mails.cursor = cursor;
		if (!client_call(live->client, TARGET_READ_MODEL, methods[question->query].method,
		                 request, &response, err))
			return false;
		cursor =
		    arena_strdup(live->arena, methods[question->query].take(live, texts, response));
		arena_reset(live->client->arena);
	} while (cursor[0] != '\0');
	return true;
}

bool live_ask(void *shop, const struct shop_question *question, struct shop_list *list,
              struct error *err)
{
	struct live *live = shop;
	struct texts texts = { .arena = live->arena };
	bool handled = false;
	arena_reset(live->client->arena);
	if (!live_read(live, err)) /* what is ours? */
		return false;
	if (live->rest != NULL) {
		if (!live_rest_ask(live, question, list, &handled, err))
			return false;
		if (handled)
			return true;
	}
	bool ok = question->query == QUERY_GET ? ask_get(live, question, &texts, err)
	                                       : ask_pages(live, question, &texts, err);
	*list = (struct shop_list){ texts.count, texts.texts };
	return ok;
}
