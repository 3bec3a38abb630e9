/* scenario_then.c - the parts of `then`. */
#include "domain/metadata.h"
#include "ordershop/scenario_match.h"
#include "ordershop/scenario_run.h"

#include <stdlib.h>
#include <string.h>

enum { INDENT = 6, LIST_MAX = 1024 * 1024, EVENT_MAX = 4 * LIST_MAX };

static const char *const expectations[] = { "are", "include", "sequence", "none", "count" };

static struct names *names_of(const struct trial *trial)
{
	return trial->resolver.names;
}

static void report_diff(struct trial *trial, int line, const char *what, const struct diff *diff)
{
	if (!diff_differs(diff))
		return;
	trial_fail(trial, line, "%s", what);
	diff_write(&trial->report->text, diff, INDENT);
}

/* Checks each of the list's expectations that `node` has. */
static void check_list(struct trial *trial, const struct node *node, const char *what,
                       const struct match_list *list)
{
	for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
		const struct node *member = node_member(node, expectations[i]);
		const struct json *expected = member == NULL ? NULL : trial_json(trial, member);
		if (expected == NULL)
			continue;
		struct diff *diff = diff_create(trial->step_arena);
		match_list(list, expectations[i], expected, diff);
		report_diff(trial, member->line,
		            arena_printf(trial->step_arena, "%s: %s", what, expectations[i]), diff);
	}
}

/* Is more expected of the items than what they are called? */
static bool looks_inside(const struct node *node, const char *member)
{
	for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
		const struct node *list = node_member(node, expectations[i]);
		const struct node *item = list == NULL ? NULL : list->first;
		for (; item != NULL; item = item->next) {
			if (item->kind == NODE_MAP &&
			    (member == NULL || node_member(item, member) != NULL))
				return true;
		}
	}
	return false;
}

/* ---- Entities ---------------------------------------------------------------------------- */

static void compare_entity(struct trial *trial, const struct node *node, const char *where,
                           const struct json *actual, const struct json *expected)
{
	if (match_json(expected, actual))
		return;
	struct diff *diff = diff_create(trial->step_arena);
	match_diff(names_of(trial), expected, actual, diff);
	report_diff(trial, node->line, arena_printf(trial->step_arena, "%s%s", node->key, where),
	            diff);
}

/* By the log and by the read model. */
static bool load_entity(struct trial *trial, const struct node *node, const struct json **log,
                        const struct json **model)
{
	const struct shop *shop = trial->shop;
	const char *json;
	struct shop_question question = { .query = QUERY_GET };
	struct shop_list found;
	struct error err;
	if (!resolve_entity(&trial->resolver, node, node->key, &question.topic, &question.id, &err))
		return trial_broken(trial, node->line, &err);
	if (question.topic == NULL || !scenario_is_entity(question.topic))
		return trial_fail(trial, node->line, "%s: expected an entity such as $order.first",
		                  node->key);
	if (!shop->methods->state(shop->shop, question.topic, question.id, &json, &err))
		return trial_broken(trial, node->line, &err);
	*log = trial_parse(trial, json == NULL ? "null" : json);
	if (!shop->methods->ask(shop->shop, &question, &found, &err))
		return trial_broken(trial, node->line, &err);
	*model = trial_parse(trial, found.count > 0 ? found.texts[0] : "null");
	return true;
}

static void check_entity(struct trial *trial, const struct node *node)
{
	const struct json *log = NULL, *model = NULL, *expected = trial_json(trial, node);
	if (expected == NULL || !load_entity(trial, node, &log, &model))
		return;
	bool same = match_json(log, model) && match_json(model, log);
	compare_entity(trial, node, same ? "" : ", by the log", log, expected);
	if (!same)
		compare_entity(trial, node, ", by the read model", model, expected);
}

static void check_entities(struct trial *trial, const struct node *entities)
{
	for (const struct node *node = entities->first; node != NULL; node = node->next)
		check_entity(trial, node);
}

