/* The files of the importer: lines, amounts and times. */
#include "tests/fuzz/fuzz.h"
#include "ordershop/csv.h"
#include "ordershop/olist_csv.h"

static const char *const columns[] = { "order_id", "price", "shipping_limit_date" };

static void read_line(const struct csv *csv, const char **fields)
{
	struct error err;
	int64_t money, seconds;
	if (olist_money(fields[1], &money, &err))
		ASSERT(money >= 0 && money <= 1000000000000);
	else
		ASSERT(!csv_wrap(csv, &err));
	if (olist_time(fields[2], &seconds, &err))
		ASSERT(seconds >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct csv *csv;
	struct error err;
	const char *fields[ARRAY_LEN(columns)];
	bool end = false;
	if (!csv_open(fuzz_file(bytes, len), columns, ARRAY_LEN(columns), &csv, &err)) {
		fuzz_check_error(&err);
		return 0;
	}
	while (!end) {
		if (!csv_next(csv, fields, &end, &err)) {
			fuzz_check_error(&err);
			break;
		}
		if (!end)
			read_line(csv, fields);
	}
	csv_close(csv);
	return 0;
}
