/* outcome.h - how the outcome of a message lies in Redis, and how each kind of client reads it.
 *
 *   'R' packed Result      settled by a native consumer
 *   'L' text               the response of a service that uses the original interface, as it sent it
 *   'A'                    acknowledged there, response not sent yet (functions/legacy.lua)
 *
 * A native caller of a legacy service gets {"result": x} as result x and {"error": "text"} as an
 * error; a legacy caller of a native service gets those texts. */
#ifndef MESSAGE_QUEUE_OUTCOME_H
#define MESSAGE_QUEUE_OUTCOME_H

#include "base/arena.h"
#include "base/buffer.h"
#include "proto/messagequeue_v1.pb-c.h"

enum {
	/* With what goes around it, within the 4 MiB that a gRPC client takes by default. */
	OUTCOME_RESULT_MAX = 3584 * 1024
};

/* Both malloc'ed. A result that is no JSON, or too large, becomes an error that says so. */
char *outcome_from_result(const Mq__Result *result, size_t *len);
char *outcome_from_response(const char *text, size_t text_len, size_t *len);

/* In `arena`. */
Mq__Result *outcome_result(const char *outcome, size_t len, struct arena *arena);
Mq__Result *outcome_error(const struct error *err, struct arena *arena);
/* Appends the response for a legacy caller. */
void outcome_response(struct buffer *out, const char *outcome, size_t len);
void outcome_error_response(struct buffer *out, const char *message);

#endif
