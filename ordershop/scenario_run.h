/* scenario_run.h - runs a scenario on a shop, step by step, and says what does not hold. */
#ifndef ORDERSHOP_SCENARIO_RUN_H
#define ORDERSHOP_SCENARIO_RUN_H

#include "ordershop/scenario_names.h"
#include "ordershop/scenario_shop.h"

struct scenario_report {
	size_t failures;
	struct buffer text; /* for people; empty if nothing failed */
};

/* Stops after the first step that fails. */
void scenario_run(const struct scenario *scenario, const struct shop *shop,
                  struct scenario_report *report);

/* ---- For scenario_run.c and scenario_then.c ---------------------------------------------- */

struct mark; /* a named step, and how many events there were at its end */

struct play {
	const struct scenario *scenario;
	const struct shop *shop;
	struct arena *arena;      /* of the run */
	struct arena *step_arena; /* of the step */
	struct resolver resolver; /* results live in step_arena */
	const struct scenario_step *step;
	struct scenario_report *report;
	struct mark *marks;
	struct json **kept; /* of the step */
	size_t kept_count, kept_capacity;
};

/* "path:line: step 3 (name): " and the message; counts a failure. Always false. */
bool play_fail(struct play *play, int line, const char *format, ...) PRINTF(3, 4);
/* The same with what is in `err`, which may begin with the place. */
bool play_broken(struct play *play, int line, const struct error *err);
/* The events that there were at the end of the named step; 0: it has not come yet. */
size_t play_since(const struct play *play, const char *step_name);
/* The node's value, references resolved; it lives for the step. NULL after a failure. */
const struct json *play_json(struct play *play, const struct node *node);
/* Parses what the shop says; it lives for the step. Never NULL: what cannot be read is a text. */
const struct json *play_parse(struct play *play, const char *text);
/* All of `then`. */
void play_then(struct play *play, const struct node *then);

#endif
