/* olist_csv.h - the orders of the public data set of Olist, read from its CSV files.
 *
 *   olist_orders_dataset.csv          one line per order: status and the time of each step
 *   olist_order_items_dataset.csv     one line per unit: product, price, freight
 *   olist_customers_dataset.csv       one customer per order; a person may have several
 *   olist_order_payments_dataset.csv  what was paid, in parts
 *
 * Reading is strict: an unknown status, a malformed amount or time, or an id that is named but not
 * there is an error that names file and line. */
#ifndef ORDERSHOP_OLIST_CSV_H
#define ORDERSHOP_OLIST_CSV_H

#include "base/error.h"

enum olist_status {
	OLIST_CREATED,
	OLIST_APPROVED,
	OLIST_PROCESSING,
	OLIST_INVOICED,
	OLIST_SHIPPED,
	OLIST_DELIVERED,
	OLIST_UNAVAILABLE,
	OLIST_CANCELED,
	OLIST_STATUSES
};

struct olist_customer {
	const char *id;
	const char *unique_id; /* the person */
};

struct olist_product {
	const char *id;
	int64_t units; /* sold over all orders */
};

struct olist_item {
	size_t product; /* index */
	int64_t price;  /* minor units, as is freight */
	int64_t freight;
};

struct olist_order {
	const char *id;
	size_t customer; /* index */
	enum olist_status status;
	/* Seconds since the epoch, taking the file's times as UTC; 0: has not happened. */
	int64_t purchased, approved, carrier, delivered;
	struct olist_item *items;
	size_t item_count;
	int64_t goods, freight, paid;
};

/* Orders are sorted by the time of purchase, then by id. */
struct olist {
	struct olist_order *orders;
	size_t order_count;
	struct olist_customer *customers;
	size_t customer_count;
	struct olist_product *products;
	size_t product_count;
	struct olist_item *items; /* sorted by order; each order points to its own */
	size_t item_count;
	struct arena *arena; /* of the texts */
};

MUST_USE bool olist_load(const char *folder, struct olist **out, struct error *err);
void olist_free(struct olist *olist); /* NULL is fine */

/* "109.90" -> 10990. At most two decimals, not negative, at most 1,000,000,000,000 minor units. */
MUST_USE bool olist_money(const char *text, int64_t *out, struct error *err);
/* "2018-07-24 20:41:37"; empty: 0. */
MUST_USE bool olist_time(const char *text, int64_t *out, struct error *err);

#endif
