/* past_file.h - a past into a file, as `ordershop export` writes it. */
#ifndef ORDERSHOP_PAST_FILE_H
#define ORDERSHOP_PAST_FILE_H

#include "ordershop/past.h"

/* Needs no shop. Holds the last state of every entity, as the hash at the file's end is of them all. */
MUST_USE bool past_file_write(const char *path, bool force, const struct past_source *source,
                              struct error *err);

#endif
