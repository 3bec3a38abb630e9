#include "ordershop/supervisor_internal.h"
#include "base/clock.h"
#include "ordershop/command.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[PROCESS_STATES] = { "stopped", "starting", "ready", "waiting",
	                                                 "stopping" };

static void answer_status(struct supervisor *supervisor, int client)
{
	struct buffer text;

	buffer_init(&text, 65536);
	for (size_t i = 0; i < supervisor->count; i++) {
		const struct process *process = &supervisor->processes[i];

		buffer_printf(&text, "%s %s %d %llu %u\n", process->spec->name,
		              state_names[process->state], (int)process->pid,
		              (unsigned long long)(clock_monotonic_ms() - process->since_ms) / 1000,
		              process->restarts);
	}
	control_answer(supervisor->control, client, text.bytes);
	buffer_free(&text);
}

static struct process *find_process(struct supervisor *supervisor, const char *name,
                                    struct error *err)
{
	const char *names[PROCESSES_MAX];
	char hint[HINT_SIZE];

	for (size_t i = 0; i < supervisor->count; i++) {
		names[i] = supervisor->processes[i].spec->name;
		if (strcmp(name, names[i]) == 0)
			return &supervisor->processes[i];
	}
	closest_hint(hint, name, names, supervisor->count);
	error_set(err, ERR_NOT_FOUND, "there is no service '%s'%s", name,
	          *hint ? hint : "; ordershop status lists them");
	return NULL;
}

void supervisor_request(struct supervisor *supervisor, const char *request, int client)
{
	bool start = strncmp(request, "start ", 6) == 0;
	enum process_state goal = start ? PROCESS_READY : PROCESS_STOPPED;
	struct process *process = NULL;
	struct error err;
	char text[sizeof(err.message) + 16];

	if (strcmp(request, "status") == 0) {
		answer_status(supervisor, client);
		return;
	}
	if (supervisor->stopping)
		error_set(&err, ERR_PRECONDITION, "the shop is stopping");
	else if (!start && strncmp(request, "stop ", 5) != 0)
		error_set(&err, ERR_INVALID, "unknown request");
	else if ((process = find_process(supervisor, strchr(request, ' ') + 1, &err)) &&
	         process->client >= 0) {
		error_set(&err, ERR_PRECONDITION, "%s is being %s already", process->spec->name,
		          process->wanted ? "started" : "stopped");
		process = NULL;
	}
	if (!process) {
		snprintf(text, sizeof(text), "error: %s\n", err.message);
		control_answer(supervisor->control, client, text);
		return;
	}
	process->wanted = start;
	process->client = client;
	if (!start)
		supervisor_stop(supervisor, process);
	else if (process->state == PROCESS_WAITING)
		process->wake_ms = 0;
	if (process->state == goal)
		supervisor_answer(supervisor, process, "");
}
