/* store_internal.h - shared by store*.c only. */
#ifndef READ_MODEL_STORE_INTERNAL_H
#define READ_MODEL_STORE_INTERNAL_H

#include "read-model/store.h"

struct model_store {
	struct redis *redis;
	uint64_t generation;
	char prefix[32];
	struct redis_command command;        /* the one being written */
	struct model_store_call *free_calls; /* for reuse */
};

/* A command under way. */
struct model_store_call {
	struct model_store *store;
	void *arg;
	union {
		model_store_apply_done *apply;
		model_store_done *filled;
		model_store_checkpoint_done *checkpoint;
		model_store_entity_done *entity;
		model_store_members_done *members;
		model_store_count_done *count;
		model_store_mails_done *mails;
	} done;
	const struct kind *kind; /* of an entity */
	char *id;                /* of an entity; of members: the id to start after */
	uint64_t score;          /* of members: where it starts */
	size_t limit;
	struct model_store_call *next;
};

struct model_store_call *model_store_call_begin(struct model_store *store, void *arg);
void model_store_call_end(struct model_store_call *call);
struct redis_command *model_store_command(struct model_store *store, const char *name);
/* The key "<prefix><a><b><c>". */
void model_store_arg_key(struct model_store *store, struct redis_command *command, const char *a,
                         const char *b, const char *c);

/* The ways in which a command fails are one for its caller; `shape` as redis_check has it. ERR_UNAVAILABLE: Redis is
 * away, refuses for now (it loads, is full, is no master), or answers something else; any other error of
 * Redis is ERR_INTERNAL. */
bool model_store_failed(const struct redis_value *value, const char *shape,
                        const struct error *redis_err, struct error *err);

#endif
