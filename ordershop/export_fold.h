/* export_fold.h - the last line of an exported log, from the fold of its events. */
#ifndef ORDERSHOP_EXPORT_FOLD_H
#define ORDERSHOP_EXPORT_FOLD_H

#include "domain/fold.h"
#include "ordershop/export_file.h"

/* Fills in topics (in `arena`) and the hash of the state, and finishes the file. */
MUST_USE bool export_finish_fold(struct export_writer *writer, const struct fold *fold,
                                 struct arena *arena, struct export_end *end, struct error *err);
/* "FILE: ... events" and the hashes, for people. */
void export_print_end(const char *path, const struct export_end *end);

#endif
