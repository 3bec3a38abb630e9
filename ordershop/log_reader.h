/* log_reader.h - the log of a running shop, for commands that look at all of it. */
#ifndef ORDERSHOP_LOG_READER_H
#define ORDERSHOP_LOG_READER_H

#include "base/id.h"
#include "domain/decide.h"
#include "ordershop/client.h"

/* Called for each event, oldest first unless it is asked otherwise. `event->state` is what `data` is as an entity of
 * this shop, NULL if it is none; all of it lives as long as the call. False: enough. */
typedef bool log_function(void *arg, const struct event *event, const char *data);

struct log_range {
	const char *topic;            /* NULL: all, merged */
	const char *entity_id;        /* of the topic; NULL: all */
	const struct entry_id *until; /* the last moment that counts; NULL: now */
	bool backward;                /* newest first; of one topic */
};
MUST_USE bool log_read_range(struct client *client, const struct log_range *range,
                             log_function *each, void *arg, struct error *err);

/* Reads what stands in the log now, up to and with `until` (NULL: all). ERR_NOT_FOUND when nothing had happened by
 * then: it names the first event. */
MUST_USE bool log_read(struct client *client, const struct entry_id *until, log_function *each,
                       void *arg, struct error *err);

#endif
