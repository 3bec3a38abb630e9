/* scenario_then.c - the parts of `then`. */
#include "ordershop/scenario_match.h"
#include "ordershop/scenario_run.h"

#include <stdlib.h>
#include <string.h>

enum { INDENT = 6, EVENT_MAX = 1024 * 1024 };

static const char *const expectations[] = { "are", "include", "sequence", "none", "count" };

static struct names *names_of(const struct play *play)
{
	return play->resolver.names;
}

static void report_diff(struct play *play, int line, const char *what, const struct diff *diff)
{
	if (!diff_differs(diff))
		return;
	play_fail(play, line, "%s", what);
	diff_write(&play->report->text, diff, INDENT);
}

/* Checks each of the list's expectations that `node` has. */
static void check_list(struct play *play, const struct node *node, const char *what,
                       const struct match_list *list)
{
	for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
		const struct node *member = node_member(node, expectations[i]);
		const struct json *expected = member == NULL ? NULL : play_json(play, member);
		if (expected == NULL)
			continue;
		struct diff *diff = diff_create(play->step_arena);
		match_list(list, expectations[i], expected, diff);
		report_diff(play, member->line,
		            arena_printf(play->step_arena, "%s: %s", what, expectations[i]), diff);
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

static void compare_entity(struct play *play, const struct node *node, const char *where,
                           const struct json *actual, const struct json *expected)
{
	if (match_json(expected, actual))
		return;
	struct diff *diff = diff_create(play->step_arena);
	match_diff(names_of(play), expected, actual, diff);
	report_diff(play, node->line, arena_printf(play->step_arena, "%s%s", node->key, where),
	            diff);
}

/* By the log and by the read model. */
static bool load_entity(struct play *play, const struct node *node, const struct json **log,
                        const struct json **model)
{
	const struct shop *shop = play->shop;
	const char *json;
	struct shop_question question = { .query = QUERY_GET };
	struct shop_list found;
	struct error err;
	if (!resolve_entity(&play->resolver, node, node->key, &question.topic, &question.id, &err))
		return play_broken(play, node->line, &err);
	if (question.topic == NULL || !scenario_is_entity(question.topic))
		return play_fail(play, node->line, "%s: expected an entity such as $order.first",
		                 node->key);
	if (!shop->methods->state(shop->shop, question.topic, question.id, &json, &err))
		return play_broken(play, node->line, &err);
	*log = play_parse(play, json == NULL ? "null" : json);
	if (!shop->methods->ask(shop->shop, &question, &found, &err))
		return play_broken(play, node->line, &err);
	*model = play_parse(play, found.count > 0 ? found.texts[0] : "null");
	return true;
}

static void check_entity(struct play *play, const struct node *node)
{
	const struct json *log = NULL, *model = NULL, *expected = play_json(play, node);
	if (expected == NULL || !load_entity(play, node, &log, &model))
		return;
	bool same = match_json(log, model) && match_json(model, log);
	compare_entity(play, node, same ? "" : ", by the log", log, expected);
	if (!same)
		compare_entity(play, node, ", by the read model", model, expected);
}

static void check_entities(struct play *play, const struct node *entities)
{
	for (const struct node *node = entities->first; node != NULL; node = node->next)
		check_entity(play, node);
}

/* ---- Events ------------------------------------------------------------------------------ */

static const char *actor_of(struct play *play, const struct shop_event *event)
{
	const struct json *metadata = play_parse(play, event->metadata);
	const struct json *actor =
	    json_kind(metadata) == JSON_OBJECT ? json_member(metadata, "actor") : NULL;
	const char *text = actor == NULL ? NULL : json_text(actor);
	return text == NULL ? "" : text;
}

static const struct json *event_json(struct play *play, const struct shop_event *event)
{
	const char *actor = actor_of(play, event);
	struct buffer text;
	buffer_init(&text, 2 * EVENT_MAX);
	buffer_printf(&text,
	              "{\"type\":\"%s\",\"topic\":\"%s\",\"action\":\"%s\",\"entity\":\"%s\","
	              "\"version\":%llu,\"actor\":",
	              event->type, event->topic, event->action, event->entity_id,
	              (unsigned long long)event->version);
	json_write_string(&text, actor, strlen(actor));
	buffer_printf(&text, ",\"data\":%s}", event->data);
	const struct json *json = play_parse(play, text.bytes);
	buffer_free(&text);
	return json;
}

static const char *event_shown(struct play *play, const struct shop_event *event, bool with_data)
{
	const char *entity =
	    event->entity_id[0] == '\0' ? "" : names_show(names_of(play), event->entity_id);
	const char *data =
	    with_data ? match_text(play->step_arena, names_of(play), play_parse(play, event->data))
	              : "";
	return arena_printf(play->step_arena, "%s%s%s%s%s", event->type,
	                    entity[0] != '\0' ? " " : "", entity, data[0] != '\0' ? " " : "", data);
}

/* Which events an expectation is about. */
struct about {
	const char *topic, *id; /* NULL: any */
	size_t since;
};

static bool read_about(struct play *play, const struct node *node, struct about *about)
{
	const struct node *of = node_member(node, "of"), *since = node_member(node, "since");
	struct error err;
	*about = (struct about){ .since = since == NULL ? 0 : play_since(play, since->text) };
	if (of == NULL)
		return true;
	if (scenario_topic_is(of->text)) {
		about->topic = of->text;
		return true;
	}
	return resolve_entity(&play->resolver, of, of->text, &about->topic, &about->id, &err) ||
	       play_broken(play, of->line, &err);
}

static void check_event_list(struct play *play, const struct node *node)
{
	struct shop_events all;
	struct error err;
	struct about about;
	if (!read_about(play, node, &about))
		return;
	if (!play->shop->methods->events(play->shop->shop, &all, &err)) {
		play_broken(play, node->line, &err);
		return;
	}
	struct match_list list = { names_of(play), play->step_arena, "type", 0, NULL, NULL };
	const struct json **items = arena_alloc(play->step_arena, (all.count + 1) * sizeof(*items));
	const char **shown = arena_alloc(play->step_arena, (all.count + 1) * sizeof(*shown));
	bool with_data = looks_inside(node, "data");
	for (size_t i = about.since; i < all.count; i++) {
		const struct shop_event *event = &all.events[i];
		if ((about.topic != NULL && strcmp(about.topic, event->topic) != 0) ||
		    (about.id != NULL && strcmp(about.id, event->entity_id) != 0))
			continue;
		items[list.count] = event_json(play, event);
		shown[list.count++] = event_shown(play, event, with_data);
	}
	list.items = items;
	list.shown = shown;
	const struct node *of = node_member(node, "of");
	check_list(play, node,
	           arena_printf(play->step_arena, "events%s%s", of != NULL ? " of " : "",
	                        of != NULL ? of->text : ""),
	           &list);
}

static void check_events(struct play *play, const struct node *events)
{
	for (const struct node *node = events->first; node != NULL; node = node->next)
		check_event_list(play, node);
}

/* ---- Queries ----------------------------------------------------------------------------- */

static bool read_filters(struct play *play, const struct node *where,
                         struct shop_question *question)
{
	struct error err;
	if (where == NULL)
		return true;
	const char **fields = arena_alloc(play->step_arena, (where->count + 1) * sizeof(*fields));
	const char **values = arena_alloc(play->step_arena, (where->count + 1) * sizeof(*values));
	for (const struct node *node = where->first; node != NULL; node = node->next) {
		fields[question->filter_count] = node->key;
		if (!resolve_text(&play->resolver, node, node->text,
		                  &values[question->filter_count++], &err))
			return play_broken(play, node->line, &err);
	}
	question->fields = fields;
	question->values = values;
	return true;
}

static bool read_question(struct play *play, const struct node *node,
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
		if (!resolve_entity(&play->resolver, of, of->text, &question->topic, &question->id,
		                    &err))
			return play_broken(play, of->line, &err);
		if (question->topic == NULL)
			return play_fail(play, of->line,
			                 "of: expected an entity such as $order.first");
	}
	return read_filters(play, node_member(node, "where"), question);
}

