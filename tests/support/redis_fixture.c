#include "tests/support/redis_fixture.h"

#include "base/buffer.h"
#include "base/clock.h"

#include <errno.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_TIMEOUT_MS = 20000, TEXT_MAX = 64 * 1024 * 1024 };
enum { PORT_FIRST = 31000, PORT_LAST = 32767 };

static void run_server(const struct redis_fixture *fixture, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	char log[96];
	snprintf(log, sizeof(log), "%s/redis.log", fixture->folder);
	bool always = fixture->disk == REDIS_FIXTURE_ALWAYS;
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", fixture->socket,
	       "--unixsocketperm", "700", "--dir", fixture->folder, "--logfile", log, "--save", "",
	       "--appendonly", always ? "yes" : "no", "--appendfsync", always ? "always" : "no",
	       "--maxmemory-policy", "noeviction", "--daemonize", "no", (char *)NULL);
	_exit(127);
}

static bool answers(const struct redis_fixture *fixture)
{
	redisContext *context = redisConnectUnix(fixture->socket);
	bool ok = false;
	if (context != NULL && context->err == 0) {
		redisReply *reply = redisCommand(context, "PING");
		ok = reply != NULL && reply->type == REDIS_REPLY_STATUS;
		if (reply != NULL)
			freeReplyObject(reply);
	}
	if (context != NULL)
		redisFree(context);
	return ok;
}

void redis_fixture_restart(struct redis_fixture *fixture)
{
	ASSERT(fixture->pid == 0);
	unlink(fixture->socket);
	pid_t parent = getpid();
	pid_t pid = fork();
	ASSERT(pid >= 0);
	if (pid == 0)
		run_server(fixture, parent);
	fixture->pid = pid;
	uint64_t limit_ms = clock_monotonic_ms() + START_TIMEOUT_MS;
	while (!answers(fixture)) {
		ASSERT(clock_monotonic_ms() < limit_ms);
		ASSERT(waitpid(pid, NULL, WNOHANG) == 0);
		usleep(5000);
	}
}

void redis_fixture_start(struct redis_fixture *fixture, enum redis_fixture_disk disk)
{
	*fixture = (struct redis_fixture){ .disk = disk };
	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/ordershop-redis-XXXXXX");
	ASSERT(mkdtemp(fixture->folder) != NULL);
	snprintf(fixture->socket, sizeof(fixture->socket), "%s/s", fixture->folder);
	snprintf(fixture->url, sizeof(fixture->url), "unix://%s", fixture->socket);
	redis_fixture_restart(fixture);
}

static void end(struct redis_fixture *fixture, int signal)
{
	if (fixture->pid == 0)
		return;
	kill(fixture->pid, signal);
	if (signal != SIGKILL)
		kill(fixture->pid, SIGCONT);
	while (waitpid(fixture->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fixture->pid = 0;
}

void redis_fixture_stop(struct redis_fixture *fixture)
{
	end(fixture, SIGTERM);
}

void redis_fixture_kill(struct redis_fixture *fixture)
{
	end(fixture, SIGKILL);
}

void redis_fixture_freeze(struct redis_fixture *fixture)
{
	ASSERT(fixture->pid > 0 && kill(fixture->pid, SIGSTOP) == 0);
}

void redis_fixture_thaw(struct redis_fixture *fixture)
{
	ASSERT(fixture->pid > 0 && kill(fixture->pid, SIGCONT) == 0);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
	(void)info;
	(void)kind;
	(void)place;
	return remove(path);
}

void redis_fixture_destroy(struct redis_fixture *fixture)
{
	redis_fixture_kill(fixture);
	if (fixture->folder[0] != '\0')
		nftw(fixture->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	fixture->folder[0] = '\0';
}

static void put_reply(struct buffer *out, const redisReply *reply)
{
	switch (reply->type) {
	case REDIS_REPLY_ARRAY:
		for (size_t i = 0; i < reply->elements; i++) {
			if (i > 0)
				buffer_putc(out, '\n');
			put_reply(out, reply->element[i]);
		}
		break;
	case REDIS_REPLY_INTEGER:
		buffer_printf(out, "%lld", reply->integer);
		break;
	case REDIS_REPLY_NIL:
		break;
	default:
		buffer_append(out, reply->str, reply->len);
	}
}

char *redis_fixture_command(struct redis_fixture *fixture, const char *const *argv, int argc)
{
	redisContext *context = redisConnectUnix(fixture->socket);
	ASSERT(context != NULL && context->err == 0);
	redisReply *reply = redisCommandArgv(context, argc, (const char **)argv, NULL);
	ASSERT(reply != NULL);
	struct buffer text;
	buffer_init(&text, TEXT_MAX);
	buffer_puts(&text, "");
	put_reply(&text, reply);
	freeReplyObject(reply);
	redisFree(context);
	return text.bytes;
}

/* Below the ports that the kernel gives to connections, beside those of ports.py. */
static void listen_somewhere(struct redis_fixture *fixture, char port[8])
{
	const char *const argv[] = { "CONFIG", "SET", "port", port };
	for (int tries = 0;; tries++) {
		ASSERT(tries < PORT_LAST - PORT_FIRST);
		int number = PORT_FIRST + (getpid() + tries) % (PORT_LAST - PORT_FIRST + 1);
		snprintf(port, 8, "%d", number);
		char *answer = redis_fixture_command(fixture, argv, ARRAY_LEN(argv));
		bool listens = strcmp(answer, "OK") == 0;
		free(answer);
		if (listens)
			return;
	}
}

static bool is_followed(struct redis_fixture *master)
{
	const char *const info[] = { "INFO", "replication" };
	char *text = redis_fixture_command(master, info, ARRAY_LEN(info));
	bool online = strstr(text, "state=online") != NULL;
	free(text);
	return online;
}

void redis_fixture_start_replica(struct redis_fixture *fixture, struct redis_fixture *master)
{
	char port[8];
	listen_somewhere(master, port);
	const char *const at_once[] = { "CONFIG", "SET", "repl-diskless-sync-delay", "0" };
	const char *const follow[] = { "REPLICAOF", "127.0.0.1", port };
	free(redis_fixture_command(master, at_once, ARRAY_LEN(at_once)));
	redis_fixture_start(fixture, REDIS_FIXTURE_MEMORY);
	free(redis_fixture_command(fixture, follow, ARRAY_LEN(follow)));
	uint64_t limit_ms = clock_monotonic_ms() + START_TIMEOUT_MS;
	while (!is_followed(master)) {
		ASSERT(clock_monotonic_ms() < limit_ms);
		usleep(10000);
	}
}
