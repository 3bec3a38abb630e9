/* scenario_then.c - the parts of `then`: entities and events. */
#include "ordershop/scenario_then.h"

#include "domain/metadata.h"

#include <string.h>

enum { INDENT = 6, EVENT_MAX = 4 * 1024 * 1024 };

static const char *const expectations[] = { "are", "include", "sequence", "none", "count" };

struct names *then_names(const struct trial *trial)
{
	return trial->resolver.names;
}

void then_report(struct trial *trial, int line, const char *what, const struct diff *diff)
{
	if (!diff_differs(diff))
		return;
	trial_fail(trial, line, "%s", what);
	diff_write(&trial->report->text, diff, INDENT);
}

void then_check_list(struct trial *trial, const struct node *node, const char *what,
                     const struct match_list *list)
{
	for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
		const struct node *member = node_member(node, expectations[i]);
		const struct json *expected = member == NULL ? NULL : trial_json(trial, member);
		if (expected == NULL)
			continue;
		struct diff *diff = diff_create(trial->step_arena);
		match_list(list, expectations[i], expected, diff);
		then_report(trial, member->line,
		            arena_printf(trial->step_arena, "%s: %s", what, expectations[i]), diff);
	}
}

bool then_looks_inside(const struct node *node, const char *member)
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
	match_diff(then_names(trial), expected, actual, diff);
	then_report(trial, node->line, arena_printf(trial->step_arena, "%s%s", node->key, where),
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
	    event->entity_id[0] == '\0' ? "" : names_show(then_names(trial), event->entity_id);
	const char *data = with_data ? match_text(trial->step_arena, then_names(trial),
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
	struct match_list list = { then_names(trial), trial->step_arena, "type", 0, NULL, NULL };
	const struct json **items =
	    arena_alloc(trial->step_arena, (all.count + 1) * sizeof(*items));
	const char **shown = arena_alloc(trial->step_arena, (all.count + 1) * sizeof(*shown));
	bool with_data = then_looks_inside(node, "data");
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
	then_check_list(trial, node,
	                arena_printf(trial->step_arena, "events%s%s", of != NULL ? " of " : "",
	                             of != NULL ? of->text : ""),
	                &list);
}

static void check_events(struct trial *trial, const struct node *events)
{
	for (const struct node *node = events->first; node != NULL; node = node->next)
		check_event_list(trial, node);
}

void trial_then(struct trial *trial, const struct node *then)
{
	static const struct {
		const char *part;
		void (*check)(struct trial *trial, const struct node *node);
	} parts[] = { { "entities", check_entities },
		      { "events", check_events },
		      { "queries", then_queries },
		      { "mails", then_mails },
		      { "parked", then_parked } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct node *node = node_member(then, parts[i].part);
		if (node != NULL)
			parts[i].check(trial, node);
	}
}
