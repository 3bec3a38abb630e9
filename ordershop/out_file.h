/* out_file.h - files that commands write. */
#ifndef ORDERSHOP_OUT_FILE_H
#define ORDERSHOP_OUT_FILE_H

#include "base/buffer.h"

/* ERR_INVALID when no file can be written there: the folder is missing, or the path is one. */
MUST_USE bool out_file_check(const char *path, struct error *err);
/* Writes the whole file anew. */
MUST_USE bool out_file_write(const char *path, const struct buffer *bytes, struct error *err);

#endif
