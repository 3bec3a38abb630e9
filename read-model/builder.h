/* builder.h - fills one generation from the beginning of the log, to its end or to a moment of the past; nobody
 * reads it meanwhile.
 *
 *            events               window full, or the end             the last event
 *   READ ------------> (collect) ---------------------> WRITE ----------------------> FILLED
 *     ^                             the last state of     |                  done, with a checkpoint
 *     '-- the stream was lost --'   each entity in it     '-- Redis failed --> SPOILED
 *
 * While one window is written, the next collects; then the stream rests. So it holds two windows of
 * BUILDER_WINDOW_BYTES, whatever the length of the log. Nothing tells how far the writes of a window came when Redis
 * fails or the process dies, nor what of earlier ones is left when a connection to Redis was lost: then the generation
 * is given up, and another one is begun. */
#ifndef READ_MODEL_BUILDER_H
#define READ_MODEL_BUILDER_H

#include "base/id.h"
#include "base/rpc_client.h"
#include "read-model/store.h"

enum { BUILDER_WINDOW_BYTES = 8 * 1024 * 1024 };

struct builder;

/* `until`: the last entry id that counts, NULL: up to the end of the log. `done` is called once, unless it is stopped
 * before: NULL, and the generation can be followed from its checkpoint; or why it is spoiled. The builder may be
 * destroyed in it. */
struct builder *builder_create(struct loop *loop, struct model_store *store,
                               struct rpc_channel *event_store, const struct entry_id *until,
                               model_store_done *done, void *arg);
/* `stopped` is called, maybe at once, when nothing is under way. */
void builder_stop(struct builder *builder, void (*stopped)(void *arg), void *arg);
/* The store must not have a call of it under way: builder_stop first, or `done`. NULL is fine. */
void builder_destroy(struct builder *builder);

/* How far it has read. */
const struct model_position *builder_position(const struct builder *builder);
uint64_t builder_events(const struct builder *builder);
/* The first event after `until`; false: the log had none when it was read. */
bool builder_next(const struct builder *builder, struct entry_id *next);

#endif
