#include "ordershop/scenario_run.h"

#include "ordershop/scenario_match.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 1024 * 1024, REPORT_MAX = 1024 * 1024, INDENT = 6 };

struct mark {
	const char *name;
	size_t events;
	struct mark *next;
};

/* ---- What the steps share ---------------------------------------------------------------- */

static void put_place(struct play *play, int line)
{
	struct buffer *text = &play->report->text;
	const struct scenario_step *step = play->step;
	buffer_printf(text, "  %s:%d: ", play->scenario->path, line);
	if (step != NULL)
		buffer_printf(text, "step %zu%s%s%s: ", step->number,
		              step->name != NULL ? " (" : "", step->name != NULL ? step->name : "",
		              step->name != NULL ? ")" : "");
}

bool play_fail(struct play *play, int line, const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	put_place(play, line);
	buffer_printf(&play->report->text, "%s\n", message);
	play->report->failures++;
	return false;
}

bool play_broken(struct play *play, int line, const struct error *err)
{
	const char *message = err->message;
	size_t path = strlen(play->scenario->path);
	char *end;
	if (strncmp(message, play->scenario->path, path) == 0 && message[path] == ':') {
		line = (int)strtol(message + path + 1, &end, 10);
		message = strncmp(end, ": ", 2) == 0 ? end + 2 : end;
	}
	return play_fail(play, line, "%s", message);
}

size_t play_since(const struct play *play, const char *step_name)
{
	for (const struct mark *mark = play->marks; mark != NULL; mark = mark->next) {
		if (strcmp(mark->name, step_name) == 0)
			return mark->events;
	}
	return 0;
}

static const struct json *keep(struct play *play, struct json *json)
{
	if (play->kept_count == play->kept_capacity) {
		play->kept_capacity = play->kept_capacity > 0 ? 2 * play->kept_capacity : 64;
		play->kept = realloc(play->kept, play->kept_capacity * sizeof(*play->kept));
		ASSERT(play->kept != NULL);
	}
	play->kept[play->kept_count++] = json;
	return json;
}

const struct json *play_parse(struct play *play, const char *text)
{
	struct json *json;
	struct error err;
	struct buffer string;
	if (json_parse(text, strlen(text), &json, &err))
		return keep(play, json);
	buffer_init(&string, REPORT_MAX);
	json_write_string(&string, text, strlen(text));
	bool parsed = json_parse(string.bytes, string.len, &json, &err);
	ASSERT(parsed);
	buffer_free(&string);
	return keep(play, json);
}

const struct json *play_json(struct play *play, const struct node *node)
{
	struct buffer text;
	struct error err;
	const struct json *json = NULL;
	buffer_init(&text, PARAMS_MAX);
	if (!resolve_json(&play->resolver, node, &text, &err))
		play_broken(play, node->line, &err);
	else if (text.overflow)
		play_fail(play, node->line, "more than 1 MiB");
	else
		json = play_parse(play, text.bytes);
	buffer_free(&text);
	return json;
}

static void forget_step(struct play *play)
{
	while (play->kept_count > 0)
		json_free(play->kept[--play->kept_count]);
	arena_reset(play->step_arena);
}

/* ---- when -------------------------------------------------------------------------------- */

/* As the rules derive it: rules.h, decide_id. */
static const char *id_created(struct play *play, const char *topic, const char *message_id,
                              const struct json *params, size_t index)
{
	static const struct {
		const char *topic, *from;
	} derived[] = { { "inventory", "product_id" },
		        { "billing", "order_id" },
		        { "shipping", "order_id" } };
	char id[UUID_SIZE], number[32];
	const struct json *given = json_member(params, "entity_id");
	if (given != NULL && json_text(given) != NULL)
		return json_text(given);
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		const struct json *from = json_member(params, derived[i].from);
		const char *space = from == NULL ? NULL : json_text(from);
		if (strcmp(derived[i].topic, topic) != 0)
			continue;
		if (space == NULL || !uuid_valid(space))
			return NULL;
		uuid_v5(id, space, topic, NULL);
		return arena_strdup(play->step_arena, id);
	}
	snprintf(number, sizeof(number), "%zu", index);
	uuid_v5(id, message_id, "entity", number);
	return arena_strdup(play->step_arena, id);
}

