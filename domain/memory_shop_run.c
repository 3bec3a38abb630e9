#include "domain/memory_shop_internal.h"

#include <stdlib.h>
#include <string.h>

static void advance(struct memory_shop *shop, struct task *task);

bool shop_error_passes(const struct error *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_DEADLINE ||
	       err->code == ERR_EXHAUSTED || err->code == ERR_CANCELLED;
}

/* ---- Begin and end ----------------------------------------------------------------------- */

static struct run *run_create(struct memory_shop *shop, struct server *server,
                              const struct function *function, const char *message_id,
                              const struct json *params, struct origin *origin, bool direct)
{
	struct arena *arena = pool_take(&shop->pool);
	struct run *run = arena_zalloc(arena, sizeof(*run));
	run->task.turn = advance;
	run->task.server = server;
	run->shop = shop;
	run->arena = arena;
	run->function = function;
	run->origin = origin;
	origin->refs++;
	run->direct = direct;
	run->command = (struct command){
		.function = function->name,
		.rules = function->rules,
		.message_id = arena_copy(arena, message_id, UUID_SIZE - 1),
		.params = params,
		.now_us = shop->clock_us,
	};
	context_init(&run->context, arena, run->command.message_id);
	DL_APPEND(server->runs, run);
	return run;
}

static void run_free(struct memory_shop *shop, struct run *run)
{
	struct server *server = run->task.server;
	shop_task_drop(shop, &run->task);
	shop_timer_clear(&run->timer);
	DL_DELETE(server->runs, run);
	if (run->message != NULL)
		run->message->runs--;
	holds_release(shop, run->held);
	origin_unref(run->origin);
	json_free(run->params);
	context_free(&run->context);
	pool_give(&shop->pool, run->arena);
}

void shop_run_kill(struct memory_shop *shop, struct run *run)
{
	struct message *message = run->message;
	run_free(shop, run);
	if (message != NULL && message->runs == 0)
		message_return(shop, message, "its consumer went away", false);
}

/* What the worker tells the queue. */
static void settle(struct memory_shop *shop, struct message *message, const struct run *run,
                   const char *result, const struct error *error)
{
	bool crowded = error != NULL && error->code == ERR_CONFLICT && run->comes_again;
	if (error != NULL && (crowded || shop_error_passes(error)))
		message_return(shop, message, error->message, true);
	else
		message_settle(shop, message, result, error);
}

static void finish(struct memory_shop *shop, struct run *run, const struct error *error)
{
	const struct buffer *text = &run->context.result;
	const char *result = text->len == 0 ? "null" : text->bytes;
	struct error too_long;
	if (error == NULL && text->overflow) {
		(void)error_set(&too_long, ERR_TOO_LARGE, "the result is too long");
		error = &too_long;
	}
	if (run->message != NULL) {
		settle(shop, run->message, run, result, error);
	} else if (run->caller != NULL) {
		reaction_answered(shop, run->caller, run->need, result, error);
	} else {
		run->answer->passing = run->context.passing;
		if (error != NULL)
			run->answer->error = *error;
		else
			run->answer->result = result;
		shop_task_drop(shop, &run->task);
		return; /* the caller frees it when it has read the result */
	}
	run_free(shop, run);
}

static void fail(struct memory_shop *shop, struct run *run, const struct error *error)
{
	bool again = error->code == ERR_CONFLICT && run->comes_again;
	if (run->undo == NULL || again || shop_error_passes(error)) {
		finish(shop, run, error);
		return;
	}
	struct batch *undo = arena_zalloc(run->arena, sizeof(*undo));
	undo->topic = run->undo->topic;
	undo->events = run->undo->undo;
	run->failure = *error;
	run->undo = NULL;
	run->undoing = true;
	run->batch = undo;
	shop_task_ready(shop, &run->task);
}

static enum step crowded_out(struct run *run)
{
	return decide_fail(&run->context, ERR_CONFLICT, "%s: others were faster %d times",
	                   run->function->name, TRIES_MAX);
}

static void try_again(struct memory_shop *shop, struct run *run)
{
	run->batch = NULL;
	if (++run->tries == TRIES_MAX && run->comes_again) {
		(void)crowded_out(run);
		fail(shop, run, &run->context.error);
		return;
	}
	run->probe = PROBE_NONE;
	context_forget(&run->context);
	shop_task_ready(shop, &run->task);
}

/* ---- Appends ----------------------------------------------------------------------------- */

/* As the event store checks them: the first event of each entity, since the others follow from it. */
static bool versions_hold(struct memory_shop *shop, const struct batch *batch)
{
	for (const struct new_event *event = batch->events; event != NULL; event = event->next) {
		if (event->need == NULL || event->expected_version != event->need->loaded.version)
			continue;
		const struct memory_entity *entity =
		    shop_entity(shop, batch->topic, event->entity_id);
		uint64_t version = entity == NULL ? 0 : entity->version;
		if (event->expect_none ? entity_state(entity) != NULL
		                       : version != event->expected_version)
			return false;
	}
	return true;
}

