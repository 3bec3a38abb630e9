#include "base/heap.h"
#include "base/random.h"
#include "tests/support/suite.h"

#include <check.h>

enum { ITEMS = 500, TIMES = 40 };

static struct heap_item items[ITEMS];
static struct heap heap;

/* Everything comes out in order, also after some was taken from the middle. */
START_TEST(first_comes_first)
{
	uint64_t random = (uint64_t)_i;
	for (size_t i = 0; i < ITEMS; i++) {
		items[i] = (struct heap_item){ random_next(&random) % TIMES, i, 0 };
		heap_put(&heap, &items[i]);
	}
	for (size_t i = 0; i < ITEMS; i += 3)
		heap_take(&heap, &items[i]);
	const struct heap_item *before = NULL;
	size_t count = 0;
	for (struct heap_item *item; (item = heap_first(&heap)) != NULL; count++) {
		heap_take(&heap, item);
		ck_assert_uint_eq(item->place, 0);
		ck_assert((item - items) % 3 != 0);
		ck_assert(before == NULL || before->at < item->at ||
		          (before->at == item->at && before->number < item->number));
		before = item;
	}
	ck_assert_uint_eq(count, ITEMS - (ITEMS + 2) / 3);
	heap_free(&heap);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *all = tcase_create("all");
	tcase_add_loop_test(all, first_comes_first, 0, 20);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
