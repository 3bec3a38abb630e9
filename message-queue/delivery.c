#include "message-queue/delivery.h"

enum { BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 10000 };

static const char *const state_names[DELIVERY_STATES] = {
	[DELIVERY_READY] = "ready", [DELIVERY_IN_FLIGHT] = "in flight", [DELIVERY_ACKED] = "acked",
	[DELIVERY_DONE] = "done",   [DELIVERY_DEAD] = "dead",
};

static const char *const event_names[DELIVERY_EVENTS] = {
	[DELIVERY_RESERVE] = "reserve", [DELIVERY_SETTLE] = "settle",   [DELIVERY_RETRY] = "retry",
	[DELIVERY_EXPIRE] = "expire",   [DELIVERY_BURY] = "bury",       [DELIVERY_ACK] = "ack",
	[DELIVERY_RESPOND] = "respond", [DELIVERY_REQUEUE] = "requeue",
};

static const struct {
	enum delivery_state from;
	enum delivery_event event;
	enum delivery_state to;
} moves[] = {
	{ DELIVERY_READY, DELIVERY_RESERVE, DELIVERY_IN_FLIGHT },
	{ DELIVERY_READY, DELIVERY_SETTLE, DELIVERY_DONE },
	{ DELIVERY_READY, DELIVERY_ACK, DELIVERY_ACKED },
	{ DELIVERY_READY, DELIVERY_RESPOND, DELIVERY_DONE },
	{ DELIVERY_IN_FLIGHT, DELIVERY_SETTLE, DELIVERY_DONE },
	{ DELIVERY_IN_FLIGHT, DELIVERY_RETRY, DELIVERY_READY },
	{ DELIVERY_IN_FLIGHT, DELIVERY_EXPIRE, DELIVERY_READY },
	{ DELIVERY_IN_FLIGHT, DELIVERY_BURY, DELIVERY_DEAD },
	{ DELIVERY_IN_FLIGHT, DELIVERY_ACK, DELIVERY_ACKED },
	/* The response came before the acknowledgement: the lease stays until that. */
	{ DELIVERY_IN_FLIGHT, DELIVERY_RESPOND, DELIVERY_IN_FLIGHT },
	{ DELIVERY_ACKED, DELIVERY_RESPOND, DELIVERY_DONE },
	{ DELIVERY_DEAD, DELIVERY_REQUEUE, DELIVERY_READY },
};

const char *delivery_state_name(enum delivery_state state)
{
	ASSERT(state < DELIVERY_STATES);
	return state_names[state];
}

const char *delivery_event_name(enum delivery_event event)
{
	ASSERT(event < DELIVERY_EVENTS);
	return event_names[event];
}

bool delivery_next(enum delivery_state from, enum delivery_event event, enum delivery_state *next,
                   struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from == from && moves[i].event == event) {
			*next = moves[i].to;
			return true;
		}
	}
	return error_set(err, ERR_CONFLICT, "cannot %s a message that is %s",
	                 delivery_event_name(event), delivery_state_name(from));
}

enum delivery_event delivery_after_failure(uint32_t attempt, uint32_t max_attempts)
{
	return attempt >= max_attempts ? DELIVERY_BURY : DELIVERY_RETRY;
}

uint32_t delivery_backoff_ms(uint32_t attempt, uint32_t random)
{
	uint32_t delay_ms = BACKOFF_FIRST_MS;
	for (uint32_t i = 1; i < attempt && delay_ms < BACKOFF_MAX_MS; i++)
		delay_ms *= 2;
	if (delay_ms > BACKOFF_MAX_MS)
		delay_ms = BACKOFF_MAX_MS;
	uint32_t spread = delay_ms / 2;
	return delay_ms - spread / 2 + random % (spread + 1);
}
