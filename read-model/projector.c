#include "read-model/projector.h"

#include "base/backoff.h"
#include "base/fault.h"
#include "base/log.h"
#include "read-model/follow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	WAITERS_MAX = 20000,
	/* A run that is worth sending behind another one. */
	RUN_WRITES = 512,
	RUN_BYTES = 512 * 1024,
	/* Collected for the next run: then the stream rests. */
	PAUSE_WRITES = 4 * RUN_WRITES,
	PAUSE_BYTES = 4 * RUN_BYTES,
	RUNS_MAX = 2, /* under way: one that Redis works on, and one that waits there */
};

struct waiter {
	struct projector *projector;
	struct model_position position;
	struct loop_timer timer;
	projector_reached *done;
	void *arg;
	struct waiter *prev, *next;
};

struct projector {
	struct loop *loop;
	struct model_store *store;
	struct rpc_channel *channel;
	struct follow *follow; /* NULL: not yet, or lost */
	struct projection *collecting;
	struct model_position position;  /* applied */
	struct model_position lost;      /* was applied before Redis lost it; else empty */
	struct model_position sent;      /* the end of the last run under way, or `position` */
	struct model_position collected; /* the last event of `collecting` */
	struct run {
		struct projection *projection;
		struct model_position end;
	} runs[RUNS_MAX]; /* under way, oldest first; the projections of the others are empty */
	size_t run_count;
	uint64_t events, rewinds;
	bool read_under_way;
	bool restart; /* when nothing is under way */
	bool live;    /* the log had no more than what was collected */
	bool caught_up;
	bool stopping;
	struct backoff backoff;
	struct error outage; /* of Redis; its code is ERR_NONE while it answers */
	struct loop_task task;
	struct loop_timer timer;
	struct waiter *waiters;
	size_t waiter_count;
	void (*on_caught_up)(void *arg);
	void *caught_up_arg;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
};

/* ---- waiting for a position ---- */

static void waiter_end(struct waiter *waiter, const struct error *err)
{
	struct projector *projector = waiter->projector;
	loop_timer_stop(projector->loop, &waiter->timer);
	DL_DELETE(projector->waiters, waiter);
	projector->waiter_count--;
	waiter->done(waiter->arg, err);
	free(waiter);
}

static void waiter_late(void *arg)
{
	struct waiter *waiter = arg;
	struct error err = waiter->projector->outage;
	if (err.code == ERR_NONE)
		error_set(&err, ERR_DEADLINE, "the model has not reached %s of '%s'; it is at %s",
		          waiter->position.entry_id, waiter->position.topic,
		          waiter->projector->position.entry_id);
	waiter_end(waiter, &err);
}

static bool reached(const struct projector *projector, const struct model_position *position)
{
	return projector->lost.entry_id[0] == '\0' &&
	       model_position_compare(position, &projector->position) <= 0;
}

bool projector_wait(struct projector *projector, const struct model_position *position,
                    unsigned wait_ms, projector_reached *done, void *arg)
{
	if (reached(projector, position))
		return true;
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	ASSERT(waiter != NULL);
	waiter->projector = projector;
	waiter->position = *position;
	waiter->done = done;
	waiter->arg = arg;
	DL_APPEND(projector->waiters, waiter);
	/* too many: the end comes from the timer too, so that it never comes before this returns */
	bool full = ++projector->waiter_count > WAITERS_MAX;
	bool in_vain = full || projector->outage.code != ERR_NONE;
	loop_timer_start(projector->loop, &waiter->timer, in_vain ? 0 : wait_ms, waiter_late,
	                 waiter);
	return false;
}

/* Nobody waits for what cannot come soon. */
static void note_outage(struct projector *projector, const struct error *err)
{
	if (err == NULL || err->code != ERR_UNAVAILABLE) {
		projector->outage.code = ERR_NONE;
		return;
	}
	projector->outage = *err;
	struct waiter *waiter, *next;
	DL_FOREACH_SAFE(projector->waiters, waiter, next)
	{
		waiter_end(waiter, err);
	}
}

static void wake_waiters(struct projector *projector)
{
	struct waiter *waiter, *next;
	DL_FOREACH_SAFE(projector->waiters, waiter, next)
	{
		if (reached(projector, &waiter->position))
			waiter_end(waiter, NULL);
	}
}

