/* olist_generator.h - orders that never were, like those of the sample in number: items, prices, freight, the time
 * between the steps, the shares of states, the hours, days and months.
 *
 * The tables come from the 602 orders of the public sample of Olist; they are in olist_numbers.h. What the sample
 * cannot tell was set: it has no customer twice, of all its orders about 3 % are such; stock is refilled.
 *
 * The same number and seed give the same orders on every machine: only integers are used. Memory is bounded: at
 * most PRODUCTS_MAX products, customers who have an order under way or may come back, and one order. */
#ifndef ORDERSHOP_OLIST_GENERATOR_H
#define ORDERSHOP_OLIST_GENERATOR_H

#include "ordershop/past.h"

#define GENERATOR_ORDERS_MAX INT64_C(100000000)

struct generator;

/* `orders`: 1 to GENERATOR_ORDERS_MAX. */
struct generator *generator_create(uint64_t orders, uint64_t seed);
void generator_destroy(struct generator *generator); /* NULL is fine */
/* Lives as long as the generator. */
struct past_source generator_source(struct generator *generator);

#endif
