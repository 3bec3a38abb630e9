#include "read-model/service_internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	LOOK_MS = 1000,
	LOOKS_PER_LOG_CHECK = 2,
	/* How long the new generation may take to come to where the old one had stopped. */
	CHANGE_OVER_MS = 3000
};

struct rebuild_ask {
	generations_rebuilding *done;
	void *arg;
	struct rebuild_ask *next;
};

struct generations {
	struct read_model *model;
	struct loop_timer timer;
	unsigned looking; /* questions without an answer yet */
	unsigned looks;
	uint64_t look_sent_us;
	uint64_t looked_at;                  /* generation whose checkpoint is read */
	struct model_position look_position; /* where its projector was when that was asked */
	uint64_t look_losses;                /* of connections to Redis until then */
	uint64_t seen; /* the generation of which Redis is told that this process builds it */
	uint64_t highest;
	bool wanted;    /* a new generation is to be built, by this process or another */
	bool beginning; /* Redis was asked for its number */
	bool going_live;
	struct generation *changing; /* the old one stops, then this one answers */
	bool stalled;                /* it has to be waited for again */
	struct generation *retired;
	struct doomed_list *doomed;
	struct rebuild_ask *asks;
	struct log_check *log_check;
};

/* ---- retiring ---- */

void generations_retire(struct generation *old)
{
	LL_PREPEND(old->model->generations->retired, old);
	generation_retire(old);
}

uint64_t generations_highest(const struct generations *generations)
{
	return generations->highest;
}

void generations_forget(struct generations *generations, struct generation *old)
{
	LL_DELETE(generations->retired, old);
}

/* The one that is being built will not become live; Redis marks it for deletion when another is begun. */
static void abandon(struct read_model *model)
{
	struct generation *next = model->next;
	model->next = NULL;
	model->generations->wanted = true;
	generations_retire(next);
}

/* ---- changing over ----
 *
 * No query shows an older state than one before it: the old generation stops, the new one comes to
 * where it stopped, then it answers, also those who waited for the old one. */

static void change_over(struct generation *next)
{
	struct read_model *model = next->model;
	struct generations *generations = model->generations;
	struct generation *old = model->live;
	generations->changing = NULL;
	model->live = next;
	if (model->next == next)
		model->next = NULL;
	log_info("generation_live", "generation=%" PRIu64 " events=%" PRIu64,
	         generation_number(next), projector_events(next->projector));
	if (projector_caught_up(next->projector))
		rpc_server_set_healthy(model->server, true);
	if (old == NULL)
		return;
	uint64_t until_us = generation_lease_end(clock_monotonic_us());
	if (old->valid_until_us > until_us)
		old->valid_until_us = until_us;
	projector_move_waiters(old->projector, next->projector);
	/* that one was built anew may have been because the log's past is another one: an import, an older copy */
	moments_clear(model->moments);
	generations_retire(old);
	FAULT("changed_over");
}

static void next_reached(void *arg, const struct error *err)
{
	struct generation *next = arg;
	if (next->model->stopping)
		return;
	if (err != NULL && err->code == ERR_UNAVAILABLE) { /* Redis is away: after the next look */
		next->model->generations->stalled = true;
		return;
	}
	if (err != NULL) /* the log may have lost what the old one had */
		log_warn("change_over_late", "reason=\"%s\"", err->message);
	change_over(next);
}

static void old_stopped(void *arg)
{
	struct generation *next = arg;
	const struct model_position *position = projector_shown(next->model->live->projector);
	if (projector_wait(next->projector, position, CHANGE_OVER_MS, next_reached, next))
		next_reached(next, NULL);
}

static void begin_change_over(struct generation *next)
{
	struct read_model *model = next->model;
	model->generations->changing = next;
	if (model->live == NULL)
		change_over(next);
	else
		projector_stop(model->live->projector, old_stopped, next);
}

static void went_live(void *arg, const struct error *err)
{
	struct generation *next = arg;
	struct read_model *model = next->model;
	struct generations *generations = model->generations;
	generations->going_live = false;
	if (model->stopping || model->next != next)
		return;
	FAULT("went_live");
	if (err == NULL) {
		begin_change_over(next);
		return;
	}
	log_warn("go_live_failed", "generation=%" PRIu64 " reason=\"%s\"", generation_number(next),
	         err->message);
	if (err->code == ERR_CONFLICT)
		abandon(model);
}

