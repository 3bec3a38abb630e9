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

/* A generation whose keys are to be deleted. */
struct doomed {
	struct generations *generations;
	uint64_t number;
	uint64_t at_us;
	bool marked; /* Redis said so in the last look */
	bool under_way;
	struct doomed *prev, *next;
};

struct rebuild_ask {
	model_generation_begun *done;
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
	uint64_t highest;
	bool wanted;    /* a new generation is to be built */
	bool beginning; /* Redis was asked for its number */
	bool going_live;
	struct generation *changing; /* the old one stops, then this one answers */
	bool stalled;                /* it has to be waited for again */
	struct generation *retired;
	struct doomed *doomed;
	struct rebuild_ask *asks;
	struct log_check *log_check;
};

static uint64_t number_of(const struct generation *generation)
{
	return model_store_generation(generation->store);
}

bool generation_valid(const struct generation *generation, struct error *err)
{
	return clock_monotonic_us() < generation->valid_until_us ||
	       error_set(err, ERR_UNAVAILABLE,
	                 "the read model could not confirm that its data is current; ask again");
}

static uint64_t lease_end(uint64_t from_us)
{
	return from_us + GENERATION_LEASE_MS * 1000ULL;
}

static void on_caught_up(void *arg);

static struct generation *generation_create(struct read_model *model, uint64_t number)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	ASSERT(generation != NULL);
	generation->model = model;
	generation->store = model_store_create(model->redis, number);
	generation->valid_until_us = lease_end(clock_monotonic_us());
	generation->projector = projector_create(model->loop, generation->store, model->event_store,
	                                         on_caught_up, generation);
	return generation;
}

static void generation_free(struct generation *generation)
{
	if (generation == NULL)
		return;
	projector_destroy(generation->projector);
	model_store_destroy(generation->store);
	free(generation);
}

/* ---- retiring ---- */

static void projector_gone(void *arg)
{
	struct generation *old = arg;
	projector_destroy(old->projector);
	old->projector = NULL;
}

/* It answers no new queries; those under way may end. */
static void retire(struct generation *old)
{
	struct generations *generations = old->model->generations;
	LL_PREPEND(generations->retired, old);
	projector_stop(old->projector, projector_gone, old);
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
	log_info("generation_live", "generation=%" PRIu64 " events=%" PRIu64, number_of(next),
	         projector_events(next->projector));
	if (projector_caught_up(next->projector))
		rpc_server_set_healthy(model->server, true);
	if (old == NULL)
		return;
	uint64_t until_us = lease_end(clock_monotonic_us());
	if (old->valid_until_us > until_us)
		old->valid_until_us = until_us;
	projector_move_waiters(old->projector, next->projector);
	retire(old);
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
	const struct model_position *position = projector_position(next->model->live->projector);
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
	log_warn("go_live_failed", "generation=%" PRIu64 " reason=\"%s\"", number_of(next),
	         err->message);
	if (err->code == ERR_CONFLICT) {
		model->next = NULL;
		retire(next);
	}
}

