/* runtime_internal.h - what the files of the runtime share.
 *
 *   runtime.c          the decision and the end: runs one command from runtime_run to `done`
 *   runtime_load.c     where states come from: the cache or the store
 *   runtime_append.c   batch by batch into the store, predicted in the cache
 *
 * Each file ends its part by run_advance, run_try_again, run_fail or run_finish. */
#ifndef DOMAIN_RUNTIME_INTERNAL_H
#define DOMAIN_RUNTIME_INTERNAL_H

#include "base/error.h"
#include "domain/cache.h"
#include "domain/probe.h"
#include "domain/runtime.h"

enum { TOKENS_MAX = 4 };

struct runtime {
	struct loop *loop;
	const struct service *service;
	struct domain_store *store;
	struct cache *cache; /* NULL for a service without entities */
	size_t running;
	struct run *sleeping;
	/* Appends to the own topic, answered in the order sent, and runs that wait for them. */
	uint64_t sent, answered;
	struct run *behind;
};

/* One command, from runtime_run to `done`. Lives in the task's arena. */
struct run {
	struct runtime *runtime;
	struct arena *arena;
	const struct task *task;
	struct context context;
	struct command command;
	const char *metadata; /* of its events; made when first needed */
	unsigned waiting;     /* loads in flight */
	unsigned tries;
	bool fresh;       /* own entities come from the store, not from the cache */
	enum probe probe; /* the last one */
	bool undoing;
	struct error failure;
	struct batch *batch;      /* being appended */
	const struct batch *undo; /* appended, to be taken back if the rest fails */
	struct token tokens[TOKENS_MAX];
	size_t token_count;
	runtime_done *done;
	void *arg;
	struct loop_timer timer; /* while sleeping */
	unsigned sleep_ms;
	uint64_t behind; /* waits until so many appends are answered */
	struct run *prev, *next;
};

/* ---- runtime.c ---- */

/* Decides on what is known; loads what is missing. */
void run_advance(struct run *run);
/* Forgets what it knew and decides again; too often: fails. */
void run_try_again(struct run *run);
/* The command cannot be done; an earlier batch of it that is in the log is taken back, unless the
 * message comes again and finds it. */
void run_fail(struct run *run, const struct error *error);
void run_finish(struct run *run, const struct error *error);
void run_add_token(struct run *run, const char *topic, const char *entry_id);

/* ---- runtime_load.c ---- */

/* Is this the topic whose entities the cache holds? */
bool run_is_own(const struct run *run, const char *topic);
/* Other commands may have moved the entities on since this one took them. */
void run_refresh(struct run *run);
/* False when an entity that the rule took as new is known to the cache. */
bool run_assumptions_hold(struct run *run);
/* Does the decision rest on a state of the cache, which may be a prediction, or on an entity that was
 * only assumed not to be there? */
bool run_guesses(const struct run *run);
/* Starts to load what is missing; false when all is here now. */
bool run_fetch(struct run *run);

/* ---- runtime_append.c ---- */

/* Appends run->batch and those after it. */
void run_append(struct run *run);
/* Asks the store for the events of this message. */
void run_probe(struct run *run, enum probe probe);

#endif
