#include "ordershop/spawn.h"
#include "ordershop/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void name_log(const struct process_spec *spec, const char *log_folder, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s.log", log_folder, spec->name);
}

/* In the child: never returns. */
static void become(const struct process_spec *spec, const char *log_folder, const sigset_t *signals,
                   int ready_fd, pid_t parent)
{
	char log_path[PATH_MAX], fd_text[16];
	int log;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before the line above */
		_exit(EXIT_FAILED);
	sigprocmask(SIG_SETMASK, signals, NULL);
	name_log(spec, log_folder, log_path);
	log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0640);
	if (log >= 0) {
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
	}
	log = open("/dev/null", O_RDONLY);
	if (log >= 0)
		dup2(log, STDIN_FILENO);
	snprintf(fd_text, sizeof(fd_text), "%d", ready_fd);
	setenv("ORDERSHOP_READY_FD", fd_text, 1);
	unsetenv("ORDERSHOP_CONFIG"); /* its keys are those of `run` */
	execvp(spec->path, (char *const *)spec->argv);
	fprintf(stderr, "cannot start %s: %s\n", spec->path, strerror(errno));
	_exit(EXIT_USAGE);
}

pid_t spawn_process(const struct process_spec *spec, const char *log_folder,
                    const sigset_t *signals, int *ready_fd)
{
	pid_t pid, parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		fcntl(fds[1], F_SETFD, 0);
		become(spec, log_folder, signals, fds[1], parent);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -1;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ready_fd = fds[0];
	return pid;
}

void spawn_last_words(const struct process_spec *spec, const char *log_folder, char *out,
                      size_t size)
{
	static const char *const fields[] = { " error=\"", " reason=\"" };
	char path[PATH_MAX], tail[1024];
	ssize_t len = 0;
	char *line, *field;
	int log;

	name_log(spec, log_folder, path);
	log = open(path, O_RDONLY | O_CLOEXEC);
	if (log >= 0) {
		off_t end = lseek(log, 0, SEEK_END), room = sizeof(tail) - 1;

		len = pread(log, tail, (size_t)room, end > room ? end - room : 0);
		close(log);
	}
	while (len > 0 && tail[len - 1] == '\n')
		len--;
	tail[len > 0 ? len : 0] = '\0';
	line = strrchr(tail, '\n');
	line = line ? line + 1 : tail;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		field = strstr(line, fields[i]);
		if (!field)
			continue;
		line = field + strlen(fields[i]);
		line[strcspn(line, "\"")] = '\0';
	}
	snprintf(out, size, "%s", line);
}
