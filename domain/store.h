/* store.h - the event store, in the terms of rules.
 *
 * Two streams carry many requests each (base/rpc_mux.h); what was sent when a stream broke is sent
 * again, which is safe: event ids make an append happen once. */
#ifndef DOMAIN_STORE_H
#define DOMAIN_STORE_H

#include "base/loop.h"
#include "base/rpc_mux.h"
#include "domain/decide.h"

#include "proto/eventstore_v1.pb-c.h"

struct domain_store;

/* `channel` must outlive it. */
struct domain_store *domain_store_create(struct loop *loop, struct rpc_channel *channel);
void domain_store_destroy(struct domain_store *store);
bool domain_store_connected(const struct domain_store *store);

/* Asks for an entity; `done` gets a struct Es__ReadEntityResult, for domain_store_fill. */
void domain_store_load(struct domain_store *store, const char *topic, const char *id,
                       rpc_mux_done *done, void *arg);
/* Puts the answer of domain_store_load into an entity need. */
MUST_USE bool domain_store_fill(struct need *need, struct arena *arena,
                                const ProtobufCMessage *item, const struct error *failure,
                                struct error *err);

/* Appends a batch; `done` gets a struct Es__AppendResult, for domain_store_appended. ERR_TOO_LARGE: it was
 * not sent. */
MUST_USE bool domain_store_append(struct domain_store *store, struct arena *arena,
                                  const struct batch *batch, const char *metadata,
                                  rpc_mux_done *done, void *arg, struct error *err);
/* Was it appended? ERR_CONFLICT: other versions than expected. ERR_PRECONDITION: another delivery of its
 * message gave it up (domain_store_ask). Else the error of the call. */
MUST_USE bool domain_store_appended(const struct batch *batch, const ProtobufCMessage *item,
                                    const struct error *failure, struct error *err);

/* Asks whether an event is in the log; with `give_up` one that is not never comes there. `done` gets a
 * struct Es__AppendResult, for domain_store_known. */
void domain_store_ask(struct domain_store *store, const char *topic, const char *event_id,
                      bool give_up, rpc_mux_done *done, void *arg);
/* *entry_id: where the event stands, NULL: nowhere. On false nothing was given up; ask later. */
MUST_USE bool domain_store_known(const ProtobufCMessage *item, const struct error *failure,
                                 const char **entry_id, struct error *err);

/* The entity that an event carries; NULL: none, or unreadable (logged). */
const ProtobufCMessage *event_state(struct arena *arena, const char *topic, const char *event_data);
/* Trying again later may help: something could not be reached. */
bool error_transient(const struct error *err);

#endif
