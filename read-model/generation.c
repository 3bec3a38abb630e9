#include "read-model/service_internal.h"

#include "base/clock.h"

#include <stdlib.h>

static const struct model_position beginning = { "", "" };

uint64_t generation_lease_end(uint64_t from_us)
{
	return from_us + GENERATION_LEASE_MS * 1000ULL;
}

/* Not at once: the store, or who follows the log, may be in the middle of the callback. */
static void free_unused(struct loop_task *task)
{
	struct generation *generation = OWNER(struct generation, unused, task);
	generations_forget(generation->model->generations, generation);
	generation_free(generation);
}

struct generation *generation_create(struct read_model *model, uint64_t number)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	ASSERT(generation != NULL);
	generation->model = model;
	generation->store = model_store_create(model->redis, number);
	generation->valid_until_us = generation_lease_end(clock_monotonic_us());
	generation->losses = redis_losses(model->redis);
	generation->unused.fn = free_unused;
	return generation;
}

void generation_free(struct generation *generation)
{
	if (generation == NULL)
		return;
	loop_task_stop(generation->model->loop, &generation->unused);
	builder_destroy(generation->builder);
	projector_destroy(generation->projector);
	model_store_destroy(generation->store);
	free(generation);
}

uint64_t generation_number(const struct generation *generation)
{
	return model_store_generation(generation->store);
}

const struct model_position *generation_position(const struct generation *generation)
{
	if (generation->builder != NULL)
		return builder_position(generation->builder);
	return generation->projector != NULL ? projector_position(generation->projector)
	                                     : &beginning;
}

uint64_t generation_events(const struct generation *generation)
{
	if (generation->builder != NULL)
		return builder_events(generation->builder);
	return generation->projector != NULL ? projector_events(generation->projector) : 0;
}

/* ---- users ---- */

static void free_when_unused(struct generation *generation)
{
	if (generation->retired && generation->users == 0 && generation->projector == NULL &&
	    generation->builder == NULL)
		loop_task_start(generation->model->loop, &generation->unused);
}

struct generation *generation_hold(struct generation *generation)
{
	generation->users++;
	return generation;
}

void generation_release(struct generation *generation)
{
	if (generation == NULL)
		return;
	generation->users--;
	free_when_unused(generation);
}

/* ---- reading ---- */

static uint64_t rewinds(const struct generation *generation)
{
	return generation->projector != NULL ? projector_rewinds(generation->projector)
	                                     : generation->rewinds;
}

void reading_begin(struct reading *reading, struct generation *from)
{
	*reading = (struct reading){ generation_hold(from), rewinds(from) };
}

bool reading_valid(const struct reading *reading, struct error *err)
{
	const struct generation *from = reading->from;
	if (from == NULL)
		return true;
	bool same_redis = from->losses == redis_losses(from->model->redis);
	if (!same_redis)
		generations_look(from->model->generations);
	/* a command of it may have met an older copy that has been found since */
	return (same_redis && reading->rewinds == rewinds(from) &&
	        clock_monotonic_us() < from->valid_until_us) ||
	       error_set(err, ERR_UNAVAILABLE,
	                 "the read model could not confirm that its data is current; ask again");
}

void reading_end(struct reading *reading)
{
	generation_release(reading->from);
	reading->from = NULL;
}

/* ---- the end ---- */

static void stopped(void *arg)
{
	struct generation *generation = arg;
	generation->rewinds = rewinds(generation);
	builder_destroy(generation->builder);
	projector_destroy(generation->projector);
	generation->builder = NULL;
	generation->projector = NULL;
	free_when_unused(generation);
}

void generation_stop(struct generation *generation, void (*done)(void *arg), void *arg)
{
	if (generation->builder != NULL)
		builder_stop(generation->builder, done, arg);
	else if (generation->projector != NULL)
		projector_stop(generation->projector, done, arg);
	else
		done(arg);
}

void generation_retire(struct generation *generation)
{
	generation->retired = true;
	generation_stop(generation, stopped, generation);
}
