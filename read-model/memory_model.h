/* memory_model.h - the read model in memory: the writes of projection.h, kept without Redis.
 *
 * Answers what the service answers, in the same order, by looking at everything: plain enough to be
 * believed. For scenarios and the simulator. */
#ifndef READ_MODEL_MEMORY_MODEL_H
#define READ_MODEL_MEMORY_MODEL_H

#include "base/buffer.h"
#include "read-model/projection.h"

struct memory_model;

struct memory_model *memory_model_create(void);
void memory_model_destroy(struct memory_model *model); /* NULL is fine */
/* One run of events of the log, in its order. */
void memory_model_apply(struct memory_model *model, const struct projection_event *events,
                        size_t count);

/* The entity's JSON behind what is in `out`; false: there is none. */
bool memory_model_get(const struct memory_model *model, const char *name, const char *id,
                      struct buffer *out);
size_t memory_model_count(const struct memory_model *model, const char *name);

/* Oldest first. The strings live for the call. */
typedef void memory_model_each(void *arg, const char *id, const char *json);
struct memory_filter {
	const char *field, *value;
};
/* All filters must hold. ERR_INVALID for a field that the kind does not have. */
MUST_USE bool memory_model_list(const struct memory_model *model, const char *name,
                                const struct memory_filter *filters, size_t filter_count,
                                memory_model_each *each, void *arg, struct error *err);
void memory_model_unbilled(const struct memory_model *model, memory_model_each *each, void *arg);
void memory_model_unshipped(const struct memory_model *model, memory_model_each *each, void *arg);
void memory_model_delivered(const struct memory_model *model, memory_model_each *each, void *arg);
/* `id` is the entry id. */
void memory_model_mails(const struct memory_model *model, memory_model_each *each, void *arg);

#endif
