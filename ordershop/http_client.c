#include "ordershop/http_client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	ANSWER_MAX = 64 * 1024 * 1024,
	REQUEST_MAX = 2 * 1024 * 1024,
	READ_SIZE = 65536,
	TIMEOUT_S = 30
};

bool http_target_parse(const char *url, struct http_target *target, struct error *err)
{
	static const char scheme[] = "http://";
	const char *host = url + strlen(scheme);
	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return error_set(err, ERR_INVALID, "\"%.80s\" must begin with http://", url);
	size_t host_len = strcspn(host, ":/");
	const char *port = host[host_len] == ':' ? host + host_len + 1 : "80";
	size_t port_len = strspn(port, "0123456789");
	const char *end = host[host_len] == ':' ? port + port_len : host + host_len;
	if (host_len == 0 || host_len >= sizeof(target->host) || port_len == 0 ||
	    port_len >= sizeof(target->port) || (strcmp(end, "") != 0 && strcmp(end, "/") != 0))
		return error_set(err, ERR_INVALID, "\"%.80s\" must be http://host:port", url);
	snprintf(target->host, sizeof(target->host), "%.*s", (int)host_len, host);
	snprintf(target->port, sizeof(target->port), "%.*s", (int)port_len, port);
	return true;
}

static int connect_to(const struct http_target *target, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int fd = -1, failed = getaddrinfo(target->host, target->port, &hints, &found);
	if (failed != 0) {
		error_set(err, ERR_UNAVAILABLE, "%s: %s", target->host, gai_strerror(failed));
		return -1;
	}
	for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
			int why = errno;
			close(fd);
			fd = -1;
			errno = why;
		}
	}
	if (fd < 0)
		error_set(err, ERR_UNAVAILABLE, "no connection to http://%s:%s: %s", target->host,
		          target->port, strerror(errno));
	freeaddrinfo(found);
	return fd;
}

static bool send_all(int fd, const struct buffer *request, struct error *err)
{
	for (size_t sent = 0; sent < request->len;) {
		ssize_t n = send(fd, request->bytes + sent, request->len - sent, MSG_NOSIGNAL);
		if (n < 0)
			return error_set(err, ERR_UNAVAILABLE, "send: %s", strerror(errno));
		sent += (size_t)n;
	}
	return true;
}

/* Up to the end: the request asked for the connection to be closed. */
static bool receive_all(int fd, struct buffer *answer, struct error *err)
{
	for (;;) {
		char *place = buffer_extend(answer, READ_SIZE);
		if (place == NULL)
			return error_set(err, ERR_TOO_LARGE, "an answer above 64 MiB");
		ssize_t n = recv(fd, place, READ_SIZE, 0);
		answer->len -= READ_SIZE - (size_t)(n > 0 ? n : 0);
		answer->bytes[answer->len] = '\0';
		if (n < 0)
			return error_set(err, ERR_UNAVAILABLE, "no answer: %s",
			                 errno == EAGAIN ? "30 s are over" : strerror(errno));
		if (n == 0)
			return true;
	}
}

static void write_request(const struct http_target *target, const struct http_question *question,
                          struct buffer *out)
{
	buffer_printf(out, "%s %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n%s",
	              question->method, question->path, target->host, target->port,
	              question->headers != NULL ? question->headers : "");
	if (question->body != NULL)
		buffer_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
		              strlen(question->body));
	buffer_puts(out, "\r\n");
	buffer_puts(out, question->body != NULL ? question->body : "");
}

static bool exchange(const struct http_target *target, const struct buffer *request,
                     struct buffer *answer, struct error *err)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd = connect_to(target, err);
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	bool ok = send_all(fd, request, err) && receive_all(fd, answer, err);
	close(fd);
	return ok;
}

bool http_ask(const struct http_target *target, const struct http_question *question,
              struct arena *arena, int *status, const char **body, struct error *err)
{
	static const char version[] = "HTTP/1.1 ";
	struct buffer request, answer;
	buffer_init(&request, REQUEST_MAX);
	buffer_init(&answer, ANSWER_MAX);
	write_request(target, question, &request);
	bool ok = request.overflow ? error_set(err, ERR_TOO_LARGE, "a request above 2 MiB")
	                           : exchange(target, &request, &answer, err);
	const char *end = ok ? strstr(answer.bytes, "\r\n\r\n") : NULL;
	if (ok && (end == NULL || strncmp(answer.bytes, version, strlen(version)) != 0))
		ok = error_set(err, ERR_INTERNAL, "http://%s:%s does not speak HTTP/1.1",
		               target->host, target->port);
	if (ok) {
		*status = (int)strtol(answer.bytes + strlen(version), NULL, 10);
		*body = arena_strdup(arena, end + 4);
	}
	buffer_free(&request);
	buffer_free(&answer);
	return ok;
}
