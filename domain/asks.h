/* asks.h - gets what a reaction has asked for.
 *
 *   NEED_ENTITY   the event store
 *   NEED_LIST     the read model, page by page, not older than the event
 *   NEED_CALL     the queue, or for the own service its runtime; the reply
 *   NEED_SEND     the queue, or for the own service its runtime; on disk is enough
 *
 * A refusal by the rule is an answer: it goes into the need. Any other end of a command, such as
 * that it was parked, is none: reply.error says it, and the need stays unknown. */
#ifndef DOMAIN_ASKS_H
#define DOMAIN_ASKS_H

#include "domain/saga_runtime.h"

struct asks;

/* `err` is NULL when the need is known now; else it failed for now, and can be started again, unless
 * reply.error is set: then that would not help. */
typedef void ask_done(void *arg, const struct error *err);

struct asks *asks_create(struct loop *loop, const struct saga_options *options);
/* Ends what is under way. */
void asks_destroy(struct asks *asks);
/* `done` may come at once. The context and the event must live until then. */
void asks_start(struct asks *asks, struct context *context, const struct event *event,
                struct need *need, ask_done *done, void *arg);
/* Frees what the answers of a context hold outside of its arena. */
void asks_forget(struct context *context);

#endif
