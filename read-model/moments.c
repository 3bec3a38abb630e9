#include "read-model/moment.h"

#include "base/clock.h"
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

/* ---- asking ---- */

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
	                 settled ? 0 : (unsigned)((settled_us - now_us) / 1000 + 1), moment_begin,
	                 moment);
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
		moments_refuse(moments, &err, done, arg);
		return NULL;
	}
	DL_FOREACH2(moments->first, moment, next_moment)
	{
		if (moment_covers(moment, at))
			break;
	}
	if (moment == NULL) {
		if (!make_room(moments, &err)) {
			moments_refuse(moments, &err, done, arg);
			return NULL;
		}
		moment = moment_add(moments, at);
	}
	moment->used_us = clock_monotonic_us();
	if (moment->full)
		return moment->generation;
	moment_wait(moment, wait_ms, done, arg);
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
	return !moment_has_waiters(moment) &&
	       clock_monotonic_us() - moment->used_us > limit_s * 1000000ULL;
}

static void look_at(struct moment *moment, const struct model_generations *found,
                    uint64_t look_sent_us)
{
	if (moment->gone && !moment->telling)
		moment_tell_redis(moment);
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
	moments_refuse_all(moments, &err);
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
