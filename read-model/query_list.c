#include "read-model/query.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN = 16, CHUNK_SCAN = 500, CURSOR_SIZE = 192 };

struct source {
	const char *set, *value;
	struct model_store_member *members; /* of this round, in the round's arena */
	size_t count, used;
	bool full; /* there may be more than these */
	struct list *list;
};

struct slot {
	struct list *list;
	struct model_store_member member;
	bool taken;
	struct query_entity entity;
};

/* One page being made:
 *
 *   ask each source for members -> merge them -> get the entities -> keep what fits -> done
 *        ^                                                              |
 *        '----------------- page not full, more members ---------------' */
struct list {
	struct model_store *store;
	struct arena *arena;
	struct arena *round; /* of one round's members and slots */
	struct query_list request;
	bool all_indexed; /* the source holds nothing that a filter would refuse */
	struct source *sources;
	size_t source_count;
	uint64_t score; /* the round starts after this member */
	const char *id;
	struct slot *slots;
	size_t slot_count;
	size_t pending;
	size_t examined;
	bool counting; /* the next round asks for the total too */
	uint64_t total;
	bool more; /* members are left behind this round's */
	struct error err;
	struct query_entity *entities;
	size_t count;
	size_t bytes;
	struct buffer text;
	query_page_done *done;
	void *arg;
};

static void list_end(struct list *list, bool with_cursor)
{
	char cursor[CURSOR_SIZE] = "";
	struct query_page page = { list->entities, list->count, cursor, list->total };
	bool failed = list->err.code != ERR_NONE;
	if (with_cursor && !failed)
		snprintf(cursor, sizeof(cursor), "%" PRIu64 ".%s", list->score, list->id);
	list->done(list->arg, failed ? NULL : &page, failed ? &list->err : NULL);
	buffer_free(&list->text);
	arena_destroy(list->arena);
	arena_destroy(list->round);
	free(list);
}

/* ---- filters ---- */

static bool is_id(const char *field)
{
	return strcmp(field, "id") == 0 || strcmp(field, KIND_ID_FIELD) == 0;
}

static bool filter_holds(const struct query_filter *filter, const struct model_store_entity *entity)
{
	const char *text = is_id(filter->field) ? model_store_entity_id(entity)
	                                        : model_store_entity_field(entity, filter->field);
	for (size_t i = 0; text != NULL && i < filter->value_count; i++) {
		if (kind_value_holds(text, filter->values[i]))
			return true;
	}
	return false;
}

static bool check_request(const struct query_list *request, struct error *err)
{
	const struct kind *kind = kind_of(request->name);
	if (request->limit < 1 || request->limit > QUERY_LIMIT_MAX)
		return error_set(err, ERR_INVALID, "limit: must be 1 to %d", QUERY_LIMIT_MAX);
	if (request->filter_count > QUERY_FILTERS_MAX)
		return error_set(err, ERR_INVALID, "filters: at most %d", QUERY_FILTERS_MAX);
	for (size_t i = 0; i < request->filter_count; i++) {
		const struct query_filter *filter = &request->filters[i];
		if (filter->value_count > QUERY_VALUES_MAX)
			return error_set(err, ERR_INVALID, "filters[%zu].values: at most %d", i,
			                 QUERY_VALUES_MAX);
		if (!is_id(filter->field) && kind_field_position(kind, filter->field) < 0)
			return error_set(err, ERR_INVALID,
			                 "filters[%zu].field: a %.64s has no '%.64s'", i,
			                 request->name, filter->field);
	}
	return true;
}

static bool parse_cursor(struct list *list, const char *cursor, struct error *err)
{
	list->id = "";
	if (cursor[0] == '\0')
		return true;
	char *end;
	list->score = strtoull(cursor, &end, 10);
	if (end == cursor || *end != '.' || strlen(cursor) >= CURSOR_SIZE)
		return error_set(err, ERR_INVALID, "cursor: must come from the answer before");
	list->id = arena_strdup(list->arena, end + 1);
	return true;
}

