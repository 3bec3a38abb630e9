/* id_set.h - a set of 128-bit ids. It costs about 32 bytes an id. */
#ifndef DOMAIN_ID_SET_H
#define DOMAIN_ID_SET_H

#include "base/error.h"

struct id128 {
	uint64_t high, low;
};

/* All zero is an empty set. */
struct id_set {
	struct id128 *slots; /* 0, 0: free */
	size_t count, capacity;
};

/* False: it was there. */
bool id_set_add(struct id_set *set, struct id128 id);
bool id_set_has(const struct id_set *set, struct id128 id);
void id_set_free(struct id_set *set);

#endif
