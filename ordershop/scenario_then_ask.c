/* scenario_then_ask.c - the parts of `then` for which the shop is asked: queries, mails, what was set aside. */
#include "ordershop/scenario_then.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 1024 * 1024 };

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
		shown[i] = match_text(trial->step_arena, then_names(trial), short_form);
	}
	return (struct match_list){
		then_names(trial), trial->step_arena, "entity_id", found->count, items, shown
	};
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
			match_diff(then_names(trial), expected, trial_parse(trial, json), diff);
		then_report(trial, node->line, what, diff);
		return;
	}
	struct match_list list = answers(trial, &found, then_looks_inside(node, NULL));
	then_check_list(trial, node, what, &list);
}

void then_queries(struct trial *trial, const struct node *queries)
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
	struct match_list list = { then_names(trial), trial->step_arena, "message", 0, NULL, NULL };
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
		shown[list.count] = match_text(trial->step_arena, then_names(trial), message);
		items[list.count++] = mail;
	}
	if (expected == NULL)
		return;
	list.items = items;
	list.shown = shown;
	struct diff *diff = diff_create(trial->step_arena);
	match_list(&list, "exactly", expected, diff);
	then_report(trial, node->line, arena_printf(trial->step_arena, "mails to %s", to), diff);
}

static void check_number(struct trial *trial, const struct node *node, size_t is)
{
	if (strtoull(node->text, NULL, 10) == is)
		return;
	struct diff *diff = diff_create(trial->step_arena);
	diff_add(diff, DIFF_OTHER, node->text, arena_printf(trial->step_arena, "%zu", is));
	then_report(trial, node->line, node->key, diff);
}

void then_mails(struct trial *trial, const struct node *mails)
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

void then_parked(struct trial *trial, const struct node *parked)
{
	struct error err;
	uint64_t count;
	if (trial->shop->methods->parked(trial->shop->shop, &count, &err))
		check_number(trial, parked, count);
	else
		trial_broken(trial, parked->line, &err);
}
