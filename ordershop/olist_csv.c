#include "ordershop/olist_csv.h"
#include "base/arena.h"
#include "base/array.h"
#include "ordershop/csv.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

static const int64_t money_max = 1000000000000;

static const char *const status_names[OLIST_STATUSES] = {
	[OLIST_CREATED] = "created",         [OLIST_APPROVED] = "approved",
	[OLIST_PROCESSING] = "processing",   [OLIST_INVOICED] = "invoiced",
	[OLIST_SHIPPED] = "shipped",         [OLIST_DELIVERED] = "delivered",
	[OLIST_UNAVAILABLE] = "unavailable", [OLIST_CANCELED] = "canceled",
};

/* An id of the files and where it stands in the array of its kind; in the arena. */
struct known {
	UT_hash_handle hh;
	size_t index;
	char id[];
};

struct loading {
	struct olist *olist;
	struct known *customers, *products, *orders;
	size_t *item_orders; /* of each item line: the order it belongs to */
};

bool olist_money(const char *text, int64_t *out, struct error *err)
{
	int64_t whole = 0, cents = 0;
	const char *at = text;
	int decimals = 0;

	for (; isdigit((unsigned char)*at) && whole <= money_max; at++)
		whole = whole * 10 + (*at - '0');
	if (at > text && *at == '.') {
		for (at++; isdigit((unsigned char)*at) && decimals < 2; at++, decimals++)
			cents = cents * 10 + (*at - '0');
		if (decimals == 0)
			at = text;
	}
	if (decimals == 1)
		cents *= 10;
	if (at == text || *at != '\0' || whole * 100 + cents > money_max)
		return error_set(err, ERR_INVALID, "'%.40s' is not an amount such as 109.90", text);
	*out = whole * 100 + cents;
	return true;
}

bool olist_time(const char *text, int64_t *out, struct error *err)
{
	struct tm parts = { 0 };
	const char *end;
	time_t seconds;
	int day;

	if (*text == '\0') {
		*out = 0;
		return true;
	}
	end = strptime(text, "%Y-%m-%d %H:%M:%S", &parts);
	day = parts.tm_mday;
	seconds = end && *end == '\0' ? timegm(&parts) : -1;
	if (seconds <= 0 || parts.tm_mday != day)
		return error_set(err, ERR_INVALID,
		                 "'%.40s' is not a time such as "
		                 "2018-07-24 20:41:37",
		                 text);
	*out = seconds;
	return true;
}

static struct known *find(struct known *all, const char *id)
{
	struct known *found;

	HASH_FIND_STR(all, id, found);
	return found;
}

/* The caller has looked that it is not there. */
static void remember(struct arena *arena, struct known **all, const char *id, size_t index)
{
	size_t size = strlen(id) + 1;
	struct known *known = arena_zalloc(arena, sizeof(*known) + size);
	struct known *head = *all;

	known->index = index;
	memcpy(known->id, id, size);
	HASH_ADD_STR(head, id, known);
	*all = head;
}

static bool take_customer(struct loading *loading, const char **fields, struct error *err)
{
	struct olist *olist = loading->olist;

	if (find(loading->customers, fields[0]))
		return error_set(err, ERR_INVALID, "customer_id %.64s stands here again",
		                 fields[0]);
	olist->customers =
	    array_grown(olist->customers, olist->customer_count, sizeof(*olist->customers));
	remember(olist->arena, &loading->customers, fields[0], olist->customer_count);
	olist->customers[olist->customer_count++] = (struct olist_customer){
		.id = arena_strdup(olist->arena, fields[0]),
		.unique_id = arena_strdup(olist->arena, fields[1]),
	};
	return true;
}

static bool take_order(struct loading *loading, const char **fields, struct error *err)
{
	struct known *customer = find(loading->customers, fields[1]);
	struct olist *olist = loading->olist;
	struct olist_order order = { .status = OLIST_STATUSES };
	int64_t *const times[] = { &order.purchased, &order.approved, &order.carrier,
		                   &order.delivered };

	if (find(loading->orders, fields[0]))
		return error_set(err, ERR_INVALID, "order_id %.64s stands here again", fields[0]);
	if (!customer)
		return error_set(err, ERR_INVALID, "there is no customer %.64s", fields[1]);
	for (size_t i = 0; i < OLIST_STATUSES; i++) {
		if (strcmp(fields[2], status_names[i]) == 0)
			order.status = (enum olist_status)i;
	}
	if (order.status == OLIST_STATUSES)
		return error_set(err, ERR_INVALID, "unknown order_status '%.40s'", fields[2]);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		if (!olist_time(fields[3 + i], times[i], err))
			return false;
	}
	if (order.purchased == 0)
		return error_set(err, ERR_INVALID, "order_purchase_timestamp is empty");
	order.customer = customer->index;
	order.id = arena_strdup(olist->arena, fields[0]);
	olist->orders = array_grown(olist->orders, olist->order_count, sizeof(*olist->orders));
	remember(olist->arena, &loading->orders, fields[0], olist->order_count);
	olist->orders[olist->order_count++] = order;
	return true;
}

