#include "domain/cache.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>

static Shop__Customer customer(const char *name)
{
	Shop__Customer customer = SHOP__CUSTOMER__INIT;
	customer.name = name;
	return customer;
}

START_TEST(keeps_the_state_and_tells_unknown_from_absent)
{
	struct cache *cache = cache_create(&shop__customer__descriptor, 1 << 20);
	struct arena *arena = arena_create();
	Shop__Customer ann = customer("Ann"), longer = customer("Ann with a longer name");
	ck_assert_ptr_null(cache_find(cache, "a"));
	cache_put(cache, "a", 1, &ann.base);
	cache_put(cache, "a", 2, &longer.base);
	const struct cached *cached = cache_find(cache, "a");
	ck_assert_uint_eq(cached->version, 2);
	ck_assert_str_eq(((const Shop__Customer *)cache_state(cached, arena))->name, longer.name);
	cached = cache_put(cache, "a", 3, NULL);
	ck_assert(!cached->exists);
	ck_assert_ptr_null(cache_state(cached, arena));
	ck_assert_uint_eq(cache_find(cache, "a")->version, 3);
	arena_destroy(arena);
	cache_destroy(cache);
}
END_TEST

START_TEST(the_least_recently_used_go_first)
{
	struct cache *cache = cache_create(&shop__customer__descriptor, 4096);
	Shop__Customer state = customer("Ann");
	char id[32];
	cache_put(cache, "used", 1, &state.base);
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "%d", i);
		cache_put(cache, id, 1, &state.base);
		ck_assert_uint_le(cache_bytes(cache), 4096);
		ck_assert_ptr_nonnull(cache_find(cache, "used"));
	}
	ck_assert_ptr_null(cache_find(cache, "0"));
	ck_assert_ptr_nonnull(cache_find(cache, "999"));
	cache_destroy(cache);
}
END_TEST

START_TEST(what_is_held_stays)
{
	struct cache *cache = cache_create(&shop__customer__descriptor, 4096);
	Shop__Customer state = customer("Ann");
	char id[32];
	const struct cached *held = cache_put(cache, "held", 1, &state.base);
	uint64_t generation = held->generation;
	cache_hold(held, "00000000-0000-4000-8000-000000000001");
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%d", i);
		cache_put(cache, id, 1, &state.base);
	}
	ck_assert_ptr_nonnull(cache_find(cache, "held"));
	cache_release(cache, "held", generation);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%d", i);
		cache_put(cache, id, 2, &state.base);
	}
	ck_assert_ptr_null(cache_find(cache, "held"));
	cache_destroy(cache);
}
END_TEST

/* Answers of appends that were made before an entity was dropped do not touch what was loaded
 * since. */
START_TEST(a_late_answer_does_not_touch_a_new_generation)
{
	struct cache *cache = cache_create(&shop__customer__descriptor, 4096);
	Shop__Customer state = customer("Ann");
	const struct cached *held = cache_put(cache, "a", 1, &state.base);
	uint64_t first = held->generation;
	cache_hold(held, "00000000-0000-4000-8000-000000000001");
	cache_drop(cache, "a", first);
	ck_assert_ptr_null(cache_find(cache, "a"));
	uint64_t second = cache_put(cache, "a", 5, &state.base)->generation;
	ck_assert_uint_ne(first, second);
	cache_release(cache, "a", first);
	cache_drop(cache, "a", first);
	ck_assert_uint_eq(cache_find(cache, "a")->version, 5);
	cache_destroy(cache);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache");
	TCase *tests = tcase_create("cache");
	tcase_add_test(tests, keeps_the_state_and_tells_unknown_from_absent);
	tcase_add_test(tests, the_least_recently_used_go_first);
	tcase_add_test(tests, what_is_held_stays);
	tcase_add_test(tests, a_late_answer_does_not_touch_a_new_generation);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
