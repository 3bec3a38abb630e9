/* Raw sockets against a real server: what a client library would hide is the point here. */
#include "base/http_server.h"
#include "base/clock.h"
#include "tests/support/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 1000, STREAM_MAX = 1 << 20, LATER_MAX = 4096 };

static struct http_server *server;
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	pthread_t thread;
	struct http_request *requests[LATER_MAX];
	size_t count;
	bool stop;
} later = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
static struct http_request *kept;
static _Atomic(struct http_stream *) stream;
static atomic_int streams_closed, turns, handled;

static void echo(struct http_request *request)
{
	size_t len;
	const char *body = http_body(request, &len);
	struct buffer answer;
	buffer_init(&answer, 2 * BODY_MAX);
	buffer_printf(&answer, "%s %s ", http_method(request), http_path(request));
	buffer_append(&answer, body, len);
	http_answer(request, 200, "text/plain", &answer, "X-One: 1\r\nX-Two: 2\r\n");
}

/* Answers what the handler put aside, each from this thread; slow ones after a while. */
static void *answer_later(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&later.mutex);
	while (!later.stop || later.count > 0) {
		if (later.count == 0) {
			pthread_cond_wait(&later.changed, &later.mutex);
			continue;
		}
		struct http_request *request = later.requests[--later.count];
		pthread_mutex_unlock(&later.mutex);
		if (strcmp(http_path(request), "/slow") == 0)
			usleep(30000);
		echo(request);
		pthread_mutex_lock(&later.mutex);
	}
	pthread_mutex_unlock(&later.mutex);
	return NULL;
}

static void stream_closed(void *arg, struct http_stream *closed)
{
	ck_assert_ptr_eq(arg, &stream);
	ck_assert_ptr_eq(atomic_load(&stream), closed);
	atomic_fetch_add(&streams_closed, 1);
}

static void handle(void *ctx, struct http_request *request)
{
	ck_assert_ptr_eq(ctx, &later);
	const char *path = http_path(request);
	atomic_fetch_add(&handled, 1);
	if (strcmp(path, "/later") == 0 || strcmp(path, "/slow") == 0) {
		pthread_mutex_lock(&later.mutex);
		later.requests[later.count++] = request;
		pthread_cond_signal(&later.changed);
		pthread_mutex_unlock(&later.mutex);
	} else if (strcmp(path, "/keep") == 0) {
		kept = request;
	} else if (strcmp(path, "/query") == 0) {
		const char *value = http_query(request, "q");
		const char *header = http_header(request, "x-header");
		struct buffer answer;
		buffer_init(&answer, BODY_MAX);
		buffer_printf(&answer, "[%s][%s]", value != NULL ? value : "none",
		              header != NULL ? header : "none");
		http_answer(request, 200, "text/plain", &answer, NULL);
	} else if (strcmp(path, "/stream") == 0) {
		atomic_store(&stream, http_answer_stream(request, "text/event-stream",
		                                         stream_closed, &stream));
	} else if (strcmp(path, "/static") == 0) {
		http_answer_static(request, 200, "text/plain", "constant", 8);
	} else if (strcmp(path, "/bad") == 0) {
		http_answer_error(request, 404, "no \"bad\"");
	} else {
		echo(request);
	}
}

static void count_turn(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&turns, 1);
}

static void setup(void)
{
	struct http_options options = { .host = "127.0.0.1",
		                        .body_max = BODY_MAX,
		                        .stream_max = STREAM_MAX,
		                        .connection_max = 500,
		                        .idle_timeout_s = 10,
		                        .turn = count_turn };
	struct error err;
	ck_assert_msg(http_server_create(&options, handle, &later, &server, &err), "%s",
	              err.message);
	later.stop = false;
	kept = NULL;
	streams_closed = turns = handled = 0;
	pthread_create(&later.thread, NULL, answer_later, NULL);
}

static void teardown(void)
{
	http_server_destroy(server, 1000);
	server = NULL;
	pthread_mutex_lock(&later.mutex);
	later.stop = true;
	pthread_cond_signal(&later.changed);
	pthread_mutex_unlock(&later.mutex);
	pthread_join(later.thread, NULL);
}

static int dial(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)http_server_port(server)),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void put(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		ck_assert_msg(sent > 0, "the server closed while we sent");
		bytes += sent;
		len -= (size_t)sent;
	}
}