/* What is asked, and what is compared: whole answers, or ids alone. */
static struct match_list answers(struct play *play, const struct shop_list *found, bool whole)
{
	const struct json **items =
	    arena_alloc(play->step_arena, (found->count + 1) * sizeof(*items));
	const char **shown = arena_alloc(play->step_arena, (found->count + 1) * sizeof(*shown));
	for (size_t i = 0; i < found->count; i++) {
		items[i] = play_parse(play, found->texts[i]);
		const struct json *id =
		    json_kind(items[i]) == JSON_OBJECT ? json_member(items[i], "entity_id") : NULL;
		const struct json *short_form = whole || id == NULL ? items[i] : id;
		shown[i] = match_text(play->step_arena, names_of(play), short_form);
	}
	return (struct match_list){ names_of(play), play->step_arena,
		                    "entity_id",    found->count,
		                    items,          shown };
}

static void check_query(struct play *play, const struct node *node)
{
	struct shop_question question;
	struct shop_list found;
	struct error err;
	if (!read_question(play, node, &question))
		return;
	if (!play->shop->methods->ask(play->shop->shop, &question, &found, &err)) {
		play_broken(play, node->line, &err);
		return;
	}
	const char *what =
	    arena_printf(play->step_arena, "query %s", scenario_queries[question.query]);
	if (question.query == QUERY_GET) {
		const struct json *expected = play_json(play, node_member(node, "is"));
		const char *json = found.count > 0 ? found.texts[0] : "null";
		struct diff *diff = diff_create(play->step_arena);
		if (expected != NULL)
			match_diff(names_of(play), expected, play_parse(play, json), diff);
		report_diff(play, node->line, what, diff);
		return;
	}
	struct match_list list = answers(play, &found, looks_inside(node, NULL));
	check_list(play, node, what, &list);
}

