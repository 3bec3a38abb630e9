/* runtime.h - runs commands: loads, decides, appends, and decides again on a conflict.
 *
 *            .--------- something is missing: load --------.
 *            v                                             |
 *   run -> decide --> events --> append batch by batch --> outcome
 *            ^   '--> error, no events                 |
 *            |          (on states of the cache:       | conflict: forget, load
 *            '--------- load them and decide again) ---'
 *
 * Appends are pipelined: the next command of an entity is decided on the predicted state (cache.h)
 * while the append of the one before is in flight.
 *
 * A command that was delivered before, or is being applied by another instance, may be in the log. Its
 * event ids are derived, so the same decision is answered as a duplicate; before another one counts,
 * the runtime asks the store for the first of these ids, or gives it up (probe.h). */
#ifndef DOMAIN_RUNTIME_H
#define DOMAIN_RUNTIME_H

#include "domain/store.h"

struct runtime;

struct task {
	const struct function *function;
	const char *message_id;
	const struct json *params; /* NULL: none */
	const char *metadata;      /* of the message: JSON object, or "" */
	bool comes_again;          /* after a CONFLICT: nothing is undone then */
};

/* Where the effects stand in the log. */
struct token {
	const char *topic;
	const char *entry_id;
};

struct outcome {
	const char *result; /* JSON; NULL if error is set */
	struct error error;
	size_t token_count;
	const struct token *tokens;
};

/* The outcome lives in the task's arena. */
typedef void runtime_done(void *arg, const struct outcome *outcome);

/* `store` must outlive it. */
struct runtime *runtime_create(struct loop *loop, const struct service *service,
                               struct domain_store *store);
void runtime_destroy(struct runtime *runtime);
/* The task and what it points to must live, as `arena`, until `done`, which may come at once. */
void runtime_run(struct runtime *runtime, struct arena *arena, const struct task *task,
                 runtime_done *done, void *arg);
size_t runtime_running(const struct runtime *runtime);

#endif
