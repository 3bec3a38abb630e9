/* moment.h - one model as of a moment of the past: built, then full, then gone; and who waits for it. For moments.c. */
#ifndef READ_MODEL_MOMENT_H
#define READ_MODEL_MOMENT_H

#include "read-model/service_internal.h"

struct moment_waiter;

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
	struct moment_waiter *waiters; /* of all moments */
	bool stopping;
};

/* ---- who waits ---- */
void moment_wait(struct moment *moment, unsigned wait_ms, moments_given *done, void *arg);
bool moment_has_waiters(const struct moment *moment);
/* `done` is called with `err` in the next turn. */
void moments_refuse(struct moments *moments, const struct error *err, moments_given *done,
                    void *arg);
/* All that wait, for whatever moment. */
void moments_refuse_all(struct moments *moments, const struct error *err);

/* ---- life ---- */
/* Of `arg`, a moment: asks Redis for a number, then fills its generation. */
void moment_begin(void *arg);
/* `err`: for who waits. Its keys are deleted. Not while its number is being asked for. */
void moment_end(struct moment *moment, const struct error *err);
/* That it is gone; it is freed when Redis knows. */
void moment_tell_redis(struct moment *moment);
/* At the end of the process. */
void moment_free(struct moment *moment);

/* Its model is that of `at` too. */
bool moment_covers(const struct moment *moment, struct entry_id at);

#endif
