/* projector.h - follows the log and folds it into one generation of the model.
 *
 *            checkpoint read          events             applied
 *   START -----------------> FOLLOW --------> (collect) ---------> position moves, waiters go on
 *     ^                        |                  |
 *     '--- pause, 50 ms-1 s ---+-- stream lost ---+-- apply refused or failed
 *
 * What arrives while a run is applied is the next run; when it grows large it is sent behind the
 * first. A run is refused when the checkpoint in Redis is not the one it follows: then another
 * instance has gone on, or an apply whose answer was lost had happened, or the run before it was
 * refused; each time the projector starts again from the checkpoint. */
#ifndef READ_MODEL_PROJECTOR_H
#define READ_MODEL_PROJECTOR_H

#include "base/rpc_client.h"
#include "read-model/store.h"

struct projector;

/* `caught_up` is called when the projector has caught up with the log for the first time. */
struct projector *projector_create(struct loop *loop, struct model_store *store,
                                   struct rpc_channel *event_store, void (*caught_up)(void *arg),
                                   void *arg);
/* What waits ends with ERR_UNAVAILABLE. The store must not have an apply of it under way:
 * projector_stop first. */
void projector_destroy(struct projector *projector);
/* Stops following. `done` is called, maybe at once, when nothing is under way; the position stays. */
void projector_stop(struct projector *projector, void (*done)(void *arg), void *arg);

bool projector_caught_up(const struct projector *projector);
const struct model_position *projector_position(const struct projector *projector);
/* The furthest place that a query may have seen. */
const struct model_position *projector_shown(const struct projector *projector);
uint64_t projector_events(const struct projector *projector); /* applied in this generation */
uint64_t projector_rewinds(
    const struct projector *projector); /* how often Redis had lost what it had */

/* Waits until the model has reached `position`, and what it had before Redis lost something (or the end of a log that
 * has no more); err is NULL then. Ends with ERR_DEADLINE, also when
 * too many wait, or with ERR_UNAVAILABLE as soon as Redis does not answer. When the model is there
 * already `done` is not called and the answer is true. */
typedef void projector_reached(void *arg, const struct error *err);
bool projector_wait(struct projector *projector, const struct model_position *position,
                    unsigned wait_ms, projector_reached *done, void *arg);

/* What waits for `from` waits for `to` from now on. */
void projector_move_waiters(struct projector *from, struct projector *to);
/* The model stands at `position`, before where it was: Redis lost what it had. Starts again there. */
void projector_rewind(struct projector *projector, const struct model_position *position);

#endif
