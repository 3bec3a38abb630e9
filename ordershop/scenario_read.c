/* scenario_read.c - from nodes to steps: everything about a file that can be checked before it runs. */
#include "domain/decide.h"
#include "ordershop/command.h"
#include "ordershop/scenario_internal.h"

#include <string.h>

enum { STEPS_MAX = 10000 };

static const char *const kind_names[SCENARIO_KINDS] = {
	[SCENARIO_GIVEN] = "given", [SCENARIO_WHEN] = "when",   [SCENARIO_AT] = "at",
	[SCENARIO_WORK] = "work",   [SCENARIO_FAULT] = "fault", [SCENARIO_THEN] = "then",
};

static const char *const wait_names[] = {
	[WAIT_REST] = "rest",
	[WAIT_ANSWER] = "answer",
	[WAIT_NOTHING] = "nothing",
};

const char *scenario_kind_name(enum scenario_kind kind)
{
	return kind_names[kind];
}

const char *scenario_fault_name(int fault)
{
	if (fault == FAULT_REDIS_RESTART)
		return "redis_restart";
	return fault == FAULT_REQUEUE ? "requeue" : memory_fault_name((enum memory_fault)fault);
}

/* What each kind of step may have beside `step`; `wait` comes second where it may be there. */
#define COMMON                                                                                     \
	{                                                                                          \
		"step", NODE_TEXT, false                                                           \
	}
#define COMMON_WAIT                                                                                \
	COMMON,                                                                                    \
	{                                                                                          \
		"wait", NODE_TEXT, false                                                           \
	}
enum { ANY_KIND = NODE_TEXT | NODE_LIST | NODE_MAP };

static bool read_common(struct reader *reader, const struct node *name, const struct node *wait,
                        struct scenario_step *step)
{
	if (wait != NULL) {
		int word = reader_word(reader, wait, wait_names, ARRAY_LEN(wait_names));
		if (word < 0)
			return false;
		step->wait = (enum scenario_wait)word;
	}
	return name == NULL || reader_title(reader, name, &step->name);
}

static bool check_event(struct reader *reader, const struct node *event)
{
	static const struct node_key keys[] = {
		{ "event", NODE_TEXT, true },   { "as", NODE_TEXT, false },
		{ "of", NODE_TEXT, false },     { "topic", NODE_TEXT, false },
		{ "action", NODE_TEXT, false }, { "data", NODE_MAP, false },
	};
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(event, "an event", keys, ARRAY_LEN(keys), found, reader->err))
		return false;
	const struct node *type = found[0], *as = found[1], *of = found[2], *topic = found[3];
	const char *in = topic != NULL ? topic->text : scenario_topic_of(type->text);
	if (in == NULL)
		return node_fail(type, reader->err, "'%.60s' does not tell its topic: add `topic`",
		                 type->text);
	if (!scenario_topic_is(in))
		return node_fail(topic, reader->err, "there is no topic '%.60s'", in);
	bool mail = strcmp(in, "mail") == 0;
	if (mail ? as != NULL || of != NULL : (as == NULL) == (of == NULL))
		return node_fail(event, reader->err,
		                 mail ? "a mail has neither `as` nor `of`"
		                      : "an event needs `as` or `of`, one of them");
	return as == NULL || reader_name(reader, as);
}

static bool read_given(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	static const struct node_key keys[] = { COMMON_WAIT, { "given", NODE_LIST, true } };
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(node, "a given step", keys, ARRAY_LEN(keys), found, reader->err) ||
	    !read_common(reader, found[0], found[1], step))
		return false;
	step->node = found[2];
	if (step->node->count < 1 || step->node->count > STEPS_MAX)
		return node_fail(step->node, reader->err, "given: must be a list of 1 to %d events",
		                 STEPS_MAX);
	for (const struct node *event = step->node->first; event != NULL; event = event->next) {
		if (!check_event(reader, event))
			return false;
	}
	return true;
}

static bool find_function(struct reader *reader, const struct node *node,
                          struct scenario_when *when)
{
	char *service = arena_strdup(reader->arena, node->text);
	char *dot = strchr(service, '.');
	if (dot == NULL)
		return node_fail(node, reader->err, "when: must be service.function, is \"%.60s\"",
		                 node->text);
	*dot = '\0';
	const struct service *found = domain_service_find(service);
	if (found == NULL || found->function_count == 0)
		return node_fail(node, reader->err, "when: there is no service '%.60s'", service);
	const char *names[64];
	size_t count = 0;
	for (size_t i = 0; i < found->function_count && count < ARRAY_LEN(names); i++) {
		const struct function *function = &found->functions[i];
		if (function->local)
			continue;
		if (strcmp(function->name, dot + 1) == 0) {
			when->service = found->name;
			when->function = function->name;
			return true;
		}
		names[count++] = function->name;
	}
	char hint[HINT_SIZE];
	if (closest_hint(hint, dot + 1, names, count)[0] != '\0')
		return node_fail(node, reader->err, "when: %s has no function '%.60s'%s", service,
		                 dot + 1, hint);
	const char *all = "";
	for (size_t i = 0; i < count; i++)
		all = arena_printf(reader->arena, "%s%s%s", all, i == 0 ? "" : ", ", names[i]);
	return node_fail(node, reader->err, "when: %s has no function '%.60s'; it has %s", service,
	                 dot + 1, all);
}

