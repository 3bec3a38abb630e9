/* Histories: random ones in memory, and those of orders that are written into an empty shop by their commands. */
#include "bench/bench.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 3000000, ORDERS = 10000, PROMISED_STEPS = 100000, PROMISED_ORDERS = 602 };

/* Runs a command to its end; *amount is the number before `unit` in what it tells. */
static bool run(const char *const *argv, const char *unit, double *amount, double *per_second,
                struct error *err)
{
	char line[256];
	uint64_t begin = clock_monotonic_us();
	if (!shop_process_run(argv, unit, line, err))
		return false;
	double seconds = (double)(clock_monotonic_us() - begin) / 1e6;
	const char *at = strstr(line, unit);
	while (at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	*amount = strtod(at, NULL);
	*per_second = *amount / seconds;
	return true;
}

/* `data` is the place in `argv` for the shop's folder. */
static bool run_in_empty_shop(const char **argv, const char **data, const char *unit,
                              double *amount, double *per_second, struct error *err)
{
	struct shop_process shop;
	if (!shop_process_start(&shop, err))
		return false;
	*data = shop.folder;
	bool done = run(argv, unit, amount, per_second, err);
	shop_process_stop(&shop);
	return done;
}

bool measure_simulator(struct bench *bench, struct error *err)
{
	char steps[24];
	const char *argv[] = { "ordershop", "simulate", "--seed", "1", "--steps", steps, NULL };
	double amount, rate;
	snprintf(steps, sizeof(steps), "%" PRIu64, bench_scaled(bench, STEPS));
	if (!run(argv, " steps", &amount, &rate, err))
		return false;
	bench_row("simulator, every invariant after each event", rate, "steps/s", PROMISED_STEPS,
	          false, "");
	return true;
}

bool measure_generate(struct bench *bench, struct error *err)
{
	char orders[24];
	const char *argv[] = { "ordershop", "generate", "--orders", orders, "--data", NULL, NULL };
	double amount, rate;
	snprintf(orders, sizeof(orders), "%" PRIu64, bench_scaled(bench, ORDERS));
	if (!run_in_empty_shop(argv, &argv[5], " events in", &amount, &rate, err))
		return false;
	bench_row("generated orders into an empty shop", rate, "events/s", 0, false,
	          "with the read model");
	return true;
}

bool measure_replay(struct bench *bench, struct error *err)
{
	static const char *const folders[] = { "../shared/data/olist", "tests/fixtures/olist" };
	const char *argv[] = { "ordershop", "replay", "olist", NULL, "--data", NULL, NULL };
	double orders, rate;
	char note[64];
	(void)bench;
	for (size_t i = 0; i < ARRAY_LEN(folders) && argv[3] == NULL; i++)
		argv[3] = access(folders[i], R_OK) == 0 ? folders[i] : NULL;
	if (argv[3] == NULL) {
		fprintf(stderr, "replay was left out: there is no %s here\n", folders[1]);
		return true;
	}
	if (!run_in_empty_shop(argv, &argv[5], " orders from", &orders, &rate, err))
		return false;
	snprintf(note, sizeof(note), "%.0f orders, read model and verification too", orders);
	bench_row("replay of real orders into an empty shop", rate, "orders/s",
	          orders < PROMISED_ORDERS ? 0 : PROMISED_ORDERS, false, note);
	return true;
}