static void check_queries(struct play *play, const struct node *queries)
{
	for (const struct node *node = queries->first; node != NULL; node = node->next)
		check_query(play, node);
}

/* ---- Mails and what was set aside -------------------------------------------------------- */

/* ["~text", ...]: what each mail must contain. NULL after a failure. */
static const struct json *contained_texts(struct play *play, const struct node *texts)
{
	struct buffer list;
	const struct json *expected = NULL;
	struct error err;
	bool ok = true;
	buffer_init(&list, EVENT_MAX);
	buffer_putc(&list, '[');
	for (const struct node *node = texts->first; ok && node != NULL; node = node->next) {
		const char *text;
		ok = resolve_text(&play->resolver, node, node->text, &text, &err) ||
		     play_broken(play, node->line, &err);
		if (!ok)
			continue;
		text = arena_printf(play->step_arena, "~%s", text);
		buffer_puts(&list, node == texts->first ? "" : ",");
		json_write_string(&list, text, strlen(text));
	}
	buffer_putc(&list, ']');
	if (ok)
		expected = play_parse(play, list.bytes);
	buffer_free(&list);
	return expected;
}

/* The mails to one address; each expected text must be in another one. */
static void check_recipient(struct play *play, const struct node *node, const struct shop_list *all)
{
	struct match_list list = { names_of(play), play->step_arena, "message", 0, NULL, NULL };
	const struct json **items =
	    arena_alloc(play->step_arena, (all->count + 1) * sizeof(*items));
	const char **shown = arena_alloc(play->step_arena, (all->count + 1) * sizeof(*shown));
	const char *to;
	struct error err;
	if (!resolve_text(&play->resolver, node, node->key, &to, &err)) {
		play_broken(play, node->line, &err);
		return;
	}
	const struct json *expected = contained_texts(play, node);
	for (size_t i = 0; expected != NULL && i < all->count; i++) {
		const struct json *mail = play_parse(play, all->texts[i]);
		bool object = json_kind(mail) == JSON_OBJECT;
		const struct json *recipient = object ? json_member(mail, "recipient") : NULL;
		const struct json *message = object ? json_member(mail, "message") : NULL;
		if (recipient == NULL || message == NULL || json_text(recipient) == NULL ||
		    strcmp(json_text(recipient), to) != 0)
			continue;
		shown[list.count] = match_text(play->step_arena, names_of(play), message);
		items[list.count++] = mail;
	}
	if (expected == NULL)
		return;
	list.items = items;
	list.shown = shown;
	struct diff *diff = diff_create(play->step_arena);
	match_list(&list, "exactly", expected, diff);
	report_diff(play, node->line, arena_printf(play->step_arena, "mails to %s", to), diff);
}

static void check_number(struct play *play, const struct node *node, size_t is)
{
	if (strtoull(node->text, NULL, 10) == is)
		return;
	struct diff *diff = diff_create(play->step_arena);
	diff_add(diff, DIFF_OTHER, node->text, arena_printf(play->step_arena, "%zu", is));
	report_diff(play, node->line, node->key, diff);
}

static void check_mails(struct play *play, const struct node *mails)
{
	struct shop_question question = { .query = QUERY_MAILS };
	struct shop_list found;
	struct error err;
	if (!play->shop->methods->ask(play->shop->shop, &question, &found, &err)) {
		play_broken(play, mails->line, &err);
		return;
	}
	if (mails->kind == NODE_TEXT)
		check_number(play, mails, found.count);
	for (const struct node *node = mails->first; node != NULL; node = node->next)
		check_recipient(play, node, &found);
}

static void check_parked(struct play *play, const struct node *parked)
{
	struct error err;
	uint64_t count;
	if (play->shop->methods->parked(play->shop->shop, &count, &err))
		check_number(play, parked, count);
	else
		play_broken(play, parked->line, &err);
}

void play_then(struct play *play, const struct node *then)
{
	static const struct {
		const char *part;
		void (*check)(struct play *play, const struct node *node);
	} parts[] = { { "entities", check_entities },
		      { "events", check_events },
		      { "queries", check_queries },
		      { "mails", check_mails },
		      { "parked", check_parked } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct node *node = node_member(then, parts[i].part);
		if (node != NULL)
			parts[i].check(play, node);
	}
}
