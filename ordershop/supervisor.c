#include "ordershop/supervisor_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "ordershop/command.h"
#include "ordershop/spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PROBE_MS = 5,
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	STEADY_MS =
	    10000, /* a process that was ready for so long starts with the least backoff again */
	SLOW_START_MS = 3000,
	GIVE_UP_AFTER = 5, /* ends before the first `ready` */
};

bool supervisor_create(const struct supervisor_options *options, const struct process_spec *specs,
                       size_t count, struct supervisor **out, struct error *err)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	sigset_t signals;

	ASSERT(supervisor && count <= PROCESSES_MAX);
	if (!control_create(options->control_path, &supervisor->control, err)) {
		free(supervisor);
		return false;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &supervisor->old_signals);
	supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	ASSERT(supervisor->signal_fd >= 0);
	supervisor->options = *options;
	supervisor->count = count;
	supervisor->processes = calloc(count, sizeof(*supervisor->processes));
	ASSERT(supervisor->processes);
	for (size_t i = 0; i < count; i++)
		supervisor->processes[i] = (struct process){
			.spec = &specs[i], .wanted = true, .ready_fd = -1, .client = -1
		};
	*out = supervisor;
	return true;
}

void supervisor_destroy(struct supervisor *supervisor)
{
	if (!supervisor)
		return;
	control_destroy(supervisor->control);
	close(supervisor->signal_fd);
	sigprocmask(SIG_SETMASK, &supervisor->old_signals, NULL);
	free(supervisor->processes);
	free(supervisor);
}

static void set_state(struct supervisor *supervisor, struct process *process,
                      enum process_state state, uint64_t wake_ms)
{
	process->state = state;
	process->since_ms = clock_monotonic_ms();
	process->wake_ms = wake_ms;
	supervisor->changed = true;
}

void supervisor_answer(struct supervisor *supervisor, struct process *process, const char *text)
{
	if (process->client >= 0)
		control_answer(supervisor->control, process->client, text);
	process->client = -1;
}

static void close_ready_fd(struct process *process)
{
	if (process->ready_fd >= 0)
		close(process->ready_fd);
	process->ready_fd = -1;
}

static void spawn(struct supervisor *supervisor, struct process *process)
{
	process->pid = spawn_process(process->spec, supervisor->options.log_folder,
	                             &supervisor->old_signals, &process->ready_fd);
	if (process->pid < 0) {
		log_error("cannot_fork", "name=%s error=\"%s\"", process->spec->name,
		          strerror(errno));
		set_state(supervisor, process, PROCESS_WAITING,
		          clock_monotonic_ms() + BACKOFF_MAX_MS);
		return;
	}
	set_state(supervisor, process, PROCESS_STARTING, 0);
	process->remind_ms = process->since_ms + SLOW_START_MS;
}

static void became_ready(struct supervisor *supervisor, struct process *process)
{
	close_ready_fd(process);
	set_state(supervisor, process, PROCESS_READY, 0);
	supervisor_answer(supervisor, process, "");
	if (supervisor->was_ready)
		log_info("ready", "name=%s pid=%d", process->spec->name, (int)process->pid);
}

void supervisor_stop(struct supervisor *supervisor, struct process *process)
{
	if (process->state == PROCESS_WAITING) {
		set_state(supervisor, process, PROCESS_STOPPED, 0);
	} else if (process->state == PROCESS_STARTING || process->state == PROCESS_READY) {
		kill(process->pid, SIGTERM);
		set_state(supervisor, process, PROCESS_STOPPING,
		          clock_monotonic_ms() + supervisor->options.grace_ms);
	}
}

static void describe_end(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "signal %d", WTERMSIG(status));
	else
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