void projector_move_waiters(struct projector *from, struct projector *to)
{
	struct waiter *waiter, *next;
	DL_FOREACH_SAFE(from->waiters, waiter, next)
	{
		DL_DELETE(from->waiters, waiter);
		from->waiter_count--;
		waiter->projector = to;
		DL_APPEND(to->waiters, waiter);
		to->waiter_count++;
	}
	wake_waiters(to);
}

/* ---- applying ---- */

static void start(void *arg);

static void restart_later(struct projector *projector)
{
	follow_close(projector->follow);
	projector->follow = NULL;
	projector->live = false;
	projection_clear(projector->collecting);
	projector->restart = true;
	if (projector->run_count > 0 || projector->read_under_way)
		return;
	projector->restart = false;
	if (projector->stopping) {
		if (projector->on_stopped != NULL)
			projector->on_stopped(projector->stopped_arg);
		return;
	}
	loop_timer_start(projector->loop, &projector->timer, backoff_ms(&projector->backoff), start,
	                 projector);
}

/* Redis has an older copy of the model. */
static void go_back(struct projector *projector, const struct model_position *position)
{
	if (model_position_compare(position, &projector->position) < 0) {
		projector->rewinds++;
		if (model_position_compare(&projector->lost, &projector->position) < 0)
			projector->lost = projector->position;
	}
	projector->position = *position;
}

static void check_lost(struct projector *projector, bool at_end)
{
	if (projector->lost.entry_id[0] == '\0' ||
	    (!at_end && model_position_compare(&projector->lost, &projector->position) > 0))
		return;
	projector->lost = (struct model_position){ "", "" };
	wake_waiters(projector);
}

static void check_caught_up(struct projector *projector)
{
	bool at_end = projector->live && projector->run_count == 0 &&
	              projection_events(projector->collecting) == 0;
	check_lost(projector, at_end);
	if (projector->caught_up || !at_end)
		return;
	projector->caught_up = true;
	if (projector->on_caught_up != NULL)
		projector->on_caught_up(projector->caught_up_arg);
}

static void apply_collected(struct projector *projector);

static void applied(void *arg, const struct error *err)
{
	struct projector *projector = arg;
	struct run run = projector->runs[0];
	projector->run_count--;
	memmove(projector->runs, projector->runs + 1, (RUNS_MAX - 1) * sizeof(run));
	projector->runs[RUNS_MAX - 1] = run;
	if (err == NULL) {
		FAULT("run_applied");
		projector->position = run.end;
		projector->events += projection_events(run.projection);
		backoff_reset(&projector->backoff);
		if (projection_unreadable(run.projection) > 0)
			log_warn("events_unreadable", "count=%zu up_to=%s",
			         projection_unreadable(run.projection), run.end.entry_id);
	} else if (!projector->restart) {
		log_warn("apply_failed", "generation=%" PRIu64 " entry_id=%s reason=\"%s\"",
		         model_store_generation(projector->store), run.end.entry_id, err->message);
		projector->restart = true; /* what is under way behind it is refused too */
	}
	note_outage(projector, err);
	projection_clear(run.projection);
	if (!projector->restart)
		apply_collected(projector);
	if (err == NULL)
		wake_waiters(projector);
	FAULT("run_done");
	check_caught_up(projector);
	if (projector->restart)
		restart_later(projector); /* may end the projector */
}

/* Sends what is collected when nothing is under way; or, so that Redis need not wait for the next
 * run to be written, when it is much. */
static void apply_collected(struct projector *projector)
{
	struct projection *collecting = projector->collecting;
	bool much = projection_writes(collecting) >= RUN_WRITES ||
	            projection_bytes(collecting) >= RUN_BYTES;
	if (projection_events(collecting) == 0 || projector->run_count == RUNS_MAX ||
	    (projector->run_count > 0 && !much))
		return;
	struct run *run = &projector->runs[projector->run_count++];
	projector->collecting = run->projection;
	run->projection = collecting;
	run->end = projector->collected;
	model_store_apply(projector->store, &projector->sent, &run->end, run->projection, applied,
	                  projector);
	projector->sent = run->end;
	FAULT("run_queued");
	if (projector->follow != NULL)
		follow_resume(projector->follow);
}