/* Of an undo, whose events follow those that it takes back. */
static bool undo_holds(struct memory_shop *shop, const struct batch *batch)
{
	for (const struct new_event *event = batch->events; event != NULL; event = event->next) {
		const struct memory_entity *entity =
		    shop_entity(shop, batch->topic, event->entity_id);
		if (entity == NULL || entity->version != event->expected_version)
			return false;
	}
	return true;
}

static void append_all(struct memory_shop *shop, const struct run *run, const struct batch *batch)
{
	for (const struct new_event *event = batch->events; event != NULL; event = event->next)
		shop_log_append(shop, &(struct entry){
		                          .event_id = event->event_id,
		                          .type = event->type,
		                          .action = event->action,
		                          .topic = event->topic,
		                          .entity_id = event->entity_id,
		                          .state = event->state,
		                          .cause_id = run->command.message_id,
		                          .origin = run->origin,
		                          .direct = run->direct,
		                      });
}

static void after_append(struct memory_shop *shop, struct run *run, bool repeated)
{
	const struct batch *batch = run->batch;
	struct error err;
	if (run->answer == NULL && fault_strikes(run->task.server, MEMORY_CRASH)) {
		struct server *server = run->task.server;
		server_kill(shop, server);
		server_start(shop, server);
		return;
	}
	if (run->answer == NULL && fault_strikes(run->task.server, MEMORY_LOSE_REPLY)) {
		shop_task_ready(shop, &run->task); /* and append it once more */
		return;
	}
	if (run->undoing) {
		finish(shop, run, &run->failure);
		return;
	}
	if (batch->undo != NULL)
		run->undo = batch;
	if (run->answer != NULL && shop->crash && batch->next != NULL && !repeated) {
		shop->crash = false;
		(void)error_set(&err, ERR_UNAVAILABLE, "crashed");
		finish(shop, run, &err);
		return;
	}
	run->batch = batch->next;
	if (run->batch == NULL)
		finish(shop, run, NULL);
	else
		shop_task_ready(shop, &run->task);
}

static void append(struct memory_shop *shop, struct run *run)
{
	const struct batch *batch = run->batch;
	const struct service *service = run->task.server->service;
	/* One atomic append each, the service's own topic last. */
	ASSERT(run->undoing ||
	       (strcmp(batch->topic, service->topic) == 0) == (batch->next == NULL));
	/* Else its events would not be given up. */
	ASSERT(run->undoing || batch->next == NULL ||
	       (run->function->first_topic != NULL &&
	        strcmp(batch->topic, run->function->first_topic) == 0));
	if (!run->undoing && shop_log_given_up(shop, batch->events->event_id)) {
		struct error err;
		(void)probe_error(&err);
		run->batch = NULL;
		fail(shop, run, &err);
		return;
	}
	bool repeated = shop_log_known(shop, batch->events->event_id) != NULL;
	if (!repeated && !run->undoing && !versions_hold(shop, batch)) {
		try_again(shop, run);
		return;
	}
	if (!repeated && (!run->undoing || undo_holds(shop, batch)))
		append_all(shop, run, batch);
	after_append(shop, run, repeated);
}

/* ---- The decision ------------------------------------------------------------------------ */

static void wake(struct memory_shop *shop, struct timer *timer)
{
	struct run *run = CONTAINER(timer, struct run, timer);
	run->probe = PROBE_NONE;
	context_forget(&run->context);
	shop_task_ready(shop, &run->task);
}

/* What the rule refuses for now may be right in a moment. */
static bool may_pass(const struct run *run)
{
	return run->context.passing && run->answer == NULL && run->sleep_ms < PASSING_LAST_MS;
}

static void sleep_on_it(struct memory_shop *shop, struct run *run)
{
	run->sleep_ms = run->sleep_ms == 0 ? PASSING_FIRST_MS : 2 * run->sleep_ms;
	shop_timer_set(shop, &shop->timers, &run->timer, shop->clock_us + 1000 * run->sleep_ms,
	               wake);
}

/* Events are checked by the store; a refusal must not rest on what is only assumed. */
static bool guesses(const struct run *run)
{
	const struct need *need = run->context.needs;
	while (need != NULL && !need->assumed)
		need = need->next;
	return need != NULL;
}

/* Asks the log for the first event, or gives it up there. */
static void ask_log(struct memory_shop *shop, struct run *run, enum probe probe)
{
	char event_id[UUID_SIZE];
	applied_event_id(run->command.message_id,
	                 probe_topic(probe, run->task.server->service, run->function), event_id);
	run->probe = probe;
	if (probe != PROBE_ASKED)
		shop_log_give_up(shop, event_id);
	bool there = shop_log_known(shop, event_id) != NULL;
	if (there && probe == PROBE_FIRST_GIVEN_UP)
		context_forget(&run->context);
	else
		run->command.applied = there;
	shop_task_ready(shop, &run->task);
}