static void say(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

/* Reads until `text` was seen, the other end closes, or 5 s have passed; returns all of it. */
static const char *hear(int fd, const char *text)
{
	static char heard[1 << 16];
	size_t len = 0;
	heard[0] = '\0';
	while (text == NULL || strstr(heard, text) == NULL) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		ck_assert_msg(poll(&ready, 1, 5000) == 1, "no '%s' in: %s", text, heard);
		ssize_t got = recv(fd, heard + len, sizeof(heard) - 1 - len, 0);
		if (got <= 0)
			break;
		len += (size_t)got;
		heard[len] = '\0';
	}
	if (text != NULL)
		ck_assert_msg(strstr(heard, text) != NULL, "no '%s' in: %s", text, heard);
	return heard;
}

static void wait_for(const atomic_int *count, int value)
{
	for (int i = 0; i < 5000 && atomic_load(count) < value; i++)
		usleep(1000);
	ck_assert_int_eq(atomic_load(count), value);
}

static const char *ask(const char *request, const char *expected)
{
	int fd = dial();
	say(fd, request);
	const char *answer = hear(fd, expected);
	close(fd);
	return answer;
}

START_TEST(answers_at_once_and_later)
{
	int fd = dial();
	say(fd, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
	const char *answer = hear(fd, "GET /now ");
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 OK\r\n"));
	ck_assert_ptr_nonnull(strstr(answer, "X-One: 1\r\nX-Two: 2\r\n"));
	say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "GET /later ");
	say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "GET /slow ");
	say(fd, "GET /static HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "constant");
	say(fd, "GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(hear(fd, "}"), "\r\n\r\n{\"error\": \"no \\\"bad\\\"\"}"));
	close(fd);
	ck_assert_int_gt(atomic_load(&turns), 0);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	int fd = dial();
	say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n"
	        "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	const char *answer = hear(fd, "GET /later ");
	const char *slow = strstr(answer, "GET /slow "), *now = strstr(answer, "GET /now ");
	ck_assert(slow != NULL && now != NULL && slow < now);
	close(fd);
}
END_TEST

