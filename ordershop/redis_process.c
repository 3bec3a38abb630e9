#include "ordershop/redis_process.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const common[] = {
	"--port",
	"0", /* nobody but the owner of the folder reaches it */
	"--unixsocketperm",
	"700",
	"--maxmemory-policy",
	"noeviction",
	"--latency-tracking",
	"no", /* a histogram of each command, also of those in functions: 2 % */
	"--daemonize",
	"no",
	"--loglevel",
	"notice",
	NULL,
};
static const char *const log_settings[] = {
	"--appendonly",
	"yes",
	"--appendfsync",
	"always",
	"--save",
	"", /* the append-only file is the one copy */
	"--auto-aof-rewrite-min-size",
	"512mb", /* rewriting competes with the shop for processor and disk */
	NULL,
};
static const char *const snapshot_settings[] = {
	"--appendonly", "no", "--save", "300 1", NULL,
};

static const char **put(const char **argv, const char *const *words)
{
	while (*words != NULL)
		*argv++ = *words++;
	return argv;
}

void redis_process_arguments(const char *folder, const char *socket_path, enum redis_keeps keeps,
                             const char **argv)
{
	const char *const place[] = { "--unixsocket", socket_path, "--dir", folder, NULL };
	const char **end = argv;

	*end++ = "redis-server";
	end = put(end, common);
	end = put(end, keeps == REDIS_KEEPS_ALL ? log_settings : snapshot_settings);
	end = put(end, place);
	*end = NULL;
	ASSERT(end - argv < REDIS_ARGUMENTS);
}

bool redis_process_ready(void *socket_path)
{
	const struct timeval patience = { .tv_usec = 100000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char answer[16] = "";
	bool ready;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	strncpy(address.sun_path, socket_path, sizeof(address.sun_path) - 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ready = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	        send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
	        recv(fd, answer, sizeof(answer) - 1, 0) > 0 && strncmp(answer, "+PONG", 5) == 0;
	close(fd);
	return ready;
}
