/* scenario_when.c - commands, and what is expected of their answers. */
#include "ordershop/scenario_match.h"
#include "ordershop/scenario_run.h"

#include <stdio.h>
#include <string.h>

enum { INDENT = 6 };

/* As the rules derive it: rules.h, decide_id. */
const char *trial_created_id(struct trial *trial, const char *topic, const char *message_id,
                             const struct json *params, size_t index)
{
	char id[UUID_SIZE], number[32];
	const struct json *given = json_member(params, "entity_id");
	if (given != NULL && json_text(given) != NULL)
		return json_text(given);
	const char *origin = names_origin(topic);
	if (origin == NULL) {
		snprintf(number, sizeof(number), "%zu", index);
		uuid_v5(id, message_id, "entity", number);
		return arena_strdup(trial->step_arena, id);
	}
	const struct json *from =
	    json_member(params, arena_printf(trial->step_arena, "%s_id", origin));
	const char *space = from == NULL ? NULL : json_text(from);
	if (space == NULL || !uuid_valid(space))
		return NULL;
	uuid_v5(id, space, topic, NULL);
	return arena_strdup(trial->step_arena, id);
}

bool trial_bind(struct trial *trial, const struct node *name, const char *topic, const char *id)
{
	if (id == NULL)
		return trial_fail(trial, name->line, "as: there is no id for '%s'", name->text);
	if (!names_bind(trial->resolver.names, topic, name->text, id))
		return trial_fail(trial, name->line, "as: there is a $%s.%s already", topic,
		                  name->text);
	return true;
}

/* `result`: the ids, NULL if nobody waited for it. */
static bool bind_names(struct trial *trial, const char *message_id, const struct json *params,
                       const struct json *result)
{
	const struct scenario_when *when = &trial->step->when;
	const struct node *name = when->as->kind == NODE_LIST ? when->as->first : when->as;
	for (size_t i = 0; name != NULL; i++) {
		const struct json *one = when->as->kind == NODE_LIST ? json_at(params, i) : params;
		const struct json *id = result == NULL ? NULL : json_at(result, i);
		if (!trial_bind(trial, name, when->service,
		                result != NULL
		                    ? (id == NULL ? NULL : json_text(id))
		                    : trial_created_id(trial, when->service, message_id, one, i)))
			return false;
		name = when->as->kind == NODE_LIST ? name->next : NULL;
	}
	return true;
}

/* Is the refusal the one that was expected? */
static bool check_refusal(struct trial *trial, const struct shop_answer *answer)
{
	const struct scenario_when *when = &trial->step->when;
	const struct error *refusal = &answer->error;
	const char *wanted = "", *code = error_name(refusal->code);
	const char *message =
	    match_plain(trial->step_arena, trial->resolver.names, refusal->message);
	struct error err;
	bool same = when->error == refusal->code;
	if (answer->http_status > 0) {
		same = error_http_status(when->error) == answer->http_status;
		code = arena_printf(trial->step_arena, "status %d", answer->http_status);
	}
	if (when->any)
		return true;
	if (when->error == ERR_NONE)
		return trial_fail(trial, trial->step->line, "%s.%s was refused\n%*s%s: %s",
		                  when->service, when->function, INDENT, "", code, message);
	if (when->error_message != NULL && !resolve_text(&trial->resolver, when->error_message,
	                                                 when->error_message->text, &wanted, &err))
		return trial_broken(trial, trial->step->line, &err);
	if (same && strstr(refusal->message, wanted) != NULL)
		return true;
	struct diff *diff = diff_create(trial->step_arena);
	diff_add(diff, same ? DIFF_SAME : DIFF_OTHER, error_name(when->error), code);
	if (when->error_message != NULL)
		diff_add(diff, strstr(refusal->message, wanted) != NULL ? DIFF_SAME : DIFF_OTHER,
		         match_plain(trial->step_arena, trial->resolver.names, wanted), message);
	trial_fail(trial, trial->step->line, "another error than expected");
	diff_write(&trial->report->text, diff, INDENT);
	return false;
}

static bool check_result(struct trial *trial, const struct json *result)
{
	const struct scenario_when *when = &trial->step->when;
	if (when->error != ERR_NONE)
		return trial_fail(trial, trial->step->line,
		                  "%s.%s should have been refused, with %s\n%*sit answered %s",
		                  when->service, when->function, error_name(when->error), INDENT,
		                  "", match_text(trial->step_arena, trial->resolver.names, result));
	if (when->result == NULL)
		return true;
	const struct json *expected = trial_json(trial, when->result);
	if (expected == NULL || match_json(expected, result))
		return expected != NULL;
	struct diff *diff = diff_create(trial->step_arena);
	match_diff(trial->resolver.names, expected, result, diff);
	trial_fail(trial, when->result->line, "another result than expected");
	diff_write(&trial->report->text, diff, INDENT);
	return false;
}

bool trial_when(struct trial *trial)
{
	const struct scenario_step *step = trial->step;
	const struct scenario_when *when = &step->when;
	char message_id[UUID_SIZE], number[32];
	struct shop_command command = { .service = when->service,
		                        .function = when->function,
		                        .message_id = message_id,
		                        .actor = when->actor,
		                        .wait = step->wait != WAIT_NOTHING };
	struct shop_answer answer = { .result = NULL };
	struct error err;
	snprintf(number, sizeof(number), "%zu", step->number);
	if (when->message != NULL)
		uuid_v5(message_id, trial->shop->run_id, "message", when->message);
	else
		uuid_v5(message_id, trial->shop->run_id, "step", number);
	command.params = when->params == NULL ? "{}" : trial_text(trial, when->params);
	if (command.params == NULL)
		return false;
	if (!trial->shop->methods->command(trial->shop->shop, &command, &answer, &err))
		return trial_broken(trial, step->line, &err);
	if (command.wait && answer.result == NULL)
		return check_refusal(trial, &answer);
	const struct json *result = command.wait ? trial_parse(trial, answer.result) : NULL;
	if (result != NULL && !check_result(trial, result))
		return false;
	return when->as == NULL ||
	       bind_names(trial, message_id, trial_parse(trial, command.params), result);
}