static void go_live(struct generation *next)
{
	struct generations *generations = next->model->generations;
	if (generations->going_live || generations->changing != NULL)
		return;
	generations->going_live = true;
	model_generation_go_live(next->model->redis, generation_number(next), went_live, next);
}

static void on_caught_up(void *arg)
{
	struct generation *generation = arg;
	struct read_model *model = generation->model;
	if (generation == model->next)
		go_live(generation);
	else if (generation == model->live)
		rpc_server_set_healthy(model->server, true);
}

static void follow(struct generation *generation)
{
	struct read_model *model = generation->model;
	generation->projector = projector_create(model->loop, generation->store, model->event_store,
	                                         on_caught_up, generation);
}

/* ---- building ---- */

static void answer_asks(struct generations *generations, uint64_t number, const struct error *err)
{
	struct rebuild_ask *asks = generations->asks;
	generations->asks = NULL;
	while (asks != NULL) {
		struct rebuild_ask *ask = asks;
		asks = ask->next;
		ask->done(ask->arg, number, err);
		free(ask);
	}
}

static void filled(void *arg, const struct error *err)
{
	struct generation *generation = arg;
	if (err != NULL) {
		log_warn("build_failed", "generation=%" PRIu64 " reason=\"%s\"",
		         generation_number(generation), err->message);
		abandon(generation->model);
		return;
	}
	builder_destroy(generation->builder);
	generation->builder = NULL;
	follow(generation);
}

static void begun(void *arg, uint64_t number, bool mine, const struct error *err)
{
	struct generations *generations = arg;
	struct read_model *model = generations->model;
	generations->beginning = false;
	if (err == NULL && mine && !model->stopping) {
		FAULT("rebuild_begun");
		generations->wanted = false;
		if (number > generations->highest)
			generations->highest = number;
		log_info("generation_begun", "generation=%" PRIu64, number);
		model->next = generation_create(model, number);
		model->next->builder = builder_create(
		    model->loop, model->next->store, model->event_store, NULL, filled, model->next);
	}
	answer_asks(generations, number, err); /* after an error the next look tries again */
}

static void begin(struct generations *generations)
{
	struct read_model *model = generations->model;
	if (generations->beginning || model->next != NULL || generations->changing != NULL)
		return;
	generations->beginning = true;
	model_generation_begin(model->redis, generations->highest, model->process, begun,
	                       generations);
}

void generations_rebuild(struct generations *generations, generations_rebuilding *done, void *arg)
{
	struct read_model *model = generations->model;
	if (model->next != NULL) {
		done(arg, generation_number(model->next), NULL);
		return;
	}
	struct rebuild_ask *ask = calloc(1, sizeof(*ask));
	ASSERT(ask != NULL);
	*ask = (struct rebuild_ask){ .done = done, .arg = arg };
	LL_APPEND(generations->asks, ask);
	generations->wanted = true;
	begin(generations);
}

static void log_differs(void *arg)
{
	struct generations *generations = arg;
	moments_clear(generations->model->moments);
	generations->wanted = true;
	begin(generations);
}

/* ---- looking ---- */

/* Redis was emptied: nothing that it could answer would be right. */
static void lost_all(struct generations *generations)
{
	struct read_model *model = generations->model;
	log_warn("model_lost", "reason=\"Redis was emptied; the model is built anew\"");
	rpc_server_set_healthy(model->server, false);
	if (model->live != NULL)
		generations_retire(model->live);
	if (model->next != NULL)
		generations_retire(model->next);
	model->live = model->next = NULL;
	generations->wanted = true;
}

/* Another process made it live, or this one, and the answer was lost. */
static void change_to(struct read_model *model, uint64_t number)
{
	struct generation *next = model->next;
	bool ours = next != NULL && next->projector != NULL && generation_number(next) == number;
	if (!ours) {
		next = generation_create(model, number);
		follow(next);
		model->generations->wanted = false;
	}
	begin_change_over(next);
}

static void looked(void *arg, const struct model_generations *found, const struct error *err)
{
	struct generations *generations = arg;
	struct read_model *model = generations->model;
	generations->looking--;
	if (err != NULL || model->stopping)
		return;
	if (found->highest > generations->highest)
		generations->highest = found->highest;
	doomed_list_note(generations->doomed, found);
	moments_look(model->moments, found, generations->look_sent_us);
	if (generations->stalled) {
		generations->stalled = false;
		old_stopped(generations->changing);
	}
	if (generations->changing != NULL || generations->going_live)
		return;
	if (found->none && (model->live != NULL || model->next != NULL))
		lost_all(generations);
	if (model->live != NULL && generation_number(model->live) == found->live) {
		model->live->valid_until_us = generation_lease_end(generations->look_sent_us);
	} else if (found->live != 0) {
		change_to(model, found->live);
		return;
	}
	if (model->next != NULL && model->next->projector != NULL &&
	    projector_caught_up(model->next->projector))
		go_live(model->next);
	if (generations->wanted || (model->live == NULL && model->next == NULL))
		begin(generations);
	if (++generations->looks % LOOKS_PER_LOG_CHECK == 0 && model->next == NULL)
		log_check_look(generations->log_check);
}

