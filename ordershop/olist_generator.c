#include "ordershop/olist_generator.h"
#include "base/random.h"
#include "ordershop/olist_numbers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ID_SIZE = 33, /* 32 hex digits, as the sample has them */
	ITEMS_MAX = 6,
	PRODUCTS_MIN = 2 * ITEMS_MAX,
	PRODUCTS_MAX = 10000,
	UNITS = 100, /* of a full stock */
	/* Of a hundred orders, those of somebody who was there before; of a hundred customers, those who may come
	 * back, of whom so many are remembered. */
	RETURNING = 3,
	MAY_RETURN = 10,
	REMEMBERED_MAX = 1000,
	HOURS_MAX = NUMBERS_MONTHS * 31 * 24,
};

struct person {
	struct olist_customer from;
	char id[ID_SIZE];
	bool may_return;
};

struct offer {
	struct olist_product from;
	char id[ID_SIZE];
	int64_t price; /* of now */
};

struct generator {
	uint64_t orders, made;
	uint64_t seed, random;
	struct plan plan;
	struct offer *offers;
	size_t offer_count;
	struct person **people; /* as plan.customers; NULL: a free place */
	size_t people_capacity, *free_places, free_count;
	size_t remembered[REMEMBERED_MAX], remembered_count;
	uint64_t person_number;
	/* The hours of the time that is covered: weights, and where the orders have come to. */
	uint64_t weights[HOURS_MAX], weight_sum;
	uint64_t start_s, hour, weight_before;
	struct olist_order order;
	struct olist_item items[ITEMS_MAX];
	char order_id[ID_SIZE];
};

/* ---- Random numbers ---------------------------------------------------------------------- */

static uint32_t draw(struct generator *generator)
{
	return (uint32_t)(random_next(&generator->random) >> 32);
}

static uint64_t draw_below(struct generator *generator, uint64_t count)
{
	return draw(generator) * count >> 32;
}

/* Follows from the seed alone, whatever was drawn before. */
static uint64_t fixed(const struct generator *generator, char kind, uint64_t number)
{
	return random_mix(random_mix(generator->seed + (uint64_t)kind) +
	                  number * 0x9E3779B97F4A7C15);
}

static void make_id(const struct generator *generator, char kind, uint64_t number,
                    char out[ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t half = fixed(generator, kind, number), other = random_mix(half + number);

	for (int i = 0; i < 16; i++) {
		out[i] = digits[half >> 4 * i & 15];
		out[16 + i] = digits[other >> 4 * i & 15];
	}
	out[ID_SIZE - 1] = '\0';
}

/* A value spread as the sample's: evenly between two of its places, but towards the lower one in the last
 * part, which reaches to the one greatest value. */
static int64_t pick(const int64_t places[PLACES], uint32_t random)
{
	uint64_t at = (uint64_t)random * (PLACES - 1), part = at >> 32, rest = at & UINT32_MAX;
	int64_t from = places[part], to = places[part + 1];

	if (part == PLACES - 2) {
		rest = rest * rest >> 32;
		rest = rest * rest >> 32;
	}
	return from + (to - from) * (int64_t)(rest >> 16) / 65536;
}

/* ---- The times --------------------------------------------------------------------------- */

static time_t day_of(int year, int month, int day)
{
	struct tm parts = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };

	return timegm(&parts);
}

/* An hour gets its part of the month, by day of the week and hour of the day. */
static void weigh_hours(struct generator *generator)
{
	size_t hour = 0;

	generator->start_s = (uint64_t)day_of(NUMBERS_YEAR, NUMBERS_MONTH, 1);
	for (int i = 0; i < NUMBERS_MONTHS; i++) {
		time_t from = day_of(NUMBERS_YEAR, NUMBERS_MONTH + i, 1);
		time_t to = day_of(NUMBERS_YEAR, NUMBERS_MONTH + i + 1, 1);
		uint64_t hours = (uint64_t)(to - from) / 3600;

		for (time_t at = from; at < to; at += 3600) {
			/* 1970 began on a Thursday, four days before a Monday. */
			size_t weekday = (size_t)((at / 86400 + 3) % 7);
			uint64_t weight = (uint64_t)orders_of_month[i] *
			                  orders_of_weekday[weekday] *
			                  orders_of_hour[at / 3600 % 24] * 1000 / hours;

			generator->weights[hour++] = weight;
			generator->weight_sum += weight;
		}
	}
}

