/* rpc_mux.h - many requests on one long-lived bidirectional stream, answered by tag.
 *
 * By convention the stream's messages hold `repeated Item items = 1`, and an item's field 1 is
 * `uint64 tag`. Requests of one loop turn leave as one message. When the stream breaks it is opened
 * again (backoff up to 1 s) and every unanswered request is sent again, in order: requests must be
 * idempotent. A request whose deadline passes ends with ERR_DEADLINE; one that is made while the
 * limit of waiting requests is reached ends with ERR_EXHAUSTED; one with text that is not UTF-8 with
 * ERR_INVALID.
 *
 * An item's field 15, if it has one, is an enum by which the server tells a first sending from others:
 * 1 first, 2 again. The mux turns a 1 into a 2 when it sends the item again. */
#ifndef BASE_RPC_MUX_H
#define BASE_RPC_MUX_H

#include "base/rpc_client.h"

struct rpc_mux;

/* `item` is NULL when `err` is not; it lives during the callback. */
typedef void rpc_mux_done(void *arg, const ProtobufCMessage *item, const struct error *err);

struct rpc_mux *rpc_mux_create(struct loop *loop, struct rpc_channel *channel,
                               const ProtobufCServiceDescriptor *service, const char *method,
                               size_t max_waiting);
/* Ends what waits with ERR_CANCELLED. Before its channel; not from one of its callbacks. */
void rpc_mux_destroy(struct rpc_mux *mux);
/* Sets item's tag, packs it at once. Never calls `done` before it returns. */
void rpc_mux_request(struct rpc_mux *mux, ProtobufCMessage *item, unsigned timeout_ms,
                     rpc_mux_done *done, void *arg);
size_t rpc_mux_waiting(const struct rpc_mux *mux);
bool rpc_mux_connected(const struct rpc_mux *mux);

#endif