/* ---- Events ------------------------------------------------------------------------------ */

static const struct json *event_json(struct trial *trial, const struct shop_event *event)
{
	const struct {
		const char *name, *text;
	} texts[] = { { "type", event->type },
		      { "topic", event->topic },
		      { "action", event->action },
		      { "entity", event->entity_id },
		      { "actor", metadata_text(trial->step_arena, event->metadata, "actor") } };
	struct buffer text;
	buffer_init(&text, EVENT_MAX);
	buffer_printf(&text, "{\"version\":%llu", (unsigned long long)event->version);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		buffer_printf(&text, ",\"%s\":", texts[i].name);
		json_write_string(&text, texts[i].text, strlen(texts[i].text));
	}
	buffer_printf(&text, ",\"data\":%s}", event->data);
	ASSERT(!text.overflow);
	const struct json *json = trial_parse(trial, text.bytes);
	buffer_free(&text);
	return json;
}

static const char *event_shown(struct trial *trial, const struct shop_event *event, bool with_data)
{
	const char *entity =
	    event->entity_id[0] == '\0' ? "" : names_show(names_of(trial), event->entity_id);
	const char *data = with_data ? match_text(trial->step_arena, names_of(trial),
	                                          trial_parse(trial, event->data))
	                             : "";
	return arena_printf(trial->step_arena, "%s%s%s%s%s", event->type,
	                    entity[0] != '\0' ? " " : "", entity, data[0] != '\0' ? " " : "", data);
}

/* Which events an expectation is about. */
struct about {
	const char *topic, *id; /* NULL: any */
	size_t since;
};

static bool read_about(struct trial *trial, const struct node *node, struct about *about)
{
	const struct node *of = node_member(node, "of"), *since = node_member(node, "since");
	struct error err;
	*about = (struct about){ .since = since == NULL ? 0 : trial_since(trial, since->text) };
	if (of == NULL)
		return true;
	if (scenario_topic_is(of->text)) {
		about->topic = of->text;
		return true;
	}
	return resolve_entity(&trial->resolver, of, of->text, &about->topic, &about->id, &err) ||
	       trial_broken(trial, of->line, &err);
}

static void check_event_list(struct trial *trial, const struct node *node)
{
	struct shop_events all;
	struct error err;
	struct about about;
	if (!read_about(trial, node, &about))
		return;
	if (!trial->shop->methods->events(trial->shop->shop, &all, &err)) {
		trial_broken(trial, node->line, &err);
		return;
	}
	struct match_list list = { names_of(trial), trial->step_arena, "type", 0, NULL, NULL };
	const struct json **items =
	    arena_alloc(trial->step_arena, (all.count + 1) * sizeof(*items));
	const char **shown = arena_alloc(trial->step_arena, (all.count + 1) * sizeof(*shown));
	bool with_data = looks_inside(node, "data");
	for (size_t i = about.since; i < all.count; i++) {
		const struct shop_event *event = &all.events[i];
		if ((about.topic != NULL && strcmp(about.topic, event->topic) != 0) ||
		    (about.id != NULL && strcmp(about.id, event->entity_id) != 0))
			continue;
		items[list.count] = event_json(trial, event);
		shown[list.count++] = event_shown(trial, event, with_data);
	}
	list.items = items;
	list.shown = shown;
	const struct node *of = node_member(node, "of");
	check_list(trial, node,
	           arena_printf(trial->step_arena, "events%s%s", of != NULL ? " of " : "",
	                        of != NULL ? of->text : ""),
	           &list);
}

static void check_events(struct trial *trial, const struct node *events)
{
	for (const struct node *node = events->first; node != NULL; node = node->next)
		check_event_list(trial, node);
}

/* ---- Queries ----------------------------------------------------------------------------- */

