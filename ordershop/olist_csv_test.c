#include "ordershop/olist_csv.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(money_is_read_exactly)
{
	static const struct {
		const char *text;
		int64_t amount; /* -1: refused */
	} cases[] = {
		{ "109.90", 10990 },
		{ "0", 0 },
		{ "0.01", 1 },
		{ "7.5", 750 },
		{ "13154.32", 1315432 },
		{ "10000000000.00", 1000000000000 },
		{ "10000000000.01", -1 },
		{ "99999999999999999999", -1 },
		{ "", -1 },
		{ "-1.00", -1 },
		{ "1.005", -1 },
		{ "1.", -1 },
		{ ".5", -1 },
		{ "1,50", -1 },
		{ " 1", -1 },
		{ "1e3", -1 },
		{ "1.00 ", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err;
		int64_t amount = -1;
		bool read = olist_money(cases[i].text, &amount, &err);

		ck_assert_msg(read == (cases[i].amount >= 0), "'%s'", cases[i].text);
		ck_assert_msg(amount == cases[i].amount, "'%s'", cases[i].text);
	}
}
END_TEST

START_TEST(times_are_utc)
{
	struct error err;
	int64_t seconds = -1;

	ck_assert(olist_time("2018-07-24 20:41:37", &seconds, &err));
	ck_assert_int_eq(seconds, 1532464897);
	ck_assert(olist_time("", &seconds, &err));
	ck_assert_int_eq(seconds, 0);
	ck_assert(!olist_time("2018-07-24", &seconds, &err));
	ck_assert(!olist_time("yesterday", &seconds, &err));
	ck_assert(!olist_time("2018-07-24 20:41:37x", &seconds, &err));
}
END_TEST

/* ---- Whole folders ----------------------------------------------------------------------- */

static char folder[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/olist_%s_dataset.csv", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static const char *const files[] = { "customers", "orders", "order_items", "order_payments" };

static void set_up(void)
{
	strcpy(folder, "/tmp/olist-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_file("customers",
	           "customer_id,customer_unique_id,city\nc1,u1,\"A, \"\"B\"\"\"\nc2,u2,C\n");
	write_file("orders",
	           "\"order_id\",\"customer_id\",\"order_status\",\"order_purchase_timestamp\","
	           "\"order_approved_at\",\"order_delivered_carrier_date\","
	           "\"order_delivered_customer_date\"\r\n"
	           "late,c1,delivered,2020-02-02 10:00:00,2020-02-02 10:05:00,"
	           "2020-02-03 00:00:00,2020-02-09 12:00:00\r\n"
	           "early,c2,canceled,2020-01-01 10:00:00,,,\r\n");
	write_file("order_items", "order_id,product_id,price,freight_value\n"
	                          "late,p1,10.00,1.50\nearly,p2,5.00,0.50\nlate,p1,10.00,1.50\n");
	write_file("order_payments", "order_id,payment_value\nlate,20.00\nlate,3.00\nearly,5.50\n");
}

static void tear_down(void)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/olist_%s_dataset.csv", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

START_TEST(orders_come_by_time_with_their_items)
{
	struct olist *olist;
	struct error err;

	ck_assert_msg(olist_load(folder, &olist, &err), "%s", err.message);
	ck_assert_uint_eq(olist->order_count, 2);
	ck_assert_str_eq(olist->orders[0].id, "early");
	ck_assert_int_eq(olist->orders[0].status, OLIST_CANCELED);
	ck_assert_int_eq(olist->orders[0].approved, 0);
	ck_assert_uint_eq(olist->orders[1].item_count, 2);
	ck_assert_int_eq(olist->orders[1].goods, 2000);
	ck_assert_int_eq(olist->orders[1].freight, 300);
	ck_assert_int_eq(olist->orders[1].paid, 2300);
	ck_assert_int_eq(olist->orders[1].items[1].price, 1000);
	ck_assert_uint_eq(olist->orders[1].items[0].product, olist->orders[1].items[1].product);
	ck_assert_int_eq(olist->products[olist->orders[1].items[0].product].units, 2);
	ck_assert_str_eq(olist->customers[olist->orders[1].customer].unique_id, "u1");
	olist_free(olist);
}
END_TEST

static const struct {
	const char *file, *text, *words;
} wrong[] = {
	{ "orders", "order_id,customer_id\n", "csv:1: there is no column order_status" },
	{ "order_items", "order_id,product_id,price,freight_value\nlate,p1,1.00\n",
	  "csv:2: 3 fields instead of 4" },
	{ "order_items", "order_id,product_id,price,freight_value\n\nnone,p1,1.00,1.00\n",
	  "csv:3: there is no order none" },
	{ "order_items", "order_id,product_id,price,freight_value\nlate,p1,1.001,1.00\n",
	  "csv:2: '1.001' is not an amount" },
	{ "customers", "customer_id,customer_unique_id\nc1,u1\nc1,u2\n",
	  "csv:3: customer_id c1 stands here again" },
	{ "customers", "customer_id,customer_unique_id\nc1,\"u1\n",
	  "csv:2: a quote is not closed" },
	{ "customers", "", "is empty" },
};

START_TEST(what_is_wrong_is_named_with_its_line)
{
	struct olist *olist;
	struct error err;

	write_file(wrong[_i].file, wrong[_i].text);
	ck_assert(!olist_load(folder, &olist, &err));
	ck_assert_msg(strstr(err.message, wrong[_i].words) != NULL, "%s", err.message);
}
END_TEST

START_TEST(a_folder_without_files_is_an_error)
{
	struct olist *olist;
	struct error err;

	ck_assert(!olist_load("/nonexistent", &olist, &err));
	ck_assert_int_eq(err.code, ERR_NOT_FOUND);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("olist_csv");
	TCase *texts = tcase_create("texts");
	TCase *folders = tcase_create("folders");

	tcase_add_test(texts, money_is_read_exactly);
	tcase_add_test(texts, times_are_utc);
	tcase_add_test(texts, a_folder_without_files_is_an_error);
	tcase_add_checked_fixture(folders, set_up, tear_down);
	tcase_add_test(folders, orders_come_by_time_with_their_items);
	tcase_add_loop_test(folders, what_is_wrong_is_named_with_its_line, 0, ARRAY_LEN(wrong));
	suite_add_tcase(suite, texts);
	suite_add_tcase(suite, folders);
	return run_suite(suite);
}
