/* What append.lua answers, as outcomes. */
#include "event-store/log_internal.h"

#include <stdlib.h>
#include <string.h>

static void refusal(const struct request *request, const char *line, struct log_outcome *outcome,
                    struct error *err)
{
	char why = line[0];
	char *end;
	unsigned long index = strtoul(line + 1, &end, 10);
	unsigned long long version = strtoull(end, NULL, 10);
	outcome->err = err;
	if (why == 'I') {
		int len = (int)strcspn(line, "\n") - 2;
		error_set(err, ERR_PRECONDITION,
		          "topic: is locked by the import %.*s until that is finished or abandoned",
		          len, line + 2);
		return;
	}
	if (why == 'M') {
		error_set(err, ERR_PRECONDITION,
		          "events: some of the event ids are in the log already and some are not; "
		          "an append is repeated as a whole or not at all");
		return;
	}
	if (index >= request->count || (why != 'D' && why != 'N' && why != 'V')) {
		error_set(err, ERR_INTERNAL, "append.lua answered something else");
		return;
	}
	if (why == 'D') {
		error_set(err, ERR_INVALID, "events[%lu].event_id: is there twice", index);
		return;
	}
	if (why == 'N') {
		error_set(
		    err, ERR_EXISTS,
		    "events[%lu].event_id: is void: somebody gave this event up (EXPECT_NEVER); "
		    "append another with a new id",
		    index);
		return;
	}
	const struct expectation *expected = &request->expectations[index];
	outcome->current_version = version;
	if (expected->expect == ES__EXPECT__EXPECT_EXACT && expected->version == version) {
		error_set(err, ERR_CONFLICT,
		          "events[%lu]: version %llu of entity \"%.128s\" was not made by "
		          "after_event_id",
		          index, version, expected->entity_id);
		return;
	}
	static const char *const words[] = {
		[ES__EXPECT__EXPECT_ANY] = "expected any",
		[ES__EXPECT__EXPECT_NONE] = "expected none",
		[ES__EXPECT__EXPECT_EXISTS] = "expected one that exists",
	};
	if (expected->expect == ES__EXPECT__EXPECT_EXACT)
		error_set(err, ERR_CONFLICT,
		          "events[%lu]: entity \"%.128s\" has version %llu, expected %llu", index,
		          expected->entity_id, version, (unsigned long long)expected->version);
	else
		error_set(err, ERR_CONFLICT, "events[%lu]: entity \"%.128s\" has version %llu, %s",
		          index, expected->entity_id, version, words[expected->expect]);
}

/* Reads "[=]<version> <entry id>\n", where the id may be empty; returns what follows, NULL when it is something
 * else. */
static const char *parse_appended(const char *line, struct arena *arena, Es__Appended *appended)
{
	es__appended__init(appended);
	if (*line == '=') {
		appended->duplicate = true;
		line++;
	}
	char *space;
	appended->version = strtoull(line, &space, 10);
	if (space == line || *space != ' ')
		return NULL;
	const char *id = space + 1, *end = id + strcspn(id, "\n");
	appended->entry_id = arena_copy(arena, id, (size_t)(end - id));
	return *end == '\n' ? end + 1 : end;
}

const char *log_answer(const struct request *request, const char *line, const struct error *failure,
                       struct arena *arena)
{
	struct log_outcome outcome = { 0 };
	struct error err;
	if (*line == '!') {
		refusal(request, line + 1, &outcome, &err);
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : "";
	} else {
		Es__Appended **events = arena_alloc(arena, request->count * sizeof(Es__Appended *));
		Es__Appended *bodies = arena_alloc(arena, request->count * sizeof(Es__Appended));
		for (size_t i = 0; i < request->count && line != NULL; i++) {
			events[i] = &bodies[i];
			line = parse_appended(line, arena, events[i]);
		}
		if (line == NULL) {
			error_set(&err, ERR_INTERNAL, "append.lua answered something else");
			outcome.err = &err;
			line = "";
		} else {
			outcome.err = failure;
			outcome.events = events;
			outcome.count = request->count;
		}
	}
	request->done(request->arg, &outcome);
	return line;
}
