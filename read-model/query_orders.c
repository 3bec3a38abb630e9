#include "read-model/query.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERS_PER_PAGE = 100, PARTS_MAX = 1000 };

/* What belongs to an order, in the order in which it is written. */
enum part { PART_CART, PART_CUSTOMER, PART_PRODUCTS, PART_BILLINGS, PART_SHIPPINGS, PARTS };

static const struct {
	const char *member; /* of the order in the report */
	const char *kind;
	bool many;
} parts[PARTS] = {
	[PART_CART] = { "cart", "cart", false },
	[PART_CUSTOMER] = { "customer", "customer", false },
	[PART_PRODUCTS] = { "products", "product", true },
	[PART_BILLINGS] = { "billings", "billing", true },
	[PART_SHIPPINGS] = { "shippings", "shipping", true },
};

struct full_order {
	struct orders *orders;
	const char *json; /* without its last brace */
	size_t json_len;
	struct buffer parts[PARTS]; /* JSON, comma-separated */
	char *products;             /* ids asked for, each "<id>," */
};

struct ask {
	struct full_order *order;
	enum part part;
};

/* Page by page: the orders, then at once everything that belongs to them. */
struct orders {
	struct model_store *store;
	struct arena *arena; /* of the page */
	struct full_order *page;
	size_t count;
	size_t pending;
	struct error err;
	char cursor[192];
	struct buffer text;
	query_text_done *done;
	void *arg;
};

static void next_page(struct orders *orders);

static void orders_end(struct orders *orders)
{
	bool ok = orders->err.code == ERR_NONE;
	if (ok && orders->text.overflow)
		ok = error_set(&orders->err, ERR_EXHAUSTED,
		               "the answer is larger than %d bytes: ask for pages",
		               QUERY_REPORT_BYTES);
	orders->done(orders->arg, ok ? &orders->text : NULL, ok ? NULL : &orders->err);
	buffer_free(&orders->text);
	arena_destroy(orders->arena);
	free(orders);
}

static void write_page(struct orders *orders)
{
	struct buffer *text = &orders->text;
	for (size_t i = 0; i < orders->count; i++) {
		struct full_order *order = &orders->page[i];
		if (text->len > 1)
			buffer_putc(text, ',');
		buffer_append(text, order->json, order->json_len);
		for (size_t p = 0; p < PARTS; p++) {
			const struct buffer *part = &order->parts[p];
			buffer_printf(text, ",\"%s\":%s", parts[p].member,
			              parts[p].many ? "[" : "");
			if (part->len > 0)
				buffer_append(text, part->bytes, part->len);
			else if (!parts[p].many)
				buffer_puts(text, "null");
			if (parts[p].many)
				buffer_putc(text, ']');
			buffer_free(&order->parts[p]);
		}
		buffer_putc(text, '}');
		free(order->products);
	}
	orders->count = 0;
}

/* Something of the page has come. */
static void settle(struct orders *orders)
{
	if (--orders->pending > 0)
		return;
	write_page(orders);
	if (orders->err.code != ERR_NONE || orders->text.overflow) {
		orders_end(orders);
	} else if (orders->cursor[0] == '\0') {
		buffer_putc(&orders->text, ']');
		orders_end(orders);
	} else {
		next_page(orders);
	}
}

static void ask_for(struct full_order *order, enum part part, const char *id);

/* Every product once. */
static void ask_product(struct full_order *order, const char *id)
{
	char wanted[256];
	if (id == NULL || snprintf(wanted, sizeof(wanted), ",%s,", id) >= (int)sizeof(wanted))
		return;
	if (order->products != NULL && strstr(order->products, wanted) != NULL)
		return;
	char *longer;
	int len =
	    asprintf(&longer, "%s%s", order->products == NULL ? "," : order->products, wanted + 1);
	ASSERT(len > 0);
	free(order->products);
	order->products = longer;
	ask_for(order, PART_PRODUCTS, id);
}

/* Ids of products in a list of texts, or of objects with `product_id`. */
static void ask_products(struct full_order *order, const struct json *list)
{
	size_t count = 0;
	for (const struct json *item = list == NULL ? NULL : json_first(list);
	     item != NULL && count++ < PARTS_MAX; item = json_next(item)) {
		const struct json *id =
		    json_kind(item) == JSON_OBJECT ? json_member(item, "product_id") : item;
		if (id != NULL)
			ask_product(order, json_text(id));
	}
}

static const char *text_member(const struct json *object, const char *name)
{
	const struct json *value = json_member(object, name);
	const char *text = value == NULL ? NULL : json_text(value);
	return text == NULL ? "" : text;
}

