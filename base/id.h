/* id.h - UUIDs and entry ids.
 *
 * A UUID is 36 characters of lower case hex with dashes (RFC 4122). Version 4 is random; version 5
 * follows from a namespace and a name, for ids that must come out the same when made again. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/error.h"

enum { UUID_SIZE = 37 }; /* with the NUL */

void uuid_v4(char out[UUID_SIZE]);
/* `space` is a valid UUID; the name is "a" or, with a non-NULL `b`, "a/b". */
void uuid_v5(char out[UUID_SIZE], const char *space, const char *a, const char *b);
bool uuid_valid(const char *text);
/* Its 16 bytes; false: it is none. */
bool uuid_read(const char *text, uint8_t bytes[16]);

/* An entry id "<ms>-<us within it>" as numbers, in the order of the log. */
struct entry_id {
	uint64_t ms;
	uint64_t us;
};
enum { ENTRY_ID_SIZE = 48 };

MUST_USE bool entry_id_parse(const char *text, struct entry_id *id, struct error *err);
void entry_id_format(struct entry_id id, char out[ENTRY_ID_SIZE]);
int entry_id_compare(struct entry_id a, struct entry_id b); /* <0, 0, >0 */

/* "<host>/<address>": equal after a restart, different from that of other processes. `port` stands for a
 * port 0 of the address. */
enum { INSTANCE_NAME_SIZE = 128 };
void instance_name(char out[INSTANCE_NAME_SIZE], const char *address, int port);

/* Names of topics, groups, services, functions: 1 to 64 of a-z A-Z 0-9 _ - . */
MUST_USE bool name_check(const char *what, const char *name, struct error *err);

#endif
