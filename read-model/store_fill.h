/* store_fill.h - what a window of the log changes in sorted sets, collected; for store_fill*.c only.
 *
 * Everything lives in an arena of its owner. */
#ifndef READ_MODEL_STORE_FILL_H
#define READ_MODEL_STORE_FILL_H

#include "read-model/projection.h"

#include <uthash.h>

struct fill;

struct fill_member {
	const char *id, *score; /* score NULL: it goes */
	struct fill_member *next;
};

/* What changes in one sorted set: each member once. */
struct fill_set {
	const char *key; /* without the prefix */
	struct fill_member *adds, *rems;
	bool grows;
	UT_hash_handle hh;
};

/* An order that may have become billed or shipped, or is no longer. */
struct fill_order {
	struct fill *fill;
	const char *id;
	/* `fresh`, `closed` and `score` are from the window; else Redis is to be asked. */
	bool known;
	bool fresh;  /* it was not there before */
	bool closed; /* gone or cancelled */
	const char *score;
	bool billed, shipped;
	UT_hash_handle hh;
};

struct fill_changes {
	struct arena *arena;
	struct fill *fill;         /* to which they belong */
	struct fill_set *sets;     /* by key, in the order of their first changes */
	struct fill_order *orders; /* by id */
};

extern const struct projection_text fill_no_text; /* "" */

void fill_clear_sets(struct fill_changes *changes);
void fill_clear(struct fill_changes *changes);
/* The set "<name><value>". */
struct fill_set *fill_set_of(struct fill_changes *changes, const char *name,
                             struct projection_text value);
void fill_change_set(struct fill_changes *changes, const char *name, struct projection_text value,
                     const char *id, const char *score);
struct fill_order *fill_order_of(struct fill_changes *changes, const char *id, size_t len);

/* Entities with either value (neither is empty, or 0 of a flag) are members of one set of the index. */
bool fill_same_set(const struct kind_index *index, const struct projection_text *a,
                   const struct projection_text *b);
/* An entity whose field of the index had one value, and has another. */
struct fill_move {
	const struct kind_index *index;
	const char *id, *score;
	bool again; /* another entity of the same id, with another place in the lists */
};
void fill_move_member(struct fill_changes *changes, const struct fill_move *move,
                      const struct projection_text *from, const struct projection_text *to);

#endif
