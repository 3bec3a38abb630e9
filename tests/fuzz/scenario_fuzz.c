/* A scenario file: read, and run in process when it can be. */
#include "tests/fuzz/fuzz.h"
#include "base/json.h"
#include "ordershop/scenario_memory.h"
#include "ordershop/scenario_run.h"

#include <string.h>

static void run(const struct scenario *scenario)
{
	struct shop shop;
	struct scenario_report report;
	scenario_memory_open(scenario->start_us, scenario->seed, NULL, &shop);
	scenario_run(scenario, &shop, &report);
	ASSERT((report.failures > 0) == (report.text.len > 0));
	buffer_free(&report.text);
	shop.methods->close(shop.shop);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_create();
	struct scenario scenario;
	struct error err;
	if (scenario_read(fuzz_file(bytes, len), arena, &scenario, &err))
		run(&scenario);
	else
		fuzz_check_error(&err);
	arena_destroy(arena);
	return 0;
}
