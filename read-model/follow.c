#include "read-model/follow.h"

#include "proto/eventstore_v1.pb-c.h"

#include <stdlib.h>

/* Outlives its user's interest until the stream is closed. */
struct follow {
	const struct follow_events *events; /* NULL: of no interest any more */
	void *arg;
	struct rpc_stream *stream;
	bool paused;
};

static void on_message(void *arg, const ProtobufCMessage *message)
{
	struct follow *follow = arg;
	const Es__SubscribeResponse *response = (const Es__SubscribeResponse *)message;
	struct projection_event given;
	for (size_t i = 0; i < response->n_events && follow->events != NULL; i++) {
		const Es__Event *event = response->events[i];
		given = (struct projection_event){
			.topic = event->topic,
			.entry_id = event->entry_id,
			.event_id = event->event_id,
			.action = event->event_action,
			.data = event->event_data,
			.entity_id = event->entity_id,
			.version = event->entity_version,
		};
		follow->events->event(follow->arg, &given);
	}
	if (follow->events != NULL)
		follow->events->received(follow->arg, response->n_events > 0 ? &given : NULL,
		                         response->live);
}

static void on_closed(void *arg, const struct error *err)
{
	struct follow *follow = arg;
	if (follow->events != NULL)
		follow->events->lost(follow->arg, err);
	free(follow);
}

struct follow *follow_open(struct rpc_channel *event_store, const struct model_position *after,
                           const struct follow_events *events, void *arg)
{
	static const struct rpc_stream_events stream_events = { on_message, on_closed };
	struct follow *follow = calloc(1, sizeof(*follow));
	ASSERT(follow != NULL);
	follow->events = events;
	follow->arg = arg;
	follow->stream = rpc_stream_open(event_store, &es__event_store__descriptor, "Subscribe",
	                                 &stream_events, follow);
	Es__Position position = ES__POSITION__INIT;
	Es__SubscribeRequest request = ES__SUBSCRIBE_REQUEST__INIT;
	if (after->entry_id[0] != '\0') {
		position.entry_id = after->entry_id;
		position.topic = after->topic;
		request.start = ES__START__START_AFTER;
		request.after = &position;
	}
	rpc_stream_send(follow->stream, &request.base);
	rpc_stream_end_sends(follow->stream);
	return follow;
}

void follow_close(struct follow *follow)
{
	if (follow == NULL)
		return;
	follow->events = NULL;
	rpc_stream_cancel(follow->stream);
}

void follow_pause(struct follow *follow)
{
	follow->paused = true;
	rpc_stream_pause(follow->stream);
}

void follow_resume(struct follow *follow)
{
	if (!follow->paused)
		return;
	follow->paused = false;
	rpc_stream_resume(follow->stream);
}
