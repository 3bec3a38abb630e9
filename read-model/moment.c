#include "read-model/moment.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

struct moment_waiter {
	struct moments *moments;
	struct moment *moment; /* NULL: it fails with `err` */
	struct loop_timer timer;
	struct error err;
	moments_given *done;
	void *arg;
	struct moment_waiter *prev, *next;
};

/* ---- who waits ---- */

static void waiter_end(struct moment_waiter *waiter, struct generation *generation,
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
	struct moment_waiter *waiter = arg;
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

static struct moment_waiter *waiter_add(struct moments *moments, struct moment *moment,
                                        unsigned wait_ms, moments_given *done, void *arg)
{
	struct moment_waiter *waiter = calloc(1, sizeof(*waiter));
	ASSERT(waiter != NULL);
	*waiter = (struct moment_waiter){
		.moments = moments, .moment = moment, .done = done, .arg = arg
	};
	DL_APPEND(moments->waiters, waiter);
	loop_timer_start(moments->model->loop, &waiter->timer, wait_ms, waiter_late, waiter);
	return waiter;
}

void moment_wait(struct moment *moment, unsigned wait_ms, moments_given *done, void *arg)
{
	waiter_add(moment->moments, moment, wait_ms, done, arg);
}

void moments_refuse(struct moments *moments, const struct error *err, moments_given *done,
                    void *arg)
{
	waiter_add(moments, NULL, 0, done, arg)->err = *err;
}

void moments_refuse_all(struct moments *moments, const struct error *err)
{
	while (moments->waiters != NULL)
		waiter_end(moments->waiters, NULL, err);
}

static void end_waiters(struct moment *moment, struct generation *generation,
                        const struct error *err)
{
	struct moment_waiter *waiter, *next;
	DL_FOREACH_SAFE(moment->moments->waiters, waiter, next)
	{
		if (waiter->moment == moment)
			waiter_end(waiter, generation, err);
	}
}

bool moment_has_waiters(const struct moment *moment)
{
	struct moment_waiter *waiter;
	DL_SEARCH_SCALAR(moment->moments->waiters, waiter, moment, moment);
	return waiter != NULL;
}

/* ---- the end of a moment ---- */

void moment_free(struct moment *moment)
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

void moment_tell_redis(struct moment *moment)
{
	moment->telling = true;
	model_generation_forget(moment->moments->model->redis, moment->number, forgotten, moment);
}

void moment_end(struct moment *moment, const struct error *err)
{
	end_waiters(moment, NULL, err);
	if (moment->generation != NULL)
		generations_retire(moment->generation);
	moment->generation = NULL;
	moment->gone = true;
	if (moment->number == 0)
		moment_free(moment);
	else
		moment_tell_redis(moment);
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

void moment_begin(void *arg)
{
	struct moment *moment = arg;
	struct read_model *model = moment->moments->model;
	model_generation_moment(model->redis, generations_highest(model->generations),
	                        model->process, begun, moment);
}

/* ---- what it answers ---- */

bool moment_covers(const struct moment *moment, struct entry_id at)
{
	if (moment->gone)
		return false;
	if (entry_id_compare(at, moment->at) == 0)
		return true;
	return moment->full && entry_id_compare(at, moment->last) >= 0 &&
	       entry_id_compare(at, moment->has_next ? moment->next : moment->at) < 0;
}