/* An order of older services holds neither customer nor items: then they are those of its cart. */
static void follow_cart(struct full_order *order, const char *json, size_t len)
{
	struct error err;
	struct json *cart, *own;
	if (!json_parse(json, len, &cart, &err))
		return;
	char *text = arena_printf(order->orders->arena, "%.*s}", (int)order->json_len, order->json);
	if (json_parse(text, order->json_len + 1, &own, &err)) {
		const struct json *items = json_member(own, "items");
		if (text_member(own, "customer_id")[0] == '\0')
			ask_for(order, PART_CUSTOMER, text_member(cart, "customer_id"));
		if (items == NULL || json_count(items) == 0)
			ask_products(order, json_member(cart, "product_ids"));
		json_free(own);
	}
	json_free(cart);
}

static void got_part(void *arg, const struct model_store_entity *entity, const struct error *err)
{
	struct ask *ask = arg;
	struct full_order *order = ask->order;
	struct orders *orders = order->orders;
	struct buffer *part = &order->parts[ask->part];
	if (err != NULL) {
		orders->err = *err;
	} else if (entity != NULL) {
		if (part->len > 0)
			buffer_putc(part, ',');
		size_t start = part->len;
		model_store_entity_json(entity, part);
		if (ask->part == PART_CART && !part->overflow)
			follow_cart(order, part->bytes + start, part->len - start);
		if (part->overflow)
			error_set(&orders->err, ERR_EXHAUSTED,
			          "what belongs to one order is too large");
	}
	settle(orders);
}

static void ask_for(struct full_order *order, enum part part, const char *id)
{
	if (id == NULL || id[0] == '\0')
		return;
	struct ask *ask = arena_alloc(order->orders->arena, sizeof(*ask));
	*ask = (struct ask){ order, part };
	order->orders->pending++;
	model_store_get(order->orders->store, parts[part].kind, id, got_part, ask);
}

static void got_linked(void *arg, const struct model_store_member *members, size_t count, bool full,
                       const struct error *err)
{
	struct ask *ask = arg;
	struct orders *orders = ask->order->orders;
	(void)full;
	if (err != NULL)
		orders->err = *err;
	for (size_t i = 0; i < count; i++)
		ask_for(ask->order, ask->part, members[i].id);
	settle(orders);
}

static void ask_linked(struct full_order *order, enum part part, const char *set, const char *id)
{
	struct ask *ask = arena_alloc(order->orders->arena, sizeof(*ask));
	*ask = (struct ask){ order, part };
	order->orders->pending++;
	model_store_members(order->orders->store, set, id, 0, "", PARTS_MAX, got_linked, ask);
}

static void got_order(struct full_order *order, const struct query_entity *entity)
{
	struct error err;
	struct json *json;
	order->json = arena_copy(order->orders->arena, entity->json, entity->json_len);
	order->json_len = entity->json_len - 1;
	for (size_t p = 0; p < PARTS; p++)
		buffer_init(&order->parts[p], QUERY_REPORT_BYTES);
	ask_linked(order, PART_BILLINGS, "order_billings:", entity->id);
	ask_linked(order, PART_SHIPPINGS, "order_shippings:", entity->id);
	if (!json_parse(entity->json, entity->json_len, &json, &err))
		return;
	ask_for(order, PART_CART, text_member(json, "cart_id"));
	ask_for(order, PART_CUSTOMER, text_member(json, "customer_id"));
	ask_products(order, json_member(json, "items"));
	json_free(json);
}

static void got_page(void *arg, const struct query_page *page, const struct error *err)
{
	struct orders *orders = arg;
	if (err != NULL) {
		orders->err = *err;
		orders_end(orders);
		return;
	}
	arena_reset(orders->arena);
	snprintf(orders->cursor, sizeof(orders->cursor), "%s", page->cursor);
	orders->count = page->count;
	orders->page = arena_zalloc(orders->arena, (page->count + 1) * sizeof(*orders->page));
	orders->pending = 1; /* this callback */
	for (size_t i = 0; i < page->count; i++) {
		orders->page[i].orders = orders;
		got_order(&orders->page[i], &page->entities[i]);
	}
	settle(orders);
}

static void next_page(struct orders *orders)
{
	struct query_list request = { .name = "order",
		                      .limit = ORDERS_PER_PAGE,
		                      .cursor = orders->cursor };
	query_list(orders->store, &request, got_page, orders);
}

void query_report_orders(struct model_store *store, query_text_done *done, void *arg)
{
	struct orders *orders = calloc(1, sizeof(*orders));
	ASSERT(orders != NULL);
	*orders = (struct orders){ .store = store, .done = done, .arg = arg };
	orders->arena = arena_create();
	buffer_init(&orders->text, QUERY_REPORT_BYTES);
	buffer_putc(&orders->text, '[');
	next_page(orders);
}