/* The sets to read: those of an index if a filter has one, else all of the kind. */
static void choose_sources(struct list *list)
{
	const struct query_list *request = &list->request;
	const struct kind *kind = kind_of(request->name);
	const struct query_filter *best = NULL;
	const struct kind_index *best_index = NULL;
	for (size_t i = 0; request->set == NULL && i < request->filter_count; i++) {
		const struct query_filter *filter = &request->filters[i];
		const struct kind_index *index = kind_index_of(kind, filter->field);
		bool usable =
		    index != NULL && (best == NULL || filter->value_count < best->value_count);
		for (size_t v = 0; usable && v < filter->value_count; v++)
			usable = filter->values[v][0] != '\0'; /* empty values are in no index */
		if (usable) {
			best = filter;
			best_index = index;
		}
	}
	list->source_count = best == NULL ? 1 : best->value_count;
	list->all_indexed = request->filter_count == (best == NULL ? 0 : 1);
	list->sources =
	    arena_zalloc(list->arena, (list->source_count + 1) * sizeof(*list->sources));
	for (size_t i = 0; best != NULL && i < list->source_count; i++)
		list->sources[i] =
		    (struct source){ best_index->set, best->values[i], .list = list };
	if (best == NULL) {
		const char *set = request->set != NULL
		                      ? request->set
		                      : arena_printf(list->arena, "%s_ids", request->name);
		list->sources[0] = (struct source){ set, "", .list = list };
	}
}

/* ---- rounds ---- */

static void next_round(struct list *list);

static void take(struct list *list, const struct model_store_entity *entity, struct slot *slot)
{
	for (size_t i = 0; i < list->request.filter_count; i++) {
		if (!filter_holds(&list->request.filters[i], entity))
			return;
	}
	buffer_clear(&list->text);
	model_store_entity_json(entity, &list->text);
	slot->taken = true;
	slot->entity.id = slot->member.id;
	slot->entity.version = model_store_entity_version(entity);
	slot->entity.json_len = list->text.len;
	slot->entity.json = arena_copy(list->round, list->text.bytes, list->text.len);
}

/* Moves the round's entities to the page, in order, until the page is full. */
static void round_end(struct list *list)
{
	size_t i = 0;
	bool full = false;
	for (; i < list->slot_count && !full; i++) {
		struct slot *slot = &list->slots[i];
		list->score = slot->member.score;
		list->id = slot->member.id;
		if (!slot->taken)
			continue;
		struct query_entity *entity = &list->entities[list->count++];
		*entity = slot->entity;
		entity->id = arena_strdup(list->arena, entity->id);
		entity->json = arena_copy(list->arena, entity->json, entity->json_len);
		list->bytes += entity->json_len;
		full = list->count == list->request.limit || list->bytes >= QUERY_PAGE_BYTES;
	}
	list->examined += i;
	list->id = arena_strdup(list->arena, list->id);
	bool more = list->more || i < list->slot_count;
	if (list->err.code != ERR_NONE || full || !more || list->examined >= QUERY_SCAN_MAX)
		list_end(list, more);
	else
		next_round(list);
}

static void got_entity(void *arg, const struct model_store_entity *entity, const struct error *err)
{
	struct slot *slot = arg;
	struct list *list = slot->list;
	if (err != NULL)
		list->err = *err;
	else if (entity != NULL)
		take(list, entity, slot);
	if (--list->pending == 0)
		round_end(list);
}

static int member_compare(const struct model_store_member *a, const struct model_store_member *b)
{
	return a->score != b->score ? (a->score < b->score ? -1 : 1) : strcmp(a->id, b->id);
}

static struct source *lowest_source(struct list *list)
{
	struct source *lowest = NULL;
	for (size_t i = 0; i < list->source_count; i++) {
		struct source *source = &list->sources[i];
		if (source->used < source->count &&
		    (lowest == NULL || member_compare(&source->members[source->used],
		                                      &lowest->members[lowest->used]) < 0))
			lowest = source;
	}
	return lowest;
}

