#include "read-model/memory_model.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { JSON_MAX = 16 * 1024 * 1024 };

struct row {
	char *key; /* "<topic>\0<id>" */
	const char *id;
	const struct kind *kind;
	uint64_t created_us;
	char *memory; /* of values and more */
	struct projection_text *values;
	struct projection_text more;
	UT_hash_handle hh;
};

struct mail {
	char *entry_id, *json;
};

struct memory_model {
	struct projection *projection;
	struct row *rows;
	struct mail *mails;
	size_t mail_count, mail_capacity;
};

struct memory_model *memory_model_create(void)
{
	struct memory_model *model = calloc(1, sizeof(*model));
	ASSERT(model != NULL);
	model->projection = projection_create();
	return model;
}

static void row_free(struct row *row)
{
	free(row->values);
	free(row->memory);
	free(row->key);
	free(row);
}

void memory_model_destroy(struct memory_model *model)
{
	struct row *row, *next;
	if (model == NULL)
		return;
	HASH_ITER(hh, model->rows, row, next)
	{
		HASH_DEL(model->rows, row);
		row_free(row);
	}
	for (size_t i = 0; i < model->mail_count; i++) {
		free(model->mails[i].entry_id);
		free(model->mails[i].json);
	}
	free(model->mails);
	projection_destroy(model->projection);
	free(model);
}

/* ---- Writing ----------------------------------------------------------------------------- */

static char *copy(const char *bytes, size_t len)
{
	char *text = malloc(len + 1);
	ASSERT(text != NULL);
	memcpy(text, bytes, len);
	text[len] = '\0';
	return text;
}

/* Allocated; its length with both ends in *len. */
static char *make_key(const char *topic, const char *id, size_t *len)
{
	size_t topic_len = strlen(topic) + 1, id_len = strlen(id) + 1;
	char *key = malloc(topic_len + id_len);
	ASSERT(key != NULL);
	memcpy(key, topic, topic_len);
	memcpy(key + topic_len, id, id_len);
	*len = topic_len + id_len;
	return key;
}

static struct row *find(const struct memory_model *model, const char *topic, const char *id)
{
	size_t len;
	struct row *row;
	char *key = make_key(topic, id, &len);
	HASH_FIND(hh, model->rows, key, len, row);
	free(key);
	return row;
}

static struct row *add(struct memory_model *model, const struct projection_write *write)
{
	size_t len;
	struct row *row = calloc(1, sizeof(*row));
	ASSERT(row != NULL);
	row->key = make_key(write->topic, write->id, &len);
	row->id = row->key + strlen(row->key) + 1;
	row->kind = write->kind;
	row->created_us = write->created_us;
	HASH_ADD_KEYPTR(hh, model->rows, row->key, len, row);
	return row;
}

static struct projection_text keep(char **place, const struct projection_text *text)
{
	struct projection_text kept = { *place, text->len };
	memcpy(*place, text->bytes, text->len);
	(*place)[text->len] = '\0';
	*place += text->len + 1;
	return kept;
}

static void put(struct memory_model *model, const struct projection_write *write)
{
	struct row *row = find(model, write->topic, write->id);
	size_t size = write->more.len + 1;
	if (row == NULL)
		row = add(model, write);
	else if (write->before == PROJECTION_DROP)
		row->created_us = write->created_us;
	for (size_t i = 0; i < write->value_count; i++)
		size += write->values[i].len + 1;
	char *memory = malloc(size), *place = memory;
	struct projection_text *values = calloc(write->value_count, sizeof(*values));
	ASSERT(memory != NULL && values != NULL);
	for (size_t i = 0; i < write->value_count; i++)
		values[i] = keep(&place, &write->values[i]);
	row->more = keep(&place, &write->more);
	free(row->memory);
	free(row->values);
	row->memory = memory;
	row->values = values;
}

static void remove_row(struct memory_model *model, const struct projection_write *write)
{
	struct row *row = find(model, write->topic, write->id);
	if (row == NULL)
		return;
	HASH_DEL(model->rows, row);
	row_free(row);
}

static void add_mail(struct memory_model *model, const struct projection_write *write)
{
	if (model->mail_count == model->mail_capacity) {
		model->mail_capacity = model->mail_capacity > 0 ? 2 * model->mail_capacity : 64;
		model->mails = realloc(model->mails, model->mail_capacity * sizeof(*model->mails));
		ASSERT(model->mails != NULL);
	}
	model->mails[model->mail_count++] = (struct mail){
		.entry_id = copy(write->id, strlen(write->id)),
		.json = copy(write->values[1].bytes, write->values[1].len),
	};
}

void memory_model_apply(struct memory_model *model, const struct projection_event *events,
                        size_t count)
{
	static void (*const actions[])(struct memory_model *, const struct projection_write *) = {
		[PROJECTION_PUT] = put,
		[PROJECTION_REMOVE] = remove_row,
		[PROJECTION_MAIL] = add_mail,
	};
	for (size_t i = 0; i < count; i++)
		projection_add(model->projection, &events[i]);
	for (size_t i = 0; i < projection_writes(model->projection); i++) {
		struct projection_write write;
		if (projection_at(model->projection, i, &write))
			actions[write.action](model, &write);
	}
	projection_clear(model->projection);
}

