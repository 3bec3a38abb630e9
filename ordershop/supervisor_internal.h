/* supervisor_internal.h - what the files of the supervisor share.
 *
 *   supervisor.c           the states of the processes, and the loop
 *   supervisor_request.c   what the control socket asks for */
#ifndef ORDERSHOP_SUPERVISOR_INTERNAL_H
#define ORDERSHOP_SUPERVISOR_INTERNAL_H

#include "ordershop/control.h"
#include "ordershop/supervisor.h"

#include <signal.h>

enum { PROCESSES_MAX = 32 };

struct process {
	const struct process_spec *spec;
	enum process_state state;
	bool wanted; /* stopped by request: false */
	pid_t pid;
	int ready_fd; /* -1: none */
	unsigned failures;
	unsigned restarts;
	uint64_t since_ms;
	uint64_t wake_ms;   /* when the state needs a look: probe, spawn, kill */
	uint64_t remind_ms; /* when to say that it is still STARTING */
	int client;         /* of the control socket, waits for READY or STOPPED; -1: none */
};

struct supervisor {
	struct supervisor_options options;
	struct process *processes;
	size_t count;
	struct control *control;
	int signal_fd;
	sigset_t old_signals;
	bool was_ready;
	bool stopping;
	bool failed;
	bool changed; /* a state changed in this turn: look at all again */
	struct error failure;
};

/* Sends the process where `stop` of the picture leads. */
void supervisor_stop(struct supervisor *supervisor, struct process *process);
/* To the client that waits for this process, if one does. */
void supervisor_answer(struct supervisor *supervisor, struct process *process, const char *text);

#endif
