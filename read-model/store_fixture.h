/* store_fixture.h - the model's store on a real Redis of its own. For store_*_test.c. */
#ifndef READ_MODEL_STORE_FIXTURE_H
#define READ_MODEL_STORE_FIXTURE_H

#include "read-model/store.h"
#include "tests/support/redis_fixture.h"

extern struct redis_fixture server;
extern struct redis *redis;

void setup(void);
void teardown(void);
/* Runs what is queued, and the callbacks. */
void settle(void);

/* One generation, and how far the log was folded into it. */
struct folder {
	struct model_store *store;
	struct projection *run;
	struct model_position at;
	struct error err;
};

struct folder folder_create(uint64_t generation);
void folder_destroy(struct folder *folder);

struct step {
	const char *topic, *action, *id;
	uint64_t version;
	char data[256];
};

/* Adds the event of this number, and moves on to it. */
void add_step(struct projection *run, const struct step *step, size_t number,
              struct model_position *at);
/* folder->err says how it went. */
void try_fold(struct folder *folder, const struct step *steps, size_t from, size_t to);
/* Fails the test if it cannot be done. */
void fold(struct folder *folder, const struct step *steps, size_t from, size_t to);

/* Runs one command from the side. */
void expect_command(const char *words, const char *expected);

/* Callbacks: set folder->err; count in an int; keep the error, ERR_NONE for none. */
void applied(void *arg, const struct error *err);
void done(void *arg, const struct error *err);
void keep_error(void *arg, const struct error *err);

#endif