static void conclude(struct memory_shop *shop, struct run *run, enum step step)
{
	const struct service *service = run->task.server->service;
	if (step == STEP_DONE && run->context.batches != NULL && run->tries == TRIES_MAX)
		step = crowded_out(run);
	bool has_events = step == STEP_DONE && run->context.batches != NULL;
	bool passes = step == STEP_FAILED && may_pass(run);
	bool maybe_applied = run->tries > 0 || (!has_events && run->context.needs != NULL);
	enum probe probe = PROBE_NONE;
	if (maybe_applied && !run->command.applied && service->topic != NULL)
		probe = probe_next(run->probe, run->function, !has_events && !passes);
	if (!has_events && guesses(run)) {
		run->probe = PROBE_NONE;
		context_forget(&run->context);
		shop_task_ready(shop, &run->task);
	} else if (probe != PROBE_NONE) {
		ask_log(shop, run, probe);
	} else if (passes) {
		sleep_on_it(shop, run);
	} else if (step == STEP_FAILED) {
		fail(shop, run, &run->context.error);
	} else if (has_events) {
		run->batch = run->context.batches;
		shop_task_ready(shop, &run->task);
	} else {
		finish(shop, run, NULL);
	}
}

static void decide(struct memory_shop *shop, struct run *run)
{
	enum step step = context_decide(&run->context, run->function->decide, &run->command);
	if (step != STEP_MORE) {
		conclude(shop, run, step);
		return;
	}
	for (struct need *need = run->context.needs; need != NULL; need = need->next) {
		if (!need->known)
			fill_entity(shop, run->arena, need, &run->held);
	}
	shop_task_ready(shop, &run->task);
}

static void advance(struct memory_shop *shop, struct task *task)
{
	struct run *run = CONTAINER(task, struct run, task);
	if (task->server->frozen)
		shop_task_wait(task);
	else if (run->batch != NULL)
		append(shop, run);
	else
		decide(shop, run);
}

void run_message(struct memory_shop *shop, struct message *message)
{
	struct run *run = run_create(shop, message->task.server, message->function, message->id,
	                             message->params, message->origin, message->direct);
	run->message = message;
	run->comes_again = !message->direct || message->attempts + 1 < CROWDED_MAX;
	message->runs++;
	shop_task_ready(shop, &run->task);
}

void run_local(struct memory_shop *shop, struct reaction *caller, struct need *need)
{
	struct error err;
	struct json *params;
	const struct function *function =
	    domain_service_function(caller->task.server->service, need->function);
	ASSERT(function != NULL);
	ASSERT(json_parse(need->params, strlen(need->params), &params, &err));
	struct run *run = run_create(shop, caller->task.server, function, need->message_id, params,
	                             caller->logged->origin, false);
	run->params = params;
	run->caller = caller;
	run->need = need;
	run->comes_again = true;
	shop_task_ready(shop, &run->task);
}

/* ---- At once ----------------------------------------------------------------------------- */

static void meanwhile(struct memory_shop *shop)
{
	void (*call)(void *arg) = shop->meanwhile;
	if (call == NULL)
		return;
	shop->meanwhile = NULL;
	call(shop->meanwhile_arg);
	shop->meanwhile = call;
}

struct answer memory_shop_call(struct memory_shop *shop, struct arena *arena,
                               const struct memory_message *message)
{
	struct answer answer = { .result = NULL };
	struct server *server = shop_server(shop, message->service);
	ASSERT(server != NULL);
	const struct function *function =
	    domain_service_function(server->service, message->function);
	ASSERT(function != NULL);
	char id[UUID_SIZE];
	if (message->message_id == NULL)
		shop_make_id(shop, "message", id);
	else
		memcpy(id, message->message_id, UUID_SIZE);
	struct json *params = NULL;
	if (message->params != NULL &&
	    !json_parse(message->params, strlen(message->params), &params, &answer.error))
		return answer;
	struct origin *origin = origin_create(false, id, message->metadata);
	struct run *run = run_create(shop, server, function, id, params, origin, true);
	origin_unref(origin);
	run->params = params;
	run->answer = &answer;
	shop_task_ready(shop, &run->task);
	while (answer.result == NULL && answer.error.code == ERR_NONE) {
		shop_task_drop(shop, &run->task);
		if (run->batch != NULL && !run->undoing)
			meanwhile(shop);
		if (run->batch != NULL)
			append(shop, run);
		else
			decide(shop, run);
	}
	if (answer.result != NULL)
		answer.result = arena_strdup(arena, answer.result);
	run_free(shop, run);
	return answer;
}
