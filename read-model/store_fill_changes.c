#include "read-model/store_fill.h"

#include <string.h>

const struct projection_text fill_no_text = { "", 0 };

void fill_clear_sets(struct fill_changes *changes)
{
	HASH_CLEAR(hh, changes->sets);
}

void fill_clear(struct fill_changes *changes)
{
	fill_clear_sets(changes);
	HASH_CLEAR(hh, changes->orders);
}

struct fill_set *fill_set_of(struct fill_changes *changes, const char *name,
                             struct projection_text value)
{
	size_t name_len = strlen(name), len = name_len + value.len;
	char *key = arena_alloc(changes->arena, len + 1);
	struct fill_set *set;
	unsigned hash;
	memcpy(key, name, name_len);
	memcpy(key + name_len, value.bytes, value.len);
	key[len] = '\0';
	HASH_VALUE(key, len, hash);
	HASH_FIND_BYHASHVALUE(hh, changes->sets, key, len, hash, set);
	if (set == NULL) {
		set = arena_zalloc(changes->arena, sizeof(*set));
		set->key = key;
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, changes->sets, set->key, len, hash, set);
	}
	return set;
}

void fill_change_set(struct fill_changes *changes, const char *name, struct projection_text value,
                     const char *id, const char *score)
{
	struct fill_set *set = fill_set_of(changes, name, value);
	struct fill_member *member = arena_alloc(changes->arena, sizeof(*member));
	struct fill_member **list = score == NULL ? &set->rems : &set->adds;
	*member = (struct fill_member){ id, score, *list };
	*list = member;
	set->grows |= score != NULL;
}

struct fill_order *fill_order_of(struct fill_changes *changes, const char *id, size_t len)
{
	struct fill_order *order;
	HASH_FIND(hh, changes->orders, id, len, order);
	if (order == NULL) {
		order = arena_zalloc(changes->arena, sizeof(*order));
		order->fill = changes->fill;
		order->id = arena_copy(changes->arena, id, len);
		HASH_ADD_KEYPTR(hh, changes->orders, order->id, len, order);
	}
	return order;
}

/* Whether an entity with this value is a member of a set of the index. */
static bool is_member(const struct kind_index *index, const struct projection_text *value)
{
	return value->len > 0 &&
	       (index->type != KIND_INDEX_FLAG || value->len != 1 || value->bytes[0] != '0');
}

bool fill_same_set(const struct kind_index *index, const struct projection_text *a,
                   const struct projection_text *b)
{
	return index->type == KIND_INDEX_FLAG ||
	       (a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0);
}

void fill_move_member(struct fill_changes *changes, const struct fill_move *move,
                      const struct projection_text *from, const struct projection_text *to)
{
	const struct kind_index *index = move->index;
	bool was = is_member(index, from), is = is_member(index, to);
	bool stays = was && is && fill_same_set(index, from, to);
	bool flag = index->type == KIND_INDEX_FLAG;
	if ((stays || (!was && !is)) && !(stays && move->again))
		return;
	if (was && !stays)
		fill_change_set(changes, index->set, flag ? fill_no_text : *from, move->id, NULL);
	if (is)
		fill_change_set(changes, index->set, flag ? fill_no_text : *to, move->id,
		                move->score);
	if (index->type == KIND_INDEX_ORDER && was)
		fill_order_of(changes, from->bytes, from->len);
	if (index->type == KIND_INDEX_ORDER && is)
		fill_order_of(changes, to->bytes, to->len);
}