static bool bind_one(struct play *play, const struct node *name, const char *topic, const char *id)
{
	if (id == NULL)
		return play_fail(play, name->line, "as: there is no id for '%s'", name->text);
	if (!names_bind(play->resolver.names, topic, name->text, id))
		return play_fail(play, name->line, "as: there is a $%s.%s already", topic,
		                 name->text);
	return true;
}

/* `result`: the ids, NULL if nobody waited for it. */
static bool bind_names(struct play *play, const char *message_id, const struct json *params,
                       const struct json *result)
{
	const struct scenario_when *when = &play->step->when;
	const struct node *name = when->as->kind == NODE_LIST ? when->as->first : when->as;
	for (size_t i = 0; name != NULL; i++) {
		const struct json *one = when->as->kind == NODE_LIST ? json_at(params, i) : params;
		const struct json *id = result == NULL ? NULL : json_at(result, i);
		if (!bind_one(play, name, when->service,
		              result != NULL ? (id == NULL ? NULL : json_text(id))
		                             : id_created(play, when->service, message_id, one, i)))
			return false;
		name = when->as->kind == NODE_LIST ? name->next : NULL;
	}
	return true;
}

/* Is the refusal the one that was expected? */
static bool check_refusal(struct play *play, const struct shop_answer *answer)
{
	const struct scenario_when *when = &play->step->when;
	const struct error *refusal = &answer->error;
	const char *wanted = "", *code = error_name(refusal->code);
	const char *message = match_plain(play->step_arena, play->resolver.names, refusal->message);
	struct error err;
	bool same = when->error == refusal->code;
	if (answer->http_status > 0) {
		same = error_http_status(when->error) == answer->http_status;
		code = arena_printf(play->step_arena, "status %d", answer->http_status);
	}
	if (when->any)
		return true;
	if (when->error == ERR_NONE)
		return play_fail(play, play->step->line, "%s.%s was refused\n%*s%s: %s",
		                 when->service, when->function, INDENT, "", code, message);
	if (when->error_message != NULL && !resolve_text(&play->resolver, when->error_message,
	                                                 when->error_message->text, &wanted, &err))
		return play_broken(play, play->step->line, &err);
	if (same && strstr(refusal->message, wanted) != NULL)
		return true;
	struct diff *diff = diff_create(play->step_arena);
	diff_add(diff, same ? DIFF_SAME : DIFF_OTHER, error_name(when->error), code);
	if (when->error_message != NULL)
		diff_add(diff, strstr(refusal->message, wanted) != NULL ? DIFF_SAME : DIFF_OTHER,
		         match_plain(play->step_arena, play->resolver.names, wanted), message);
	play_fail(play, play->step->line, "another error than expected");
	diff_write(&play->report->text, diff, INDENT);
	return false;
}

static bool check_result(struct play *play, const struct json *result)
{
	const struct scenario_when *when = &play->step->when;
	if (when->error != ERR_NONE)
		return play_fail(play, play->step->line,
		                 "%s.%s should have been refused, with %s\n%*sit answered %s",
		                 when->service, when->function, error_name(when->error), INDENT, "",
		                 match_text(play->step_arena, play->resolver.names, result));
	if (when->result == NULL)
		return true;
	const struct json *expected = play_json(play, when->result);
	if (expected == NULL || match_json(expected, result))
		return expected != NULL;
	struct diff *diff = diff_create(play->step_arena);
	match_diff(play->resolver.names, expected, result, diff);
	play_fail(play, when->result->line, "another result than expected");
	diff_write(&play->report->text, diff, INDENT);
	return false;
}

static bool params_text(struct play *play, const char **text)
{
	const struct scenario_when *when = &play->step->when;
	struct error err;
	struct buffer buffer;
	*text = "{}";
	if (when->params == NULL)
		return true;
	buffer_init(&buffer, PARAMS_MAX);
	bool ok = resolve_json(&play->resolver, when->params, &buffer, &err);
	if (!ok)
		play_broken(play, when->params->line, &err);
	else if (buffer.overflow)
		ok = play_fail(play, when->params->line, "params: more than 1 MiB");
	else
		*text = arena_copy(play->step_arena, buffer.bytes, buffer.len);
	buffer_free(&buffer);
	return ok;
}

