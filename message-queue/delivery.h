/* delivery.h - the life of one message.
 *
 *             reserve                 settle
 *   READY -----------------> IN_FLIGHT ------> DONE
 *     ^ ^                      |  |  |          ^
 *     | '----------------------'  |  '--> DEAD  | respond
 *     |  retry, expire            | ack   bury  |
 *     |                           '---> ACKED --'
 *     '---------- requeue (DEAD)
 *
 * ACKED exists for clients of the original interface, which take a message off the queue first and
 * send its response later. An outcome that comes after the lease has ended still counts, so settle
 * and ack are allowed from READY too.
 *
 * Pure: no clock, no Redis. The functions of store.h perform the moves allowed here. */
#ifndef MESSAGE_QUEUE_DELIVERY_H
#define MESSAGE_QUEUE_DELIVERY_H

#include "base/error.h"

enum delivery_state {
	DELIVERY_READY,
	DELIVERY_IN_FLIGHT,
	DELIVERY_ACKED,
	DELIVERY_DONE,
	DELIVERY_DEAD,
	DELIVERY_STATES
};
enum delivery_event {
	DELIVERY_RESERVE,
	DELIVERY_SETTLE,
	DELIVERY_RETRY,
	DELIVERY_EXPIRE,
	DELIVERY_BURY,
	DELIVERY_ACK,
	DELIVERY_RESPOND,
	DELIVERY_REQUEUE,
	DELIVERY_EVENTS
};

const char *delivery_state_name(enum delivery_state state);
const char *delivery_event_name(enum delivery_event event);

/* Sets *next on success only. ERR_CONFLICT when `event` cannot happen in `from`. */
MUST_USE bool delivery_next(enum delivery_state from, enum delivery_event event,
                            enum delivery_state *next, struct error *err);

/* What the failure of delivery number `attempt` (1, 2, ...) leads to: RETRY or BURY. */
enum delivery_event delivery_after_failure(uint32_t attempt, uint32_t max_attempts);

/* How long a failed message waits: 100 ms after the first attempt, doubled with each further one
 * up to 10 s, spread by +-25 % so that messages that failed together do not return together.
 * `random` is any number. */
uint32_t delivery_backoff_ms(uint32_t attempt, uint32_t random);

#endif
