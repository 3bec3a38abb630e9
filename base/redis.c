#include "base/redis_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CONNECT_TIMEOUT_MS = 90,
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 1000,
	POLL_MIN_MS = 1, /* how long a turn waits for Redis when the loop has nothing else */
	POLL_MAX_MS = 4
};

/*            connect            all loaded
 *   DOWN ------------> ASKING ------------> READY
 *    ^ ^                 |  ^ some differ      |
 *    | |                 v  | loaded           | "Function not found"
 *    | '----- loss --- LOADING <- ... ASKING <-'
 *    '---------------- loss -------------------' */
enum state { DOWN, ASKING, LOADING, READY };

struct redis {
	struct loop *loop;
	struct redis_address address;
	const struct redis_library *libraries;
	size_t library_count;
	unsigned timeout_ms;

	enum state state;
	int fd;
	redisReader *reader;
	uint64_t retry_at_us;
	unsigned backoff_ms;
	struct loop_timer timer; /* connects again after a loss */
	struct error last_error;

	struct batch setup;     /* of ASKING and LOADING */
	struct batch collected; /* queued, not sent */
	struct batch flight;    /* sent */
	struct batch done;      /* answered, its callbacks run */
	struct arena *waited;   /* of the last redis_wait's value */
	bool keep_values;       /* the batch in `done` holds a value of redis_wait */

	size_t seen_count; /* of collected, at the last turn */
	unsigned poll_ms;
};

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