static bool play_when(struct play *play)
{
	const struct scenario_step *step = play->step;
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
		uuid_v5(message_id, play->shop->run_id, "message", when->message);
	else
		uuid_v5(message_id, play->shop->run_id, "step", number);
	if (!params_text(play, &command.params))
		return false;
	if (!play->shop->methods->command(play->shop->shop, &command, &answer, &err))
		return play_broken(play, step->line, &err);
	if (command.wait && answer.result == NULL)
		return check_refusal(play, &answer);
	const struct json *result = command.wait ? play_parse(play, answer.result) : NULL;
	if (result != NULL && !check_result(play, result))
		return false;
	return when->as == NULL ||
	       bind_names(play, message_id, play_parse(play, command.params), result);
}

/* ---- given ------------------------------------------------------------------------------- */

static const char *action_of(const char *type)
{
	size_t len = strlen(type);
	if (strcmp(type, "MailSent") == 0)
		return "mail_sent";
	if (strcmp(type, "OrderPlaced") == 0 || (len > 7 && strcmp(type + len - 7, "Created") == 0))
		return "entity_created";
	return len > 7 && strcmp(type + len - 7, "Deleted") == 0 ? "entity_deleted"
	                                                         : "entity_updated";
}

static const char *member_text(const struct node *map, const char *name)
{
	const struct node *member = node_member(map, name);
	return member == NULL ? NULL : member->text;
}

/* The data with the entity's id; of a deletion without data the last state. */
static bool given_data(struct play *play, const struct node *node, struct shop_event *event)
{
	const struct node *data = node_member(node, "data");
	struct buffer text;
	struct error err;
	bool ok = true;
	if (data == NULL) {
		ok = play->shop->methods->state(play->shop->shop, event->topic, event->entity_id,
		                                &event->data, &err);
		if (!ok)
			return play_broken(play, node->line, &err);
		if (event->data == NULL)
			return play_fail(play, node->line, "the event needs the key 'data'");
		return true;
	}
	buffer_init(&text, PARAMS_MAX);
	if (event->entity_id[0] != '\0' && node_member(data, "entity_id") == NULL)
		buffer_printf(&text, "{\"entity_id\":\"%s\"%s", event->entity_id,
		              data->count > 0 ? "," : "");
	size_t start = text.len;
	ok = resolve_json(&play->resolver, data, &text, &err);
	if (!ok)
		play_broken(play, data->line, &err);
	else if (text.overflow)
		ok = play_fail(play, data->line, "data: more than 1 MiB");
	else if (start > 0) /* without its own brace */
		event->data = arena_printf(play->step_arena, "%.*s%s", (int)start, text.bytes,
		                           text.bytes + start + 1);
	else
		event->data = arena_copy(play->step_arena, text.bytes, text.len);
	buffer_free(&text);
	return ok;
}

static bool given_entity(struct play *play, const struct node *node, const char *event_id,
                         struct shop_event *event)
{
	const struct node *as = node_member(node, "as"), *of = node_member(node, "of");
	char id[UUID_SIZE];
	const char *topic;
	struct error err;
	event->entity_id = "";
	if (of != NULL)
		return resolve_entity(&play->resolver, of, of->text, &topic, &event->entity_id,
		                      &err) ||
		       play_broken(play, of->line, &err);
	if (as == NULL)
		return true;
	const struct node *data = node_member(node, "data");
	const struct json *params = data == NULL ? NULL : play_json(play, data);
	if (data != NULL && params == NULL)
		return false;
	uuid_v5(id, event_id, "entity", NULL);
	event->entity_id =
	    params == NULL ? NULL : id_created(play, event->topic, event_id, params, 0);
	if (event->entity_id == NULL)
		event->entity_id = arena_strdup(play->step_arena, id);
	return bind_one(play, as, event->topic, event->entity_id);
}

