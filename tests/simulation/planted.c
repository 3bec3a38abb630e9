/* planted BUG FILE - the simulator with one rule broken: finds it, shrinks it, writes the scenario.
 *
 * Prints the invariant and the number of actions that are left; exit status 1 when nothing was found. */
#include "domain/services.h"
#include "ordershop/scenario_memory.h"
#include "ordershop/simulate.h"

#include "proto/entities.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 400000, PLAYS = 3000, SERVICES_MAX = 16, FUNCTIONS_MAX = 16, SAGAS_MAX = 16 };

/* ---- Bugs -------------------------------------------------------------------------------- */

static decide_function *right_decide;
static react_function *right_react;

/* What a cancelled order gives back is counted twice. */
static enum step release_twice(struct context *context, const struct command *command)
{
	enum step step = right_decide(context, command);
	for (struct batch *batch = context->batches; batch != NULL; batch = batch->next) {
		for (struct new_event *event = batch->events; event != NULL; event = event->next) {
			const Shop__Inventory *before =
			    (const Shop__Inventory *)event->need->loaded.state;
			Shop__Inventory *after = (Shop__Inventory *)event->state;
			after->amount += after->amount - before->amount;
		}
	}
	return step;
}

/* Nobody looks whether there is enough. */
static enum step reserve_blindly(struct context *context, const struct command *command)
{
	enum step step = right_decide(context, command);
	const struct need *need = context->needs;
	if (step != STEP_DONE || context->batches != NULL || need == NULL ||
	    need->loaded.state == NULL)
		return step;
	Shop__Inventory *after = arena_alloc(context->arena, sizeof(*after));
	*after = *(const Shop__Inventory *)need->loaded.state;
	after->amount -= 1;
	decide_event(context, "StockReserved", ENTITY_UPDATED, "inventory", need->loaded.id,
	             &after->base);
	return step;
}

/* A cancelled order keeps its stock. */
static enum step forget_stock(struct context *context, const struct event *event)
{
	Shop__Order order = *(const Shop__Order *)event->state;
	struct event changed = *event;
	order.stock_held = false;
	changed.state = &order.base;
	return right_react(context, &changed);
}

/* An event that is delivered again is another one. */
static enum step mail_again(struct context *context, const struct event *event)
{
	enum step step = right_react(context, event);
	for (struct need *need = context->needs; need != NULL; need = need->next) {
		if (need->kind != NEED_SEND || !event->redelivered)
			continue;
		char *id = arena_strdup(context->arena, need->message_id);
		id[0] = id[0] == '0' ? '1' : '0';
		need->message_id = id;
	}
	return step;
}

/* Nobody can hear of it: the event is tried again and again. */
static enum step never_end(struct context *context, const struct event *event)
{
	(void)event;
	return decide_fail(context, ERR_PRECONDITION, "not today");
}

static const struct bug {
	const char *name, *service;
	const char *function; /* whose decision is broken, or */
	const char *event;    /* to which the reaction is */
	decide_function *decide;
	react_function *react;
} bugs[] = {
	{ "release-twice", "inventory", "release", NULL, release_twice, NULL },
	{ "reserve-blindly", "inventory", "reserve", NULL, reserve_blindly, NULL },
	{ "forget-stock", "order", NULL, "OrderCancelled", NULL, forget_stock },
	{ "never-end", "crm", NULL, "CustomerCreated", NULL, never_end },
	{ "mail-again", "crm", NULL, "CustomerCreated", NULL, mail_again },
};

/* ---- The cast with the bug --------------------------------------------------------------- */

static struct service broken;
static struct function functions[FUNCTIONS_MAX];
static struct saga sagas[SAGAS_MAX];
static const struct service *services[SERVICES_MAX];

static void break_service(const struct service *right, const struct bug *bug)
{
	broken = *right;
	ASSERT(right->function_count <= FUNCTIONS_MAX && right->saga_count <= SAGAS_MAX);
	for (size_t i = 0; i < right->function_count; i++) {
		functions[i] = right->functions[i];
		if (bug->function != NULL && strcmp(functions[i].name, bug->function) == 0) {
			right_decide = functions[i].decide;
			functions[i].decide = bug->decide;
		}
	}
	for (size_t i = 0; i < right->saga_count; i++) {
		sagas[i] = right->sagas[i];
		if (bug->event != NULL && strcmp(sagas[i].event_types[0], bug->event) == 0) {
			right_react = sagas[i].react;
			sagas[i].react = bug->react;
		}
	}
	broken.functions = functions;
	broken.sagas = sagas;
}

static struct cast plant(const struct bug *bug)
{
	for (size_t i = 0; i < domain_service_count; i++) {
		services[i] = domain_services[i];
		if (strcmp(services[i]->name, bug->service) != 0)
			continue;
		break_service(services[i], bug);
		services[i] = &broken;
	}
	return (struct cast){ services, domain_service_count };
}

static const struct bug *bug_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
		if (strcmp(bugs[i].name, name) == 0)
			return &bugs[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct bug *bug = argc == 3 ? bug_find(argv[1]) : NULL;
	if (bug == NULL) {
		fprintf(stderr, "usage: planted BUG FILE\n");
		return 2;
	}
	struct simulation simulation = { .cast = plant(bug), .seed = 1, .steps = STEPS };
	if (simulation_run(&simulation)) {
		printf("nothing in %llu steps\n", (unsigned long long)simulation.taken);
		return 1;
	}
	struct finding *finding = &simulation.finding;
	printf("found after %llu steps, %zu actions: %s: %s\n",
	       (unsigned long long)simulation.taken, simulation.script.count, finding->invariant,
	       finding->what);
	unsigned long long plays = (unsigned long long)script_shrink(
	    &simulation.script, &simulation.cast, finding, simulation.arena, PLAYS);
	struct buffer text;
	buffer_init(&text, 1024 * 1024);
	script_write(&simulation.script, finding, bug->name, &text);
	FILE *file = fopen(argv[2], "w");
	ASSERT(file != NULL && fputs(text.bytes, file) >= 0 && fclose(file) == 0);
	printf("%s %zu actions after %llu plays: %s\n", finding->invariant, simulation.script.count,
	       plays, finding->what);
	bool shown = scenario_shows(argv[2], &simulation.cast, finding->invariant);
	if (!shown)
		printf("but %s does not show it\n", argv[2]);
	buffer_free(&text);
	simulation_free(&simulation);
	return shown ? 0 : 1;
}
