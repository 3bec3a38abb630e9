#include "read-model/service_internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/when.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	MOMENTS_MAX = 4,
	KEPT_S = 600,
	ABANDONED_S = 10, /* one that is not full, and nobody waits for */
	/* The log's clock may be behind this process's by so much: an event of a moment can come until then. */
	SETTLED_US = 1000000,
};

struct waiter {
	struct moments *moments;
	struct moment *moment; /* NULL: it fails with `err` */
	struct loop_timer timer;
	struct error err;
	moments_given *done;
	void *arg;
	struct waiter *prev, *next;
};

struct moment {
	struct moments *moments;
	struct entry_id at; /* that was asked for */
	/* When it is full: the last event that counts, and the first that does not. */
	struct entry_id last, next;
	bool has_next;
	uint64_t events; /* when it is full */
	bool full;
	bool gone; /* Redis has still to be told */
	bool telling;
	uint64_t number;               /* of the generation; 0: not yet */
	struct generation *generation; /* NULL: not yet, or gone */
	uint64_t begun_us, used_us;
	uint64_t asked_losses; /* of connections to Redis, when its checkpoint was asked for */
	struct loop_timer settle;
	struct moment *prev_moment, *next_moment;
};

struct moments {
	struct read_model *model;
	struct moment *first;
	struct waiter *waiters; /* of all moments */
	bool stopping;
};

/* ---- who waits ---- */

static void waiter_end(struct waiter *waiter, struct generation *generation,
                       const struct error *err)
{
	struct moments *moments = waiter->moments;
	loop_timer_stop(moments->model->loop, &waiter->timer);
	DL_DELETE(moments->waiters, waiter);
	waiter->done(waiter->arg, generation, err);
	free(waiter);
}

static void waiter_late(void *arg)
{
	struct waiter *waiter = arg;
	struct moment *moment = waiter->moment;
	if (moment != NULL) {
		moment->used_us = clock_monotonic_us();
		error_set(&waiter->err, ERR_DEADLINE,
		          "at: the model of that moment is being built, %" PRIu64
		          " events so far; ask again",
		          moment->generation == NULL ? 0 : generation_events(moment->generation));
	}
	waiter_end(waiter, NULL, &waiter->err);
}

static struct waiter *waiter_add(struct moments *moments, struct moment *moment, unsigned wait_ms,
                                 moments_given *done, void *arg)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	ASSERT(waiter != NULL);
	*waiter = (struct waiter){ .moments = moments, .moment = moment, .done = done, .arg = arg };
	DL_APPEND(moments->waiters, waiter);
	loop_timer_start(moments->model->loop, &waiter->timer, wait_ms, waiter_late, waiter);
	return waiter;
}

static void end_waiters(struct moment *moment, struct generation *generation,
                        const struct error *err)
{
	struct waiter *waiter, *next;
	DL_FOREACH_SAFE(moment->moments->waiters, waiter, next)
	{
		if (waiter->moment == moment)
			waiter_end(waiter, generation, err);
	}
}

/* ---- the end of a moment ---- */

static void moment_free(struct moment *moment)
{
	loop_timer_stop(moment->moments->model->loop, &moment->settle);
	DL_DELETE2(moment->moments->first, moment, prev_moment, next_moment);
	free(moment);
}

static void forgotten(void *arg, const struct error *err)
{
	struct moment *moment = arg;
	moment->telling = false; /* after an error the next look tries again */
	if (err == NULL)
		moment_free(moment);
}

static void tell_redis(struct moment *moment)
{
	moment->telling = true;
	model_generation_forget(moment->moments->model->redis, moment->number, forgotten, moment);
}

/* `err`: for who waits. Not while its number is being asked for. */
static void moment_end(struct moment *moment, const struct error *err)
{
	end_waiters(moment, NULL, err);
	if (moment->generation != NULL)
		generations_retire(moment->generation);
	moment->generation = NULL;
	moment->gone = true;
	if (moment->number == 0)
		moment_free(moment);
	else
		tell_redis(moment);
}

/* ---- building ---- */

static void filled(void *arg, const struct error *err)
{
	struct moment *moment = arg;
	struct generation *generation = moment->generation;
	struct error early;
	moment->events = generation_events(generation);
	if (err == NULL && moment->events == 0)
		err = (error_set(&early, ERR_INVALID, "at: lies before the first event of the log"),
		       &early);
	if (err != NULL) {
		moment_end(moment, err);
		return;
	}
	moment->has_next = builder_next(generation->builder, &moment->next);
	struct error ignored;
	if (!entry_id_parse(generation_position(generation)->entry_id, &moment->last, &ignored))
		moment->last = moment->at;
	builder_destroy(generation->builder);
	generation->builder = NULL;
	moment->full = true;
	log_info("moment_ready", "generation=%" PRIu64 " events=%" PRIu64, moment->number,
	         moment->events);
	end_waiters(moment, generation, NULL);
}