START_TEST(bodies)
{
	int fd = dial();
	say(fd, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
	usleep(10000);
	say(fd, "cde");
	hear(fd, "POST /now abcde");
	say(fd, "POST /later HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	hear(fd, "POST /later abcde");
	say(fd, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
	        "Expect: 100-continue\r\n\r\n");
	hear(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "ok");
	hear(fd, "POST /now ok");
	close(fd);
}
END_TEST

START_TEST(large_bodies_are_refused)
{
	static char zeros[300000];
	memset(zeros, '0', sizeof(zeros));
	int fd = dial();
	say(fd, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
	put(fd, zeros, sizeof(zeros));
	hear(fd, "too large");
	say(fd, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n");
	put(fd, zeros, sizeof(zeros));
	say(fd, "\r\n0\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(hear(fd, "too large"), "HTTP/1.1 413 "));
	close(fd);
	ask("POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
	    "HTTP/1.1 413 ");
	ask("POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
	    "HTTP/1.1 413 ");
	ck_assert_int_eq(atomic_load(&handled), 0);
}
END_TEST

START_TEST(head_has_no_body)
{
	int fd = dial();
	say(fd, "HEAD /static HTTP/1.1\r\nHost: x\r\n\r\n");
	const char *answer = hear(fd, "\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 8\r\n"));
	ck_assert_ptr_null(strstr(answer, "constant"));
	say(fd, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "GET /now ");
	close(fd);
}
END_TEST

START_TEST(paths_and_queries_are_decoded)
{
	ask("GET /a%20b/%C3%BC HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a b/\xc3\xbc ");
	ask("GET /query?q=a%26b+c&r=1 HTTP/1.1\r\nHost: x\r\nX-Header: h\r\n\r\n", "[a&b c][h]");
	ask("GET /query?q=%zz HTTP/1.1\r\nHost: x\r\n\r\n", "[%zz][none]");
	ask("GET /query?q HTTP/1.1\r\nHost: x\r\n\r\n", "[][none]");
	ask("GET /query?p=1 HTTP/1.1\r\nHost: x\r\n\r\n", "[none][none]");
	int before = atomic_load(&handled);
	const char *const malformed[] = { "/%", "/%2", "/%zz", "/%00", "/%ff", "/\xff" };
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		char request[100];
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
		         malformed[i]);
		ask(request, "HTTP/1.1 400 ");
	}
	ck_assert_int_eq(atomic_load(&handled), before);
}
END_TEST

START_TEST(malformed_and_oversized_heads)
{
	static char long_text[100001], request[100200];
	memset(long_text, 'a', sizeof(long_text) - 1);
	snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", long_text);
	ask(request, "HTTP/1.1 414 ");
	snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", long_text);
	ask(request, "HTTP/1.1 431 ");
	ask("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
	ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 400 ");
	/* Not HTTP at all: closed, and the server lives. */
	ask("\x16\x03\x01\x02\r\n\r\n", NULL);
	ask("GET /now HTTP/1.1\r\nHost: x\r\n\r\n", "GET /now ");
}
END_TEST

START_TEST(clients_that_do_not_wait)
{
	for (int i = 0; i < 50; i++) {
		int fd = dial();
		say(fd, i % 2 ? "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
		              : "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
		struct linger reset = { .l_onoff = 1 };
		if (i % 3 > 0) {
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			usleep(i % 3 * 1000);
		}
		close(fd);
	}
	ask("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", "GET /slow ");
}
END_TEST

static void *ask_often(void *unused)
{
	(void)unused;
	int fd = dial();
	for (int i = 0; i < 200; i++) {
		say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
		char heard[4096];
		size_t len = 0;
		do {
			ssize_t got = recv(fd, heard + len, sizeof(heard) - 1 - len, 0);
			ck_assert_int_gt(got, 0);
			len += (size_t)got;
			heard[len] = '\0';
		} while (strstr(heard, "GET /later ") == NULL);
	}
	close(fd);
	return NULL;
}

START_TEST(many_connections_at_once)
{
	pthread_t threads[16];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, ask_often, NULL);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(atomic_load(&handled), 16 * 200);
}
END_TEST

static int open_stream(void)
{
	atomic_store(&stream, NULL);
	int fd = dial();
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "text/event-stream");
	while (atomic_load(&stream) == NULL)
		usleep(100);
	return fd;
}

START_TEST(stream_sends_until_it_is_closed)
{
	int fd = open_stream();
	for (int i = 0; i < 100; i++) {
		http_stream_send(stream, "data: x\n\n", 9);
		if (i % 10 == 0)
			usleep(1000);
	}
	http_stream_send(stream, "last", 4);
	hear(fd, "last");
	http_stream_close(stream);
	hear(fd, "0\r\n\r\n");
	wait_for(&streams_closed, 1);
	say(fd, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "GET /now ");
	close(fd);
}
END_TEST

START_TEST(stream_notices_that_its_client_has_gone)
{
	int fd = open_stream();
	close(fd);
	wait_for(&streams_closed, 1);
	http_stream_send(stream, "x", 1);
	http_stream_close(stream);
}
END_TEST

START_TEST(stream_drops_a_client_that_does_not_read)
{
	static const char block[1 << 16];
	int fd = open_stream();
	for (int i = 0; i < 2000 && atomic_load(&streams_closed) == 0; i++)
		http_stream_send(stream, block, sizeof(block));
	wait_for(&streams_closed, 1);
	http_stream_close(stream);
	close(fd);
}
END_TEST

START_TEST(destroy_leaves_nobody_without_an_answer)
{
	int waiting = dial(), reading = open_stream();
	say(waiting, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&handled, 2);
	http_server_destroy(server, 50);
	server = NULL;
	ck_assert_ptr_nonnull(strstr(hear(waiting, "stopping"), "HTTP/1.1 503 "));
	hear(reading, "0\r\n\r\n");
	ck_assert_int_eq(atomic_load(&streams_closed), 1);
	http_stream_send(stream, "x", 1);
	http_stream_close(stream);
	echo(kept);
	close(waiting);
	close(reading);
}
END_TEST

START_TEST(an_address_in_use_is_named)
{
	struct http_options options = { .host = "127.0.0.1",
		                        .port = http_server_port(server),
		                        .connection_max = 1 };
	struct http_server *second;
	struct error err;
	ck_assert(!http_server_create(&options, handle, &later, &second, &err));
	ck_assert_int_eq(err.code, ERR_EXISTS);
	char port[16];
	snprintf(port, sizeof(port), "%d", http_server_port(server));
	ck_assert_ptr_nonnull(strstr(err.message, port));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tests = tcase_create("http_server");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, answers_at_once_and_later);
	tcase_add_test(tests, pipelined_requests_are_answered_in_order);
	tcase_add_test(tests, bodies);
	tcase_add_test(tests, large_bodies_are_refused);
	tcase_add_test(tests, head_has_no_body);
	tcase_add_test(tests, paths_and_queries_are_decoded);
	tcase_add_test(tests, malformed_and_oversized_heads);
	tcase_add_test(tests, clients_that_do_not_wait);
	tcase_add_test(tests, many_connections_at_once);
	tcase_add_test(tests, stream_sends_until_it_is_closed);
	tcase_add_test(tests, stream_notices_that_its_client_has_gone);
	tcase_add_test(tests, stream_drops_a_client_that_does_not_read);
	tcase_add_test(tests, destroy_leaves_nobody_without_an_answer);
	tcase_add_test(tests, an_address_in_use_is_named);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
