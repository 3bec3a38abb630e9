/* scenario_read_then.c - the shapes of expectations. */
#include "ordershop/scenario_internal.h"

#include <string.h>

/* What a list of events or answers must be. */
#define EXPECTATIONS                                                                               \
	{ "are", NODE_LIST, false }, { "include", NODE_LIST, false },                              \
	    { "sequence", NODE_LIST, false }, { "none", NODE_LIST, false },                        \
	{                                                                                          \
		"count", NODE_TEXT, false                                                          \
	}
enum { EXPECTATION_COUNT = 5 };

static bool check_expected_event(struct reader *reader, const struct node *event)
{
	static const struct node_key keys[] = {
		{ "type", NODE_TEXT, false },   { "topic", NODE_TEXT, false },
		{ "action", NODE_TEXT, false }, { "entity", NODE_TEXT, false },
		{ "actor", NODE_TEXT, false },  { "version", NODE_TEXT, false },
		{ "data", NODE_MAP, false },
	};
	const struct node *found[ARRAY_LEN(keys)];
	if (event->kind == NODE_TEXT)
		return true;
	return node_take(event, "an expected event", keys, ARRAY_LEN(keys), found, reader->err);
}

static bool check_expected_answer(struct reader *reader, const struct node *answer)
{
	if (answer->kind != NODE_LIST)
		return true;
	return node_fail(answer, reader->err, "an expected answer must be an id or a mapping");
}

/* `found`: the expectations, the count last. */
static bool check_expectations(struct reader *reader, const struct node *node,
                               const struct node *const *found,
                               bool (*check)(struct reader *reader, const struct node *item))
{
	bool any = false;
	for (size_t i = 0; i < EXPECTATION_COUNT; i++) {
		any = any || found[i] != NULL;
		if (found[i] == NULL || found[i]->kind != NODE_LIST)
			continue;
		for (const struct node *item = found[i]->first; item != NULL; item = item->next) {
			if (!check(reader, item))
				return false;
		}
	}
	if (!any)
		return node_fail(node, reader->err,
		                 "expected one of the keys are, include, sequence, none, count");
	int64_t ignored;
	const struct node *count = found[EXPECTATION_COUNT - 1];
	return count == NULL || reader_number(reader, count, 0, INT32_MAX, &ignored);
}

static bool check_topic(struct reader *reader, const struct node *of)
{
	if (of == NULL || of->text[0] == '$' || strchr(of->text, '-') != NULL ||
	    scenario_topic_is(of->text))
		return true;
	return node_fail(of, reader->err,
	                 "of: must be an entity such as $order.first or a topic, is \"%.60s\"",
	                 of->text);
}

static bool check_since(struct reader *reader, const struct node *since)
{
	const struct scenario *scenario = reader->scenario;
	for (size_t i = 0; since != NULL && i < scenario->count; i++) {
		const char *name = scenario->steps[i].name;
		if (name != NULL && strcmp(name, since->text) == 0)
			return true;
	}
	return since == NULL || node_fail(since, reader->err,
	                                  "since: no earlier step is named '%.60s'", since->text);
}

static bool check_events(struct reader *reader, const struct node *events)
{
	static const struct node_key keys[] = { { "of", NODE_TEXT, false },
		                                { "since", NODE_TEXT, false },
		                                EXPECTATIONS };
	const struct node *found[ARRAY_LEN(keys)];
	for (const struct node *item = events->first; item != NULL; item = item->next) {
		if (!node_take(item, "an expectation of events", keys, ARRAY_LEN(keys), found,
		               reader->err) ||
		    !check_topic(reader, found[0]) || !check_since(reader, found[1]) ||
		    !check_expectations(reader, item, found + 2, check_expected_event))
			return false;
	}
	return true;
}

const char *const scenario_queries[QUERIES] = {
	[QUERY_GET] = "get",
	[QUERY_LIST_OF] = "list",
	[QUERY_UNBILLED] = "unbilled",
	[QUERY_UNSHIPPED] = "unshipped",
	[QUERY_DELIVERED] = "delivered",
	[QUERY_MAILS] = "mails",
};

