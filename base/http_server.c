#include "base/http_internal.h"
#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

enum {
	CONNECTION_MEMORY =
	    12 * 1024, /* request line and headers must fit; MHD zeroes it each time */
	DISCARD_MAX = 16 * 1024 * 1024,
	BACKLOG = 1024,
	EVENTS = 64,
	STOP_TURNS = 1000,
	LINGER_MS = 50, /* for requests on their way when the server is stopped */
	/* A waiting connection is suspended only when it has waited so long, or when there are many:
	 * MHD asks again for one that is not suspended at each turn, which costs less than the four
	 * system calls of suspend and resume when answers take some hundred microseconds. */
	YOUNG_MAX = 256,
	YOUNG_US = 5000,
};

/* Decides what to refuse before the body is there. */
static enum MHD_Result begin(struct http_request *request)
{
	struct http_server *server = request->server;
	const char *text = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
	                                               MHD_HTTP_HEADER_CONTENT_LENGTH);
	unsigned long long len = text != NULL ? strtoull(text, NULL, 10) : 0;
	if (len <= server->options.body_max)
		return MHD_YES;
	request->refuse_status = MHD_HTTP_CONTENT_TOO_LARGE;
	request->refuse_message = server->too_large;
	bool asks = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
	                                        MHD_HTTP_HEADER_EXPECT) != NULL;
	/* A client that is sending already gets to read the answer only when its body was taken. */
	if (!asks && len <= DISCARD_MAX)
		return MHD_YES;
	request->state = HTTP_ANSWERED;
	http_dispatch(request);
	return http_answer_queue(request) ? MHD_YES : MHD_NO;
}

static enum MHD_Result take_body(struct http_request *request, const char *bytes, size_t *len)
{
	struct buffer *body = &request->body;
	request->server->progress = true;
	if (request->refuse_status == 0) {
		buffer_append(body, bytes, *len);
		if (body->overflow) {
			request->refuse_status = MHD_HTTP_CONTENT_TOO_LARGE;
			request->refuse_message = request->server->too_large;
		}
	}
	if (request->refuse_status != 0) {
		buffer_free(body);
		request->discarded += *len;
		if (request->discarded > DISCARD_MAX)
			return MHD_NO;
	}
	*len = 0;
	return MHD_YES;
}

static void suspend(struct http_request *request)
{
	request->suspended = true;
	MHD_suspend_connection(request->connection);
}

static enum MHD_Result answer(struct http_request *request)
{
	if (request->answer.stream != NULL)
		DL_APPEND(request->server->streaming, request);
	return http_answer_queue(request) ? MHD_YES : MHD_NO;
}

static enum MHD_Result complete(struct http_request *request)
{
	struct http_server *server = request->server;
	if (request->state == HTTP_READING) {
		if (http_dispatch(request)) {
			request->state = HTTP_ANSWERED;
			return answer(request);
		}
		request->state = HTTP_WAITING;
		request->since_us = server->now_us;
		DL_APPEND(server->waiting, request);
		if (server->young < YOUNG_MAX)
			server->young++;
		else
			suspend(request);
		return MHD_YES;
	}
	if (request->state == HTTP_ANSWERED)
		return answer(request);
	if (server->now_us - request->since_us > YOUNG_US) {
		server->young--;
		suspend(request);
	}
	return MHD_YES;
}

/* MHD calls it for the headers, each piece of the body, and the end, again until it is answered. */
static enum MHD_Result on_access(void *arg, struct MHD_Connection *con, const char *url,
                                 const char *method, const char *version, const char *bytes,
                                 size_t *len, void **context)
{
	(void)version;
	struct http_request *request = *context;
	if (request == NULL) {
		request = http_request_create(arg, con, method, url);
		request->context = context;
		*context = request;
		return begin(request);
	}
	return *len > 0 ? take_body(request, bytes, len) : complete(request);
}

/* Sent, or the client has gone. */
static void on_completed(void *arg, struct MHD_Connection *con, void **context,
                         enum MHD_RequestTerminationCode reason)
{
	(void)con;
	(void)reason;
	struct http_server *server = arg;
	struct http_request *request = *context;
	*context = NULL;
	if (request == NULL)
		return;
	if (request->state == HTTP_WAITING) {
		if (!request->suspended)
			server->young--;
		request->connection = NULL;
		return;
	}
	if (request->answer.stream != NULL) {
		DL_DELETE(server->streaming, request);
		http_stream_closed(request->answer.stream);
	}
	http_request_free(request);
}

