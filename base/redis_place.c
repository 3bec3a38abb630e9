/* Where commands go: to the link that serves their slot, or once more, if they did not run where they were sent. */
#include "base/redis_link.h"

#include "base/clock.h"

#include <string.h>

enum {
	LATER_MAX_MS = 2000, /* of tries */
	REDIRECTS_MAX = 8,
};

/* ---- where commands go ---- */

static struct redis_link *link_for(struct redis *redis, int slot)
{
	if (redis->slots == NULL)
		return redis->home;
	if (slot >= 0 && redis->slots[slot] != NULL)
		return redis->slots[slot];
	for (size_t i = 0; i < redis->master_count; i++) {
		if (redis->masters[i]->state == LINK_READY && redis->masters[i]->slot_count > 0)
			return redis->masters[i];
	}
	return redis->master_count > 0 ? redis->masters[0] : redis->home;
}

static bool waits_for_later(const struct redis *redis, int slot)
{
	return slot >= 0 && (redis->later_slots[slot / 64] >> slot % 64 & 1) != 0;
}

struct batch *redis_batch_for(struct redis *redis, int slot, bool follows)
{
	if (!follows || redis->last == NULL) {
		bool later = waits_for_later(redis, slot); /* commands of a slot keep their order */
		redis->last = later ? &redis->later : &link_for(redis, slot)->collected;
	}
	return redis->last;
}

static void place(struct redis *redis, const struct batch *from, const struct request *request)
{
	int slot = request->slot;
	if (redis->slots != NULL && slot == REDIS_SLOT_OF_KEY) {
		const char *args = from->bytes.bytes + request->args;
		slot = redis_slot_of_args(args, request->offset + request->len - request->args);
	}
	struct request *copy =
	    batch_copy(redis_batch_for(redis, slot, request->follows), from, request);
	copy->slot = slot;
}

void redis_place_all(struct redis *redis, struct batch *from)
{
	for (size_t i = 0; i < from->count; i++) {
		if (!from->requests[i].asking)
			place(redis, from, &from->requests[i]);
	}
	batch_free(from);
}

/* ---- what did not run where it was sent ---- */

void redis_place_later(struct redis *redis)
{
	struct batch later = redis->later;
	batch_init(&redis->later);
	memset(redis->later_slots, 0, sizeof(redis->later_slots));
	redis_place_all(redis, &later);
}

void redis_retry_later(struct redis *redis)
{
	if (redis->later.count > 0 && clock_monotonic_us() >= redis->later_at_us)
		redis_place_later(redis);
}

static void later_now(void *arg)
{
	struct redis *redis = arg;
	redis_retry_later(redis);
	loop_again(redis->loop);
}

static bool put_off(struct redis_link *link, struct request *request)
{
	struct redis *redis = link->redis;
	uint64_t now_us = clock_monotonic_us();
	if (request->until_us == 0)
		request->until_us = now_us + LATER_MAX_MS * 1000ULL;
	if (now_us > request->until_us)
		return false;
	if (redis->later.count == 0) {
		redis->later_at_us = now_us + REDIS_LATER_MS * 1000ULL;
		if (redis->loop != NULL)
			loop_timer_start(redis->loop, &redis->later_timer, REDIS_LATER_MS,
			                 later_now, redis);
		redis_refresh_map(redis);
	}
	redis->last = &redis->later;
	if (request->slot >= 0)
		redis->later_slots[request->slot / 64] |= 1ULL << request->slot % 64;
	batch_copy(&redis->later, &link->flight, request);
	return true;
}

static void slot_moved(struct redis *redis, int slot, struct redis_link *link)
{
	if (redis->slots[slot] != NULL && --redis->slots[slot]->slot_count == 0)
		redis->losses++;
	redis->slots[slot] = link;
	link->slot_count++;
	redis_refresh_map(redis);
}

static bool redirect(struct redis_link *link, struct request *request, bool moved)
{
	struct redis *redis = link->redis;
	struct redis_redirect redirect;
	if (redis->slots == NULL || request->redirects++ == REDIRECTS_MAX ||
	    !redis_redirect_parse(request->value, &redirect))
		return false;
	struct redis_link *target = redis_master_at(redis, link, redirect.host, redirect.port);
	if (target == NULL)
		return false;
	redis->redirects++;
	redis->last = &target->collected;
	target->used_at_us = clock_monotonic_us();
	if (moved)
		slot_moved(redis, redirect.slot, target);
	else
		batch_append_asking(&target->collected);
	batch_copy(&target->collected, &link->flight, request);
	return true;
}

/* True: it will be sent once more. */
static bool displace(struct redis_link *link, struct request *request, bool *missing)
{
	struct redis *redis = link->redis;
	const char *args = link->flight.bytes.bytes + request->args;
	switch (redis_fate(request->value)) {
	case FATE_MOVED:
	case FATE_ASK:
		return redirect(link, request, redis_fate(request->value) == FATE_MOVED);
	case FATE_LATER:
	case FATE_LOST:
		return put_off(link, request);
	case FATE_REFUSED:
	case FATE_DONE:
		break;
	}
	if (redis->library_count == 0 || request->repeated ||
	    !redis_function_missing(args, request->value))
		return false;
	request->repeated = *missing = true;
	redis->last = &link->collected;
	batch_copy(&link->collected, &link->flight, request);
	return true;
}

static bool all_ran(const struct batch *flight)
{
	for (size_t i = 0; i < flight->count; i++) {
		if (redis_value_kind(flight->requests[i].value) == REDIS_ERROR)
			return false;
	}
	return true;
}

bool redis_sort_out(struct redis_link *link)
{
	struct batch *flight = &link->flight;
	bool missing = false, displaced = false;
	if (all_ran(flight))
		return false;
	/* what was collected meanwhile stays behind it */
	struct batch behind = link->collected;
	batch_init(&link->collected);
	for (size_t i = 0; i < flight->count; i++) {
		struct request *request = &flight->requests[i];
		if (request->refused != ERR_NONE || request->asking)
			continue;
		if (request->follows && displaced)
			place(link->redis, flight, request);
		else
			displaced = displace(link, request, &missing);
		if (displaced) {
			request->done = NULL;
			request->value = NULL;
		}
	}
	redis_place_all(link->redis, &behind);
	return missing;
}
