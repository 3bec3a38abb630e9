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

/* ---- For scenario_run.c and the files of its steps --------------------------------------- */

struct mark; /* a named step, and how many events there were at its end */

struct trial {
	const struct scenario *scenario;
	const struct shop *shop;
	struct arena *arena;      /* of the run */
	struct arena *step_arena; /* of the step */
	struct resolver resolver; /* results live in step_arena */
	const struct scenario_step *step;
	struct scenario_report *report;
	struct mark *marks;
	struct json **kept; /* of the step */
	size_t kept_count;
};

/* "path:line: step 3 (name): " and the message; counts a failure. Always false. */
bool trial_fail(struct trial *trial, int line, const char *format, ...) PRINTF(3, 4);
/* The same with what is in `err`, which may begin with the place. */
bool trial_broken(struct trial *trial, int line, const struct error *err);
/* The events that there were at the end of the named step; 0: it has not come yet. */
size_t trial_since(const struct trial *trial, const char *step_name);
/* The node's value as JSON, references resolved; it lives for the step. NULL after a failure. */
const char *trial_text(struct trial *trial, const struct node *node);
const struct json *trial_json(struct trial *trial, const struct node *node);
/* Parses what the shop says; it lives for the step. Never NULL: what cannot be read is a text. */
const struct json *trial_parse(struct trial *trial, const char *text);
/* The id of what a command creates with these params; NULL: none follows from them. */
const char *trial_created_id(struct trial *trial, const char *topic, const char *message_id,
                             const struct json *params, size_t index);
/* `id` NULL is a failure. */
bool trial_bind(struct trial *trial, const struct node *name, const char *topic, const char *id);
/* The steps; false after a failure. */
bool trial_when(struct trial *trial);
bool trial_given(struct trial *trial);
/* All of `then`. */
void trial_then(struct trial *trial, const struct node *then);

#endif
