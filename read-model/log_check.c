#include "read-model/service_internal.h"

#include "base/log.h"
#include "proto/eventstore_v1.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>

/* A log whose Redis was restored from an older copy lacks events that the model has, and goes on with
 * others. Their ids need not show it: new events have later ids. Their number does, as the log
 * only grows: it can never have fewer than were applied; and where it ends at the checkpoint it has
 * exactly as many. */
struct log_check {
	struct read_model *model;
	void (*differs)(void *arg);
	void *arg;
	bool asking;
	/* Of the live generation, when the log was asked. */
	uint64_t generation, events;
	struct model_position position;
	/* In a row: a single answer may come from a server that is just failing over. */
	unsigned suspicions;
};
enum { SUSPICIONS_ENOUGH = 2 };

struct log_end log_end_of(const ProtobufCMessage *response)
{
	const Es__TopicsResponse *topics = (const Es__TopicsResponse *)response;
	struct log_end end = { .position = { "", "" } };
	for (size_t i = 0; i < topics->n_topics; i++) {
		struct model_position last;
		model_position_set(&last, topics->topics[i]->last_id, topics->topics[i]->topic);
		end.events += topics->topics[i]->length;
		if (model_position_compare(&last, &end.position) > 0)
			end.position = last;
	}
	return end;
}

static void topics_done(void *arg, const ProtobufCMessage *message, const struct error *err)
{
	struct log_check *check = arg;
	struct read_model *model = check->model;
	check->asking = false;
	if (err != NULL || model->live == NULL || model->next != NULL ||
	    model_store_generation(model->live->store) != check->generation)
		return;
	struct log_end end = log_end_of(message);
	int order = model_position_compare(&check->position, &end.position);
	bool differs =
	    order > 0 || check->events > end.events || (order == 0 && check->events != end.events);
	check->suspicions = differs ? check->suspicions + 1 : 0;
	if (check->suspicions < SUSPICIONS_ENOUGH)
		return;
	check->suspicions = 0;
	log_error("log_differs",
	          "generation=%" PRIu64 " checkpoint=%s topic=%s events=%" PRIu64
	          " log_end=%s log_events=%" PRIu64
	          " reason=\"the log lacks events that the model has; was its Redis restored from "
	          "an older copy? the model is built anew\"",
	          check->generation, check->position.entry_id, check->position.topic, check->events,
	          end.position.entry_id, end.events);
	check->differs(check->arg);
}

void log_check_look(struct log_check *check)
{
	struct read_model *model = check->model;
	if (check->asking || model->live == NULL || model->live->projector == NULL)
		return;
	check->position = *projector_position(model->live->projector);
	check->events = projector_events(model->live->projector);
	check->generation = model_store_generation(model->live->store);
	if (check->events == 0)
		return;
	check->asking = true;
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	request.brief = true;
	rpc_unary(model->event_store, &es__event_store__descriptor, "Topics", &request.base,
	          MODEL_TOPICS_TIMEOUT_MS, topics_done, check);
}

struct log_check *log_check_create(struct read_model *model, void (*differs)(void *arg), void *arg)
{
	struct log_check *check = calloc(1, sizeof(*check));
	ASSERT(check != NULL);
	check->model = model;
	check->differs = differs;
	check->arg = arg;
	return check;
}

void log_check_destroy(struct log_check *check)
{
	free(check);
}
