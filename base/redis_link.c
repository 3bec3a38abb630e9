#include "base/redis_link.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 90, REPLICAS_TIMEOUT_MS = 1000 };

static const char *refusal(enum error_code code)
{
	switch (code) {
	case ERR_INVALID:
		return "redis: a command without arguments";
	case ERR_TOO_LARGE:
		return "redis: the command is too large";
	default:
		return "redis: too much is waiting to be sent";
	}
}

/* Why a request has no value for its owner; false: it has. */
static bool has_failed(const struct request *request, struct error *err)
{
	size_t len;
	if (request->refused != ERR_NONE)
		return !error_set(err, request->refused, "%s", refusal(request->refused));
	if (redis_value_kind(request->value) != REDIS_ERROR ||
	    redis_fate(request->value) == FATE_DONE)
		return false;
	return !error_set(err, ERR_UNAVAILABLE, "redis: %s",
	                  redis_value_string(request->value, &len));
}

/* `err` NULL: they have their values. Callbacks may queue again. */
static void run_callbacks(struct redis_link *link, const struct error *err)
{
	struct redis *redis = link->redis;
	struct batch *batch = &link->done;
	for (size_t i = 0; i < batch->count; i++) {
		struct request *request = &batch->requests[i];
		struct error own;
		if (request->done == NULL)
			continue;
		const struct error *why = has_failed(request, &own) ? &own : err;
		request->done(request->arg, why == NULL ? request->value : NULL, why);
	}
	if (redis->keep_values) {
		struct arena *swap = redis->waited;
		redis->waited = batch->arena;
		batch->arena = swap;
		redis->keep_values = false;
	}
	batch_clear(batch);
}

void redis_link_fail(struct redis_link *link, const struct error *err)
{
	/* what the callbacks queue is left for the next turn */
	struct batch later;
	batch_init(&later);
	batch_swap(&later, &link->collected);
	batch_swap(&link->done, &link->flight);
	run_callbacks(link, err);
	batch_swap(&link->done, &later);
	run_callbacks(link, err);
	batch_free(&later);
}

void redis_link_close(struct redis_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	if (link->reader != NULL)
		redisReaderFree(link->reader);
	link->reader = NULL;
	batch_clear(&link->setup);
	link->state = LINK_DOWN;
}

static void reconnect(void *arg);

static void lose(struct redis_link *link, const struct error *why)
{
	struct redis *redis = link->redis;
	redis->losses += link->state == LINK_READY;
	redis_link_close(link);
	link->last_error = *why;
	link->last_error.code = ERR_UNAVAILABLE;
	unsigned pause_ms = backoff_ms(&link->backoff);
	link->retry_at_us = clock_monotonic_us() + pause_ms * 1000ULL;
	if (redis->loop != NULL)
		loop_timer_start(redis->loop, &link->timer, pause_ms, reconnect, link);
	struct error copy = link->last_error;
	redis_link_fail(link, &copy);
	if (link == redis->home)
		redis->seeds.next = (redis->seeds.next + 1) % redis->seeds.count;
	else
		redis_refresh_map(redis);
}

static void start_batch(struct redis_link *link, struct batch *batch)
{
	batch->progress_at_us = clock_monotonic_us();
	if (batch->timeout_ms < link->redis->timeout_ms)
		batch->timeout_ms = link->redis->timeout_ms;
	link->reader->privdata = batch->arena;
}

static void become_ready(struct redis_link *link)
{
	batch_clear(&link->setup);
	link->state = LINK_READY;
	backoff_reset(&link->backoff);
}

static void start_asking(struct redis_link *link)
{
	struct redis *redis = link->redis;
	link->state = LINK_ASKING;
	redis_setup_ask(&link->setup, &link->address, redis->libraries, redis->library_count);
	start_batch(link, &link->setup);
}

static bool connect_to(struct redis_link *link, const struct redis_address *address,
                       struct error *err)
{
	if (!redis_address_connect(address, CONNECT_TIMEOUT_MS, &link->fd, err))
		return false;
	link->reader = redis_reader_create();
	return true;
}

/* Home tries each seed once, as long as they refuse quickly. */
static bool connect_home(struct redis_link *link, struct error *err)
{
	struct redis_seeds *seeds = &link->redis->seeds;
	uint64_t until_us = clock_monotonic_us() + CONNECT_TIMEOUT_MS * 1000ULL;
	for (size_t tries = 0;; seeds->next = (seeds->next + 1) % seeds->count) {
		const struct redis_address *seed = &seeds->items[seeds->next];
		if (connect_to(link, seed, err)) {
			redis_address_free(&link->address);
			redis_address_copy(&link->address, seed);
			break;
		}
		if (++tries == seeds->count || clock_monotonic_us() > until_us)
			return false;
	}
	if (seeds->master_name == NULL) {
		start_asking(link);
		return true;
	}
	link->state = LINK_FINDING;
	redis_setup_find(&link->setup, seeds->master_name);
	start_batch(link, &link->setup);
	return true;
}

