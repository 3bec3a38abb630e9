/* export_file.h - a log in a file: lines of JSON, compressed by zstd.
 *
 *   {"format":"ordershop-log","version":1,"check":"5e0c..."}
 *   {"topic":"customer",...,"data":{...},"check":"a81b33f0"}      one per event (event_line.h)
 *   {"end":{"events":2,"log_hash":"...","state_hash":"...","topics":[...],"groups":[...]},"check":"..."}
 *
 * The check of a line begins the hash of all events up to it (event_line.h; of the first line: of that line), so
 * that the first line that was altered is known. The last line says what there must have been, and how far the
 * persistent groups were. */
#ifndef ORDERSHOP_EXPORT_FILE_H
#define ORDERSHOP_EXPORT_FILE_H

#include "base/id.h"
#include "ordershop/event_line.h"

/* ---- Writing ----------------------------------------------------------------------------- */

struct export_writer;

/* Writes to `path`.partial. ERR_EXISTS if there is a file `path`, unless `force`. */
MUST_USE bool export_create(const char *path, bool force, struct export_writer **out,
                            struct error *err);
/* Errors of writing are told by export_finish. */
void export_add(struct export_writer *writer, const struct event *event, const char *data);

struct export_topic {
	const char *name;
	uint64_t events;
	struct entry_id first, last;
};
struct export_group {
	const char *topic, *name, *checkpoint;
};
struct export_end {
	uint64_t events;
	char log_hash[DIGEST_TEXT_SIZE], state_hash[DIGEST_TEXT_SIZE];
	size_t topic_count, group_count;
	const struct export_topic *topics;
	const struct export_group *groups;
};
/* Writes the last line, of which `events` and `log_hash` are filled in, has the file on disk and gives it
 * its name. */
MUST_USE bool export_finish(struct export_writer *writer, struct export_end *end,
                            struct error *err);
/* Without a finish nothing is left of the file. NULL is fine. */
void export_destroy(struct export_writer *writer);

/* ---- Reading ----------------------------------------------------------------------------- */

struct export_reader;

/* Errors name the file, and from here on the line and its first byte in the uncompressed text. */
MUST_USE bool export_open(const char *path, struct export_reader **out, struct error *err);
enum export_line { EXPORT_FAILED, EXPORT_EVENT, EXPORT_END };
/* The next event, which lives until the next call; its state is NULL. At the end `*end` is filled in, it lives
 * as long as the reader; nothing follows it. */
MUST_USE enum export_line export_next(struct export_reader *reader, struct event *event,
                                      const char **data, const struct export_end **end,
                                      struct error *err);
/* Puts file, line and byte of the last line before the message. Always false. */
bool export_wrap(const struct export_reader *reader, struct error *err);
void export_close(struct export_reader *reader); /* NULL is fine */

#endif