static bool read_filters(struct trial *trial, const struct node *where,
                         struct shop_question *question)
{
	struct error err;
	if (where == NULL)
		return true;
	const char **fields = arena_alloc(trial->step_arena, (where->count + 1) * sizeof(*fields));
	const char **values = arena_alloc(trial->step_arena, (where->count + 1) * sizeof(*values));
	for (const struct node *node = where->first; node != NULL; node = node->next) {
		fields[question->filter_count] = node->key;
		if (!resolve_text(&trial->resolver, node, node->text,
		                  &values[question->filter_count++], &err))
			return trial_broken(trial, node->line, &err);
	}
	question->fields = fields;
	question->values = values;
	return true;
}

static bool read_question(struct trial *trial, const struct node *node,
                          struct shop_question *question)
{
	const char *name = node_member(node, "query")->text;
	const struct node *of = node_member(node, "of");
	struct error err;
	*question = (struct shop_question){ .query = QUERY_GET };
	while (strcmp(scenario_queries[question->query], name) != 0)
		question->query++;
	if (question->query == QUERY_LIST_OF)
		question->topic = of->text;
	if (question->query == QUERY_GET) {
		if (!resolve_entity(&trial->resolver, of, of->text, &question->topic, &question->id,
		                    &err))
			return trial_broken(trial, of->line, &err);
		if (question->topic == NULL)
			return trial_fail(trial, of->line,
			                  "of: expected an entity such as $order.first");
	}
	return read_filters(trial, node_member(node, "where"), question);
}

/* What is asked, and what is compared: whole answers, or ids alone. */
static struct match_list answers(struct trial *trial, const struct shop_list *found, bool whole)
{
	const struct json **items =
	    arena_alloc(trial->step_arena, (found->count + 1) * sizeof(*items));
	const char **shown = arena_alloc(trial->step_arena, (found->count + 1) * sizeof(*shown));
	for (size_t i = 0; i < found->count; i++) {
		items[i] = trial_parse(trial, found->texts[i]);
		const struct json *id =
		    json_kind(items[i]) == JSON_OBJECT ? json_member(items[i], "entity_id") : NULL;
		const struct json *short_form = whole || id == NULL ? items[i] : id;
		shown[i] = match_text(trial->step_arena, names_of(trial), short_form);
	}
	return (struct match_list){ names_of(trial), trial->step_arena,
		                    "entity_id",     found->count,
		                    items,           shown };
}

static void check_query(struct trial *trial, const struct node *node)
{
	struct shop_question question;
	struct shop_list found;
	struct error err;
	if (!read_question(trial, node, &question))
		return;
	if (!trial->shop->methods->ask(trial->shop->shop, &question, &found, &err)) {
		trial_broken(trial, node->line, &err);
		return;
	}
	const char *what =
	    arena_printf(trial->step_arena, "query %s", scenario_queries[question.query]);
	if (question.query == QUERY_GET) {
		const struct json *expected = trial_json(trial, node_member(node, "is"));
		const char *json = found.count > 0 ? found.texts[0] : "null";
		struct diff *diff = diff_create(trial->step_arena);
		if (expected != NULL)
			match_diff(names_of(trial), expected, trial_parse(trial, json), diff);
		report_diff(trial, node->line, what, diff);
		return;
	}
	struct match_list list = answers(trial, &found, looks_inside(node, NULL));
	check_list(trial, node, what, &list);
}

static void check_queries(struct trial *trial, const struct node *queries)
{
	for (const struct node *node = queries->first; node != NULL; node = node->next)
		check_query(trial, node);
}

/* ---- Mails and what was set aside -------------------------------------------------------- */

