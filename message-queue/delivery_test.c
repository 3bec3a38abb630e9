#include "message-queue/delivery.h"
#include "tests/support/suite.h"

#include <check.h>

/* Every pair: rows are states, columns events; '.' is refused. */
static const char *const expected[DELIVERY_STATES] = {
	/* reserve settle retry expire bury ack respond requeue */
	[DELIVERY_READY] = "FD...AD.", [DELIVERY_IN_FLIGHT] = ".DRRXAF.",
	[DELIVERY_ACKED] = "......D.", [DELIVERY_DONE] = "........",
	[DELIVERY_DEAD] = ".......R",
};
static const char letters[DELIVERY_STATES] = { 'R', 'F', 'A', 'D', 'X' };

START_TEST(every_pair)
{
	for (int from = 0; from < DELIVERY_STATES; from++) {
		for (int event = 0; event < DELIVERY_EVENTS; event++) {
			enum delivery_state next = DELIVERY_STATES;
			struct error err = { 0 };
			bool ok = delivery_next((enum delivery_state)from,
			                        (enum delivery_event)event, &next, &err);
			char want = expected[from][event];
			ck_assert_msg(ok == (want != '.'), "%s %s",
			              delivery_event_name((enum delivery_event)event),
			              delivery_state_name((enum delivery_state)from));
			if (ok) {
				ck_assert_int_eq(letters[next], want);
			} else {
				ck_assert_int_eq(next, DELIVERY_STATES);
				ck_assert_int_eq(err.code, ERR_CONFLICT);
			}
		}
	}
}
END_TEST

START_TEST(failures_end)
{
	ck_assert_int_eq(delivery_after_failure(1, 5), DELIVERY_RETRY);
	ck_assert_int_eq(delivery_after_failure(4, 5), DELIVERY_RETRY);
	ck_assert_int_eq(delivery_after_failure(5, 5), DELIVERY_BURY);
	ck_assert_int_eq(delivery_after_failure(1, 1), DELIVERY_BURY);
}
END_TEST

START_TEST(backoff_grows_and_ends)
{
	static const uint32_t middle[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
	for (uint32_t i = 0; i < ARRAY_LEN(middle); i++) {
		for (uint32_t random = 0; random < 20000; random += 7) {
			uint32_t delay_ms = delivery_backoff_ms(i + 1, random);
			ck_assert_uint_ge(delay_ms, middle[i] * 3 / 4);
			ck_assert_uint_le(delay_ms, middle[i] * 5 / 4);
		}
	}
	ck_assert_uint_ge(delivery_backoff_ms(1000000, 0), 7500);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("delivery");
	tcase_add_test(tcase, every_pair);
	tcase_add_test(tcase, failures_end);
	tcase_add_test(tcase, backoff_grows_and_ends);
	Suite *suite = suite_create("delivery");
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
