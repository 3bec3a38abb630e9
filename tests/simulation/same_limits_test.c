/* The shop in memory keeps the limits of the queue and of the event store, which it cannot include. */
#include "domain/limits.h"
#include "event-store/group.h"
#include "event-store/store_internal.h"
#include "tests/support/suite.h"

#include <check.h>

/* limits_queue.c: the headers of both stores do not go together. */
int limits_queue_outcome_s(void);

START_TEST(limits_are_those_of_the_services)
{
	ck_assert_int_eq(EVENT_ATTEMPTS, GROUP_ATTEMPTS);
	ck_assert_int_eq(EVENT_LEASE_MS, GROUP_LEASE_MS);
	ck_assert_int_eq(EVENT_ID_KEPT_S, 2 * BUCKET_HOURS * 3600);
	ck_assert_int_eq(OUTCOME_KEPT_S, limits_queue_outcome_s());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = tcase_create("limits");
	tcase_add_test(tcase, limits_are_those_of_the_services);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
