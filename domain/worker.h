/* worker.h - takes the messages of a service's functions from the queue and settles them.
 *
 *   delivery --> runtime_run --> outcome --> settle (all of one loop turn in one message)
 *
 * A message is settled as done with a result or an error; when the event store cannot be reached
 * it is handed back to be delivered again. A delivery of a message that is being worked on is
 * dropped: the one settle ends both. Leases are short, and extended for what takes long. */
#ifndef DOMAIN_WORKER_H
#define DOMAIN_WORKER_H

#include "base/loop.h"
#include "base/rpc_client.h"
#include "domain/runtime.h"

struct worker;

/* `queue` and `runtime` must outlive it. */
struct worker *worker_create(struct loop *loop, const struct service *service,
                             struct rpc_channel *queue, struct runtime *runtime);
void worker_destroy(struct worker *worker);
/* False: what it has goes back to the queue at once, for an instance that can do it. True, as in the beginning: takes
 * messages again. */
void worker_take(struct worker *worker, bool takes);
bool worker_up(const struct worker *worker);
/* Starts no more deliveries; the stream ends when what runs is settled. */
void worker_drain(struct worker *worker);
bool worker_idle(const struct worker *worker); /* nothing runs */
bool worker_drained(const struct worker *worker);

#endif
