#include "ordershop/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 128 };

struct control {
	int listener;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct {
		int fd; /* -1: free */
		bool asked;
		size_t len;
		char line[LINE_MAX_LEN];
	} clients[CONTROL_CLIENTS];
};

static bool fill_address(const char *path, struct sockaddr_un *address, struct error *err)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return error_set(err, ERR_INVALID, "the socket path %s is too long", path);
	memcpy(address->sun_path, path, strlen(path) + 1);
	return true;
}

bool control_create(const char *path, struct control **out, struct error *err)
{
	struct sockaddr_un address;
	struct control *control;
	int fd;

	if (!fill_address(path, &address, err))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, ERR_INTERNAL, "socket: %s", strerror(errno));
	unlink(path); /* left by a run that was killed; the data folder's lock is ours */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0) {
		error_set(err, ERR_INTERNAL, "cannot listen on %s: %s", path, strerror(errno));
		close(fd);
		return false;
	}
	control = calloc(1, sizeof(*control));
	ASSERT(control);
	control->listener = fd;
	memcpy(control->path, path, strlen(path) + 1);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		control->clients[i].fd = -1;
	*out = control;
	return true;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		if (control->clients[i].fd >= 0)
			close(control->clients[i].fd);
	}
	close(control->listener);
	unlink(control->path);
	free(control);
}

size_t control_poll_fds(const struct control *control, struct pollfd *fds)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){ .fd = control->listener, .events = POLLIN };
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		if (control->clients[i].fd >= 0 && !control->clients[i].asked)
			fds[count++] =
			    (struct pollfd){ .fd = control->clients[i].fd, .events = POLLIN };
	}
	return count;
}

static void drop(struct control *control, size_t i)
{
	close(control->clients[i].fd);
	control->clients[i].fd = -1;
}

static void accept_client(struct control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		if (control->clients[i].fd < 0) {
			control->clients[i].fd = fd;
			control->clients[i].asked = false;
			control->clients[i].len = 0;
			return;
		}
	}
	close(fd);
}

void control_turn(struct control *control, void (*request)(void *arg, const char *line, int client),
                  void *arg)
{
	accept_client(control);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		char *line = control->clients[i].line;
		size_t len = control->clients[i].len;
		ssize_t got;
		char *end;

		if (control->clients[i].fd < 0 || control->clients[i].asked)
			continue;
		got = read(control->clients[i].fd, line + len, LINE_MAX_LEN - 1 - len);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0) { /* gone, or a line that is too long */
			drop(control, i);
			continue;
		}
		control->clients[i].len += (size_t)got;
		line[len + (size_t)got] = '\0';
		end = strchr(line, '\n');
		if (!end)
			continue;
		*end = '\0';
		control->clients[i].asked = true;
		request(arg, line, (int)i);
	}
}

void control_answer(struct control *control, int client, const char *text)
{
	ssize_t sent;

	if (control->clients[client].fd < 0)
		return;
	/* Answers fit a socket's buffer; a client that has gone needs none. */
	sent = send(control->clients[client].fd, text, strlen(text), MSG_NOSIGNAL);
	(void)sent;
	drop(control, (size_t)client);
}

bool control_ask(const char *path, const char *request, struct buffer *answer, struct error *err)
{
	struct sockaddr_un address;
	char chunk[4096];
	ssize_t got;
	int fd;

	if (!fill_address(path, &address, err))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, ERR_INTERNAL, "socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		/* Else one may run, of another user perhaps. */
		bool gone = errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED;
		error_set(err, gone ? ERR_UNAVAILABLE : ERR_PRECONDITION,
		          "cannot ask the shop at %s: %s", path, strerror(errno));
		close(fd);
		return false;
	}
	snprintf(chunk, sizeof(chunk), "%s\n", request);
	if (send(fd, chunk, strlen(chunk), MSG_NOSIGNAL) < 0) {
		close(fd);
		return error_set(err, ERR_UNAVAILABLE, "the shop has just stopped");
	}
	while ((got = read(fd, chunk, sizeof(chunk))) > 0)
		buffer_append(answer, chunk, (size_t)got);
	close(fd);
	if (got < 0)
		return error_set(err, ERR_UNAVAILABLE, "the shop has just stopped");
	if (answer->len >= 7 && memcmp(answer->bytes, "error: ", 7) == 0)
		return error_set(err, ERR_PRECONDITION, "%s", answer->bytes + 7);
	return true;
}