static void begun(void *arg, uint64_t number, bool mine, const struct error *err)
{
	struct moment *moment = arg;
	struct read_model *model = moment->moments->model;
	(void)mine;
	if (err != NULL || moment->moments->stopping) {
		if (err != NULL)
			moment_end(moment, err);
		return;
	}
	FAULT("moment_begun");
	moment->number = number;
	moment->begun_us = clock_monotonic_us();
	moment->generation = generation_create(model, number);
	moment->generation->builder =
	    builder_create(model->loop, moment->generation->store, model->event_store, &moment->at,
	                   filled, moment);
}

static void begin(void *arg)
{
	struct moment *moment = arg;
	struct read_model *model = moment->moments->model;
	model_generation_moment(model->redis, generations_highest(model->generations),
	                        model->process, begun, moment);
}

/* ---- asking ---- */

static bool covers(const struct moment *moment, struct entry_id at)
{
	if (moment->gone)
		return false;
	if (entry_id_compare(at, moment->at) == 0)
		return true;
	return moment->full && entry_id_compare(at, moment->last) >= 0 &&
	       entry_id_compare(at, moment->has_next ? moment->next : moment->at) < 0;
}

static bool has_waiters(const struct moment *moment)
{
	struct waiter *waiter;
	DL_SEARCH_SCALAR(moment->moments->waiters, waiter, moment, moment);
	return waiter != NULL;
}

/* Makes room for one more. */
static bool make_room(struct moments *moments, struct error *err)
{
	struct moment *moment, *oldest = NULL;
	unsigned count = 0;
	DL_FOREACH2(moments->first, moment, next_moment)
	{
		count += !moment->gone;
		if (moment->full && !moment->gone &&
		    (oldest == NULL || moment->used_us < oldest->used_us))
			oldest = moment;
	}
	if (count < MOMENTS_MAX)
		return true;
	if (oldest == NULL)
		return error_set(err, ERR_EXHAUSTED,
		                 "at: %d moments are being built, which is the limit; ask again",
		                 MOMENTS_MAX);
	moment_end(oldest, NULL);
	return true;
}

/* The last event that the live model has: nothing at or before it can still come. */
static struct entry_id live_end(const struct read_model *model)
{
	struct entry_id id;
	struct error ignored;
	if (model->live != NULL &&
	    entry_id_parse(generation_position(model->live)->entry_id, &id, &ignored))
		return id;
	return (struct entry_id){ 0, 0 };
}

static bool parse_moment(const struct read_model *model, const char *text, struct entry_id *at,
                         struct error *err)
{
	struct entry_id end = live_end(model), exact;
	struct error ignored;
	/* ids may be ahead of this process's clock */
	if (entry_id_parse(text, &exact, &ignored) && entry_id_compare(exact, end) <= 0) {
		*at = exact;
		return true;
	}
	return moment_parse(text, clock_wall_us(), at, err) || error_wrap(err, "at");
}

static struct moment *moment_add(struct moments *moments, struct entry_id at)
{
	struct read_model *model = moments->model;
	struct moment *moment = calloc(1, sizeof(*moment));
	ASSERT(moment != NULL);
	moment->moments = moments;
	moment->at = at;
	DL_APPEND2(moments->first, moment, prev_moment, next_moment);
	uint64_t settled_us = at.ms * 1000 + SETTLED_US, now_us = clock_wall_us();
	bool settled = entry_id_compare(at, live_end(model)) < 0 || settled_us <= now_us;
	loop_timer_start(model->loop, &moment->settle,
	                 settled ? 0 : (unsigned)((settled_us - now_us) / 1000 + 1), begin, moment);
	return moment;
}

struct generation *moments_ask(struct moments *moments, const char *text, unsigned wait_ms,
                               moments_given *done, void *arg)
{
	struct entry_id at;
	struct error err;
	struct moment *moment = NULL;
	if (moments->stopping)
		error_set(&err, ERR_UNAVAILABLE, "the read model stops; ask again");
	if (moments->stopping || !parse_moment(moments->model, text, &at, &err)) {
		waiter_add(moments, NULL, 0, done, arg)->err = err;
		return NULL;
	}
	DL_FOREACH2(moments->first, moment, next_moment)
	{
		if (covers(moment, at))
			break;
	}
	if (moment == NULL) {
		if (!make_room(moments, &err)) {
			waiter_add(moments, NULL, 0, done, arg)->err = err;
			return NULL;
		}
		moment = moment_add(moments, at);
	}
	moment->used_us = clock_monotonic_us();
	if (moment->full)
		return moment->generation;
	waiter_add(moments, moment, wait_ms, done, arg);
	return NULL;
}

/* ---- looking ---- */