static void go_live(struct generation *next)
{
	struct generations *generations = next->model->generations;
	if (generations->going_live || generations->changing != NULL)
		return;
	generations->going_live = true;
	model_generation_go_live(next->model->redis, number_of(next), went_live, next);
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

static void begun(void *arg, uint64_t number, const struct error *err)
{
	struct generations *generations = arg;
	struct read_model *model = generations->model;
	generations->beginning = false;
	if (err == NULL && !model->stopping) {
		FAULT("rebuild_begun");
		generations->wanted = false;
		if (number > generations->highest)
			generations->highest = number;
		if (model->next == NULL) {
			log_info("generation_begun", "generation=%" PRIu64, number);
			model->next = generation_create(model, number);
		}
	}
	answer_asks(generations, number, err); /* after an error the next look tries again */
}

static void begin(struct generations *generations)
{
	struct read_model *model = generations->model;
	if (generations->beginning || model->next != NULL || generations->changing != NULL)
		return;
	generations->beginning = true;
	model_generation_begin(model->redis, generations->highest, begun, generations);
}

void generations_rebuild(struct generations *generations, model_generation_begun *done, void *arg)
{
	struct read_model *model = generations->model;
	if (model->next != NULL) {
		done(arg, number_of(model->next), NULL);
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
	generations->wanted = true;
	begin(generations);
}

/* ---- deleting ---- */

static void drop_done(void *arg, const struct error *err)
{
	struct doomed *doomed = arg;
	struct generations *generations = doomed->generations;
	doomed->under_way = false;
	if (err != NULL) {
		doomed->at_us = clock_monotonic_us() + LOOK_MS * 1000ULL;
		return;
	}
	log_info("generation_dropped", "generation=%" PRIu64, doomed->number);
	DL_DELETE(generations->doomed, doomed);
	free(doomed);
}

static void note_doomed(struct generations *generations, const struct model_generations *found)
{
	struct doomed *doomed, *next;
	DL_FOREACH(generations->doomed, doomed)
	{
		doomed->marked = false;
	}
	for (size_t i = 0; i < found->dropped_count; i++) {
		DL_SEARCH_SCALAR(generations->doomed, doomed, number, found->dropped[i]);
		if (doomed == NULL) {
			doomed = calloc(1, sizeof(*doomed));
			ASSERT(doomed != NULL);
			doomed->generations = generations;
			doomed->number = found->dropped[i];
			doomed->at_us = clock_monotonic_us() + GENERATION_GRACE_MS * 1000ULL;
			DL_APPEND(generations->doomed, doomed);
		}
		doomed->marked = true;
	}
	DL_FOREACH_SAFE(generations->doomed, doomed, next)
	{
		if (doomed->under_way)
			continue;
		if (!doomed->marked) { /* another process was faster */
			DL_DELETE(generations->doomed, doomed);
			free(doomed);
		} else if (clock_monotonic_us() >= doomed->at_us) {
			doomed->under_way = true;
			model_generation_drop(generations->model->redis, doomed->number, drop_done,
			                      doomed);
		}
	}
}

/* ---- looking ---- */

/* Redis was emptied: nothing that it could answer would be right. */
static void lost_all(struct generations *generations)
{
	struct read_model *model = generations->model;
	log_warn("model_lost", "reason=\"Redis was emptied; the model is built anew\"");
	rpc_server_set_healthy(model->server, false);
	if (model->live != NULL)
		retire(model->live);
	if (model->next != NULL)
		retire(model->next);
	model->live = model->next = NULL;
	generations->wanted = true;
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
	note_doomed(generations, found);
	if (generations->stalled) {
		generations->stalled = false;
		old_stopped(generations->changing);
	}
	if (generations->changing != NULL || generations->going_live)
		return;
	if (found->none && (model->live != NULL || model->next != NULL))
		lost_all(generations);
	if (model->live != NULL && number_of(model->live) == found->live) {
		model->live->valid_until_us = lease_end(generations->look_sent_us);
	} else if (found->live != 0) { /* another process made it live */
		bool ours = model->next != NULL && number_of(model->next) == found->live;
		begin_change_over(ours ? model->next : generation_create(model, found->live));
		return;
	}
	if (model->next != NULL && projector_caught_up(model->next->projector))
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
	if (err != NULL || model->stopping || generations->changing != NULL ||
	    model->live == NULL || number_of(model->live) != generations->looked_at ||
	    model_position_compare(position, &generations->look_position) >= 0)
		return;
	log_warn("model_went_back",
	         "generation=%" PRIu64 " from=%s to=%s reason=\"Redis lost what it had\"",
	         generations->looked_at, generations->look_position.entry_id, position->entry_id);
	projector_rewind(model->live->projector, position);
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
	if (model->live != NULL) {
		generations->looked_at = number_of(model->live);
		generations->look_position = *projector_position(model->live->projector);
		generations->looking++;
		model_store_checkpoint(model->live->store, got_checkpoint, generations);
	}
	model_generations_ask(model->redis, looked, generations);
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
	generations->log_check = log_check_create(model, log_differs, generations);
	model->generations = generations;
	if (found->live != 0)
		model->live = generation_create(model, found->live);
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
	struct doomed *doomed, *next_doomed;
	generations_stop(generations);
	if (generations->changing != generations->model->next)
		generation_free(generations->changing);
	generation_free(generations->model->live);
	generation_free(generations->model->next);
	LL_FOREACH_SAFE(generations->retired, old, next_old)
	{
		generation_free(old);
	}
	DL_FOREACH_SAFE(generations->doomed, doomed, next_doomed)
	{
		free(doomed);
	}
	log_check_destroy(generations->log_check);
	free(generations);
}
