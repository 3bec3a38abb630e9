/* rules_fixture.h - a shop in memory for the tests of the rules, and the usual commands. */
#ifndef DOMAIN_RULES_FIXTURE_H
#define DOMAIN_RULES_FIXTURE_H

#include "domain/memory_shop_fixture.h"

enum { TEXT_SIZE = 200000 };

extern struct memory_shop *shop; /* of the test that runs */
extern char text[TEXT_SIZE];     /* scratch: params */
extern const char unknown[];     /* the id of nothing */

void rules_setup(void);
void rules_teardown(void);

/* The command must fail so; `message` is a part of the text. */
void refuse(const char *service, const char *function, enum error_code code, const char *message,
            const char *format, ...) PRINTF(5, 6);

/* Each creates one and returns its id. */
const char *customer(void);
const char *product(int price);
const char *stock(const char *product_id, int amount);
const char *cart(const char *product_id);
const char *order_of(const char *cart_id, const char *more);
/* An order of one unit at 500 that settles IN_STOCK. */
const char *order(const char *more);
const char *bill(const char *order_id);

const char *status_of(const char *order_id);
/* The id that follows from another; static, until the next call. */
const char *derived(const char *space, const char *name);

#endif