static bool play_given(struct play *play)
{
	const struct node *list = play->step->node;
	unsigned index = 0;
	for (const struct node *node = list->first; node != NULL; node = node->next, index++) {
		char number[48], event_id[UUID_SIZE];
		struct error err;
		struct shop_event event = { .type = node_member(node, "event")->text,
			                    .topic = member_text(node, "topic"),
			                    .action = member_text(node, "action"),
			                    .event_id = event_id };
		snprintf(number, sizeof(number), "%zu.%u", play->step->number, index);
		uuid_v5(event_id, play->shop->run_id, "given", number);
		if (event.topic == NULL)
			event.topic = scenario_topic_of(event.type);
		if (event.action == NULL)
			event.action = action_of(event.type);
		if (!given_entity(play, node, event_id, &event) || !given_data(play, node, &event))
			return false;
		if (!play->shop->methods->given(play->shop->shop, &event, &err))
			return play_broken(play, node->line, &err);
	}
	return true;
}

/* ---- Steps ------------------------------------------------------------------------------- */

static bool play_at(struct play *play)
{
	struct error err;
	return play->shop->methods->move(play->shop->shop, &play->step->at, &err) ||
	       play_broken(play, play->step->line, &err);
}

static bool play_work(struct play *play)
{
	struct error err;
	return play->shop->methods->work(play->shop->shop, play->step->work, &err) ||
	       play_broken(play, play->step->line, &err);
}

static bool play_trouble(struct play *play)
{
	struct error err;
	return play->shop->methods->trouble(play->shop->shop, &play->step->trouble, &err) ||
	       play_broken(play, play->step->line, &err);
}

static bool play_expect(struct play *play)
{
	struct error err;
	play_then(play, play->step->node);
	if (!play->shop->methods->check(play->shop->shop, true, &err))
		play_broken(play, play->step->line, &err);
	return play->report->failures == 0;
}

static const struct {
	bool (*run)(struct play *play);
	bool rest_before, rest_after; /* the latter where `wait` is rest, as it is unless given */
} kinds[SCENARIO_KINDS] = {
	[SCENARIO_GIVEN] = { play_given, false, true },
	[SCENARIO_WHEN] = { play_when, false, true },
	[SCENARIO_AT] = { play_at, true, true },
	[SCENARIO_WORK] = { play_work, false, false },
	[SCENARIO_FAULT] = { play_trouble, false, false },
	[SCENARIO_THEN] = { play_expect, true, false },
};

static bool come_to_rest(struct play *play)
{
	struct error err;
	return play->shop->methods->rest(play->shop->shop, &err) ||
	       play_broken(play, play->step->line, &err);
}

static bool mark_end(struct play *play)
{
	struct shop_events events;
	struct error err;
	if (play->step->name == NULL)
		return true;
	if (!play->shop->methods->events(play->shop->shop, &events, &err))
		return play_broken(play, play->step->line, &err);
	struct mark *mark = arena_zalloc(play->arena, sizeof(*mark));
	*mark = (struct mark){ play->step->name, events.count, play->marks };
	play->marks = mark;
	return true;
}

static bool play_step(struct play *play)
{
	const struct scenario_step *step = play->step;
	if (kinds[step->kind].rest_before && !come_to_rest(play))
		return false;
	if (!kinds[step->kind].run(play))
		return false;
	if (kinds[step->kind].rest_after && step->wait == WAIT_REST && !come_to_rest(play))
		return false;
	return mark_end(play);
}

void scenario_run(const struct scenario *scenario, const struct shop *shop,
                  struct scenario_report *report)
{
	struct arena *arena = arena_create(), *step_arena = arena_create();
	struct play play = { .scenario = scenario,
		             .shop = shop,
		             .arena = arena,
		             .step_arena = step_arena,
		             .report = report };
	play.resolver =
	    (struct resolver){ scenario->path, step_arena, names_create(arena, shop->run_id),
		               shop->methods->state, shop->shop };
	report->failures = 0;
	buffer_init(&report->text, REPORT_MAX);
	bool ok = true;
	for (size_t i = 0; ok && i < scenario->count; i++) {
		play.step = &scenario->steps[i];
		ok = play_step(&play);
		forget_step(&play);
	}
	struct error err;
	if (ok && come_to_rest(&play) && !shop->methods->check(shop->shop, true, &err))
		play_broken(&play, play.step->line, &err);
	free(play.kept);
	arena_destroy(step_arena);
	arena_destroy(arena);
}
