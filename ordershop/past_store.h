/* past_store.h - a past on its way into a running shop that is empty: written by Import, with the groups of its
 * services at the end of it, so that nobody reacts to what happened long ago. */
#ifndef ORDERSHOP_PAST_STORE_H
#define ORDERSHOP_PAST_STORE_H

#include "ordershop/client.h"
#include "ordershop/past.h"

/* Writes it all, has the read model built anew, waits for it, and says on standard error how many there were.
 * `import_id` is to be equal for equal events: then what was interrupted can be gone on with. What the rules
 * refuse leaves nothing behind. */
MUST_USE bool past_store_write(struct client *client, const char *import_id,
                               const struct past_source *source, struct error *err);
/* Forgets an import that will not be gone on with. */
MUST_USE bool past_store_abandon(struct client *client, const char *import_id, struct error *err);

#endif