static bool read_code(struct reader *reader, const struct node *node, enum error_code *code)
{
	const char *names[ERR_CODES];
	for (int i = 0; i < ERR_CODES; i++)
		names[i] = error_name((enum error_code)i);
	int word = reader_word(reader, node, names + 1, ERR_CODES - 1);
	if (word < 0)
		return false;
	*code = (enum error_code)(word + 1);
	return true;
}

static bool read_error(struct reader *reader, const struct node *node, struct scenario_when *when)
{
	static const struct node_key keys[] = {
		{ "code", NODE_TEXT, true },
		{ "message", NODE_TEXT, false },
	};
	const struct node *found[ARRAY_LEN(keys)];
	if (node->kind == NODE_TEXT && strcmp(node->text, "any") == 0) {
		when->any = true;
		return true;
	}
	if (node->kind == NODE_TEXT)
		return read_code(reader, node, &when->error);
	if (!node_take(node, "an error", keys, ARRAY_LEN(keys), found, reader->err))
		return false;
	when->error_message = found[1];
	return read_code(reader, found[0], &when->error);
}

/* Names for what a command creates: as many as it has params. */
static bool check_as(struct reader *reader, const struct scenario_when *when)
{
	const struct node *as = when->as, *params = when->params;
	if (strncmp(when->function, "create_", 7) != 0)
		return node_fail(as, reader->err, "as: %s.%s creates nothing", when->service,
		                 when->function);
	bool list = params != NULL && params->kind == NODE_LIST;
	if (list != (as->kind == NODE_LIST) || (list && as->count != params->count))
		return node_fail(as, reader->err, "as: must be %s, as the params are",
		                 list ? "a list with a name for each of them" : "one name");
	if (!list)
		return reader_name(reader, as);
	for (const struct node *name = as->first; name != NULL; name = name->next) {
		if (!reader_name(reader, name))
			return false;
	}
	return true;
}

static bool read_when(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	static const struct node_key keys[] = {
		COMMON_WAIT,
		{ "when", NODE_TEXT, true },
		{ "params", ANY_KIND, false },
		{ "as", NODE_TEXT | NODE_LIST, false },
		{ "result", ANY_KIND, false },
		{ "error", NODE_TEXT | NODE_MAP, false },
		{ "message", NODE_TEXT, false },
		{ "actor", NODE_TEXT, false },
	};
	const struct node *found[ARRAY_LEN(keys)];
	struct scenario_when *when = &step->when;
	if (!node_take(node, "a when step", keys, ARRAY_LEN(keys), found, reader->err) ||
	    !read_common(reader, found[0], found[1], step) ||
	    !find_function(reader, found[2], when))
		return false;
	when->params = found[3];
	when->as = found[4];
	when->result = found[5];
	if (when->as != NULL && !check_as(reader, when))
		return false;
	if (found[6] != NULL && !read_error(reader, found[6], when))
		return false;
	if (found[7] != NULL && !reader_name(reader, found[7]))
		return false;
	if (found[8] != NULL && !reader_title(reader, found[8], &when->actor))
		return false;
	when->message = found[7] == NULL ? NULL : found[7]->text;
	const struct node *judged = when->result != NULL ? when->result : found[6];
	if (step->wait == WAIT_NOTHING && judged != NULL && !when->any)
		return node_fail(judged, reader->err,
		                 "%s: nobody looks at the answer with `wait: nothing`",
		                 judged->key);
	return true;
}

static bool read_at(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	static const struct node_key keys[] = { COMMON, { "at", NODE_TEXT, true } };
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(node, "an at step", keys, ARRAY_LEN(keys), found, reader->err) ||
	    !read_common(reader, found[0], NULL, step))
		return false;
	const char *text = found[1]->text;
	step->at.relative = text[0] == '+';
	step->at.us = step->at.relative ? reader_span(text + 1) : 0;
	return step->at.us > 0 || reader_time(reader, found[1], &step->at.us);
}

