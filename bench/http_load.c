#include "bench/http_load.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20, ANSWER_MAX = 64 << 20, READ_SIZE = 65536, STALL_MS = 30000 };

struct connection {
	int fd;
	uint64_t index;
	uint64_t sent_us;
	struct buffer answer;
};

struct run {
	const struct http_load *load;
	struct load_result *result;
	struct error *err;
	int epoll;
	struct connection *connections;
	struct buffer request;
	uint32_t *latencies_us;
	uint64_t started;
	uint64_t finished;
};

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void load_percentiles(struct load_result *result, uint32_t *latencies_us, size_t count)
{
	if (count == 0)
		return;
	qsort(latencies_us, count, sizeof(*latencies_us), compare_u32);
	size_t p50 = count / 2, p99 = count * 99 / 100;
	result->p50_us = latencies_us[p50];
	result->p99_us = latencies_us[p99];
}

static bool open_connection(struct run *run, struct connection *connection)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)run->load->port),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return error_set(run->err, ERR_UNAVAILABLE, "connect to port %d: %s",
		                 run->load->port, strerror(errno));
	int on = 1;
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		return error_set(run->err, ERR_INTERNAL, "epoll: %s", strerror(errno));
	return true;
}

static bool send_next(struct run *run, struct connection *connection)
{
	if (run->started == run->load->requests)
		return true;
	connection->index = run->started++;
	buffer_clear(&run->request);
	run->load->request(run->load->ctx, connection->index, &run->request);
	ASSERT(!run->request.overflow);
	connection->sent_us = clock_monotonic_us();
	for (size_t sent = 0; sent < run->request.len;) {
		ssize_t n = send(connection->fd, run->request.bytes + sent, run->request.len - sent,
		                 MSG_NOSIGNAL);
		if (n < 0)
			return error_set(run->err, ERR_UNAVAILABLE, "send: %s", strerror(errno));
		sent += (size_t)n;
	}
	return true;
}

/* The length of the whole answer, or 0 while the head is incomplete. */
static size_t answer_length(const struct buffer *answer, size_t *head_len)
{
	const char *end = strstr(answer->bytes, "\r\n\r\n");
	if (end == NULL)
		return 0;
	*head_len = (size_t)(end - answer->bytes) + 4;
	const char *field = strcasestr(answer->bytes, "content-length:");
	if (field == NULL || field > end)
		return *head_len;
	return *head_len + strtoul(field + strlen("content-length:"), NULL, 10);
}

static bool take_answer(struct run *run, struct connection *connection)
{
	char *place = buffer_extend(&connection->answer, READ_SIZE);
	if (place == NULL)
		return error_set(run->err, ERR_TOO_LARGE, "an answer above %d bytes", ANSWER_MAX);
	ssize_t n = recv(connection->fd, place, READ_SIZE, 0);
	if (n <= 0)
		return error_set(run->err, ERR_UNAVAILABLE, "the server closed a connection");
	connection->answer.len -= READ_SIZE - (size_t)n;
	connection->answer.bytes[connection->answer.len] = '\0';
	size_t head_len = 0;
	size_t len = answer_length(&connection->answer, &head_len);
	if (len == 0 || connection->answer.len < len)
		return true;
	if (strncmp(connection->answer.bytes, "HTTP/1.1 200", 12) != 0)
		run->result->failures++;
	run->latencies_us[run->finished++] = (uint32_t)(clock_monotonic_us() - connection->sent_us);
	if (run->load->answer != NULL)
		run->load->answer(run->load->ctx, connection->index,
		                  connection->answer.bytes + head_len, len - head_len);
	buffer_clear(&connection->answer);
	return send_next(run, connection);
}

static bool run_all(struct run *run)
{
	const struct http_load *load = run->load;
	for (unsigned i = 0; i < load->connections; i++) {
		buffer_init(&run->connections[i].answer, ANSWER_MAX);
		if (!open_connection(run, &run->connections[i]))
			return false;
	}
	uint64_t begin = clock_monotonic_us();
	for (unsigned i = 0; i < load->connections; i++) {
		if (!send_next(run, &run->connections[i]))
			return false;
	}
	while (run->finished < load->requests) {
		struct epoll_event events[64];
		int count = epoll_wait(run->epoll, events, ARRAY_LEN(events), STALL_MS);
		if (count == 0)
			return error_set(run->err, ERR_DEADLINE, "no answer within %d ms",
			                 STALL_MS);
		for (int i = 0; i < count; i++) {
			if (!take_answer(run, events[i].data.ptr))
				return false;
		}
	}
	run->result->seconds = (double)(clock_monotonic_us() - begin) / 1e6;
	run->result->count = load->requests;
	load_percentiles(run->result, run->latencies_us, run->finished);
	return true;
}

bool http_load_run(const struct http_load *load, struct load_result *result, struct error *err)
{
	struct load_result local = { 0 };
	struct run run = { .load = load, .result = &local, .err = err };
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	run.connections = calloc(load->connections, sizeof(*run.connections));
	run.latencies_us = calloc(load->requests, sizeof(*run.latencies_us));
	ASSERT(run.connections != NULL && run.latencies_us != NULL);
	buffer_init(&run.request, REQUEST_MAX);

	bool ok = run_all(&run);
	for (unsigned i = 0; i < load->connections; i++) {
		if (run.connections[i].fd > 0)
			close(run.connections[i].fd);
		buffer_free(&run.connections[i].answer);
	}
	close(run.epoll);
	buffer_free(&run.request);
	free(run.connections);
	free(run.latencies_us);
	if (ok)
		*result = local;
	return ok;
}
