#include "domain/id_set.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 1024 };

/* Where the id is, or where it would go. 0, 0 stands for a free place, so it is another id here. */
static struct id128 *slot_of(const struct id_set *set, struct id128 *id)
{
	if (id->high == 0 && id->low == 0)
		id->low = 1;
	/* Ids are hashes or random for the most part. */
	size_t at = (id->high ^ id->low * UINT64_C(0x9E3779B97F4A7C15)) >> 7 & (set->capacity - 1);
	while ((set->slots[at].high != 0 || set->slots[at].low != 0) &&
	       (set->slots[at].high != id->high || set->slots[at].low != id->low))
		at = (at + 1) & (set->capacity - 1);
	return &set->slots[at];
}

static bool is_free(const struct id128 *slot)
{
	return slot->high == 0 && slot->low == 0;
}

static void grow(struct id_set *set)
{
	struct id_set larger = { .capacity = set->capacity > 0 ? 2 * set->capacity : FIRST_CAPACITY,
		                 .count = set->count };
	larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
	ASSERT(larger.slots != NULL);
	for (size_t i = 0; i < set->capacity; i++) {
		struct id128 id = set->slots[i];
		if (!is_free(&id))
			*slot_of(&larger, &id) = id;
	}
	free(set->slots);
	*set = larger;
}

bool id_set_add(struct id_set *set, struct id128 id)
{
	if (set->count * 4 >= set->capacity * 3)
		grow(set);
	struct id128 *slot = slot_of(set, &id);
	if (!is_free(slot))
		return false;
	*slot = id;
	set->count++;
	return true;
}

bool id_set_has(const struct id_set *set, struct id128 id)
{
	return set->capacity > 0 && !is_free(slot_of(set, &id));
}

void id_set_free(struct id_set *set)
{
	free(set->slots);
	*set = (struct id_set){ .slots = NULL };
}
