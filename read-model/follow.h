/* follow.h - the events of the log after a place, all topics in their one order. */
#ifndef READ_MODEL_FOLLOW_H
#define READ_MODEL_FOLLOW_H

#include "base/rpc_client.h"
#include "read-model/store.h"

struct follow;

struct follow_events {
	/* Lives during the callback. */
	void (*event)(void *arg, const struct projection_event *event);
	/* All of one message were given, `last` the last of them, if there was one. `live`: the log had no
	 * more when it was made. */
	void (*received)(void *arg, const struct projection_event *last, bool live);
	/* `err` NULL: the store ended it. The follow is gone. */
	void (*lost)(void *arg, const struct error *err);
};

/* `after` is copied; both of its texts empty: from the beginning. Callbacks never come before it returns. */
struct follow *follow_open(struct rpc_channel *event_store, const struct model_position *after,
                           const struct follow_events *events, void *arg);
/* No callback comes any more. NULL is fine. */
void follow_close(struct follow *follow);
/* Asks for no more messages until it is resumed, so that flow control reaches the store. */
void follow_pause(struct follow *follow);
void follow_resume(struct follow *follow);

#endif
