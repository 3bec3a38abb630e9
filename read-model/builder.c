#include "read-model/builder.h"

#include "base/backoff.h"
#include "base/fault.h"
#include "base/log.h"
#include "read-model/follow.h"

#include <stdlib.h>

struct builder {
	struct loop *loop;
	struct model_store *store;
	struct rpc_channel *channel;
	struct follow *follow; /* NULL: lost, or at the end */
	struct projection *collecting, *writing;
	struct model_position position; /* of the last event that was read */
	uint64_t events;
	struct entry_id until, next; /* `next`: the first that does not count any more */
	bool bounded, has_next;
	bool at_end;
	bool busy;       /* Redis writes */
	uint64_t losses; /* of connections to Redis, at the beginning */
	struct backoff backoff;
	struct loop_timer timer;
	model_store_done *done; /* NULL: stopped */
	void *arg;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static void open_follow(void *arg);
static void advance(struct builder *builder);

/* What Redis had to do is done. False: that was all. */
static bool landed(struct builder *builder, const struct error *err)
{
	builder->busy = false;
	if (builder->done == NULL) {
		if (builder->stopped != NULL)
			builder->stopped(builder->stopped_arg);
		return false;
	}
	struct error lost;
	if (err == NULL && builder->losses != model_store_losses(builder->store))
		err = (error_set(&lost, ERR_UNAVAILABLE,
		                 "a connection to Redis was lost, maybe with what was written"),
		       &lost);
	if (err == NULL)
		return true;
	model_store_done *done = builder->done;
	builder->done = NULL;
	follow_close(builder->follow);
	builder->follow = NULL;
	loop_timer_stop(builder->loop, &builder->timer);
	done(builder->arg, err);
	return false;
}

static void filled(void *arg, const struct error *err)
{
	struct builder *builder = arg;
	FAULT("model_filled");
	if (!landed(builder, err))
		return;
	model_store_done *done = builder->done;
	builder->done = NULL;
	done(builder->arg, NULL);
}

static void window_written(void *arg, const struct error *err)
{
	struct builder *builder = arg;
	FAULT("window_written");
	if (projection_unreadable(builder->writing) > 0)
		log_warn("events_unreadable", "count=%zu up_to=%s",
		         projection_unreadable(builder->writing), builder->position.entry_id);
	projection_clear(builder->writing);
	if (landed(builder, err))
		advance(builder);
}

static bool is_full(const struct projection *window)
{
	return projection_bytes(window) >= BUILDER_WINDOW_BYTES;
}

static void advance(struct builder *builder)
{
	if (builder->busy)
		return;
	if (is_full(builder->collecting) ||
	    (builder->at_end && projection_writes(builder->collecting) > 0)) {
		struct projection *window = builder->collecting;
		builder->collecting = builder->writing;
		builder->writing = window;
		builder->busy = true;
		model_store_fill(builder->store, window, window_written, builder);
		FAULT("window_queued");
		if (builder->follow != NULL)
			follow_resume(builder->follow);
	} else if (builder->at_end) {
		builder->busy = true;
		model_store_filled(builder->store, &builder->position, builder->events, filled,
		                   builder);
	}
}

/* ---- reading ---- */

static void end_reading(struct builder *builder)
{
	builder->at_end = true;
	follow_close(builder->follow);
	builder->follow = NULL;
}

static bool is_past(struct builder *builder, const char *entry_id)
{
	struct error ignored;
	struct entry_id id;
	if (!builder->bounded || !entry_id_parse(entry_id, &id, &ignored) ||
	    entry_id_compare(id, builder->until) <= 0)
		return false;
	builder->next = id;
	builder->has_next = true;
	return true;
}

static void on_event(void *arg, const struct projection_event *event)
{
	struct builder *builder = arg;
	if (is_past(builder, event->entry_id)) {
		end_reading(builder);
		advance(builder);
		return;
	}
	if (builder->bounded) /* any may be the last that counts */
		model_position_set(&builder->position, event->entry_id, event->topic);
	projection_add(builder->collecting, event);
	builder->events++;
}

static void on_received(void *arg, const struct projection_event *last, bool live)
{
	struct builder *builder = arg;
	backoff_reset(&builder->backoff);
	if (last != NULL)
		model_position_set(&builder->position, last->entry_id, last->topic);
	if (live)
		end_reading(builder);
	else if (is_full(builder->collecting) && builder->busy)
		follow_pause(builder->follow);
	advance(builder);
}

static void on_lost(void *arg, const struct error *err)
{
	struct builder *builder = arg;
	builder->follow = NULL;
	if (builder->events > 0)
		log_warn("build_interrupted", "at=%s reason=\"%s\"", builder->position.entry_id,
		         err == NULL ? "end" : err->message);
	loop_timer_start(builder->loop, &builder->timer, backoff_ms(&builder->backoff), open_follow,
	                 builder);
}

static void open_follow(void *arg)
{
	static const struct follow_events events = { on_event, on_received, on_lost };
	struct builder *builder = arg;
	builder->follow = follow_open(builder->channel, &builder->position, &events, builder);
}

/* ---- life ---- */

struct builder *builder_create(struct loop *loop, struct model_store *store,
                               struct rpc_channel *event_store, const struct entry_id *until,
                               model_store_done *done, void *arg)
{
	struct builder *builder = calloc(1, sizeof(*builder));
	ASSERT(builder != NULL);
	builder->loop = loop;
	builder->store = store;
	builder->channel = event_store;
	builder->losses = model_store_losses(store);
	builder->collecting = projection_create();
	builder->writing = projection_create();
	builder->bounded = until != NULL;
	if (until != NULL)
		builder->until = *until;
	builder->done = done;
	builder->arg = arg;
	open_follow(builder);
	return builder;
}

void builder_stop(struct builder *builder, void (*stopped)(void *arg), void *arg)
{
	builder->done = NULL;
	builder->stopped = stopped;
	builder->stopped_arg = arg;
	follow_close(builder->follow);
	builder->follow = NULL;
	loop_timer_stop(builder->loop, &builder->timer);
	if (!builder->busy && stopped != NULL)
		stopped(arg);
}

void builder_destroy(struct builder *builder)
{
	if (builder == NULL)
		return;
	follow_close(builder->follow);
	loop_timer_stop(builder->loop, &builder->timer);
	projection_destroy(builder->collecting);
	projection_destroy(builder->writing);
	free(builder);
}

const struct model_position *builder_position(const struct builder *builder)
{
	return &builder->position;
}

uint64_t builder_events(const struct builder *builder)
{
	return builder->events;
}

bool builder_next(const struct builder *builder, struct entry_id *next)
{
	*next = builder->next;
	return builder->has_next;
}