static bool read_work(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	static const struct node_key keys[] = { COMMON, { "work", NODE_TEXT, true } };
	const struct node *found[ARRAY_LEN(keys)];
	return node_take(node, "a work step", keys, ARRAY_LEN(keys), found, reader->err) &&
	       read_common(reader, found[0], NULL, step) &&
	       reader_number(reader, found[1], 1, 1000000, &step->work);
}

static bool read_fault(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	static const struct node_key keys[] = {
		COMMON,
		{ "fault", NODE_TEXT, true },
		{ "service", NODE_TEXT, false },
	};
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(node, "a fault step", keys, ARRAY_LEN(keys), found, reader->err) ||
	    !read_common(reader, found[0], NULL, step))
		return false;
	const struct node *service = found[2];
	const char *names[FAULT_KINDS];
	for (int i = 0; i < FAULT_KINDS; i++)
		names[i] = scenario_fault_name(i);
	int word = reader_word(reader, found[1], names, FAULT_KINDS);
	if (word < 0)
		return false;
	if ((word >= FAULT_REDIS_RESTART) != (service == NULL))
		return node_fail(found[1], reader->err,
		                 service == NULL ? "the fault %s needs the key 'service'"
		                                 : "the fault %s has no key 'service'",
		                 found[1]->text);
	if (service != NULL && domain_service_find(service->text) == NULL)
		return node_fail(service, reader->err,
		                 "service: there is no service '%.60s' of the domain",
		                 service->text);
	step->trouble.fault = word;
	step->trouble.service = service == NULL ? NULL : service->text;
	return true;
}

static bool read_then(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	static const struct node_key keys[] = { COMMON, { "then", NODE_MAP, true } };
	const struct node *found[ARRAY_LEN(keys)];
	if (!node_take(node, "a then step", keys, ARRAY_LEN(keys), found, reader->err) ||
	    !read_common(reader, found[0], NULL, step))
		return false;
	step->node = found[1];
	return reader_check_then(reader, step->node);
}

static const struct {
	bool (*read)(struct reader *reader, const struct node *node, struct scenario_step *step);
	bool only_in_process;
} step_kinds[SCENARIO_KINDS] = {
	[SCENARIO_GIVEN] = { read_given, false }, [SCENARIO_WHEN] = { read_when, false },
	[SCENARIO_AT] = { read_at, false },       [SCENARIO_WORK] = { read_work, true },
	[SCENARIO_FAULT] = { read_fault, true },  [SCENARIO_THEN] = { read_then, false },
};

static bool read_step(struct reader *reader, const struct node *node, struct scenario_step *step)
{
	struct scenario *scenario = reader->scenario;
	step->line = node->line;
	if (node->kind == NODE_MAP) {
		for (size_t kind = 0; kind < SCENARIO_KINDS; kind++) {
			if (node_member(node, kind_names[kind]) == NULL)
				continue;
			step->kind = (enum scenario_kind)kind;
			if (step_kinds[kind].only_in_process && scenario->only_in_process == NULL)
				scenario->only_in_process = step;
			return step_kinds[kind].read(reader, node, step);
		}
	}
	return node_fail(node, reader->err,
	                 "a step must have one of the keys given, when, at, work, fault, then");
}

bool scenario_read(const char *path, struct arena *arena, struct scenario *scenario,
                   struct error *err)
{
	static const struct node_key keys[] = {
		{ "scenario", NODE_TEXT, true },
		{ "steps", NODE_LIST, true },
		{ "start", NODE_TEXT, false },
		{ "seed", NODE_TEXT, false },
	};
	const struct node *root, *found[ARRAY_LEN(keys)];
	struct reader reader = { arena, scenario, err };
	*scenario = (struct scenario){ .path = path, .start_us = SCENARIO_START_US, .seed = 1 };
	if (!yaml_read(path, arena, &root, err) ||
	    !node_take(root, "a scenario", keys, ARRAY_LEN(keys), found, err) ||
	    !reader_title(&reader, found[0], &scenario->title))
		return false;
	if (found[2] != NULL && !reader_time(&reader, found[2], &scenario->start_us))
		return false;
	if (found[3] != NULL &&
	    !reader_number(&reader, found[3], 0, SCENARIO_SEED_MAX, &scenario->seed))
		return false;
	const struct node *steps = found[1];
	if (steps->count < 1 || steps->count > STEPS_MAX)
		return node_fail(steps, err, "steps: must be a list of 1 to %d", STEPS_MAX);
	scenario->steps = arena_zalloc(arena, steps->count * sizeof(*scenario->steps));
	for (const struct node *step = steps->first; step != NULL; step = step->next) {
		scenario->steps[scenario->count].number = scenario->count + 1;
		if (!read_step(&reader, step, &scenario->steps[scenario->count]))
			return false;
		scenario->count++;
	}
	return true;
}
