/* Made-up orders, and what the rules make of them at their times. */
#include "domain/invariants.h"
#include "ordershop/event_line.h"
#include "ordershop/olist_generator.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* What is looked at while a history runs. */
struct seen {
	struct invariants *invariants;
	struct log_hash *hash;
	struct buffer line;
	struct entry_id last;
	uint64_t placed, delivered, shipped, cancelled;
	int64_t goods, freight;
	uint64_t hours[24], out_of_order;
	uint64_t fails_at; /* with this event; 0: never */
	uint64_t events;
};

static void note_order(struct seen *seen, const struct event *event, struct entry_id id)
{
	const Shop__Order *order = (const Shop__Order *)event->state;

	seen->placed += strcmp(event->type, "OrderPlaced") == 0;
	seen->shipped += strcmp(event->type, "OrderShipped") == 0;
	seen->delivered += strcmp(event->type, "OrderDelivered") == 0;
	seen->cancelled += strcmp(event->type, "OrderCancelled") == 0;
	if (strcmp(event->type, "OrderPlaced") != 0)
		return;
	seen->goods += order->total - order->shipping_fee;
	seen->freight += order->shipping_fee;
	seen->hours[id.ms / 3600000 % 24]++;
}

static bool look(void *arg, const struct event *event, const char *data, struct error *err)
{
	struct seen *seen = arg;
	struct entry_id id;

	if (++seen->events == seen->fails_at)
		return error_set(err, ERR_UNAVAILABLE, "the disk is full");
	ck_assert(entry_id_parse(event->entry_id, &id, err));
	seen->out_of_order += entry_id_compare(id, seen->last) <= 0;
	seen->last = id;
	invariants_add(seen->invariants, event, data);
	buffer_clear(&seen->line);
	event_line_write(&seen->line, event, data);
	log_hash_add(seen->hash, seen->line.bytes, seen->line.len);
	if (strcmp(event->topic, "order") == 0)
		note_order(seen, event, id);
	return true;
}

static void print_violation(void *arg, const struct violation *violation)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", violation->invariant->name, violation->message);
}

static struct seen seen_create(void)
{
	struct seen seen = { .invariants = invariants_create(print_violation, NULL),
		             .hash = log_hash_create() };

	buffer_init(&seen.line, EVENT_LINE_MAX);
	return seen;
}

static void seen_free(struct seen *seen)
{
	invariants_destroy(seen->invariants);
	log_hash_destroy(seen->hash);
	buffer_free(&seen->line);
}

/* Runs it, and checks all invariants. */
static struct past_counts run(uint64_t orders, uint64_t seed, struct seen *seen,
                              char hash[DIGEST_TEXT_SIZE])
{
	struct generator *generator = generator_create(orders, seed);
	struct past_source source = generator_source(generator);
	struct past_counts counts;
	struct error err;

	ck_assert_msg(past_run(&source, look, seen, &counts, &err), "%s", err.message);
	invariants_rest(seen->invariants);
	ck_assert_uint_eq(invariants_broken_total(seen->invariants), 0);
	ck_assert_uint_eq(seen->out_of_order, 0);
	ck_assert_uint_eq(counts.orders, orders);
	ck_assert_uint_eq(counts.events, seen->events);
	ck_assert_uint_eq(seen->placed, orders);
	log_hash_text(seen->hash, hash);
	generator_destroy(generator);
	return counts;
}

START_TEST(the_same_seed_gives_the_same_bytes)
{
	static const struct {
		uint64_t orders, seed;
	} rows[] = { { 200, 1 }, { 200, 1 }, { 200, 2 }, { 201, 1 } };
	char hashes[ARRAY_LEN(rows)][DIGEST_TEXT_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seen seen = seen_create();

		(void)run(rows[i].orders, rows[i].seed, &seen, hashes[i]);
		seen_free(&seen);
	}
	ck_assert_str_eq(hashes[0], hashes[1]);
	ck_assert_str_ne(hashes[0], hashes[2]);
	ck_assert_str_ne(hashes[0], hashes[3]);
}
END_TEST

static void add_order(struct digest *digest, const struct olist_order *order)
{
	char line[512];
	int len =
	    snprintf(line, sizeof(line), "%s %d %lld %lld %lld %lld %zu\n", order->id,
	             (int)order->status, (long long)order->purchased, (long long)order->approved,
	             (long long)order->carrier, (long long)order->delivered, order->customer);

	digest_add(digest, line, (size_t)len);
	for (size_t i = 0; i < order->item_count; i++) {
		len =
		    snprintf(line, sizeof(line), "%zu %lld %lld\n", order->items[i].product,
		             (long long)order->items[i].price, (long long)order->items[i].freight);
		digest_add(digest, line, (size_t)len);
	}
}

/* Made once, to be compared with on another machine, compiler or libc. */
START_TEST(orders_are_the_same_everywhere)
{
	static const char expected[] =
	    "e494034f32119befc64df25e27c61ad9227b87415cf24943421938bb85987ac4";
	struct generator *generator = generator_create(1000, 42);
	struct past_source source = generator_source(generator);
	struct digest *digest = digest_create();
	const struct olist_order *order;
	unsigned char hash[DIGEST_BYTES];
	char text[DIGEST_TEXT_SIZE];

	while ((order = source.next(source.arg)) != NULL)
		add_order(digest, order);
	digest_end(digest, hash);
	digest_text(hash, text);
	ck_assert_str_eq(text, expected);
	digest_destroy(digest);
	generator_destroy(generator);
}
END_TEST