/* Percent-encoding is ours, since it must be checked. */
static size_t keep_encoded(void *arg, struct MHD_Connection *con, char *text)
{
	(void)arg;
	(void)con;
	return strlen(text);
}

static void answered(struct http_request *request)
{
	struct http_server *server = request->server;
	DL_DELETE(server->waiting, request);
	if (request->connection == NULL) {
		if (request->answer.stream != NULL)
			http_stream_closed(request->answer.stream);
		http_request_free(request);
		return;
	}
	request->state = HTTP_ANSWERED;
	if (request->suspended)
		MHD_resume_connection(request->connection);
	else
		server->young--;
}

static void take_wakes(struct http_server *server)
{
	struct http_wake *newest = atomic_exchange(&server->wakes, NULL), *oldest = NULL;
	while (newest != NULL) {
		struct http_wake *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest != NULL) {
		struct http_wake *next = oldest->next;
		if (oldest->stream)
			http_stream_wake((struct http_stream *)oldest);
		else
			answered((struct http_request *)oldest);
		oldest = next;
	}
}

/* How long the turn may wait; -1: until something comes. */
static int wait_ms(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms;
	if (MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return -1;
	/* With young ones MHD always says 0. What else it may still have in hand waits 1 ms then. */
	if (ms == 0 && server->young > 0 && !server->progress)
		return 1;
	return ms < 60000 ? (int)ms : 60000;
}

static void wait_events(struct http_server *server, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	if (timeout_ms == 0)
		return;
	atomic_store(&server->sleeping, true);
	if (atomic_load(&server->wakes) != NULL || atomic_load(&server->stopping))
		timeout_ms = 0;
	int count = epoll_wait(server->epoll_fd, events, EVENTS, timeout_ms);
	atomic_store(&server->sleeping, false);
	for (int i = 0; i < count; i++) {
		void *source = events[i].data.ptr;
		eventfd_t ignored;
		if (source == &server->event_fd)
			eventfd_read(server->event_fd, &ignored);
		else if (source != NULL)
			http_stream_hang_up(source);
	}
}

static void turn(struct http_server *server)
{
	server->now_us = clock_monotonic_us();
	server->progress = false;
	take_wakes(server);
	MHD_run(server->daemon);
	if (server->options.turn != NULL)
		server->options.turn(server->ctx);
}

/* Those who will answer later free the requests; the clients get 503 from copies. */
static void abandon_waiting(struct http_server *server)
{
	struct http_request *request, *next;
	DL_FOREACH_SAFE(server->waiting, request, next)
	{
		enum http_answer_owner open = HTTP_OPEN;
		struct MHD_Connection *con = request->connection;
		bool suspended = request->suspended;
		void **context = request->context;
		DL_DELETE(server->waiting, request);
		if (!atomic_compare_exchange_strong(&request->owner, &open, HTTP_ABANDONED)) {
			/* Its answer is about to arrive. */
			DL_PREPEND(server->waiting, request);
			continue;
		}
		if (con == NULL)
			continue;
		struct http_request *copy = http_request_create(server, con, "", "");
		copy->context = context;
		copy->refuse_status = MHD_HTTP_SERVICE_UNAVAILABLE;
		copy->refuse_message = "the server is stopping";
		*context = copy;
		if (suspended)
			MHD_resume_connection(con);
		else
			server->young--;
	}
}

/* Clients that have connected may have sent a request already: closing the socket would cut them off. */
static void stop_listening(struct http_server *server)
{
	int listen_fd = MHD_quiesce_daemon(server->daemon);
	int fd;
	if (listen_fd < 0)
		return;
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct sockaddr_storage address;
		socklen_t len = sizeof(address);
		if (getpeername(fd, (struct sockaddr *)&address, &len) != 0 ||
		    MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address, len) !=
		        MHD_YES)
			close(fd);
	}
	close(listen_fd);
}