static bool connect_now(struct redis_link *link, struct error *err)
{
	struct redis *redis = link->redis;
	if (redis->loop != NULL)
		loop_timer_stop(redis->loop, &link->timer);
	if (link == redis->home)
		return connect_home(link, err);
	if (!connect_to(link, &link->address, err))
		return false;
	start_asking(link);
	return true;
}

/* A sentinel has named the server. */
static bool go_to_master(struct redis_link *link, struct error *err)
{
	const struct redis_seeds *seeds = &link->redis->seeds;
	const struct redis_value *named = link->setup.requests[0].value;
	char host[256];
	size_t len;
	snprintf(host, sizeof(host), "%s", redis_value_string(redis_value_at(named, 0), &len));
	int port = (int)redis_value_integer(redis_value_at(named, 1));
	if (len == 0 || port <= 0 || port > 65535)
		return error_set(err, ERR_UNAVAILABLE, "the sentinel at %s:%d knows no master %s",
		                 link->address.host, link->address.port, seeds->master_name);
	redis_link_close(link);
	redis_address_set(&link->address, &seeds->items[0], host, port);
	if (!connect_to(link, &link->address, err))
		return false;
	start_asking(link);
	return true;
}

static bool answer_is(const struct redis_value *value, const char *text)
{
	size_t len;
	return strcmp(redis_value_string(value, &len), text) == 0;
}

static bool start_loading(struct redis_link *link, struct error *err)
{
	struct redis *redis = link->redis;
	const struct redis_value *map = redis_setup_map(&link->setup, redis->library_count);
	const struct redis_value *role = redis_setup_role(&link->setup, redis->library_count);
	if (redis_value_kind(map) == REDIS_ARRAY && !redis_take_map(redis, link, map, err))
		return false;
	if (redis->slots != NULL && link == redis->home) {
		struct batch collected = link->collected;
		batch_init(&link->collected);
		redis_link_close(link);
		redis->redirects++;
		redis_place_all(redis, &collected);
		return true;
	}
	if (answer_is(redis_value_at(role, 0), "slave"))
		return error_set(err, ERR_UNAVAILABLE, "redis at %s:%d is a replica",
		                 link->address.host != NULL ? link->address.host : "a socket",
		                 link->address.port);
	link->state = LINK_LOADING;
	if (redis_setup_load(&link->setup, redis->libraries, redis->library_count))
		start_batch(link, &link->setup);
	else
		become_ready(link);
	return true;
}

/* What the answers to the commands of redis_functions.c look like. */
static const char *setup_shape(const struct redis_link *link, size_t index)
{
	switch (link->state) {
	case LINK_FINDING:
		return "?(ss)";
	case LINK_ASKING: /* login and database; then role, map and libraries */
		return index + link->redis->library_count + 2 < link->setup.count ? "." : "a";
	default:
		return "s";
	}
}

/* Role and map may be forbidden to us; then it is what it was taken for. */
static bool setup_allowed(const struct redis_link *link, struct error *err)
{
	const struct batch *setup = &link->setup;
	size_t count = link->redis->library_count;
	for (size_t i = 0; i < setup->count; i++) {
		const struct redis_value *value = setup->requests[i].value;
		if (redis_value_kind(value) == REDIS_ERROR && link->state == LINK_ASKING &&
		    (value == redis_setup_role(setup, count) ||
		     value == redis_setup_map(setup, count)))
			continue;
		if (!redis_check(value, setup_shape(link, i), NULL, err))
			return error_wrap(err, "the connection was refused");
	}
	return true;
}

static bool setup_step(struct redis_link *link, struct error *err)
{
	struct batch *setup = &link->setup;
	if (!batch_pump(setup, link->fd, link->reader, err))
		return false;
	if (setup->answered < setup->count)
		return !batch_late(setup) ||
		       error_set(err, ERR_UNAVAILABLE, "redis did not answer for %u ms",
		                 setup->timeout_ms);
	if (!setup_allowed(link, err))
		return false;
	switch (link->state) {
	case LINK_FINDING:
		return go_to_master(link, err);
	case LINK_ASKING:
		return start_loading(link, err);
	default:
		become_ready(link);
		return true;
	}
}

