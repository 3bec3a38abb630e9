/* scenario_report.h - what came of scenarios: lines for people, JUnit XML for machines. */
#ifndef ORDERSHOP_SCENARIO_REPORT_H
#define ORDERSHOP_SCENARIO_REPORT_H

#include "ordershop/scenario_run.h"

enum outcome_state { OUTCOME_OK, OUTCOME_FAILED, OUTCOME_SKIPPED, OUTCOME_STATES };

struct scenario_outcome {
	const char *path, *title;
	enum outcome_state state;
	const char *text; /* what failed, or why it was skipped */
	uint64_t us;      /* how long it took */
};

/* One line, and what failed. */
void outcome_print(const struct scenario_outcome *outcome);
void outcome_print_summary(const size_t counts[OUTCOME_STATES]);
/* Writes the whole file. */
MUST_USE bool outcome_write_junit(const char *path, const struct scenario_outcome *outcomes,
                                  size_t count, struct error *err);

#endif