/* The orders stand evenly in the sum of all weights, each at a random place of its part; so they come in order of
 * time, however many there are. */
static int64_t next_time(struct generator *generator)
{
	unsigned __int128 place = (unsigned __int128)generator->made << 32 | draw(generator);
	uint64_t at = (uint64_t)(place * generator->weight_sum /
	                         ((unsigned __int128)generator->orders << 32));

	while (at >= generator->weight_before + generator->weights[generator->hour])
		generator->weight_before += generator->weights[generator->hour++];
	at = (at - generator->weight_before) * 3600 / generator->weights[generator->hour];
	return (int64_t)(generator->start_s + generator->hour * 3600 + at);
}

/* ---- Customers --------------------------------------------------------------------------- */

static size_t free_place(struct generator *generator)
{
	size_t old = generator->people_capacity, capacity = old == 0 ? 256 : 2 * old;

	if (generator->free_count > 0)
		return generator->free_places[--generator->free_count];
	generator->people = realloc(generator->people, capacity * sizeof(struct person *));
	generator->free_places = realloc(generator->free_places, capacity * sizeof(size_t));
	generator->plan.customers =
	    realloc(generator->plan.customers, capacity * sizeof(*generator->plan.customers));
	ASSERT(generator->people && generator->free_places && generator->plan.customers);
	for (size_t i = capacity; i > old; i--) {
		generator->people[i - 1] = NULL;
		generator->free_places[generator->free_count++] = i - 1;
	}
	generator->people_capacity = capacity;
	return generator->free_places[--generator->free_count];
}

static size_t new_customer(struct generator *generator)
{
	size_t place = free_place(generator);
	struct person *person = malloc(sizeof(*person));
	uint64_t number = generator->person_number++;

	ASSERT(person);
	make_id(generator, 'c', number, person->id);
	person->from = (struct olist_customer){ .id = person->id, .unique_id = person->id };
	person->may_return = fixed(generator, 'r', number) % 100 < MAY_RETURN;
	generator->people[place] = person;
	plan_customer_init(&generator->plan.customers[place], &person->from);
	return place;
}

static size_t next_customer(struct generator *generator)
{
	size_t *remembered = generator->remembered, i, place;
	bool returning = draw_below(generator, 100) < RETURNING;

	if (!returning || generator->remembered_count == 0)
		return new_customer(generator);
	i = draw_below(generator, generator->remembered_count);
	place = remembered[i];
	remembered[i] = remembered[--generator->remembered_count];
	return place;
}

static bool finished(void *arg, const struct olist_order *order)
{
	struct generator *generator = arg;
	size_t place = order->customer;

	if (generator->people[place]->may_return && generator->remembered_count < REMEMBERED_MAX) {
		generator->remembered[generator->remembered_count++] = place;
		return false;
	}
	free(generator->people[place]);
	generator->people[place] = NULL;
	generator->free_places[generator->free_count++] = place;
	return true;
}

/* ---- Products ---------------------------------------------------------------------------- */

static void make_offers(struct generator *generator)
{
	size_t count = generator->orders < PRODUCTS_MIN   ? PRODUCTS_MIN
	               : generator->orders > PRODUCTS_MAX ? PRODUCTS_MAX
	                                                  : generator->orders;

	generator->offer_count = count;
	generator->offers = calloc(count, sizeof(*generator->offers));
	generator->plan.products = calloc(count, sizeof(*generator->plan.products));
	ASSERT(generator->offers && generator->plan.products);
	for (size_t i = 0; i < count; i++) {
		struct offer *offer = &generator->offers[i];

		make_id(generator, 'p', i, offer->id);
		offer->from = (struct olist_product){ .id = offer->id, .units = UNITS };
		offer->price = pick(price_places, (uint32_t)(fixed(generator, '$', i) >> 32));
		plan_product_init(&generator->plan.products[i], &offer->from);
		generator->plan.products[i].first_price = offer->price;
	}
}

