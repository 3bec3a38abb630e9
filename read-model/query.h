/* query.h - the questions that the model answers, above single entities.
 *
 * All of them run in bounded pieces, in pipelines between other commands: none holds Redis or the
 * loop. What changes meanwhile may or may not be seen, but an entity is always one state of it that
 * was, and one that is listed fulfils the filters in that state.
 *
 * Requests are copied. Callbacks never come before the call that leads to them has returned. */
#ifndef READ_MODEL_QUERY_H
#define READ_MODEL_QUERY_H

#include "read-model/store.h"

enum {
	QUERY_LIMIT_MAX = 1000,
	QUERY_FILTERS_MAX = 16,
	QUERY_VALUES_MAX = 256,             /* of one filter */
	QUERY_PAGE_BYTES = 3 * 1024 * 1024, /* a page ends early after so much */
	QUERY_SCAN_MAX = 5000,              /* entities looked at for one page */
	QUERY_REPORT_BYTES = 64 * 1024 * 1024
};

struct query_filter {
	const char *field;
	const char *const *values; /* any of them */
	size_t value_count;
};

struct query_list {
	const char *name;
	const char *set; /* NULL: all of the kind, or what an index of a filter gives */
	const struct query_filter *filters;
	size_t filter_count;
	size_t limit;       /* 1 to QUERY_LIMIT_MAX */
	const char *cursor; /* "": from the start */
};

struct query_entity {
	const char *id;
	uint64_t version;
	const char *json;
	size_t json_len;
};

/* Lives during the callback. */
struct query_page {
	const struct query_entity *entities;
	size_t count;
	const char *cursor; /* "": that was all */
	/* How many match in all; 0 when only looking at the entities would tell, and past the first
	 * page. */
	uint64_t total;
};
typedef void query_page_done(void *arg, const struct query_page *page, const struct error *err);
void query_list(struct model_store *store, const struct query_list *request, query_page_done *done,
                void *arg);
/* In the order of the ids; those without an entity are left out. */
void query_many(struct model_store *store, const char *name, const char *const *ids, size_t count,
                query_page_done *done, void *arg);

/* All pages as one JSON text: a list, or an object by id. ERR_EXHAUSTED above `max` bytes. */
enum query_shape { QUERY_LIST, QUERY_MAP };
typedef void query_text_done(void *arg, const struct buffer *json, const struct error *err);
void query_all(struct model_store *store, const struct query_list *request, enum query_shape shape,
               size_t max, query_text_done *done, void *arg);
/* [[entry_id, {"event_id", "event_action", "event_data"}], ...] */
void query_mails(struct model_store *store, size_t max, query_text_done *done, void *arg);
/* {"customers": [...], ..., "mails": [...]} */
void query_report(struct model_store *store, query_text_done *done, void *arg);
/* The orders, each with its cart, customer, products, billings and shippings in place. */
void query_report_orders(struct model_store *store, query_text_done *done, void *arg);

#endif