/* Merges until a source that may hold more has run out: what follows is not known yet. */
static void merge_sources(struct list *list)
{
	size_t total = 0;
	for (size_t i = 0; i < list->source_count; i++)
		total += list->sources[i].count;
	list->slots = arena_zalloc(list->round, (total + 1) * sizeof(*list->slots));
	list->slot_count = 0;
	list->more = false;
	struct source *source;
	while (!list->more && (source = lowest_source(list)) != NULL) {
		struct slot *slot = &list->slots[list->slot_count++];
		slot->list = list;
		slot->member = source->members[source->used++];
		list->more = source->full && source->used == source->count;
	}
}

/* One answer of a round's sources has come. */
static void sources_answered(struct list *list)
{
	if (--list->pending > 0)
		return;
	if (list->err.code != ERR_NONE) {
		list_end(list, false);
		return;
	}
	merge_sources(list);
	list->pending = list->slot_count;
	for (size_t i = 0; i < list->slot_count; i++)
		model_store_get(list->store, list->request.name, list->slots[i].member.id,
		                got_entity, &list->slots[i]);
	if (list->slot_count == 0)
		round_end(list);
}

static void got_members(void *arg, const struct model_store_member *members, size_t count,
                        bool full, const struct error *err)
{
	struct source *source = arg;
	struct list *list = source->list;
	if (err != NULL)
		list->err = *err;
	source->count = count;
	source->full = full;
	source->used = 0;
	source->members = arena_alloc(list->round, (count + 1) * sizeof(*source->members));
	for (size_t i = 0; i < count; i++) {
		source->members[i].score = members[i].score;
		source->members[i].id = arena_strdup(list->round, members[i].id);
	}
	sources_answered(list);
}

static void got_count(void *arg, uint64_t count, const struct error *err)
{
	struct list *list = arg;
	if (err != NULL)
		list->err = *err;
	list->total += count;
	sources_answered(list);
}

static void next_round(struct list *list)
{
	size_t left = list->request.limit - list->count;
	size_t chunk = list->all_indexed ? left : CHUNK_SCAN;
	bool count = list->counting;
	arena_reset(list->round);
	list->counting = false;
	list->pending = list->source_count * (count ? 2 : 1);
	for (size_t i = 0; i < list->source_count; i++) {
		struct source *source = &list->sources[i];
		if (count)
			model_store_count(list->store, source->set, source->value, got_count, list);
		model_store_members(list->store, source->set, source->value, list->score, list->id,
		                    chunk > CHUNK_MIN ? chunk : CHUNK_MIN, got_members, source);
	}
}

static struct list *list_create(struct model_store *store, query_page_done *done, void *arg)
{
	struct list *list = calloc(1, sizeof(*list));
	ASSERT(list != NULL);
	list->store = store;
	list->arena = arena_create();
	list->round = arena_create();
	list->done = done;
	list->arg = arg;
	buffer_init(&list->text, QUERY_REPORT_BYTES);
	return list;
}

static void copy_request(struct list *list, const struct query_list *request)
{
	struct arena *arena = list->arena;
	struct query_filter *filters =
	    arena_zalloc(arena, (request->filter_count + 1) * sizeof(*filters));
	for (size_t i = 0; i < request->filter_count; i++) {
		const struct query_filter *from = &request->filters[i];
		const char **values = arena_alloc(arena, (from->value_count + 1) * sizeof(*values));
		for (size_t v = 0; v < from->value_count; v++)
			values[v] = arena_strdup(arena, from->values[v]);
		filters[i] = (struct query_filter){ arena_strdup(arena, from->field), values,
			                            from->value_count };
	}
	list->request = *request;
	list->request.name = arena_strdup(arena, request->name);
	list->request.set = request->set == NULL ? NULL : arena_strdup(arena, request->set);
	list->request.filters = filters;
	list->entities = arena_alloc(arena, request->limit * sizeof(*list->entities));
}