static void end_of_turn(struct loop_task *task)
{
	struct projector *projector = OWNER(struct projector, task, task);
	apply_collected(projector);
	check_caught_up(projector);
}

/* ---- following ---- */

static void on_event(void *arg, const struct projection_event *event)
{
	struct projector *projector = arg;
	projection_add(projector->collecting, event);
}

static void on_received(void *arg, const struct projection_event *last, bool live)
{
	struct projector *projector = arg;
	if (last != NULL)
		model_position_set(&projector->collected, last->entry_id, last->topic);
	FAULT("events_collected");
	projector->live = live;
	if (projection_writes(projector->collecting) >= PAUSE_WRITES ||
	    projection_bytes(projector->collecting) >= PAUSE_BYTES)
		follow_pause(projector->follow);
	loop_task_start(projector->loop, &projector->task);
}

static void on_lost(void *arg, const struct error *err)
{
	struct projector *projector = arg;
	projector->follow = NULL;
	if (projector->caught_up)
		log_warn("subscription_lost", "reason=\"%s\"", err == NULL ? "end" : err->message);
	restart_later(projector);
}

static const struct follow_events follow_events = { on_event, on_received, on_lost };

static void got_checkpoint(void *arg, const struct model_position *position, uint64_t events,
                           const struct error *err)
{
	struct projector *projector = arg;
	projector->read_under_way = false;
	note_outage(projector, err);
	if (err != NULL || projector->restart) {
		restart_later(projector);
		return;
	}
	go_back(projector, position);
	projector->sent = *position;
	projector->events = events;
	wake_waiters(projector);
	projector->follow =
	    follow_open(projector->channel, &projector->position, &follow_events, projector);
}

static void start(void *arg)
{
	struct projector *projector = arg;
	projector->read_under_way = true;
	model_store_checkpoint(projector->store, got_checkpoint, projector);
}

void projector_rewind(struct projector *projector, const struct model_position *position)
{
	go_back(projector, position);
	if (projector->follow != NULL) /* else it begins again anyway */
		restart_later(projector);
}

/* ---- life ---- */

struct projector *projector_create(struct loop *loop, struct model_store *store,
                                   struct rpc_channel *event_store, void (*caught_up)(void *arg),
                                   void *arg)
{
	struct projector *projector = calloc(1, sizeof(*projector));
	ASSERT(projector != NULL);
	projector->loop = loop;
	projector->store = store;
	projector->channel = event_store;
	projector->collecting = projection_create();
	for (size_t i = 0; i < RUNS_MAX; i++)
		projector->runs[i].projection = projection_create();
	projector->task.fn = end_of_turn;
	projector->on_caught_up = caught_up;
	projector->caught_up_arg = arg;
	start(projector);
	return projector;
}

void projector_stop(struct projector *projector, void (*done)(void *arg), void *arg)
{
	projector->stopping = true;
	projector->on_stopped = done;
	projector->stopped_arg = arg;
	loop_timer_stop(projector->loop, &projector->timer);
	restart_later(projector);
}

void projector_destroy(struct projector *projector)
{
	if (projector == NULL)
		return;
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "the read model stops; ask again");
	while (projector->waiters != NULL)
		waiter_end(projector->waiters, &err);
	follow_close(projector->follow);
	loop_timer_stop(projector->loop, &projector->timer);
	loop_task_stop(projector->loop, &projector->task);
	projection_destroy(projector->collecting);
	for (size_t i = 0; i < RUNS_MAX; i++)
		projection_destroy(projector->runs[i].projection);
	free(projector);
}

bool projector_caught_up(const struct projector *projector)
{
	return projector->caught_up;
}

const struct model_position *projector_position(const struct projector *projector)
{
	return &projector->position;
}

uint64_t projector_rewinds(const struct projector *projector)
{
	return projector->rewinds;
}

uint64_t projector_events(const struct projector *projector)
{
	return projector->events;
}

const struct model_position *projector_shown(const struct projector *projector)
{
	return projector->lost.entry_id[0] != '\0' ? &projector->lost : &projector->position;
}