static bool take_item(struct loading *loading, const char **fields, struct error *err)
{
	struct known *order = find(loading->orders, fields[0]);
	struct known *product = find(loading->products, fields[1]);
	struct olist *olist = loading->olist;
	struct olist_item item;

	if (!order)
		return error_set(err, ERR_INVALID, "there is no order %.64s", fields[0]);
	if (!olist_money(fields[2], &item.price, err) ||
	    !olist_money(fields[3], &item.freight, err))
		return false;
	item.product = product ? product->index : olist->product_count;
	if (!product) {
		olist->products =
		    array_grown(olist->products, olist->product_count, sizeof(*olist->products));
		remember(olist->arena, &loading->products, fields[1], olist->product_count);
		olist->products[olist->product_count++] =
		    (struct olist_product){ .id = arena_strdup(olist->arena, fields[1]) };
	}
	olist->products[item.product].units++;
	olist->orders[order->index].goods += item.price;
	olist->orders[order->index].freight += item.freight;
	olist->orders[order->index].item_count++;
	olist->items = array_grown(olist->items, olist->item_count, sizeof(*olist->items));
	loading->item_orders =
	    array_grown(loading->item_orders, olist->item_count, sizeof(*loading->item_orders));
	loading->item_orders[olist->item_count] = order->index;
	olist->items[olist->item_count++] = item;
	return true;
}

static bool take_payment(struct loading *loading, const char **fields, struct error *err)
{
	struct known *order = find(loading->orders, fields[0]);
	int64_t value = 0;

	if (!order)
		return error_set(err, ERR_INVALID, "there is no order %.64s", fields[0]);
	if (!olist_money(fields[1], &value, err))
		return false;
	loading->olist->orders[order->index].paid += value;
	return true;
}

static const struct table {
	const char *file;
	const char *columns[CSV_COLUMNS_MAX];
	bool (*take)(struct loading *loading, const char **fields, struct error *err);
} tables[] = {
	{ "olist_customers_dataset.csv", { "customer_id", "customer_unique_id" }, take_customer },
	{ "olist_orders_dataset.csv",
	  { "order_id", "customer_id", "order_status", "order_purchase_timestamp",
	    "order_approved_at", "order_delivered_carrier_date", "order_delivered_customer_date" },
	  take_order },
	{ "olist_order_items_dataset.csv",
	  { "order_id", "product_id", "price", "freight_value" },
	  take_item },
	{ "olist_order_payments_dataset.csv", { "order_id", "payment_value" }, take_payment },
};

static bool load_table(struct loading *loading, const char *folder, const struct table *table,
                       struct error *err)
{
	const char *fields[CSV_COLUMNS_MAX];
	char path[PATH_MAX];
	size_t count = 0;
	struct csv *csv;
	bool end = false, done = true;

	while (table->columns[count])
		count++;
	snprintf(path, sizeof(path), "%s/%s", folder, table->file);
	if (!csv_open(path, table->columns, count, &csv, err))
		return false;
	while (done && !end) {
		done = csv_next(csv, fields, &end, err);
		if (done && !end && !table->take(loading, fields, err))
			done = csv_wrap(csv, err);
	}
	csv_close(csv);
	return done;
}

/* Items stand in the file in any order; afterwards those of an order stand together. */
static void give_items(struct loading *loading)
{
	struct olist *olist = loading->olist;
	struct olist_item *sorted = calloc(olist->item_count + 1, sizeof(*sorted));
	struct olist_item *next = sorted;

	ASSERT(sorted);
	for (size_t i = 0; i < olist->order_count; i++) {
		olist->orders[i].items = next;
		next += olist->orders[i].item_count;
		olist->orders[i].item_count = 0;
	}
	for (size_t i = 0; i < olist->item_count; i++) {
		struct olist_order *order = &olist->orders[loading->item_orders[i]];

		order->items[order->item_count++] = olist->items[i];
	}
	free(olist->items);
	olist->items = sorted;
}

static int by_purchase(const void *a, const void *b)
{
	const struct olist_order *x = a, *y = b;

	if (x->purchased != y->purchased)
		return x->purchased < y->purchased ? -1 : 1;
	return strcmp(x->id, y->id);
}

bool olist_load(const char *folder, struct olist **out, struct error *err)
{
	struct loading loading = { .olist = calloc(1, sizeof(*loading.olist)) };
	bool done = true;

	ASSERT(loading.olist);
	loading.olist->arena = arena_create();
	for (size_t i = 0; done && i < ARRAY_LEN(tables); i++)
		done = load_table(&loading, folder, &tables[i], err);
	if (done) {
		give_items(&loading);
		if (loading.olist->order_count > 0)
			qsort(loading.olist->orders, loading.olist->order_count,
			      sizeof(*loading.olist->orders), by_purchase);
	}
	HASH_CLEAR(hh, loading.customers);
	HASH_CLEAR(hh, loading.products);
	HASH_CLEAR(hh, loading.orders);
	free(loading.item_orders);
	if (done)
		*out = loading.olist;
	else
		olist_free(loading.olist);
	return done;
}

void olist_free(struct olist *olist)
{
	if (!olist)
		return;
	arena_destroy(olist->arena);
	free(olist->orders);
	free(olist->customers);
	free(olist->products);
	free(olist->items);
	free(olist);
}
