/* supervisor.h - processes that are started in stages, kept running, and stopped in reverse.
 *
 *             spawn            ready byte, or probe
 *   STOPPED ---------> STARTING -------------------> READY
 *    ^   ^               |   ^                         |
 *    |   |          exit |   | after the backoff       | exit
 *    |   |               v   |                         |
 *    |   |              WAITING <----------------------'
 *    |   |                |
 *    |   '--- stop -------'
 *    '------- exit ------ STOPPING <--- stop --- STARTING, READY
 *
 * A stage is started when everything below it is ready, and stopped when everything above it has
 * ended. A process says that it is ready by writing a byte to the file descriptor that the
 * environment names in ORDERSHOP_READY_FD; one that cannot (Redis) is asked by a probe.
 *
 * One thread, and no gRPC in it: gRPC and fork do not go together. Children are killed by the
 * kernel when this process dies; each is a process group of its own, so that Ctrl-C reaches only
 * this one. What they write goes to LOGS/NAME.log. */
#ifndef ORDERSHOP_SUPERVISOR_H
#define ORDERSHOP_SUPERVISOR_H

#include "base/buffer.h"

#include <sys/types.h>

enum process_state {
	PROCESS_STOPPED,
	PROCESS_STARTING,
	PROCESS_READY,
	PROCESS_WAITING,
	PROCESS_STOPPING,
	PROCESS_STATES
};

struct process_spec {
	const char *name;
	const char *path;        /* of the executable; without a slash it is looked for in PATH */
	const char *const *argv; /* NULL-terminated */
	unsigned stage;
	bool (*probe)(void *arg); /* NULL: the process writes the byte itself */
	void *probe_arg;
};

struct supervisor_options {
	const char *log_folder;
	const char *control_path; /* of the socket that control.h speaks to */
	unsigned grace_ms;        /* from SIGTERM to SIGKILL */
	void (*ready)(void *arg); /* once, when everything is ready for the first time */
	void *arg;
};

struct supervisor;

/* Specs, their strings and the options must outlive the supervisor. Blocks SIGINT, SIGTERM and
 * SIGCHLD, so it comes before any thread. */
MUST_USE bool supervisor_create(const struct supervisor_options *options,
                                const struct process_spec *specs, size_t count,
                                struct supervisor **out, struct error *err);
/* Returns when SIGINT or SIGTERM came and everything has ended (true), or when a process ended
 * again and again before the first `ready` (false; everything has ended as well). A second
 * signal ends the grace. */
MUST_USE bool supervisor_run(struct supervisor *supervisor, struct error *err);
void supervisor_destroy(struct supervisor *supervisor);

/* For the control socket: one request, such as "stop order". Answers at once, or, when the
 * process has got there, through control_answer with this `client`. */
void supervisor_request(struct supervisor *supervisor, const char *request, int client);

#endif