static bool check_query(struct reader *reader, const struct node *query)
{
	static const struct node_key keys[] = {
		{ "query", NODE_TEXT, true },
		{ "of", NODE_TEXT, false },
		{ "where", NODE_MAP, false },
		{ "is", NODE_TEXT | NODE_MAP, false },
		EXPECTATIONS,
	};
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(query, "a query", keys, ARRAY_LEN(keys), found, reader->err))
		return false;
	const struct node *of = found[1], *where = found[2], *is = found[3];
	int kind = reader_word(reader, found[0], scenario_queries, QUERIES);
	if (kind < 0 || !check_topic(reader, of))
		return false;
	if ((kind == QUERY_GET || kind == QUERY_LIST_OF) != (of != NULL))
		return node_fail(query, reader->err,
		                 of == NULL ? "the query %s needs the key 'of'"
		                            : "the query %s has no key 'of'",
		                 found[0]->text);
	if ((kind == QUERY_GET) != (is != NULL))
		return node_fail(query, reader->err,
		                 is == NULL ? "the query %s needs the key 'is'"
		                            : "the query %s has no key 'is'",
		                 found[0]->text);
	if (where != NULL && kind != QUERY_LIST_OF)
		return node_fail(where, reader->err, "where: only of the query list");
	for (const struct node *w = where == NULL ? NULL : where->first; w != NULL; w = w->next) {
		if (w->kind != NODE_TEXT)
			return node_fail(w, reader->err, "%.60s: must be a single value", w->key);
	}
	return kind == QUERY_GET ||
	       check_expectations(reader, query, found + 4, check_expected_answer);
}

static bool check_queries(struct reader *reader, const struct node *queries)
{
	for (const struct node *query = queries->first; query != NULL; query = query->next) {
		if (!check_query(reader, query))
			return false;
	}
	return true;
}

static bool check_entities(struct reader *reader, const struct node *entities)
{
	for (const struct node *entity = entities->first; entity != NULL; entity = entity->next) {
		if (entity->kind != NODE_MAP && !node_is_null(entity))
			return node_fail(entity, reader->err,
			                 "%.60s: must be a mapping of its fields, or null",
			                 entity->key);
	}
	return true;
}

static bool check_mails(struct reader *reader, const struct node *mails)
{
	int64_t ignored;
	if (mails->kind == NODE_TEXT)
		return reader_number(reader, mails, 0, INT32_MAX, &ignored);
	for (const struct node *to = mails->first; to != NULL; to = to->next) {
		if (to->kind != NODE_LIST)
			return node_fail(to, reader->err, "%.60s: must be a list of texts",
			                 to->key);
		for (const struct node *text = to->first; text != NULL; text = text->next) {
			if (text->kind != NODE_TEXT)
				return node_fail(text, reader->err,
				                 "%.60s: must be a list of texts", to->key);
		}
	}
	return true;
}

static bool check_parked(struct reader *reader, const struct node *parked)
{
	int64_t ignored;
	return reader_number(reader, parked, 0, INT32_MAX, &ignored);
}

bool reader_check_then(struct reader *reader, const struct node *then)
{
	static const struct node_key keys[] = {
		{ "entities", NODE_MAP, false }, { "events", NODE_LIST, false },
		{ "queries", NODE_LIST, false }, { "mails", NODE_TEXT | NODE_MAP, false },
		{ "parked", NODE_TEXT, false },
	};
	static bool (*const checks[])(struct reader *, const struct node *) = {
		check_entities, check_events, check_queries, check_mails, check_parked,
	};
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(then, "then", keys, ARRAY_LEN(keys), found, reader->err))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (found[i] != NULL && !checks[i](reader, found[i]))
			return false;
	}
	return then->count > 0 ||
	       node_fail(then, reader->err,
	                 "then: expected some of entities, events, queries, mails, parked");
}
