/* store_internal.h - shared by store*.c only. */
#ifndef READ_MODEL_STORE_INTERNAL_H
#define READ_MODEL_STORE_INTERNAL_H

#include "read-model/store.h"

struct store {
	struct redis *redis;
	uint64_t generation;
	char prefix[32];
	struct redis_command command;  /* the one being written */
	struct store_call *free_calls; /* for reuse */
};

/* A command under way. */
struct store_call {
	struct store *store;
	void *arg;
	union {
		store_apply_done *apply;
		store_checkpoint_done *checkpoint;
		store_entity_done *entity;
		store_members_done *members;
		store_mails_done *mails;
		store_done *simple;
	} done;
	const struct kind *kind; /* of an entity */
	char *id;                /* of an entity; of members: the id to start after */
	uint64_t score;          /* of members: where it starts */
	size_t limit;
	struct store_call *next;
};

struct store_call *store_call_begin(struct store *store, void *arg);
void store_call_end(struct store_call *call);
struct redis_command *store_command(struct store *store, const char *name);
/* The key "<prefix><a><b><c>". */
void store_arg_key(struct store *store, struct redis_command *command, const char *a, const char *b,
                   const char *c);

#endif
