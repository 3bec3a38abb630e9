/* olist_verify.c - the read model against the files. */
#include "base/buffer.h"
#include "ordershop/lines.h"
#include "ordershop/olist_orders.h"
#include "ordershop/olist_play.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUSES = SHOP__ORDER_STATUS__CANCELLED + 1, DIFFERENCES_SHOWN = 10 };

/* What one side says. */
struct side {
	size_t orders[STATUSES];
	size_t count, bills;
	int64_t goods, freight, billed;
};

struct comparison {
	struct side files, shop;
	size_t differences;
	bool *found, *billed; /* of each order */
};

static const char *order_id(struct play *play, size_t i)
{
	return play->orders[i].plan->id;
}

static const char *billing_id(struct play *play, size_t i)
{
	return play->orders[i].plan->billing_id;
}

static void differ(struct comparison *comparison, const struct play_order *order, const char *what,
                   const char *in_files, const char *in_shop)
{
	if (comparison->differences++ < DIFFERENCES_SHOWN)
		printf("order %s: %s is %s in the files, %s in the shop\n", order->plan->from->id,
		       what, in_files, in_shop);
}

/* 9394780 -> "93,947.80" */
static const char *money(int64_t amount, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRId64, amount / 100);
	char *to = out;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	snprintf(to, 8, ".%02d", (int)(amount % 100));
	return out;
}

static void differ_money(struct comparison *comparison, const struct play_order *order,
                         const char *what, int64_t in_files, int64_t in_shop)
{
	char files[32], shop[32];

	if (in_files != in_shop)
		differ(comparison, order, what, money(in_files, files), money(in_shop, shop));
}

static void order_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	struct comparison *comparison = arg;
	const struct play_order *order = &play->orders[i];
	Shop__OrderStatus status = play_order_status(entity);
	int64_t total = play_number(entity, "total"), fee = play_number(entity, "shipping_fee");

	comparison->found[i] = true;
	comparison->shop.count++;
	comparison->shop.orders[status]++;
	comparison->shop.goods += total - fee;
	comparison->shop.freight += fee;
	if (status != order->plan->goal)
		differ(comparison, order, "status", play_status_name(order->plan->goal),
		       play_status_name(status));
	differ_money(comparison, order, "the price of the goods", order->plan->from->goods,
	             total - fee);
	differ_money(comparison, order, "the freight", order->plan->from->freight, fee);
}

static void billing_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	struct comparison *comparison = arg;
	const struct play_order *order = &play->orders[i];
	int64_t amount = play_number(entity, "amount");

	comparison->billed[i] = true;
	comparison->shop.bills++;
	comparison->shop.billed += amount;
	if (order->plan->billed)
		differ_money(comparison, order, "the billing",
		             order->plan->from->goods + order->plan->from->freight, amount);
}

static void sum_files(struct play *play, struct side *files, int64_t *paid)
{
	for (size_t i = 0; i < play->olist->order_count; i++) {
		const struct play_order *order = &play->orders[i];

		files->count++;
		files->orders[order->plan->goal]++;
		files->goods += order->plan->from->goods;
		files->freight += order->plan->from->freight;
		*paid += order->plan->from->paid;
		if (!order->plan->billed)
			continue;
		files->bills++;
		files->billed += order->plan->from->goods + order->plan->from->freight;
	}
}

static void find_missing(struct play *play, struct comparison *comparison)
{
	for (size_t i = 0; i < play->olist->order_count; i++) {
		const struct play_order *order = &play->orders[i];

		if (!comparison->found[i])
			differ(comparison, order, "it", "there", "missing");
		else if (order->plan->billed != comparison->billed[i])
			differ(comparison, order, "it",
			       order->plan->billed ? "billed" : "not billed",
			       order->plan->billed ? "not billed" : "billed");
	}
}

static void print_table(const struct side *files, const struct side *shop, int64_t paid)
{
	static const struct {
		const char *name;
		size_t offset;
	} sums[] = { { "goods", offsetof(struct side, goods) },
		     { "freight", offsetof(struct side, freight) },
		     { "billed", offsetof(struct side, billed) } };
	char left[32], right[32];

	printf("%-14s %14s %14s\n", "status", "in the files", "in the shop");
	for (int i = STATUSES - 1; i >= 0; i--) {
		if (files->orders[i] > 0 || shop->orders[i] > 0)
			printf("%-14s %14zu %14zu\n", play_status_name((Shop__OrderStatus)i),
			       files->orders[i], shop->orders[i]);
	}
	printf("%-14s %14zu %14zu\n", "orders", files->count, shop->count);
	printf("%-14s %14zu %14zu\n\n", "billings", files->bills, shop->bills);
	printf("%-14s %14s %14s\n", "money", "in the files", "in the shop");
	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		printf("%-14s %14s %14s\n", sums[i].name,
		       money(*(const int64_t *)((const char *)files + sums[i].offset), left),
		       money(*(const int64_t *)((const char *)shop + sums[i].offset), right));
	printf("%-14s %14s %14s  (as the customers did; a few by cents more or less)\n", "paid",
	       money(paid, left), "");
}

bool play_verify(struct play *play, struct error *err)
{
	size_t count = play->olist->order_count;
	struct comparison comparison = { .found = calloc(count + 1, sizeof(bool)),
		                         .billed = calloc(count + 1, sizeof(bool)) };
	const struct look_up orders = { "order", order_id, count, order_found, &comparison };
	const struct look_up billings = { "billing", billing_id, count, billing_found,
		                          &comparison };
	int64_t paid = 0;
	bool done;

	ASSERT(comparison.found && comparison.billed);
	sum_files(play, &comparison.files, &paid);
	done = play_ask(play, &orders, err) && play_ask(play, &billings, err);
	if (done) {
		find_missing(play, &comparison);
		print_table(&comparison.files, &comparison.shop, paid);
	}
	if (done && comparison.differences > 0)
		done = error_set(err, ERR_INTERNAL, "the shop differs from the files in %zu %s",
		                 comparison.differences,
		                 plural(comparison.differences, "place", "places"));
	free(comparison.found);
	free(comparison.billed);
	return done;
}
