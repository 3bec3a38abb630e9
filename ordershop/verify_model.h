/* verify_model.h - is the read model the fold of the log? */
#ifndef ORDERSHOP_VERIFY_MODEL_H
#define ORDERSHOP_VERIFY_MODEL_H

#include "domain/fold.h"
#include "ordershop/client.h"

struct model_verified {
	uint64_t checked; /* entities and mails */
	uint64_t differences;
};

/* Compares all entities of the model, when it has come to the end of this log, with the fold of it: which there are,
 * their versions and fields; and how many mails. Prints up to `show` differences. */
MUST_USE bool verify_model(struct client *client, const struct fold *fold, uint64_t show,
                           struct model_verified *out, struct error *err);

#endif
