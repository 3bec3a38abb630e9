/* event_line.h - an event as one line of JSON, and the hash of a log of them.
 *
 *   {"topic":"order","entry_id":"1700000000000-12","event_id":"...","action":"entity_created",
 *    "type":"OrderPlaced","entity_id":"...","version":1,"metadata":{...},"data":{...}}
 *
 * always with these members in this order. Metadata and data stand there as they are in the log, but for
 * line breaks between their members, which become spaces; what is no JSON object is a string. */
#ifndef ORDERSHOP_EVENT_LINE_H
#define ORDERSHOP_EVENT_LINE_H

#include "base/digest.h"
#include "domain/decide.h"

/* Of one line: two texts of 1 MiB, of which a client may have made six bytes out of one. */
enum { EVENT_LINE_MAX = 16 * 1024 * 1024 };

/* Appends the line without a line break. `data` is event->state as JSON; the state is not looked at. */
void event_line_write(struct buffer *line, const struct event *event, const char *data);
/* Reads what event_line_write wrote, and nothing else. Texts live in `arena`, `state` is NULL. ERR_INVALID
 * names the member and its place in the line. */
MUST_USE bool event_line_read(const char *line, size_t len, struct arena *arena,
                              struct event *event, const char **data, struct error *err);

/* SHA-256 over the hash of all lines before and the line, so that it can be told for each line. */
struct log_hash;
struct log_hash *log_hash_create(void);
void log_hash_destroy(struct log_hash *hash); /* NULL is fine */
void log_hash_add(struct log_hash *hash, const char *line, size_t len);
/* All zero before the first line. */
void log_hash_text(const struct log_hash *hash, char out[DIGEST_TEXT_SIZE]);

#endif
