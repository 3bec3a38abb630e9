/* model_check.h - is the read model what the log comes to? */
#ifndef ORDERSHOP_MODEL_CHECK_H
#define ORDERSHOP_MODEL_CHECK_H

#include "domain/fold.h"
#include "read-model/memory_model.h"

/* It has the entities of the fold as they are, and no others, in the order of their creation; its lists of
 * unbilled, unshipped and delivered are those that follow from the fold; it has as many mails. The
 * error names what differs. */
MUST_USE bool model_equals_fold(const struct memory_model *model, const struct fold *fold,
                                struct error *err);

#endif
