/* runtime_fixture.h - for the tests of the runtime: a service made for them, on a store in memory.
 *
 * The service takes from a stock, never below 0. */
#ifndef DOMAIN_RUNTIME_FIXTURE_H
#define DOMAIN_RUNTIME_FIXTURE_H

#include "base/id.h"
#include "domain/fake_store.h"
#include "domain/runtime.h"

extern const char cart_id[], stock_id[];

extern const struct function take_function;           /* one unit; refused when nothing is left */
extern const struct function take_patiently_function; /* the same, refused for now */
extern const struct function mark_function;           /* marks the cart first, then takes */
extern const struct function make_function;           /* {"amount": n}, perhaps "entity_id" */
extern const struct function wait_function;           /* refused for now, `impatience` times */
extern int impatience;

/* Of the test that runs. */
extern struct loop *loop;
extern struct fake_store *fake;
extern struct arena *arena;
extern size_t done_count,
    ok_count;            /* commands that ended, and those of them that were not refused */
extern bool comes_again; /* of the tasks that are begun */

void runtime_setup(void);
void runtime_teardown(void);

/* As somebody else would write it. */
void stock(int amount);
void mark_cart(const char *order_id);
int64_t stock_left(uint64_t *version);

struct command_run {
	struct task task;
	char message_id[UUID_SIZE];
	struct json *params;
	const struct outcome *outcome; /* NULL: not yet */
};
/* `message_id` NULL: a new one. Lives in the arena. */
struct command_run *begin(const struct function *function, const char *message_id,
                          const char *params);
/* Begins it, and runs the loop until nothing runs any more. */
const struct outcome *run_one(const struct function *function, const char *message_id,
                              const char *params);

#endif