/* Before the first `ready` a process that cannot start is the user's to mend. */
static void give_up(struct supervisor *supervisor, const struct process *process, const char *end)
{
	char words[128];

	supervisor->failed = supervisor->stopping = true;
	spawn_last_words(process->spec, supervisor->options.log_folder, words, sizeof(words));
	error_set(&supervisor->failure, ERR_UNAVAILABLE,
	          "%s does not start (%s%s%s); see %s/%s.log", process->spec->name, end,
	          *words ? ": " : "", words, supervisor->options.log_folder, process->spec->name);
}

static void ended(struct supervisor *supervisor, struct process *process, int status)
{
	uint64_t now = clock_monotonic_ms();
	uint64_t backoff = BACKOFF_MIN_MS;
	char end[32];

	close_ready_fd(process);
	process->pid = 0;
	if (process->state == PROCESS_STOPPING) {
		set_state(supervisor, process, PROCESS_STOPPED, 0);
		supervisor_answer(supervisor, process, "");
		return;
	}
	describe_end(status, end, sizeof(end));
	supervisor_answer(supervisor, process,
	                  "error: it ended before it was ready; see its log\n");
	if (process->state == PROCESS_READY && now - process->since_ms >= STEADY_MS)
		process->failures = 0;
	for (unsigned i = 0; i < process->failures && backoff < BACKOFF_MAX_MS; i++)
		backoff *= 2;
	process->failures++;
	process->restarts++;
	log_warn("ended", "name=%s end=\"%s\" again_in_ms=%llu", process->spec->name, end,
	         (unsigned long long)backoff);
	set_state(supervisor, process, PROCESS_WAITING, now + backoff);
	if (!supervisor->was_ready && !supervisor->stopping &&
	    (process->failures >= GIVE_UP_AFTER ||
	     (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE)))
		give_up(supervisor, process, end);
}

static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < supervisor->count; i++) {
			if (supervisor->processes[i].pid == pid)
				ended(supervisor, &supervisor->processes[i], status);
		}
	}
}

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (supervisor->stopping)
			supervisor->options.grace_ms = 0;
		else
			log_info("stopping", "signal=%u", info.ssi_signo);
		supervisor->stopping = true;
		for (size_t i = 0; supervisor->options.grace_ms == 0 && i < supervisor->count; i++)
			supervisor->processes[i].wake_ms = 0;
	}
	reap(supervisor);
}

/* Everything below is ready, or was stopped by request. */
static bool stage_open(const struct supervisor *supervisor, unsigned stage)
{
	for (size_t i = 0; i < supervisor->count; i++) {
		const struct process *process = &supervisor->processes[i];

		if (process->spec->stage < stage && process->wanted &&
		    process->state != PROCESS_READY)
			return false;
	}
	return true;
}

/* It may wait for something, such as a Redis that is not there: that must not look like nothing. */
static void remind(struct supervisor *supervisor, struct process *process, uint64_t now)
{
	char words[128];

	spawn_last_words(process->spec, supervisor->options.log_folder, words, sizeof(words));
	log_warn("not_ready", "name=%s for_s=%llu last_words=\"%s\"", process->spec->name,
	         (unsigned long long)(now - process->since_ms) / 1000, words);
	process->remind_ms = now + (now - process->since_ms);
}

static void look_at(struct supervisor *supervisor, struct process *process, uint64_t now)
{
	bool go = process->wanted && !supervisor->stopping;

	switch (process->state) {
	case PROCESS_STOPPED:
		if (go && stage_open(supervisor, process->spec->stage))
			spawn(supervisor, process);
		break;
	case PROCESS_WAITING:
		if (go && now >= process->wake_ms)
			spawn(supervisor, process);
		break;
	case PROCESS_STARTING:
		if (process->spec->probe && now >= process->wake_ms) {
			process->wake_ms = now + PROBE_MS;
			if (process->spec->probe(process->spec->probe_arg))
				became_ready(supervisor, process);
		}
		if (process->state == PROCESS_STARTING && now >= process->remind_ms)
			remind(supervisor, process, now);
		break;
	case PROCESS_STOPPING:
		if (now >= process->wake_ms) {
			log_warn("killed", "name=%s grace_ms=%u", process->spec->name,
			         supervisor->options.grace_ms);
			kill(process->pid, SIGKILL);
			process->wake_ms = UINT64_MAX;
		}
		break;
	case PROCESS_READY:
	case PROCESS_STATES:
		break;
	}
}

