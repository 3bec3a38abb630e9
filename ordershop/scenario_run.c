#include "ordershop/scenario_run.h"

#include "base/array.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1024 * 1024, REPORT_MAX = 1024 * 1024, ESCAPE_MAX = 6 };

struct mark {
	const char *name;
	size_t events;
	struct mark *next;
};

/* ---- What the steps share ---------------------------------------------------------------- */

static void put_place(struct trial *trial, int line)
{
	struct buffer *text = &trial->report->text;
	const struct scenario_step *step = trial->step;
	buffer_printf(text, "  %s:%d: ", trial->scenario->path, line);
	if (step != NULL)
		buffer_printf(text, "step %zu%s%s%s: ", step->number,
		              step->name != NULL ? " (" : "", step->name != NULL ? step->name : "",
		              step->name != NULL ? ")" : "");
}

bool trial_fail(struct trial *trial, int line, const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	put_place(trial, line);
	buffer_printf(&trial->report->text, "%s\n", message);
	trial->report->failures++;
	return false;
}

bool trial_broken(struct trial *trial, int line, const struct error *err)
{
	const char *message = err->message;
	char *end;
	long named = strtol(message, &end, 10);
	if (end > message && strncmp(end, ": ", 2) == 0) {
		line = (int)named;
		message = end + 2;
	}
	return trial_fail(trial, line, "%s", message);
}

size_t trial_since(const struct trial *trial, const char *step_name)
{
	for (const struct mark *mark = trial->marks; mark != NULL; mark = mark->next) {
		if (strcmp(mark->name, step_name) == 0)
			return mark->events;
	}
	return 0;
}

static const struct json *keep(struct trial *trial, struct json *json)
{
	trial->kept = array_grown(trial->kept, trial->kept_count, sizeof(struct json *));
	trial->kept[trial->kept_count++] = json;
	return json;
}

const struct json *trial_parse(struct trial *trial, const char *text)
{
	struct json *json;
	struct error err;
	struct buffer string;
	if (json_parse(text, strlen(text), &json, &err))
		return keep(trial, json);
	buffer_init(&string, ESCAPE_MAX * strlen(text) + sizeof("\"\""));
	json_write_string(&string, text, strlen(text));
	bool parsed = json_parse(string.bytes, string.len, &json, &err);
	ASSERT(parsed);
	buffer_free(&string);
	return keep(trial, json);
}

const char *trial_text(struct trial *trial, const struct node *node)
{
	struct buffer buffer;
	struct error err;
	const char *text = NULL;
	buffer_init(&buffer, TEXT_MAX);
	if (!resolve_json(&trial->resolver, node, &buffer, &err))
		trial_broken(trial, node->line, &err);
	else if (buffer.overflow)
		trial_fail(trial, node->line, "more than 1 MiB");
	else
		text = arena_copy(trial->step_arena, buffer.bytes, buffer.len);
	buffer_free(&buffer);
	return text;
}

const struct json *trial_json(struct trial *trial, const struct node *node)
{
	const char *text = trial_text(trial, node);
	return text == NULL ? NULL : trial_parse(trial, text);
}

static void forget_step(struct trial *trial)
{
	while (trial->kept_count > 0)
		json_free(trial->kept[--trial->kept_count]);
	arena_reset(trial->step_arena);
}

/* ---- Steps ------------------------------------------------------------------------------- */

static bool trial_at(struct trial *trial)
{
	struct error err;
	return trial->shop->methods->move(trial->shop->shop, &trial->step->at, &err) ||
	       trial_broken(trial, trial->step->line, &err);
}

static bool trial_work(struct trial *trial)
{
	struct error err;
	return trial->shop->methods->work(trial->shop->shop, trial->step->work, &err) ||
	       trial_broken(trial, trial->step->line, &err);
}

static bool trial_trouble(struct trial *trial)
{
	struct error err;
	return trial->shop->methods->trouble(trial->shop->shop, &trial->step->trouble, &err) ||
	       trial_broken(trial, trial->step->line, &err);
}

static bool trial_expect(struct trial *trial)
{
	struct error err;
	trial_then(trial, trial->step->node);
	if (!trial->shop->methods->check(trial->shop->shop, &err))
		trial_broken(trial, trial->step->line, &err);
	return trial->report->failures == 0;
}

static const struct {
	bool (*run)(struct trial *trial);
	bool rest_before, rest_after; /* the latter where `wait` is rest, as it is unless given */
} kinds[SCENARIO_KINDS] = {
	[SCENARIO_GIVEN] = { trial_given, false, true },
	[SCENARIO_WHEN] = { trial_when, false, true },
	[SCENARIO_AT] = { trial_at, true, true },
	[SCENARIO_WORK] = { trial_work, false, false },
	[SCENARIO_FAULT] = { trial_trouble, false, false },
	[SCENARIO_THEN] = { trial_expect, true, false },
};

static bool come_to_rest(struct trial *trial)
{
	struct error err;
	return trial->shop->methods->rest(trial->shop->shop, &err) ||
	       trial_broken(trial, trial->step->line, &err);
}

static bool mark_end(struct trial *trial)
{
	struct shop_events events;
	struct error err;
	if (trial->step->name == NULL)
		return true;
	if (!trial->shop->methods->events(trial->shop->shop, &events, &err))
		return trial_broken(trial, trial->step->line, &err);
	struct mark *mark = arena_zalloc(trial->arena, sizeof(*mark));
	*mark = (struct mark){ trial->step->name, events.count, trial->marks };
	trial->marks = mark;
	return true;
}

static bool trial_step(struct trial *trial)
{
	const struct scenario_step *step = trial->step;
	if (kinds[step->kind].rest_before && !come_to_rest(trial))
		return false;
	if (!kinds[step->kind].run(trial))
		return false;
	if (kinds[step->kind].rest_after && step->wait == WAIT_REST && !come_to_rest(trial))
		return false;
	return mark_end(trial);
}

void scenario_run(const struct scenario *scenario, const struct shop *shop,
                  struct scenario_report *report)
{
	struct arena *arena = arena_create(), *step_arena = arena_create();
	struct trial trial = { .scenario = scenario,
		               .shop = shop,
		               .arena = arena,
		               .step_arena = step_arena,
		               .report = report };
	trial.resolver = (struct resolver){ step_arena, names_create(arena, shop->run_id),
		                            shop->methods->state, shop->shop };
	report->failures = 0;
	buffer_init(&report->text, REPORT_MAX);
	bool ok = true;
	for (size_t i = 0; ok && i < scenario->count; i++) {
		trial.step = &scenario->steps[i];
		ok = trial_step(&trial);
		forget_step(&trial);
	}
	struct error err;
	if (ok && come_to_rest(&trial) && !shop->methods->check(shop->shop, &err))
		trial_broken(&trial, trial.step->line, &err);
	free(trial.kept);
	names_free(trial.resolver.names);
	arena_destroy(step_arena);
	arena_destroy(arena);
}
