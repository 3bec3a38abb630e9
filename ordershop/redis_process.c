#include "ordershop/redis_process.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const settings[] = {
	"--port",
	"0", /* nobody but the owner of the folder reaches it */
	"--unixsocketperm",
	"700",
	"--appendonly",
	"yes",
	"--maxmemory-policy",
	"noeviction",
	"--save",
	"", /* the append-only file is the one copy */
	"--auto-aof-rewrite-min-size",
	"512mb", /* rewriting competes with the shop for processor and disk */
	"--daemonize",
	"no",
	"--loglevel",
	"notice",
};

void redis_process_arguments(const char *folder, const char *socket_path, const char *fsync,
                             const char **argv)
{
	size_t count = 0;

	argv[count++] = "redis-server";
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		argv[count++] = settings[i];
	argv[count++] = "--appendfsync";
	argv[count++] = fsync;
	argv[count++] = "--unixsocket";
	argv[count++] = socket_path;
	argv[count++] = "--dir";
	argv[count++] = folder;
	argv[count] = NULL;
	ASSERT(count < REDIS_ARGUMENTS);
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
