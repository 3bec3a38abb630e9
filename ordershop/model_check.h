/* model_check.h - is the read model what the log comes to? */
#ifndef ORDERSHOP_MODEL_CHECK_H
#define ORDERSHOP_MODEL_CHECK_H

#include "domain/fold.h"
#include "read-model/memory_model.h"

/* It has the entities of the fold as they are, and no others; the error names one that differs. */
MUST_USE bool model_equals_fold(const struct memory_model *model, const struct fold *fold,
                                struct error *err);

#endif