/* Entities that are named need no set: one round with just these. */
static bool start_named(struct list *list)
{
	const struct query_filter *named = NULL;
	for (size_t i = 0; i < list->request.filter_count && named == NULL; i++) {
		if (is_id(list->request.filters[i].field))
			named = &list->request.filters[i];
	}
	if (named == NULL || named->value_count == 0 || list->request.set != NULL)
		return false;
	size_t first = 0; /* behind the last one of the page before */
	while (list->id[0] != '\0' && first < named->value_count &&
	       strcmp(named->values[first++], list->id) != 0)
		;
	if (first == named->value_count)
		return false; /* the sets then hold no more either */
	list->slots = arena_zalloc(list->round, named->value_count * sizeof(*list->slots));
	list->slot_count = list->pending = named->value_count - first;
	for (size_t i = 0; i < list->slot_count; i++) {
		struct slot *slot = &list->slots[i];
		*slot = (struct slot){ .list = list, .member.id = named->values[first + i] };
		model_store_get(list->store, list->request.name, slot->member.id, got_entity, slot);
	}
	return true;
}

/* An end that must not come before the call returns: by way of Redis. */
static void end_later(void *arg, const struct model_position *position, uint64_t events,
                      const struct error *err)
{
	struct list *list = arg;
	(void)position;
	(void)events;
	if (err != NULL && list->err.code == ERR_NONE)
		list->err = *err;
	list_end(list, false);
}

void query_list(struct model_store *store, const struct query_list *request, query_page_done *done,
                void *arg)
{
	struct list *list = list_create(store, done, arg);
	if (!check_request(request, &list->err) ||
	    !parse_cursor(list, request->cursor, &list->err)) {
		model_store_checkpoint(store, end_later, list);
		return;
	}
	list->err.code = ERR_NONE;
	copy_request(list, request);
	if (start_named(list))
		return;
	choose_sources(list);
	list->counting = list->all_indexed && request->cursor[0] == '\0';
	if (list->source_count == 0)
		model_store_checkpoint(store, end_later, list);
	else
		next_round(list);
}

/* ---- many by id ---- */

static void got_one_of_many(void *arg, const struct model_store_entity *entity,
                            const struct error *err)
{
	struct slot *slot = arg;
	struct list *list = slot->list;
	if (err != NULL)
		list->err = *err;
	else if (entity != NULL && list->err.code == ERR_NONE)
		take(list, entity, slot);
	if (slot->taken && (list->bytes += slot->entity.json_len) > QUERY_PAGE_BYTES)
		error_set(&list->err, ERR_EXHAUSTED,
		          "ids: the answer is larger than %d bytes: ask for fewer",
		          QUERY_PAGE_BYTES);
	if (--list->pending > 0)
		return;
	for (size_t i = 0; i < list->slot_count; i++) {
		if (list->slots[i].taken)
			list->entities[list->count++] = list->slots[i].entity;
	}
	list_end(list, false);
}

void query_many(struct model_store *store, const char *name, const char *const *ids, size_t count,
                query_page_done *done, void *arg)
{
	struct list *list = list_create(store, done, arg);
	list->request.name = arena_strdup(list->arena, name);
	if (count > QUERY_LIMIT_MAX)
		error_set(&list->err, ERR_INVALID, "ids: at most %d", QUERY_LIMIT_MAX);
	if (count == 0 || count > QUERY_LIMIT_MAX) {
		model_store_checkpoint(store, end_later, list);
		return;
	}
	list->entities = arena_alloc(list->arena, count * sizeof(*list->entities));
	list->slots = arena_zalloc(list->arena, count * sizeof(*list->slots));
	list->slot_count = list->pending = count;
	for (size_t i = 0; i < count; i++) {
		list->slots[i].list = list;
		list->slots[i].member.id = arena_strdup(list->arena, ids[i]);
		model_store_get(store, list->request.name, ids[i], got_one_of_many,
		                &list->slots[i]);
	}
}
