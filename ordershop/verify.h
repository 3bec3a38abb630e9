/* verify.h - the log of a running shop against the table of invariants. */
#ifndef ORDERSHOP_VERIFY_H
#define ORDERSHOP_VERIFY_H

#include "base/id.h"
#include "ordershop/client.h"

/* ERR_INTERNAL if there are violations. Prints up to `show` of them, the table, and the hashes of log and state. `at` NULL: all that stands in the
 * log; what must be true of a shop at rest is checked only then, and only if it is, and that the read model is what
 * the log comes to. */
MUST_USE bool verify_shop(struct client *client, const struct entry_id *at, uint64_t show,
                          struct error *err);

#endif
