/* rebuild.h - has the read model of a running shop built anew. */
#ifndef ORDERSHOP_REBUILD_H
#define ORDERSHOP_REBUILD_H

#include "ordershop/client.h"

/* Prints how far it is, and waits until it answers queries; with `detach` only until it has begun. */
MUST_USE bool rebuild_model(struct client *client, bool detach, struct error *err);

#endif
