/* The shop in memory keeps the limits of the queue and of the event store, which it cannot include. */
#include "domain/limits.h"
#include "event-store/group.h"
#include "event-store/store_internal.h"
#include "tests/support/suite.h"

#include <check.h>

/* limits_queue.c: the headers of both stores do not go together. */
int limits_queue_outcome_s(void);
unsigned limits_queue_backoff_ms(unsigned attempt);

START_TEST(limits_are_those_of_the_services)
{
	ck_assert_int_eq(EVENT_ATTEMPTS, GROUP_ATTEMPTS);
	ck_assert_int_eq(EVENT_LEASE_MS, GROUP_LEASE_MS);
	ck_assert_int_eq(EVENT_ID_KEPT_S, 2 * BUCKET_HOURS * 3600);
	ck_assert_int_eq(OUTCOME_KEPT_S, limits_queue_outcome_s());
}
END_TEST

/* Each delivery is refused at once. */
START_TEST(an_outage_of_four_minutes_parks_nothing)
{
	unsigned waited_ms = 0;
	for (unsigned attempt = 1; attempt < MESSAGE_ATTEMPTS; attempt++)
		waited_ms += limits_queue_backoff_ms(attempt);
	ck_assert_uint_gt(waited_ms, 4 * 60 * 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = tcase_create("limits");
	tcase_add_test(tcase, limits_are_those_of_the_services);
	tcase_add_test(tcase, an_outage_of_four_minutes_parks_nothing);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