static void shut_down(struct http_server *server)
{
	uint64_t now_us = clock_monotonic_us();
	uint64_t end_us = now_us + server->grace_ms * 1000ULL;
	uint64_t linger_us =
	    now_us + (server->grace_ms < LINGER_MS ? server->grace_ms : LINGER_MS) * 1000ULL;
	stop_listening(server);
	while (clock_monotonic_us() < linger_us ||
	       (server->waiting != NULL && clock_monotonic_us() < end_us)) {
		turn(server);
		wait_events(server, server->progress ? 0 : 1);
	}
	for (int i = 0; i < STOP_TURNS; i++) {
		struct http_request *request;
		abandon_waiting(server);
		DL_FOREACH(server->streaming, request)
		http_stream_stop(request->answer.stream);
		turn(server);
		if (server->waiting == NULL && server->streaming == NULL && !server->progress)
			break;
		wait_events(server, server->progress ? 0 : 1);
	}
	MHD_stop_daemon(server->daemon);
	take_wakes(server);
}

static void *run(void *arg)
{
	struct http_server *server = arg;
	pthread_setname_np(pthread_self(), "http");
	while (!atomic_load(&server->stopping)) {
		turn(server);
		wait_events(server, wait_ms(server));
	}
	shut_down(server);
	return NULL;
}

static bool listen_on(struct http_server *server, struct error *err)
{
	const struct http_options *options = &server->options;
	char port[16];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	snprintf(port, sizeof(port), "%d", options->port);
	int code = getaddrinfo(options->host, port, &hints, &found);
	if (code != 0)
		return error_set(err, ERR_INVALID, "%s: %s", options->host, gai_strerror(code));
	struct sockaddr_storage address;
	memset(&address, 0, sizeof(address));
	socklen_t len = sizeof(address);
	int on = 1;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	          bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0 &&
	          getsockname(fd, (struct sockaddr *)&address, &len) == 0;
	int reason = errno;
	freeaddrinfo(found);
	if (!ok) {
		if (fd >= 0)
			close(fd);
		return error_set(err, reason == EADDRINUSE ? ERR_EXISTS : ERR_UNAVAILABLE,
		                 "listen on %s:%s: %s", options->host, port, strerror(reason));
	}
	server->listen_fd = fd;
	server->port =
	    ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
	                                        : ((struct sockaddr_in *)&address)->sin_port);
	return true;
}

static bool watch(struct http_server *server)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event network = { .events = EPOLLIN, .data.ptr = NULL };
	struct epoll_event answers = { .events = EPOLLIN, .data.ptr = &server->event_fd };
	return info != NULL &&
	       epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &network) == 0 &&
	       epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->event_fd, &answers) == 0;
}

bool http_server_create(const struct http_options *options, http_handler *handler, void *ctx,
                        struct http_server **out, struct error *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	ASSERT(server != NULL);
	server->options = *options;
	snprintf(server->too_large, sizeof(server->too_large),
	         "the body is too large: at most %zu bytes are allowed", options->body_max);
	server->handler = handler;
	server->ctx = ctx;
	server->listen_fd = -1;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!listen_on(server, err))
		goto fail;
	server->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server,
	    MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
	    options->connection_max, MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
	if (server->daemon == NULL) {
		error_set(err, ERR_UNAVAILABLE, "start the HTTP server: %s", strerror(errno));
		goto fail;
	}
	server->listen_fd = -1;
	if (!watch(server) || pthread_create(&server->thread, NULL, run, server) != 0) {
		error_set(err, ERR_UNAVAILABLE, "start the HTTP thread: %s", strerror(errno));
		goto fail;
	}
	*out = server;
	return true;
fail:
	if (server->daemon != NULL)
		MHD_stop_daemon(server->daemon);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	close(server->epoll_fd);
	close(server->event_fd);
	free(server);
	return false;
}

int http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_destroy(struct http_server *server, unsigned grace_ms)
{
	if (server == NULL)
		return;
	server->grace_ms = grace_ms;
	atomic_store(&server->stopping, true);
	eventfd_write(server->event_fd, 1);
	pthread_join(server->thread, NULL);
	while (atomic_load(&server->pushing) > 0)
		sched_yield();
	close(server->epoll_fd);
	close(server->event_fd);
	free(server);
}
