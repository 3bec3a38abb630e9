#include "base/redis_link.h"

#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	POLL_MIN_MS = 1, /* how long a turn waits for Redis when the loop has nothing else */
	POLL_MAX_MS = 4,
	LATER_MS = 20,       /* between two tries of what was refused for now */
	LATER_MAX_MS = 2000, /* of tries */
	REDIRECTS_MAX = 8,
	UNUSED_MS = 1000, /* a link without slots is closed */
	WAIT_STEP_MS = 100
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

static struct batch *batch_for(struct redis *redis, int slot, bool follows)
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
	struct request *copy = batch_copy(batch_for(redis, slot, request->follows), from, request);
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

static void place_later(struct redis *redis)
{
	struct batch later = redis->later;
	batch_init(&redis->later);
	memset(redis->later_slots, 0, sizeof(redis->later_slots));
	redis_place_all(redis, &later);
}

static void retry_later(struct redis *redis)
{
	if (redis->later.count > 0 && clock_monotonic_us() >= redis->later_at_us)
		place_later(redis);
}

static void later_now(void *arg)
{
	struct redis *redis = arg;
	retry_later(redis);
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
		redis->later_at_us = now_us + LATER_MS * 1000ULL;
		if (redis->loop != NULL)
			loop_timer_start(redis->loop, &redis->later_timer, LATER_MS, later_now,
			                 redis);
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

/* ---- the map ---- */

static struct redis_link *any_ready(const struct redis *redis)
{
	for (size_t i = 0; i < redis->master_count; i++) {
		struct redis_link *link =
		    redis->masters[(i + redis->map_turn) % redis->master_count];
		if (link->state == LINK_READY && link->slot_count > 0)
			return link;
	}
	return NULL;
}

static void got_map(void *arg, const struct redis_value *value, const struct error *err)
{
	struct redis *redis = arg;
	struct error ignored; /* the next loss or redirection asks again */
	if (err == NULL && redis_value_kind(value) == REDIS_ARRAY)
		(void)!redis_take_map(redis, redis->map_from, value, &ignored);
	redis->map_from = NULL;
}

void redis_refresh_map(struct redis *redis)
{
	if (redis->slots == NULL || redis->map_from != NULL)
		return;
	redis->map_turn++; /* one of them may have an old view */
	struct redis_link *link = any_ready(redis);
	if (link == NULL) {
		if (clock_monotonic_us() >= redis->home->retry_at_us)
			redis_link_connect(redis->home);
		return;
	}
	struct redis_command command;
	redis_command_init(&command);
	redis_arg(&command, "CLUSTER");
	redis_arg(&command, "SLOTS");
	redis->map_from = link;
	batch_append(&link->collected, &command, redis->timeout_ms, got_map, redis);
	redis_command_free(&command);
	if (redis->loop != NULL)
		loop_again(redis->loop);
}

/* ---- steps ---- */

static void remove_unused(struct redis *redis)
{
	for (size_t i = redis->master_count; i > 0; i--) {
		struct redis_link *link = redis->masters[i - 1];
		if (link->slot_count > 0 || redis_link_busy(link) || link == redis->map_from ||
		    clock_monotonic_us() < link->used_at_us + UNUSED_MS * 1000ULL)
			continue;
		if (redis->last == &link->collected)
			redis->last = NULL;
		redis->masters[i - 1] = redis->masters[--redis->master_count];
		redis_link_destroy(link);
	}
}

static void step(struct redis *redis)
{
	retry_later(redis);
	redis_link_step(redis->home);
	for (size_t i = 0; i < redis->master_count; i++)
		redis_link_step(redis->masters[i]);
	remove_unused(redis);
}

static bool busy(const struct redis *redis)
{
	bool any = redis_link_busy(redis->home);
	for (size_t i = 0; i < redis->master_count && !any; i++)
		any = redis_link_busy(redis->masters[i]);
	return any;
}

static size_t collected(const struct redis *redis)
{
	size_t count = redis->home->collected.count;
	for (size_t i = 0; i < redis->master_count; i++)
		count += redis->masters[i]->collected.count;
	return count;
}

static size_t list_fds(const struct redis *redis, struct pollfd *fds)
{
	size_t count = 0;
	for (size_t i = 0; i <= redis->master_count; i++) {
		const struct redis_link *link = i == 0 ? redis->home : redis->masters[i - 1];
		if (link->fd >= 0 && redis_link_busy(link))
			fds[count++] =
			    (struct pollfd){ .fd = link->fd, .events = redis_link_events(link) };
	}
	return count;
}

/* Waits for Redis only when a whole turn brought no new command: then the other hooks have sent
 * what they had, and the loop has looked at its queue. */
static bool turn(void *arg)
{
	struct redis *redis = arg;
	if (!busy(redis) && redis->master_count == 0)
		return false;
	size_t waiting = collected(redis);
	bool quiet = waiting == redis->seen_count;
	redis->seen_count = waiting;
	step(redis);
	if (!quiet || !busy(redis)) {
		redis->poll_ms = 0;
	} else if (redis->poll_ms == 0) {
		redis->poll_ms = POLL_MIN_MS;
	} else {
		struct pollfd fds[REDIS_MASTERS_MAX + 1];
		size_t count = list_fds(redis, fds);
		if (loop_wait_fds(redis->loop, fds, count, redis->poll_ms))
			step(redis);
		if (redis->poll_ms < POLL_MAX_MS)
			redis->poll_ms *= 2;
	}
	return busy(redis);
}

void redis_step(struct redis *redis, unsigned wait_ms)
{
	step(redis);
	if (!busy(redis) && redis->later.count == 0)
		return;
	struct pollfd fds[REDIS_MASTERS_MAX + 1];
	size_t count = list_fds(redis, fds);
	if (redis->later.count > 0 && wait_ms > LATER_MS)
		wait_ms = LATER_MS;
	if (poll(fds, count, (int)wait_ms) > 0)
		step(redis);
}

/* ---- the interface ---- */

bool redis_create(struct loop *loop, const char *url, const struct redis_library *libraries,
                  size_t library_count, unsigned timeout_ms, struct redis **out, struct error *err)
{
	struct redis_seeds seeds;
	if (!redis_seeds_parse(url, &seeds, err))
		return false;
	struct redis *redis = calloc(1, sizeof(*redis));
	ASSERT(redis != NULL);
	redis->loop = loop;
	redis->seeds = seeds;
	redis->libraries = libraries;
	redis->library_count = library_count;
	redis->timeout_ms = timeout_ms;
	redis->home = redis_link_create(redis);
	batch_init(&redis->later);
	redis->waited = arena_create();
	if (loop != NULL)
		loop_add_hook(loop, turn, redis);
	*out = redis;
	return true;
}

void redis_destroy(struct redis *redis)
{
	if (redis == NULL)
		return;
	struct error err;
	error_set(&err, ERR_CANCELLED, "redis: the connection is closed");
	do {
		place_later(redis);
		for (size_t i = 0; i < redis->master_count; i++)
			redis_link_fail(redis->masters[i], &err);
		redis_link_fail(redis->home, &err);
	} while (redis_waiting(redis) > 0);
	if (redis->loop != NULL) {
		loop_remove_hook(redis->loop, turn, redis);
		loop_timer_stop(redis->loop, &redis->later_timer);
	}
	for (size_t i = 0; i < redis->master_count; i++)
		redis_link_destroy(redis->masters[i]);
	redis_link_destroy(redis->home);
	batch_free(&redis->later);
	arena_destroy(redis->waited);
	redis_seeds_free(&redis->seeds);
	free(redis->slots);
	free(redis);
}

static bool is_wait(const struct redis_command *command)
{
	static const char wait[] = "$4\r\nWAIT\r\n";
	return command->args.len >= sizeof(wait) - 1 &&
	       memcmp(command->args.bytes, wait, sizeof(wait) - 1) == 0;
}

static struct redis_link *queue(struct redis *redis, const struct redis_command *command,
                                unsigned timeout_ms, redis_done *done, void *arg)
{
	int slot = command->slot;
	bool follows = is_wait(command);
	if (redis->slots != NULL && slot == REDIS_SLOT_OF_KEY)
		slot = command->args.overflow
		           ? -1
		           : redis_slot_of_args(command->args.bytes, command->args.len);
	struct batch *batch = batch_for(redis, slot, follows);
	struct request *request = batch_append(batch, command, timeout_ms, done, arg);
	request->slot = slot;
	request->follows = follows;
	if (redis->loop != NULL)
		loop_again(redis->loop);
	return batch == &redis->later ? NULL : OWNER(struct redis_link, collected, batch);
}

void redis_queue(struct redis *redis, const struct redis_command *command, redis_done *done,
                 void *arg)
{
	(void)queue(redis, command, redis->timeout_ms, done, arg);
}

size_t redis_queue_all(struct redis *redis, const struct redis_command *command, redis_done *done,
                       void *arg)
{
	size_t count = 0;
	for (size_t i = 0; i < redis->master_count; i++) {
		struct redis_link *link = redis->masters[i];
		if (link->slot_count == 0)
			continue;
		batch_append(&link->collected, command, redis->timeout_ms, done, arg)->slot = -1;
		count++;
	}
	if (count == 0) {
		redis_queue(redis, command, done, arg);
		return 1;
	}
	if (redis->loop != NULL)
		loop_again(redis->loop);
	return count;
}

size_t redis_waiting(const struct redis *redis)
{
	size_t count = collected(redis) + redis->later.count + redis->home->flight.count;
	for (size_t i = 0; i < redis->master_count; i++)
		count += redis->masters[i]->flight.count;
	return count;
}

bool redis_connected(const struct redis *redis)
{
	return redis->home->state == LINK_READY || any_ready(redis) != NULL;
}

bool redis_is_cluster(const struct redis *redis)
{
	return redis->slots != NULL;
}

uint64_t redis_losses(const struct redis *redis)
{
	return redis->losses;
}

uint64_t redis_redirects(const struct redis *redis)
{
	return redis->redirects;
}

struct waiter {
	struct redis *redis;
	bool ended;
	bool ok;
	const struct redis_value *value;
	struct error *err;
};

static void wait_done(void *arg, const struct redis_value *value, const struct error *err)
{
	struct waiter *waiter = arg;
	waiter->ended = true;
	waiter->value = value;
	waiter->ok = err == NULL;
	if (err != NULL)
		*waiter->err = *err;
	else
		waiter->redis->keep_values = true;
}

bool redis_wait(struct redis *redis, const struct redis_command *command, unsigned timeout_ms,
                const struct redis_value **value, struct error *err)
{
	struct waiter waiter = { .redis = redis, .err = err };
	struct redis_link *link = queue(
	    redis, command, timeout_ms > 0 ? timeout_ms : redis->timeout_ms, wait_done, &waiter);
	if (link != NULL && link->state == LINK_DOWN)
		link->retry_at_us = 0; /* who waits may as well try */
	while (!waiter.ended)
		redis_step(redis, WAIT_STEP_MS);
	size_t len;
	if (waiter.ok && redis_value_kind(waiter.value) == REDIS_ERROR)
		return error_set(err, ERR_INTERNAL, "%s", redis_value_string(waiter.value, &len));
	if (waiter.ok)
		*value = waiter.value;
	return waiter.ok;
}
