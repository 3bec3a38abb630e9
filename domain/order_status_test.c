#include "domain/order_status.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

/* Written down a second time, as a picture: rows are statuses, columns are moves in the order of
 * enum order_move; '.' is a move that cannot be. Letters are the statuses below. */
static const char letters[] = "CIOLUSDX"; /* CREATED IN_STOCK OUT_OF_STOCK CLEARED ... */
static const char *const picture[ORDER_STATUSES] = {
	"IO....X", /* CREATED */
	"..L...X", /* IN_STOCK */
	"I.....X", /* OUT_OF_STOCK */
	"...US.X", /* CLEARED */
	"..L...X", /* UNCLEARED */
	".....DX", /* SHIPPED */
	".......", /* DELIVERED */
	".......", /* CANCELLED */
};

START_TEST(every_pair_of_status_and_move)
{
	for (int from = 0; from < ORDER_STATUSES; from++) {
		for (int move = 0; move < ORDER_MOVES; move++) {
			Shop__OrderStatus next = (Shop__OrderStatus)99;
			struct error err = { .code = ERR_NONE };
			bool ok = order_status_next((Shop__OrderStatus)from, (enum order_move)move,
			                            &next, &err);
			char wanted = picture[from][move];
			ck_assert(ok == order_can((Shop__OrderStatus)from, (enum order_move)move));
			ck_assert_msg(ok == (wanted != '.'), "%d %d", from, move);
			if (ok) {
				ck_assert_int_eq(letters[next], wanted);
				continue;
			}
			ck_assert_int_eq((int)next, 99);
			ck_assert_int_eq(err.code, ERR_PRECONDITION);
			ck_assert_ptr_nonnull(
			    strstr(err.message, order_status_name((Shop__OrderStatus)from)));
		}
	}
}
END_TEST

START_TEST(final_statuses_are_those_without_a_move)
{
	for (int from = 0; from < ORDER_STATUSES; from++)
		ck_assert(order_status_final((Shop__OrderStatus)from) ==
		          (strspn(picture[from], ".") == ORDER_MOVES));
}
END_TEST

START_TEST(refusals_say_what_would_do)
{
	Shop__OrderStatus next;
	struct error err;
	ck_assert(!order_status_next(SHOP__ORDER_STATUS__CREATED, ORDER_BILL, &next, &err));
	ck_assert_str_eq(err.message, "cannot bill an order that is CREATED: it must be one of "
	                              "IN_STOCK, UNCLEARED");
	ck_assert(!order_status_next(SHOP__ORDER_STATUS__DELIVERED, ORDER_CANCEL, &next, &err));
	ck_assert_str_eq(err.message,
	                 "cannot cancel an order that is DELIVERED: it must be one of CREATED, "
	                 "OUT_OF_STOCK, IN_STOCK, CLEARED, UNCLEARED, SHIPPED");
}
END_TEST

START_TEST(moves_and_statuses_have_names)
{
	ck_assert_str_eq(order_move_event(ORDER_RESERVE), "OrderInStock");
	ck_assert_str_eq(order_move_event(ORDER_CANCEL), "OrderCancelled");
	ck_assert_str_eq(order_status_name(SHOP__ORDER_STATUS__UNCLEARED), "UNCLEARED");
	ck_assert_str_eq(order_status_name((Shop__OrderStatus)99), "unknown");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("order_status");
	TCase *all = tcase_create("all");
	tcase_add_test(all, every_pair_of_status_and_move);
	tcase_add_test(all, final_statuses_are_those_without_a_move);
	tcase_add_test(all, refusals_say_what_would_do);
	tcase_add_test(all, moves_and_statuses_have_names);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