/* Those with small numbers are liked best. */
static size_t liked_product(struct generator *generator)
{
	uint64_t first = draw(generator), second = draw(generator);

	return (first * second >> 32) * generator->offer_count >> 32;
}

static bool taken(const struct generator *generator, size_t count, size_t product)
{
	for (size_t i = 0; i < count; i++) {
		if (generator->items[i].product == product)
			return true;
	}
	return false;
}

static size_t other_product(struct generator *generator, size_t count)
{
	size_t product = liked_product(generator);

	while (taken(generator, count, product))
		product = (product + 1) % generator->offer_count;
	return product;
}

/* 70 to 120 % of what it cost first, as in the sample. */
static void change_price(struct generator *generator, size_t product)
{
	int64_t first = generator->plan.products[product].first_price;

	generator->offers[product].price = first * (70 + (int64_t)draw_below(generator, 51)) / 100;
}

/* ---- Orders ------------------------------------------------------------------------------ */

/* The row in which one of all orders falls; `orders` is that member of the first of `count` rows. */
static size_t draw_row(struct generator *generator, const uint16_t *orders, size_t row_size,
                       size_t count)
{
	size_t stride = row_size / sizeof(*orders), row = 0;
	uint64_t sum = 0, at;

	for (size_t i = 0; i < count; i++)
		sum += orders[i * stride];
	for (at = draw_below(generator, sum); at >= orders[row * stride]; row++)
		at -= orders[row * stride];
	return row;
}

/* Each of its products once, the first one for what is left. */
static void fill_items(struct generator *generator)
{
	struct olist_order *order = &generator->order;
	size_t size = draw_row(generator, &sizes[0].orders, sizeof(sizes[0]), ARRAY_LEN(sizes));

	for (size_t i = 0; i < sizes[size].items; i++) {
		struct olist_item *item = &generator->items[i];

		item->product = i < sizes[size].products ? other_product(generator, i)
		                                         : generator->items[0].product;
		if (i == 0 && draw_below(generator, PRICE_ORDERS) < PRICE_CHANGES)
			change_price(generator, item->product);
		item->price = generator->offers[item->product].price;
		item->freight = pick(freight_places, draw(generator));
		order->goods += item->price;
		order->freight += item->freight;
	}
	order->items = generator->items;
	order->item_count = sizes[size].items;
	order->paid = order->goods + order->freight;
}

static void fill_times(struct generator *generator)
{
	struct olist_order *order = &generator->order;
	size_t end = draw_row(generator, &ends[0].orders, sizeof(ends[0]), ARRAY_LEN(ends));

	order->status = ends[end].status;
	order->approved = order->purchased + pick(approval_places, draw(generator));
	if (ends[end].carrier)
		order->carrier = order->approved + pick(carrier_places, draw(generator));
	if (ends[end].delivered)
		order->delivered = order->carrier + pick(delivery_places, draw(generator));
}

static const struct olist_order *next_order(void *arg)
{
	struct generator *generator = arg;
	struct olist_order *order = &generator->order;

	if (generator->made == generator->orders)
		return NULL;
	make_id(generator, 'o', generator->made, generator->order_id);
	*order = (struct olist_order){ .id = generator->order_id };
	order->purchased = next_time(generator);
	order->customer = next_customer(generator);
	fill_items(generator);
	fill_times(generator);
	generator->made++;
	return order;
}

/* ---- Its life ---------------------------------------------------------------------------- */

struct generator *generator_create(uint64_t orders, uint64_t seed)
{
	struct generator *generator = calloc(1, sizeof(*generator));

	ASSERT(generator);
	generator->orders = orders;
	generator->seed = generator->random = random_mix(seed);
	weigh_hours(generator);
	make_offers(generator);
	return generator;
}

void generator_destroy(struct generator *generator)
{
	if (!generator)
		return;
	for (size_t i = 0; i < generator->people_capacity; i++)
		free(generator->people[i]);
	free(generator->people);
	free(generator->free_places);
	free(generator->offers);
	free(generator->plan.customers);
	free(generator->plan.products);
	free(generator);
}

struct past_source generator_source(struct generator *generator)
{
	return (struct past_source){
		.plan = &generator->plan, .next = next_order, .finished = finished, .arg = generator
	};
}