static struct moment *moment_of(struct moments *moments, const struct generation *generation)
{
	struct moment *moment;
	DL_FOREACH2(moments->first, moment, next_moment)
	{
		if (moment->generation == generation)
			return moment;
	}
	return NULL;
}

static void moment_lose(struct moment *moment)
{
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "Redis lost the model of that moment; ask again");
	log_warn("moment_lost", "generation=%" PRIu64, moment->number);
	moment_end(moment, &err);
}

/* Redis may have come back with an older copy of it. */
static void got_checkpoint(void *arg, const struct model_position *position, uint64_t events,
                           const struct error *err)
{
	struct generation *generation = arg;
	struct moment *moment = moment_of(generation->model->moments, generation);
	(void)position;
	if (moment != NULL && err == NULL && events != moment->events)
		moment_lose(moment);
	else if (moment != NULL && err == NULL)
		generation->losses = moment->asked_losses;
	generation_release(generation);
}

static void ask_checkpoint(struct moment *moment)
{
	moment->asked_losses = redis_losses(moment->moments->model->redis);
	model_store_checkpoint(moment->generation->store, got_checkpoint,
	                       generation_hold(moment->generation));
}

static bool is_listed(const struct model_generations *found, uint64_t number)
{
	for (size_t i = 0; i < found->moment_count; i++) {
		if (found->moments[i] == number)
			return true;
	}
	return found->moment_count == GENERATIONS_MOMENTS_MAX; /* there may be more */
}

/* Nobody has asked for it for as long as it deserves. */
static bool is_old(const struct moment *moment)
{
	unsigned limit_s = moment->full ? KEPT_S : ABANDONED_S;
	return !has_waiters(moment) &&
	       clock_monotonic_us() - moment->used_us > limit_s * 1000000ULL;
}

static void look_at(struct moment *moment, const struct model_generations *found,
                    uint64_t look_sent_us)
{
	if (moment->gone && !moment->telling)
		tell_redis(moment);
	/* the look may have come before it was begun */
	if (moment->gone || moment->number == 0 || moment->begun_us > look_sent_us)
		return;
	if (!is_listed(found, moment->number)) {
		moment_lose(moment);
	} else if (is_old(moment)) {
		moment_end(moment, NULL);
	} else {
		moment->generation->valid_until_us = generation_lease_end(look_sent_us);
		if (moment->full)
			ask_checkpoint(moment);
	}
}

static void said_alive(void *arg, const struct error *err)
{
	(void)arg; /* said again with the next look */
	(void)err;
}

/* One that Redis lists, and nobody here knows, was begun by a call whose answer was lost. */
static void say_alive(struct moments *moments)
{
	struct moment *moment;
	uint64_t kept[MOMENTS_MAX];
	size_t count = 0;
	bool all = true;
	DL_FOREACH2(moments->first, moment, next_moment)
	{
		all &= moment->number != 0;
		if (!moment->gone && moment->number != 0)
			kept[count++] = moment->number;
	}
	model_generation_alive(moments->model->redis, moments->model->process,
	                       moments->first != NULL, kept, all ? count : 0, said_alive, moments);
}

void moments_look(struct moments *moments, const struct model_generations *found,
                  uint64_t look_sent_us)
{
	struct moment *moment, *next;
	DL_FOREACH_SAFE2(moments->first, moment, next, next_moment)
	{
		look_at(moment, found, look_sent_us);
	}
	if (moments->first != NULL || found->moment_count > 0)
		say_alive(moments);
}

void moments_clear(struct moments *moments)
{
	struct moment *moment, *next;
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "the log is not what it was; ask again");
	DL_FOREACH_SAFE2(moments->first, moment, next, next_moment)
	{
		if (!moment->gone && moment->number != 0) /* else it has read nothing yet */
			moment_end(moment, &err);
	}
}

/* ---- life ---- */

struct moments *moments_create(struct read_model *model)
{
	struct moments *moments = calloc(1, sizeof(*moments));
	ASSERT(moments != NULL);
	moments->model = model;
	return moments;
}

void moments_stop(struct moments *moments)
{
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "the read model stops; ask again");
	moments->stopping = true;
	while (moments->waiters != NULL)
		waiter_end(moments->waiters, NULL, &err);
	struct moment *moment;
	DL_FOREACH2(moments->first, moment, next_moment)
	{
		loop_timer_stop(moments->model->loop, &moment->settle);
		if (moment->generation != NULL && moment->generation->builder != NULL)
			builder_stop(moment->generation->builder, NULL, NULL);
	}
}

void moments_destroy(struct moments *moments)
{
	if (moments == NULL)
		return;
	moments_stop(moments);
	while (moments->first != NULL) {
		generation_free(moments->first->generation);
		moment_free(moments->first);
	}
	free(moments);
}
