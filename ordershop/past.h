/* past.h - orders of the past, run through the rules of the shop in memory at the times when they happened.
 *
 *   orders, by time of purchase --> their steps, by time --> shop in memory --> events with entry ids of
 *   that time, as the services would have written them
 *
 * A customer comes to the shop with the first order, a product with its first sale; a step that the files have
 * before the one it follows from happens with that one. Pure: the same orders give the same bytes.
 *
 * Memory is bounded by what is going on at a time (orders under way, the events of a day, products, customers),
 * not by the length of the history: the shop forgets what has come to its end. */
#ifndef ORDERSHOP_PAST_H
#define ORDERSHOP_PAST_H

#include "domain/decide.h"
#include "ordershop/olist_plan.h"

/* Where orders come from. Of `plan` only customers and products are looked at, whenever they are needed. */
struct past_source {
	const struct plan *plan;
	/* The next order, not earlier than the one before; lives until the next call. NULL: that was all. */
	const struct olist_order *(*next)(void *arg);
	/* The order has come to its goal. True: its customer will not order again. NULL: who cares. */
	bool (*finished)(void *arg, const struct olist_order *order);
	void *arg;
};

/* Gets each event of all topics, in the order of their entry ids, which grow strictly. Lives for the call. */
typedef bool past_function(void *arg, const struct event *event, const char *data,
                           struct error *err);

struct past_counts {
	uint64_t orders, events;
	uint64_t first_us, last_us; /* the time of the shop, since 1970 */
};

/* Runs them all. Errors are those of `each`, or name the order and what the shop refused. */
MUST_USE bool past_run(const struct past_source *source, past_function *each, void *arg,
                       struct past_counts *counts, struct error *err);

#endif
