#include "base/redis_link.h"

#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	POLL_MIN_MS = 1, /* how long a turn waits for Redis when the loop has nothing else */
	POLL_MAX_MS = 4,
	UNUSED_MS = 1000, /* a link without slots is closed */
	WAIT_STEP_MS = 100
};

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
	redis_retry_later(redis);
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
	if (redis->later.count > 0 && wait_ms > REDIS_LATER_MS)
		wait_ms = REDIS_LATER_MS;
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
		redis_place_later(redis);
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
	struct batch *batch = redis_batch_for(redis, slot, follows);
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
