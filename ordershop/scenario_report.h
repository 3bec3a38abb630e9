/* scenario_report.h - what came of scenarios: lines for people, JUnit XML for machines. */
#ifndef ORDERSHOP_SCENARIO_REPORT_H
#define ORDERSHOP_SCENARIO_REPORT_H

#include "ordershop/scenario_run.h"

enum outcome_state { OUTCOME_OK, OUTCOME_FAILED, OUTCOME_SKIPPED, OUTCOME_ERROR, OUTCOME_STATES };

struct scenario_outcome {
	const char *path, *title;
	enum outcome_state state;
	const char *text; /* what failed, why it was skipped or could not be run */
	uint64_t us;      /* how long it took */
};

/* One line, and what failed. */
void outcome_print(const struct scenario_outcome *outcome);
void outcome_print_summary(const size_t counts[OUTCOME_STATES]);
/* Writes the whole file, at most 64 MiB. */
MUST_USE bool outcome_write_junit(const char *path, const struct scenario_outcome *outcomes,
                                  size_t count, struct error *err);

#endif
