#include "ordershop/simulate.h"

#include <inttypes.h>
#include <string.h>

/* JSON is YAML; but in a scenario a $ begins a reference. */
static void write_params(struct buffer *out, const char *params)
{
	for (const char *c = params; *c != '\0'; c++) {
		if (*c == '$')
			buffer_putc(out, '$');
		buffer_putc(out, *c);
	}
}

/* Messages that are sent more than once need a name. */
static bool sent_again(const struct script *script, const struct action *action)
{
	size_t times = 0;
	for (size_t i = 0; i < script->count; i++)
		times += script->actions[i].kind == ACTION_SEND &&
		         strcmp(script->actions[i].message_id, action->message_id) == 0;
	return times > 1;
}

static void write_send(const struct script *script, const struct action *action, struct buffer *out)
{
	buffer_printf(out, "  - when: %s.%s\n    params: ", action->service, action->function);
	write_params(out, action->params);
	buffer_putc(out, '\n');
	if (sent_again(script, action))
		buffer_printf(out, "    message: m%.8s\n", action->message_id);
	buffer_puts(out, action->rest ? "    error: any\n" : "    wait: nothing\n");
}

static void write_fault(enum memory_fault fault, const char *service, struct buffer *out)
{
	buffer_printf(out, "  - fault: %s\n    service: %s\n", memory_fault_name(fault), service);
}

/* Is this the last that stops or starts its service, and stops it? */
static bool leaves_down(const struct script *script, size_t index)
{
	const struct action *action = &script->actions[index];
	if (action->kind != ACTION_FAULT || !memory_fault_stops(action->fault))
		return false;
	for (size_t i = index + 1; i < script->count; i++) {
		const struct action *later = &script->actions[i];
		if (later->kind == ACTION_FAULT && strcmp(later->service, action->service) == 0 &&
		    (later->fault == MEMORY_START || memory_fault_stops(later->fault)))
			return false;
	}
	return true;
}

/* As stage_end does it. */
static void write_end(const struct script *script, const char *invariant, struct buffer *out)
{
	for (size_t i = 0; i < script->count; i++) {
		if (leaves_down(script, i))
			write_fault(MEMORY_START, script->actions[i].service, out);
	}
	buffer_printf(out,
	              "  - at: +%ds\n  - fault: requeue\n  - at: +%ds\n"
	              "  - step: %s\n    then: { parked: 0 }\n",
	              STAGE_END_SECONDS, STAGE_END_SECONDS, invariant);
}

static void write_action(const struct script *script, const struct action *action,
                         struct buffer *out)
{
	switch (action->kind) {
	case ACTION_SEND:
		write_send(script, action, out);
		break;
	case ACTION_WORK:
		buffer_printf(out, "  - work: %" PRIu32 "\n", action->number);
		break;
	case ACTION_FAULT:
		write_fault(action->fault, action->service, out);
		break;
	case ACTION_REDIS:
		buffer_puts(out, "  - fault: redis_restart\n");
		break;
	case ACTION_PASS:
		buffer_printf(out, "  - at: +%" PRIu32 "s\n", action->number);
		break;
	case ACTION_REQUEUE:
		buffer_puts(out, "  - fault: requeue\n");
		break;
	case ACTION_KINDS:
		ASSERT(false);
	}
}

void script_write(const struct script *script, const struct finding *finding, const char *comment,
                  struct buffer *out)
{
	buffer_printf(out, "# %s\n# %s\nscenario: %s\nseed: %" PRIu64 "\nsteps:\n", comment,
	              finding->what, finding->invariant, script->seed);
	for (size_t i = 0; i < script->count; i++)
		write_action(script, &script->actions[i], out);
	if (script->ends)
		write_end(script, finding->invariant, out);
}
