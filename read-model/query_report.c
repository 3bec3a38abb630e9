#include "read-model/query.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAILS_PER_PAGE = 500 };

/* ---- all pages as one text ---- */

struct all {
	struct model_store *store;
	struct query_list request;
	struct arena *arena; /* of the request */
	enum query_shape shape;
	struct buffer text;
	char cursor[192];
	query_text_done *done;
	void *arg;
};

static bool too_large(const struct buffer *text, struct error *err)
{
	if (!text->overflow)
		return false;
	error_set(err, ERR_EXHAUSTED, "the answer is larger than %zu bytes: ask for pages",
	          text->max);
	return true;
}

static void put_entity(struct buffer *out, enum query_shape shape,
                       const struct query_entity *entity)
{
	if (out->len > 1)
		buffer_putc(out, ',');
	if (shape == QUERY_MAP) {
		json_write_string(out, entity->id, strlen(entity->id));
		buffer_putc(out, ':');
	}
	buffer_append(out, entity->json, entity->json_len);
}

static void all_end(struct all *all, const struct error *err)
{
	all->done(all->arg, err == NULL ? &all->text : NULL, err);
	buffer_free(&all->text);
	arena_destroy(all->arena);
	free(all);
}

static void all_page(void *arg, const struct query_page *page, const struct error *page_err)
{
	struct all *all = arg;
	struct error err;
	if (page_err != NULL) {
		all_end(all, page_err);
		return;
	}
	for (size_t i = 0; i < page->count; i++)
		put_entity(&all->text, all->shape, &page->entities[i]);
	if (page->cursor[0] == '\0')
		buffer_putc(&all->text, all->shape == QUERY_LIST ? ']' : '}');
	if (too_large(&all->text, &err)) {
		all_end(all, &err);
	} else if (page->cursor[0] == '\0') {
		all_end(all, NULL);
	} else {
		snprintf(all->cursor, sizeof(all->cursor), "%s", page->cursor);
		query_list(all->store, &all->request, all_page, all);
	}
}

void query_all(struct model_store *store, const struct query_list *request, enum query_shape shape,
               size_t max, query_text_done *done, void *arg)
{
	struct all *all = calloc(1, sizeof(*all));
	ASSERT(all != NULL);
	*all = (struct all){ .store = store, .shape = shape, .done = done, .arg = arg };
	all->arena = arena_create();
	buffer_init(&all->text, max);
	buffer_putc(&all->text, shape == QUERY_LIST ? '[' : '{');
	struct query_filter *filters =
	    arena_zalloc(all->arena, (request->filter_count + 1) * sizeof(*filters));
	for (size_t i = 0; i < request->filter_count; i++) {
		const struct query_filter *from = &request->filters[i];
		const char **values =
		    arena_alloc(all->arena, (from->value_count + 1) * sizeof(*values));
		for (size_t v = 0; v < from->value_count; v++)
			values[v] = arena_strdup(all->arena, from->values[v]);
		filters[i] = (struct query_filter){ arena_strdup(all->arena, from->field), values,
			                            from->value_count };
	}
	all->request = *request;
	all->request.name = arena_strdup(all->arena, request->name);
	all->request.filters = filters;
	all->request.limit = QUERY_LIMIT_MAX;
	all->request.cursor = all->cursor;
	query_list(store, &all->request, all_page, all);
}

/* ---- mails ---- */

struct mails {
	struct model_store *store;
	struct buffer text;
	query_text_done *done;
	void *arg;
};

static void put_member(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, "\"%s\":", name);
	json_write_string(out, text, strlen(text));
}

static void got_mails(void *arg, const struct model_store_mail *page, size_t count,
                      const struct error *redis_err)
{
	struct mails *mails = arg;
	struct buffer *text = &mails->text;
	struct error err;
	for (size_t i = 0; i < count; i++) {
		buffer_puts(text, text->len > 1 ? ",[" : "[");
		json_write_string(text, page[i].entry_id, strlen(page[i].entry_id));
		buffer_puts(text, ",{");
		put_member(text, "event_id", page[i].event_id);
		buffer_puts(text, ",\"event_action\":\"mail_sent\",");
		put_member(text, "event_data", page[i].json);
		buffer_puts(text, "}]");
	}
	if (redis_err == NULL && count == MAILS_PER_PAGE && !text->overflow) {
		model_store_mails(mails->store, page[count - 1].entry_id, MAILS_PER_PAGE, got_mails,
		                  mails);
		return;
	}
	buffer_putc(text, ']');
	if (redis_err == NULL && too_large(text, &err))
		redis_err = &err;
	mails->done(mails->arg, redis_err == NULL ? text : NULL, redis_err);
	buffer_free(text);
	free(mails);
}

void query_mails(struct model_store *store, size_t max, query_text_done *done, void *arg)
{
	struct mails *mails = calloc(1, sizeof(*mails));
	ASSERT(mails != NULL);
	*mails = (struct mails){ .store = store, .done = done, .arg = arg };
	buffer_init(&mails->text, max);
	buffer_putc(&mails->text, '[');
	model_store_mails(store, "", MAILS_PER_PAGE, got_mails, mails);
}

/* ---- the report of everything ---- */

struct report {
	struct model_store *store;
	size_t next; /* kind; the last are the mails */
	struct buffer text;
	query_text_done *done;
	void *arg;
};

static void report_part(void *arg, const struct buffer *json, const struct error *part_err);

static void report_next(struct report *report)
{
	struct buffer *text = &report->text;
	size_t left = text->max > text->len ? text->max - text->len : 1;
	bool mails = report->next == kinds_count;
	const struct kind *kind = mails ? NULL : &kinds[report->next];
	buffer_printf(text, "%s\"%s\":", text->len > 1 ? "," : "", mails ? "mails" : kind->plural);
	report->next++;
	if (mails) {
		query_mails(report->store, left, report_part, report);
		return;
	}
	struct query_list request = { .name = kind->name };
	query_all(report->store, &request, QUERY_LIST, left, report_part, report);
}

static void report_part(void *arg, const struct buffer *json, const struct error *part_err)
{
	struct report *report = arg;
	struct error err;
	if (part_err == NULL) {
		buffer_append(&report->text, json->bytes, json->len);
		if (report->next <= kinds_count && !report->text.overflow) {
			report_next(report);
			return;
		}
		buffer_putc(&report->text, '}');
		if (too_large(&report->text, &err))
			part_err = &err;
	}
	report->done(report->arg, part_err == NULL ? &report->text : NULL, part_err);
	buffer_free(&report->text);
	free(report);
}

void query_report(struct model_store *store, query_text_done *done, void *arg)
{
	struct report *report = calloc(1, sizeof(*report));
	ASSERT(report != NULL);
	*report = (struct report){ .store = store, .done = done, .arg = arg };
	buffer_init(&report->text, QUERY_REPORT_BYTES);
	buffer_putc(&report->text, '{');
	report_next(report);
}