/* `err` NULL: they have their values. Callbacks may queue again. */
static void run_callbacks(struct redis *redis, const struct error *err)
{
	struct batch *batch = &redis->done;
	for (size_t i = 0; i < batch->count; i++) {
		struct request *request = &batch->requests[i];
		struct error refused;
		const struct error *why = err;
		if (request->refused != ERR_NONE) {
			error_set(&refused, request->refused, "%s", refusal(request->refused));
			why = &refused;
		}
		if (request->done != NULL)
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

static void fail_all(struct redis *redis, const struct error *err)
{
	/* what the callbacks queue is left for the next turn */
	struct batch later;
	batch_init(&later);
	batch_swap(&later, &redis->collected);
	batch_swap(&redis->done, &redis->flight);
	run_callbacks(redis, err);
	batch_swap(&redis->done, &later);
	run_callbacks(redis, err);
	batch_free(&later);
}

static void reconnect(void *arg);

static void disconnect(struct redis *redis)
{
	if (redis->fd >= 0)
		close(redis->fd);
	redis->fd = -1;
	if (redis->reader != NULL)
		redisReaderFree(redis->reader);
	redis->reader = NULL;
	batch_clear(&redis->setup);
	redis->state = DOWN;
}

static void lose(struct redis *redis, const struct error *why)
{
	disconnect(redis);
	redis->last_error = *why;
	redis->last_error.code = ERR_UNAVAILABLE;
	redis->retry_at_us = clock_monotonic_us() + redis->backoff_ms * 1000ULL;
	if (redis->loop != NULL)
		loop_timer_start(redis->loop, &redis->timer, redis->backoff_ms, reconnect, redis);
	redis->backoff_ms *= 2;
	if (redis->backoff_ms > BACKOFF_MAX_MS)
		redis->backoff_ms = BACKOFF_MAX_MS;
	struct error copy = redis->last_error;
	fail_all(redis, &copy);
}

static void start_batch(struct redis *redis, struct batch *batch)
{
	batch->progress_at_us = clock_monotonic_us();
	if (batch->timeout_ms < redis->timeout_ms)
		batch->timeout_ms = redis->timeout_ms;
	redis->reader->privdata = batch->arena;
}

static void become_ready(struct redis *redis)
{
	batch_clear(&redis->setup);
	redis->state = READY;
	redis->backoff_ms = BACKOFF_MIN_MS;
}

static void start_asking(struct redis *redis)
{
	redis->state = ASKING;
	redis_setup_ask(&redis->setup, &redis->address, redis->libraries, redis->library_count);
	start_batch(redis, &redis->setup);
}

static void start_loading(struct redis *redis)
{
	redis->state = LOADING;
	if (redis_setup_load(&redis->setup, redis->libraries, redis->library_count))
		start_batch(redis, &redis->setup);
	else
		become_ready(redis);
}

static bool setup_step(struct redis *redis, unsigned wait_ms, struct error *err)
{
	struct batch *setup = &redis->setup;
	if (!batch_pump(setup, redis->fd, redis->reader, wait_ms, err))
		return false;
	if (setup->answered < setup->count)
		return !batch_late(setup) ||
		       error_set(err, ERR_UNAVAILABLE, "redis did not answer for %u ms",
		                 setup->timeout_ms);
	for (size_t i = 0; i < setup->count; i++) {
		const struct redis_value *value = setup->requests[i].value;
		size_t len;
		if (redis_value_kind(value) == REDIS_ERROR)
			return error_set(err, ERR_UNAVAILABLE, "redis refused the connection: %s",
			                 redis_value_string(value, &len));
	}
	if (redis->state == ASKING)
		start_loading(redis);
	else
		become_ready(redis);
	return true;
}

static bool connect_now(struct redis *redis, struct error *err)
{
	if (redis->loop != NULL)
		loop_timer_stop(redis->loop, &redis->timer);
	if (!redis_address_connect(&redis->address, CONNECT_TIMEOUT_MS, &redis->fd, err))
		return false;
	redis->reader = redis_reader_create();
	start_asking(redis);
	return true;
}

/* Restarted while nothing was in flight: then nothing needs to fail. */
static bool lost_while_idle(struct redis *redis)
{
	char byte;
	ssize_t n = recv(redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void send_collected(struct redis *redis)
{
	batch_swap(&redis->flight, &redis->collected);
	redis->seen_count = 0;
	redis->poll_ms = 0;
	start_batch(redis, &redis->flight);
}

/* Puts the calls of unknown functions before what is collected, to be sent once more. */
static bool repeat_missing(struct redis *redis)
{
	struct batch *flight = &redis->flight;
	struct batch again;
	bool missing = false;
	for (size_t i = 0; redis->library_count > 0 && i < flight->count; i++) {
		struct request *request = &flight->requests[i];
		if (!request->repeated && request->refused == ERR_NONE &&
		    redis_function_missing(flight->bytes.bytes + request->args, request->value)) {
			request->repeated = true;
			request->value = NULL;
			missing = true;
		}
	}
	if (!missing)
		return false;
	batch_init(&again);
	struct batch *sources[] = { flight, &redis->collected };
	for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
		for (size_t i = 0; i < sources[s]->count; i++) {
			struct request *old = &sources[s]->requests[i];
			if (s == 0 && (!old->repeated || old->value != NULL))
				continue;
			struct request *copy = batch_add(&again);
			size_t offset = copy->offset;
			*copy = *old;
			copy->offset = offset;
			copy->args = offset + (old->args - old->offset);
			buffer_append(&again.bytes, sources[s]->bytes.bytes + old->offset,
			              old->len);
			if (s == 0)
				old->done = NULL;
			if (copy->timeout_ms > again.timeout_ms)
				again.timeout_ms = copy->timeout_ms;
		}
	}
	batch_free(&redis->collected);
	redis->collected = again;
	return true;
}

static void flight_landed(struct redis *redis)
{
	bool missing = repeat_missing(redis);
	batch_swap(&redis->done, &redis->flight);
	if (missing) {
		start_asking(redis);
	} else if (redis->collected.count > 0) {
		struct error err;
		send_collected(redis);
		if (!batch_write(&redis->flight, redis->fd, &err))
			shutdown(redis->fd, SHUT_RDWR); /* the next step finds it so */
	}
	run_callbacks(redis, NULL);
}

static bool ready_step(struct redis *redis, unsigned wait_ms, struct error *err)
{
	struct batch *flight = &redis->flight;
	if (flight->count == 0) {
		if (redis->collected.count == 0)
			return true;
		if (lost_while_idle(redis)) {
			disconnect(redis);
			return connect_now(redis, err);
		}
		send_collected(redis);
	}
	if (!batch_pump(flight, redis->fd, redis->reader, wait_ms, err))
		return false;
	if (flight->answered == flight->count)
		flight_landed(redis);
	else if (batch_late(flight))
		return error_set(err, ERR_UNAVAILABLE, "redis did not answer for %u ms",
		                 flight->timeout_ms);
	return true;
}

/* One step of whatever state it is in; never waits longer than wait_ms or a connect. */
static void step(struct redis *redis, unsigned wait_ms)
{
	struct error err;
	bool ok = true;
	switch (redis->state) {
	case DOWN:
		if (redis->collected.count == 0)
			break;
		if (clock_monotonic_us() < redis->retry_at_us) {
			err = redis->last_error;
			fail_all(redis, &err);
		} else {
			ok = connect_now(redis, &err);
		}
		break;
	case ASKING:
	case LOADING:
		ok = setup_step(redis, wait_ms, &err);
		break;
	case READY:
		ok = ready_step(redis, wait_ms, &err);
		break;
	}
	if (!ok)
		lose(redis, &err);
}

static void reconnect(void *arg)
{
	struct redis *redis = arg;
	struct error err;
	if (redis->state == DOWN && !connect_now(redis, &err))
		lose(redis, &err);
}

static bool busy(const struct redis *redis)
{
	return redis->state == ASKING || redis->state == LOADING || redis->flight.count > 0 ||
	       redis->collected.count > 0;
}

/* Waits for Redis only when a whole turn brought no new command: then the other hooks have sent
 * what they had, and the loop has looked at its queue. */
static bool turn(void *arg)
{
	struct redis *redis = arg;
	if (redis->state == DOWN && redis->collected.count == 0)
		return false;
	bool quiet = redis->collected.count == redis->seen_count;
	redis->seen_count = redis->collected.count;
	step(redis, 0);
	if (!quiet || !busy(redis)) {
		redis->poll_ms = 0;
	} else if (redis->poll_ms == 0) {
		redis->poll_ms = POLL_MIN_MS;
	} else if (redis->fd >= 0) {
		const struct batch *batch = redis->state == READY ? &redis->flight : &redis->setup;
		short writing = batch->sent < batch->bytes.len ? POLLOUT : 0;
		if (loop_wait_fd(redis->loop, redis->fd, POLLIN | writing, redis->poll_ms))
			step(redis, 0);
		if (redis->poll_ms < POLL_MAX_MS)
			redis->poll_ms *= 2;
	}
	return busy(redis);
}

bool redis_create(struct loop *loop, const char *url, const struct redis_library *libraries,
                  size_t library_count, unsigned timeout_ms, struct redis **out, struct error *err)
{
	struct redis_address address;
	if (!redis_address_parse(url, &address, err))
		return false;
	struct redis *redis = calloc(1, sizeof(*redis));
	ASSERT(redis != NULL);
	redis->loop = loop;
	redis->address = address;
	redis->libraries = libraries;
	redis->library_count = library_count;
	redis->timeout_ms = timeout_ms;
	redis->fd = -1;
	redis->backoff_ms = BACKOFF_MIN_MS;
	batch_init(&redis->setup);
	batch_init(&redis->collected);
	batch_init(&redis->flight);
	batch_init(&redis->done);
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
	disconnect(redis);
	do {
		fail_all(redis, &err);
	} while (redis->collected.count > 0);
	if (redis->loop != NULL) {
		loop_remove_hook(redis->loop, turn, redis);
		loop_timer_stop(redis->loop, &redis->timer);
	}
	batch_free(&redis->setup);
	batch_free(&redis->collected);
	batch_free(&redis->flight);
	batch_free(&redis->done);
	arena_destroy(redis->waited);
	redis_address_free(&redis->address);
	free(redis);
}

void redis_queue(struct redis *redis, const struct redis_command *command, redis_done *done,
                 void *arg)
{
	batch_append(&redis->collected, command, redis->timeout_ms, done, arg);
	if (redis->loop != NULL)
		loop_again(redis->loop);
}

size_t redis_waiting(const struct redis *redis)
{
	return redis->collected.count + redis->flight.count;
}

bool redis_connected(const struct redis *redis)
{
	return redis->state == READY;
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
	batch_append(&redis->collected, command, timeout_ms > 0 ? timeout_ms : redis->timeout_ms,
	             wait_done, &waiter);
	if (redis->state == DOWN)
		redis->retry_at_us = 0; /* who waits may as well try */
	while (!waiter.ended)
		step(redis, 100);
	size_t len;
	if (waiter.ok && redis_value_kind(waiter.value) == REDIS_ERROR)
		return error_set(err, ERR_INTERNAL, "%s", redis_value_string(waiter.value, &len));
	if (waiter.ok)
		*value = waiter.value;
	return waiter.ok;
}