/* Stops the highest stage that is left. True when none is. */
static bool stop_stage(struct supervisor *supervisor)
{
	const struct process *highest = NULL;

	for (size_t i = 0; i < supervisor->count; i++) {
		const struct process *process = &supervisor->processes[i];

		if (process->state != PROCESS_STOPPED &&
		    (!highest || process->spec->stage > highest->spec->stage))
			highest = process;
	}
	for (size_t i = 0; highest && i < supervisor->count; i++) {
		if (supervisor->processes[i].spec->stage == highest->spec->stage)
			supervisor_stop(supervisor, &supervisor->processes[i]);
	}
	return !highest;
}

/* Returns how long to wait: -1 for ever. */
static int next_wake(const struct supervisor *supervisor)
{
	uint64_t now = clock_monotonic_ms(), next = UINT64_MAX;

	for (size_t i = 0; i < supervisor->count; i++) {
		const struct process *process = &supervisor->processes[i];
		bool timed = process->state == PROCESS_WAITING ||
		             process->state == PROCESS_STOPPING ||
		             (process->state == PROCESS_STARTING && process->spec->probe);

		if (timed && process->wake_ms < next)
			next = process->wake_ms;
		if (process->state == PROCESS_STARTING && process->remind_ms < next)
			next = process->remind_ms;
	}
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)(next - now);
}

static void request_cb(void *arg, const char *line, int client)
{
	supervisor_request(arg, line, client);
}

static void wait_and_take(struct supervisor *supervisor)
{
	struct pollfd fds[1 + PROCESSES_MAX + CONTROL_CLIENTS + 1];
	size_t count = 0;

	fds[count++] = (struct pollfd){ .fd = supervisor->signal_fd, .events = POLLIN };
	for (size_t i = 0; i < supervisor->count; i++) {
		if (supervisor->processes[i].ready_fd >= 0)
			fds[count++] = (struct pollfd){ .fd = supervisor->processes[i].ready_fd,
				                        .events = POLLIN };
	}
	count += control_poll_fds(supervisor->control, fds + count);
	if (poll(fds, count, next_wake(supervisor)) < 0)
		return;
	for (size_t i = 0; i < supervisor->count; i++) {
		struct process *process = &supervisor->processes[i];
		char byte;
		ssize_t got = process->ready_fd < 0 ? -1 : read(process->ready_fd, &byte, 1);

		if (got == 0)
			close_ready_fd(process);
		else if (got == 1 && process->state == PROCESS_STARTING)
			became_ready(supervisor, process);
	}
	take_signals(supervisor);
	control_turn(supervisor->control, request_cb, supervisor);
}

static bool all_ready(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->count; i++) {
		if (supervisor->processes[i].state != PROCESS_READY)
			return false;
	}
	return true;
}

bool supervisor_run(struct supervisor *supervisor, struct error *err)
{
	for (;;) {
		do {
			supervisor->changed = false;
			for (size_t i = 0; i < supervisor->count; i++)
				look_at(supervisor, &supervisor->processes[i],
				        clock_monotonic_ms());
			if (supervisor->stopping && stop_stage(supervisor))
				break;
		} while (supervisor->changed);
		if (supervisor->stopping && stop_stage(supervisor))
			break;
		if (!supervisor->was_ready && !supervisor->stopping && all_ready(supervisor)) {
			supervisor->was_ready = true;
			supervisor->options.ready(supervisor->options.arg);
		}
		wait_and_take(supervisor);
	}
	if (supervisor->failed)
		*err = supervisor->failure;
	return !supervisor->failed;
}