/* Restarted while nothing was in flight: then nothing needs to fail. */
static bool lost_while_idle(struct redis_link *link)
{
	char byte;
	ssize_t n = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void send_collected(struct redis_link *link)
{
	batch_swap(&link->flight, &link->collected);
	link->redis->seen_count = 0;
	link->redis->poll_ms = 0;
	if (link->redis->seeds.replicas > 0) {
		redis_put_wait(&link->flight, link->redis->seeds.replicas, REPLICAS_TIMEOUT_MS);
		if (link->flight.timeout_ms < 2 * REPLICAS_TIMEOUT_MS)
			link->flight.timeout_ms = 2 * REPLICAS_TIMEOUT_MS;
	}
	start_batch(link, &link->flight);
}

static bool is_demoted(const struct redis_link *link)
{
	for (size_t i = 0; i < link->flight.count; i++) {
		if (redis_fate(link->flight.requests[i].value) == FATE_LOST)
			return true;
	}
	return false;
}

/* The WAIT at the end of the batch says that enough replicas have what it wrote, and what it read. */
static bool is_replicated(const struct redis_link *link, struct error *err)
{
	int needed = link->redis->seeds.replicas;
	if (needed == 0)
		return true;
	const struct redis_value *wait = link->flight.requests[link->flight.count - 1].value;
	if (redis_value_kind(wait) == REDIS_INTEGER && redis_value_integer(wait) >= needed)
		return true;
	return error_set(
	    err, ERR_UNAVAILABLE,
	    "redis: %lld of %d replicas have it within %d ms; the command may have run",
	    (long long)redis_value_integer(wait), needed, REPLICAS_TIMEOUT_MS);
}

static bool flight_landed(struct redis_link *link, struct error *err)
{
	struct error single;
	bool demoted = is_demoted(link), replicated = is_replicated(link, &single);
	bool missing = redis_sort_out(link);
	batch_swap(&link->done, &link->flight);
	if (missing && !demoted) {
		start_asking(link);
	} else if (link->collected.count > 0 && !demoted) {
		struct error ignored;
		send_collected(link);
		if (!batch_write(&link->flight, link->fd, &ignored))
			shutdown(link->fd, SHUT_RDWR); /* the next step finds it so */
	}
	run_callbacks(link, replicated ? NULL : &single);
	return !demoted || error_set(err, ERR_UNAVAILABLE, "redis is no master any more");
}

static bool ready_step(struct redis_link *link, struct error *err)
{
	struct batch *flight = &link->flight;
	if (flight->count == 0) {
		if (link->collected.count == 0)
			return true;
		if (lost_while_idle(link)) {
			link->redis->losses++;
			redis_link_close(link);
			return connect_now(link, err);
		}
		send_collected(link);
	}
	if (!batch_pump(flight, link->fd, link->reader, err))
		return false;
	if (flight->answered == flight->count)
		return flight_landed(link, err);
	return !batch_late(flight) ||
	       error_set(err, ERR_UNAVAILABLE, "redis did not answer for %u ms",
	                 flight->timeout_ms);
}

void redis_link_step(struct redis_link *link)
{
	struct error err;
	bool ok = true;
	switch (link->state) {
	case LINK_DOWN:
		if (link->collected.count == 0)
			break;
		/* without a loop, somebody waits: who waits may as well try */
		if (link->redis->loop != NULL && clock_monotonic_us() < link->retry_at_us) {
			err = link->last_error;
			redis_link_fail(link, &err);
		} else {
			ok = connect_now(link, &err);
		}
		break;
	case LINK_FINDING:
	case LINK_ASKING:
	case LINK_LOADING:
		ok = setup_step(link, &err);
		break;
	case LINK_READY:
		ok = ready_step(link, &err);
		break;
	}
	if (!ok)
		lose(link, &err);
}

void redis_link_connect(struct redis_link *link)
{
	struct error err;
	if (link->state == LINK_DOWN && !connect_now(link, &err))
		lose(link, &err);
}

static void reconnect(void *arg)
{
	redis_link_connect(arg);
}

bool redis_link_busy(const struct redis_link *link)
{
	return (link->state != LINK_DOWN && link->state != LINK_READY) || link->flight.count > 0 ||
	       link->collected.count > 0;
}

short redis_link_events(const struct redis_link *link)
{
	const struct batch *batch = link->state == LINK_READY ? &link->flight : &link->setup;
	return (short)(batch->sent < batch->bytes.len ? POLLIN | POLLOUT : POLLIN);
}

struct redis_link *redis_link_create(struct redis *redis)
{
	struct redis_link *link = calloc(1, sizeof(*link));
	ASSERT(link != NULL);
	link->redis = redis;
	link->fd = -1;
	batch_init(&link->setup);
	batch_init(&link->collected);
	batch_init(&link->flight);
	batch_init(&link->done);
	return link;
}

void redis_link_destroy(struct redis_link *link)
{
	if (link->redis->loop != NULL)
		loop_timer_stop(link->redis->loop, &link->timer);
	redis_link_close(link);
	batch_free(&link->setup);
	batch_free(&link->collected);
	batch_free(&link->flight);
	batch_free(&link->done);
	redis_address_free(&link->address);
	free(link);
}