/* ["~text", ...]: what each mail must contain. NULL after a failure. */
static const struct json *contained_texts(struct trial *trial, const struct node *texts)
{
	struct buffer list;
	const struct json *expected = NULL;
	struct error err;
	bool ok = true;
	buffer_init(&list, LIST_MAX);
	buffer_putc(&list, '[');
	for (const struct node *node = texts->first; ok && node != NULL; node = node->next) {
		const char *text;
		ok = resolve_text(&trial->resolver, node, node->text, &text, &err) ||
		     trial_broken(trial, node->line, &err);
		if (!ok)
			continue;
		text = arena_printf(trial->step_arena, "~%s", text);
		buffer_puts(&list, node == texts->first ? "" : ",");
		json_write_string(&list, text, strlen(text));
	}
	buffer_putc(&list, ']');
	if (ok && list.overflow)
		ok = trial_fail(trial, texts->line, "%s: more than 1 MiB", texts->key);
	if (ok)
		expected = trial_parse(trial, list.bytes);
	buffer_free(&list);
	return expected;
}

/* The mails to one address; each expected text must be in another one. */
static void check_recipient(struct trial *trial, const struct node *node,
                            const struct shop_list *all)
{
	struct match_list list = { names_of(trial), trial->step_arena, "message", 0, NULL, NULL };
	const struct json **items =
	    arena_alloc(trial->step_arena, (all->count + 1) * sizeof(*items));
	const char **shown = arena_alloc(trial->step_arena, (all->count + 1) * sizeof(*shown));
	const char *to;
	struct error err;
	if (!resolve_text(&trial->resolver, node, node->key, &to, &err)) {
		trial_broken(trial, node->line, &err);
		return;
	}
	const struct json *expected = contained_texts(trial, node);
	for (size_t i = 0; expected != NULL && i < all->count; i++) {
		const struct json *mail = trial_parse(trial, all->texts[i]);
		bool object = json_kind(mail) == JSON_OBJECT;
		const struct json *recipient = object ? json_member(mail, "recipient") : NULL;
		const struct json *message = object ? json_member(mail, "message") : NULL;
		if (recipient == NULL || message == NULL || json_text(recipient) == NULL ||
		    strcmp(json_text(recipient), to) != 0)
			continue;
		shown[list.count] = match_text(trial->step_arena, names_of(trial), message);
		items[list.count++] = mail;
	}
	if (expected == NULL)
		return;
	list.items = items;
	list.shown = shown;
	struct diff *diff = diff_create(trial->step_arena);
	match_list(&list, "exactly", expected, diff);
	report_diff(trial, node->line, arena_printf(trial->step_arena, "mails to %s", to), diff);
}

static void check_number(struct trial *trial, const struct node *node, size_t is)
{
	if (strtoull(node->text, NULL, 10) == is)
		return;
	struct diff *diff = diff_create(trial->step_arena);
	diff_add(diff, DIFF_OTHER, node->text, arena_printf(trial->step_arena, "%zu", is));
	report_diff(trial, node->line, node->key, diff);
}

static void check_mails(struct trial *trial, const struct node *mails)
{
	struct shop_question question = { .query = QUERY_MAILS };
	struct shop_list found;
	struct error err;
	if (!trial->shop->methods->ask(trial->shop->shop, &question, &found, &err)) {
		trial_broken(trial, mails->line, &err);
		return;
	}
	if (mails->kind == NODE_TEXT)
		check_number(trial, mails, found.count);
	for (const struct node *node = mails->first; node != NULL; node = node->next)
		check_recipient(trial, node, &found);
}

static void check_parked(struct trial *trial, const struct node *parked)
{
	struct error err;
	uint64_t count;
	if (trial->shop->methods->parked(trial->shop->shop, &count, &err))
		check_number(trial, parked, count);
	else
		trial_broken(trial, parked->line, &err);
}

void trial_then(struct trial *trial, const struct node *then)
{
	static const struct {
		const char *part;
		void (*check)(struct trial *trial, const struct node *node);
	} parts[] = { { "entities", check_entities },
		      { "events", check_events },
		      { "queries", check_queries },
		      { "mails", check_mails },
		      { "parked", check_parked } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct node *node = node_member(then, parts[i].part);
		if (node != NULL)
			parts[i].check(trial, node);
	}
}
