#include "bench/shop_process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		address.sin_port = 0;
	if (fd >= 0)
		close(fd);
	return ntohs(address.sin_port);
}

/* Runs this executable with `argv`; its standard output, with `errors` standard error too, goes to *out when that is
 * not NULL. */
static bool spawn_self(char *const *argv, bool errors, int *out, pid_t *pid, struct error *err)
{
	int ends[2] = { -1, -1 };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	if (out != NULL) {
		if (pipe(ends) != 0)
			return error_set(err, ERR_INTERNAL, "pipe: %s", strerror(errno));
		posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		if (errors)
			posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
		posix_spawn_file_actions_addclose(&actions, ends[0]);
		posix_spawn_file_actions_addclose(&actions, ends[1]);
	} else {
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
	}
	int failed = posix_spawn(pid, "/proc/self/exe", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (out != NULL) {
		close(ends[1]);
		*out = ends[0];
	}
	if (failed != 0)
		return error_set(err, ERR_INTERNAL, "cannot start %s: %s", argv[1],
		                 strerror(failed));
	return true;
}

bool shop_process_start(struct shop_process *shop, struct error *err)
{
	char ports[4][8];
	int *const values[4] = { &shop->rest_port, &shop->store_port, &shop->queue_port,
		                 &shop->model_port };
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		*values[i] = free_port();
		snprintf(ports[i], sizeof(ports[i]), "%d", *values[i]);
	}
	snprintf(shop->folder, sizeof(shop->folder), "/tmp/ordershop-bench-XXXXXX");
	if (mkdtemp(shop->folder) == NULL)
		return error_set(err, ERR_INTERNAL, "mkdtemp: %s", strerror(errno));
	const char *argv[] = { "ordershop",
		               "run",
		               "--data",
		               shop->folder,
		               "--port",
		               ports[0],
		               "--event-store-port",
		               ports[1],
		               "--message-queue-port",
		               ports[2],
		               "--read-model-port",
		               ports[3],
		               NULL };
	int out = -1;
	if (!spawn_self((char *const *)argv, false, &out, &shop->pid, err))
		return false;
	FILE *lines = fdopen(out, "r");
	char line[256] = "";
	bool ready = fgets(line, sizeof(line), lines) != NULL && strncmp(line, "ready ", 6) == 0;
	fclose(lines);
	if (!ready)
		return error_set(err, ERR_UNAVAILABLE, "the shop did not get ready; see %s/logs",
		                 shop->folder);
	return true;
}

static bool run_words(const char *const *argv, struct error *err)
{
	pid_t pid;
	int status = 0;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0)
		return error_set(err, ERR_INTERNAL, "%s failed", argv[0]);
	return true;
}

void shop_process_stop(struct shop_process *shop)
{
	kill(shop->pid, SIGTERM);
	waitpid(shop->pid, NULL, 0);
	struct error err;
	const char *argv[] = { "rm", "-rf", shop->folder, NULL };
	if (!run_words(argv, &err))
		fprintf(stderr, "%s\n", err.message);
}

bool shop_process_control(const struct shop_process *shop, const char *verb, const char *service,
                          struct error *err)
{
	const char *argv[] = { "ordershop", verb, service, "--data", shop->folder, NULL };
	pid_t pid;
	int status = 0;
	if (!spawn_self((char *const *)argv, false, NULL, &pid, err))
		return false;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return error_set(err, ERR_INTERNAL, "ordershop %s %s failed", verb, service);
	return true;
}

bool shop_process_run(const char *const *argv, const char *words, char line[256], struct error *err)
{
	pid_t pid = -1;
	int out = -1, status = 0;
	char last[256] = "";
	if (!spawn_self((char *const *)argv, true, &out, &pid, err))
		return false;
	FILE *lines = fdopen(out, "r");
	line[0] = '\0';
	while (fgets(last, sizeof(last), lines) != NULL) {
		if (strstr(last, words) != NULL)
			memcpy(line, last, sizeof(last));
	}
	fclose(lines);
	last[strcspn(last, "\n")] = '\0';
	if (waitpid(pid, &status, 0) != pid || status != 0 || line[0] == '\0')
		return error_set(err, ERR_INTERNAL, "ordershop %s failed: %s", argv[1], last);
	return true;
}

/* One number after `field` of /proc/PID/FILE; -1 if it is not there. */
static long proc_number(const char *pid, const char *field)
{
	char path[300], line[256];
	long value = -1;
	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, field, strlen(field)) == 0)
			value = strtol(line + strlen(field), NULL, 10);
	}
	fclose(file);
	return value;
}

static bool is_redis(const char *pid)
{
	char path[300], name[64] = "";
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	FILE *file = fopen(path, "r");
	if (file != NULL) {
		if (fgets(name, sizeof(name), file) == NULL)
			name[0] = '\0';
		fclose(file);
	}
	return strncmp(name, "redis", 5) == 0;
}

double shop_process_memory_mib(const struct shop_process *shop)
{
	long sum_kib = 0;
	DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
			continue;
		bool ours = strtol(entry->d_name, NULL, 10) == shop->pid ||
		            proc_number(entry->d_name, "PPid:") == shop->pid;
		long kib =
		    ours && !is_redis(entry->d_name) ? proc_number(entry->d_name, "VmRSS:") : 0;
		sum_kib += kib > 0 ? kib : 0;
	}
	if (proc != NULL)
		closedir(proc);
	return (double)sum_kib / 1024;
}
