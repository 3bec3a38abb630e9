/* quiet.h - has a running shop anything left to do? */
#ifndef ORDERSHOP_QUIET_H
#define ORDERSHOP_QUIET_H

#include "ordershop/client.h"

enum { QUIET_TEXT_SIZE = 160 };

/* Waits until no queue and no group of the shop's services has anything left, at two looks in a row with
 * nothing new in the log between them; at most `timeout_ms`, but two looks. False: `what` says what is left, or
 * who cannot be asked. True: `*at_rest` (may be NULL) is how many events the log had. Who reads that many afterwards
 * has read the log of a shop at rest. Resets the client's arena. */
MUST_USE bool shop_quiet(struct client *client, unsigned timeout_ms, char what[QUIET_TEXT_SIZE],
                         uint64_t *at_rest);
/* Is its event store there at all? Else nobody needs to wait. Resets the client's arena. */
MUST_USE bool shop_answers(struct client *client, struct error *err);
/* How many events the log has; 0 also when it cannot be asked. Resets the client's arena. */
uint64_t shop_events(struct client *client);

#endif