/* ---- Answers ----------------------------------------------------------------------------- */

static void write_row(const struct row *row, struct buffer *out)
{
	const struct kind *kind = row->kind;
	if (kind->type == NULL) {
		kind_write_value(kind, 0, row->values[0].bytes, row->values[0].len, out);
		return;
	}
	buffer_puts(out, "{\"" KIND_ID_FIELD "\":");
	json_write_string(out, row->id, strlen(row->id));
	for (size_t i = 0; i < kind_field_count(kind); i++) {
		buffer_printf(out, ",\"%s\":", kind_field_name(kind, i));
		kind_write_value(kind, i, row->values[i].bytes, row->values[i].len, out);
	}
	if (row->more.len > 0) {
		buffer_putc(out, ',');
		buffer_append(out, row->more.bytes, row->more.len);
	}
	buffer_putc(out, '}');
}

bool memory_model_get(const struct memory_model *model, const char *name, const char *id,
                      struct buffer *out)
{
	const struct row *row = find(model, name, id);
	if (row != NULL)
		write_row(row, out);
	return row != NULL;
}

size_t memory_model_count(const struct memory_model *model, const char *name)
{
	size_t count = 0;
	for (const struct row *row = model->rows; row != NULL; row = row->hh.next)
		count += strcmp(row->key, name) == 0;
	return count;
}

/* Which rows a list has. */
typedef bool row_test(const struct memory_model *model, const struct row *row, const void *arg);

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
	if (x->created_us != y->created_us)
		return x->created_us < y->created_us ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void list_rows(const struct memory_model *model, const char *name, row_test *test,
                      const void *test_arg, memory_model_each *each, void *arg)
{
	size_t count = 0;
	const struct row **rows = calloc(HASH_COUNT(model->rows) + 1, sizeof(struct row *));
	struct buffer json;
	ASSERT(rows != NULL);
	buffer_init(&json, JSON_MAX);
	for (const struct row *row = model->rows; row != NULL; row = row->hh.next) {
		if (strcmp(row->key, name) == 0 && test(model, row, test_arg))
			rows[count++] = row;
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	for (size_t i = 0; i < count; i++) {
		buffer_clear(&json);
		write_row(rows[i], &json);
		each(arg, rows[i]->id, json.bytes);
	}
	buffer_free(&json);
	free(rows);
}

static const char *value_of(const struct row *row, const char *field)
{
	int position = kind_field_position(row->kind, field);
	return position < 0 ? "" : row->values[position].bytes;
}

struct filters {
	const struct memory_filter *filters;
	size_t count;
};

static bool test_filters(const struct memory_model *model, const struct row *row, const void *arg)
{
	const struct filters *filters = arg;
	(void)model;
	for (size_t i = 0; i < filters->count; i++) {
		const struct memory_filter *filter = &filters->filters[i];
		const char *text = strcmp(filter->field, KIND_ID_FIELD) == 0
		                       ? row->id
		                       : value_of(row, filter->field);
		if (!kind_value_holds(text, filter->value))
			return false;
	}
	return true;
}

bool memory_model_list(const struct memory_model *model, const char *name,
                       const struct memory_filter *filters, size_t filter_count,
                       memory_model_each *each, void *arg, struct error *err)
{
	struct filters all = { filters, filter_count };
	for (size_t i = 0; i < filter_count; i++) {
		if (strcmp(filters[i].field, KIND_ID_FIELD) != 0 &&
		    kind_field_position(kind_of(name), filters[i].field) < 0)
			return error_set(err, ERR_INVALID, "a %.64s has no field '%.64s'", name,
			                 filters[i].field);
	}
	list_rows(model, name, test_filters, &all, each, arg);
	return true;
}

/* Is there a row of this topic with that order_id? Its id follows from the order's in the shop, but
 * not in every log. */
static bool has_for_order(const struct memory_model *model, const char *topic, const char *order_id)
{
	for (const struct row *row = model->rows; row != NULL; row = row->hh.next) {
		if (strcmp(row->key, topic) == 0 &&
		    strcmp(value_of(row, "order_id"), order_id) == 0)
			return true;
	}
	return false;
}

static bool test_open(const struct memory_model *model, const struct row *row, const void *arg)
{
	return strcmp(value_of(row, "status"), "CANCELLED") != 0 &&
	       !has_for_order(model, arg, row->id);
}

void memory_model_unbilled(const struct memory_model *model, memory_model_each *each, void *arg)
{
	list_rows(model, "order", test_open, "billing", each, arg);
}

void memory_model_unshipped(const struct memory_model *model, memory_model_each *each, void *arg)
{
	list_rows(model, "order", test_open, "shipping", each, arg);
}

static bool test_delivered(const struct memory_model *model, const struct row *row, const void *arg)
{
	const char *delivered = value_of(row, "delivered");
	(void)model;
	(void)arg;
	return delivered[0] != '\0' && strcmp(delivered, "0") != 0;
}

void memory_model_delivered(const struct memory_model *model, memory_model_each *each, void *arg)
{
	list_rows(model, "shipping", test_delivered, NULL, each, arg);
}

void memory_model_mails(const struct memory_model *model, memory_model_each *each, void *arg)
{
	for (size_t i = 0; i < model->mail_count; i++)
		each(arg, model->mails[i].entry_id, model->mails[i].json);
}