static void got_checkpoint(void *arg, const struct model_position *position, uint64_t events,
                           const struct error *err)
{
	struct generations *generations = arg;
	struct read_model *model = generations->model;
	(void)events;
	generations->looking--;
	if (err != NULL || model->stopping || model->live == NULL ||
	    generation_number(model->live) != generations->looked_at)
		return;
	bool back = model_position_compare(position, &generations->look_position) < 0;
	if (back && generations->changing != NULL)
		return; /* it has stopped, and answers no more; the next one waits until it is there */
	model->live->losses = generations->look_losses;
	if (!back)
		return;
	log_warn("model_went_back",
	         "generation=%" PRIu64 " from=%s to=%s reason=\"Redis lost what it had\"",
	         generations->looked_at, generations->look_position.entry_id, position->entry_id);
	projector_rewind(model->live->projector, position);
}

static void seen(void *arg, const struct error *err)
{
	struct generations *generations = arg;
	struct read_model *model = generations->model;
	generations->looking--;
	if (err == NULL || err->code != ERR_CONFLICT || model->stopping || model->next == NULL ||
	    generation_number(model->next) != generations->seen || generations->going_live ||
	    generations->changing != NULL)
		return;
	log_warn("build_lost", "generation=%" PRIu64 " reason=\"%s\"", generations->seen,
	         err->message);
	abandon(model);
}

static void look(void *arg)
{
	struct generations *generations = arg;
	struct read_model *model = generations->model;
	loop_timer_start(model->loop, &generations->timer, LOOK_MS, look, generations);
	if (generations->looking > 0)
		return;
	generations->looking++;
	generations->look_sent_us = clock_monotonic_us();
	generations->look_losses = redis_losses(model->redis);
	if (model->live != NULL) {
		generations->looked_at = generation_number(model->live);
		generations->look_position = *projector_position(model->live->projector);
		generations->looking++;
		model_store_checkpoint(model->live->store, got_checkpoint, generations);
	}
	if (model->next != NULL) {
		generations->seen = generation_number(model->next);
		generations->looking++;
		model_generation_seen(model->redis, generations->seen, model->process, seen,
		                      generations);
	}
	model_generations_ask(model->redis, looked, generations);
}

void generations_look(struct generations *generations)
{
	struct read_model *model = generations->model;
	if (!model->stopping && generations->looking == 0)
		loop_timer_start(model->loop, &generations->timer, 0, look, generations);
}

/* ---- life ---- */

struct generations *generations_create(struct read_model *model,
                                       const struct model_generations *found, bool rebuild)
{
	struct generations *generations = calloc(1, sizeof(*generations));
	ASSERT(generations != NULL);
	generations->model = model;
	generations->highest = found->highest;
	generations->wanted = rebuild || found->live == 0 || found->building != 0;
	generations->doomed = doomed_list_create(model);
	generations->log_check = log_check_create(model, log_differs, generations);
	model->generations = generations;
	if (found->live != 0) {
		model->live = generation_create(model, found->live);
		follow(model->live);
	}
	look(generations);
	return generations;
}

void generations_stop(struct generations *generations)
{
	struct error err;
	loop_timer_stop(generations->model->loop, &generations->timer);
	/* one that was asked for during a change-over waits for the next look */
	error_set(&err, ERR_UNAVAILABLE, "the read model stops; ask again");
	answer_asks(generations, 0, &err);
}

void generations_destroy(struct generations *generations)
{
	if (generations == NULL)
		return;
	struct generation *old, *next_old;
	generations_stop(generations);
	if (generations->changing != generations->model->next)
		generation_free(generations->changing);
	generation_free(generations->model->live);
	generation_free(generations->model->next);
	LL_FOREACH_SAFE(generations->retired, old, next_old)
	{
		generation_free(old);
	}
	doomed_list_destroy(generations->doomed);
	log_check_destroy(generations->log_check);
	free(generations);
}