START_TEST(any_number_of_orders_is_a_history)
{
	for (uint64_t orders = 1; orders < 20; orders++) {
		struct seen seen = seen_create();
		char hash[DIGEST_TEXT_SIZE];

		(void)run(orders, orders * 1000003, &seen, hash);
		seen_free(&seen);
	}
}
END_TEST

static void near(const char *what, double is, double wanted, double part)
{
	ck_assert_msg(is > wanted * (1 - part) && is < wanted * (1 + part),
	              "%s: must be about %g, is %g", what, wanted, is);
}

/* The sums of the sample: 602 orders with goods of 80,793.48, freight of 13,154.32; 588 were delivered, 597 with
 * the carrier, 2 cancelled; a fourth bought in the six hours from 11 on, 12 in those from 1 on. */
START_TEST(in_number_they_are_like_the_sample)
{
	struct seen seen = seen_create();
	char hash[DIGEST_TEXT_SIZE];
	uint64_t night = 0, day = 0;
	struct past_counts counts = run(3010, 7, &seen, hash);
	const struct fold_topic *customers =
	    fold_topic_find(invariants_fold(seen.invariants), "customer");

	near("goods", (double)seen.goods, 40396740, 0.1);
	near("freight", (double)seen.freight, 6577160, 0.1);
	near("delivered", (double)seen.delivered, 2940, 0.01);
	near("shipped", (double)seen.shipped, 2985, 0.01);
	ck_assert_uint_ge(seen.cancelled, 2);
	ck_assert_uint_le(seen.cancelled, 25);
	for (size_t hour = 0; hour < 6; hour++) {
		night += seen.hours[1 + hour];
		day += seen.hours[11 + hour];
	}
	near("at night", (double)night, 75, 0.35);
	near("by day", (double)day, 1305, 0.06);
	/* Three of a hundred are of somebody who was there before. */
	near("customers", (double)customers->living, 3010 * 0.97, 0.01);
	near("events", (double)counts.events / 3010, 17.8, 0.03);
	seen_free(&seen);
}
END_TEST

START_TEST(who_cannot_take_an_event_ends_it)
{
	struct seen seen = seen_create();
	struct generator *generator = generator_create(50, 1);
	struct past_source source = generator_source(generator);
	struct past_counts counts;
	struct error err;

	seen.fails_at = 300;
	ck_assert(!past_run(&source, look, &seen, &counts, &err));
	ck_assert_int_eq(err.code, ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, "the disk is full"));
	ck_assert_uint_eq(seen.events, 300);
	generator_destroy(generator);
	seen_free(&seen);
}
END_TEST

/* One that the files cannot know: the carrier had it before it was paid, and it was delivered before that. */
static struct olist_item item = { .product = 0, .price = 100, .freight = 7 };
static struct olist_order odd = { .id = "odd",
	                          .status = OLIST_DELIVERED,
	                          .purchased = 1500000000,
	                          .approved = 1500000300,
	                          .carrier = 1500000200,
	                          .delivered = 1500000100,
	                          .items = &item,
	                          .item_count = 1,
	                          .goods = 100,
	                          .freight = 7 };

static const struct olist_order *next_odd(void *arg)
{
	bool *given = arg;
	bool first = !*given;

	*given = true;
	return first ? &odd : NULL;
}

static bool at_once(void *arg, const struct event *event, const char *data, struct error *err)
{
	static const char *const before[] = { "OrderPlaced", "OrderInStock" };
	struct entry_id id;
	uint64_t *orders = arg;
	bool paid = true;

	(void)data;
	if (strcmp(event->topic, "order") != 0)
		return true;
	++*orders;
	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		paid = paid && strcmp(event->type, before[i]) != 0;
	ck_assert(entry_id_parse(event->entry_id, &id, err));
	ck_assert_uint_eq(id.ms / 1000, paid ? 1500000300 : 1500000000);
	return true;
}

START_TEST(a_step_waits_for_the_one_before_it)
{
	struct olist_customer customer = { "c", "somebody" };
	struct olist_product product = { "p", 1 };
	struct olist olist = { .orders = &odd,
		               .order_count = 1,
		               .customers = &customer,
		               .customer_count = 1,
		               .products = &product,
		               .product_count = 1,
		               .items = &item,
		               .item_count = 1 };
	struct past_source source = { .next = next_odd };
	struct past_counts counts;
	struct plan *plan;
	struct error err;
	uint64_t orders = 0;
	bool given = false;

	ck_assert(plan_create(&olist, &plan, &err));
	source.plan = plan;
	source.arg = &given;
	ck_assert_msg(past_run(&source, at_once, &orders, &counts, &err), "%s", err.message);
	ck_assert_uint_eq(orders, 5); /* to DELIVERED */
	plan_destroy(plan);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("past");
	TCase *tests = tcase_create("past");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, the_same_seed_gives_the_same_bytes);
	tcase_add_test(tests, orders_are_the_same_everywhere);
	tcase_add_test(tests, any_number_of_orders_is_a_history);
	tcase_add_test(tests, in_number_they_are_like_the_sample);
	tcase_add_test(tests, who_cannot_take_an_event_ends_it);
	tcase_add_test(tests, a_step_waits_for_the_one_before_it);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
