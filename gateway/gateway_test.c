/* The gateway before a fake shop, asked over HTTP from a thread of its own. */
#include "gateway/fake_shop.h"
#include "gateway/service.h"
#include "tests/support/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct fake_shop shop;
static struct gateway *gateway;
static pthread_t loop_thread;
static atomic_int ready, stopped, tasks_done;

static void on_ready(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void on_stopped(void *arg)
{
	atomic_store(&stopped, 1);
	loop_stop(arg);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void wait_for(const atomic_int *flag, int value)
{
	for (int i = 0; i < 5000 && atomic_load(flag) < value; i++)
		usleep(1000);
	ck_assert_int_ge(atomic_load(flag), value);
}

static void setup(void)
{
	struct error err;
	loop = loop_create();
	fake_shop_start(&shop, loop);
	ready = stopped = tasks_done = 0;
	struct gateway_options options = { .event_store = shop.target,
		                           .message_queue = shop.target,
		                           .read_model = shop.target,
		                           .ready = on_ready,
		                           .ready_arg = &ready };
	ck_assert_msg(gateway_serve(loop, &options, &gateway, &err), "%s", err.message);
	pthread_create(&loop_thread, NULL, run_loop, loop);
	wait_for(&ready, 1);
}

static void stop(void *arg)
{
	gateway_stop(gateway, on_stopped, arg);
}

static void teardown(void)
{
	loop_post(loop, stop, loop);
	pthread_join(loop_thread, NULL);
	ck_assert_int_eq(atomic_load(&stopped), 1);
	gateway_destroy(gateway);
	fake_shop_destroy(&shop);
	loop_destroy(loop);
}

/* ---- a client ---- */

static int dial(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)gateway_port(gateway)),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Reads until `text` was seen (5 s), or with NULL until the end; returns all of it. */
static const char *hear(int fd, const char *text)
{
	static char heard[1 << 22];
	size_t len = 0;
	heard[0] = '\0';
	while (text == NULL || strstr(heard, text) == NULL) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		ck_assert_msg(poll(&readable, 1, 5000) == 1, "no '%s' in: %s", text, heard);
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

/* `head` is "METHOD path", and more header lines after it. */
static const char *ask(const char *head, const char *body, const char *expected)
{
	char request[8192];
	const char *more = strchr(head, '\n');
	int line = more != NULL ? (int)(more - head) : (int)strlen(head);
	snprintf(request, sizeof(request),
	         "%.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
	         line, head, strlen(body), more != NULL ? more + 1 : "", body);
	int fd = dial();
	ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL),
	                 (ssize_t)strlen(request));
	const char *answer = hear(fd, NULL);
	close(fd);
	ck_assert_msg(strstr(answer, expected) != NULL, "%s %s: no '%s' in: %.9999s", head, body,
	              expected, answer);
	return answer;
}

static void refused(int status, const char *head, const char *body, const char *expected)
{
	char line[32];
	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	const char *answer = ask(head, body, expected);
	ck_assert_msg(strstr(answer, line) == answer, "%s %s: not %d: %s", head, body, status,
	              answer);
	ck_assert_ptr_nonnull(strstr(answer, "{\"error\": \""));
}

/* ---- commands ---- */

START_TEST(create_waits_for_the_result)
{
	ask("POST /customer", "{\"name\": \"x\"}", "\r\n\r\n{\"result\": [\"" FAKE_ID "\"]}");
	ck_assert_str_eq(shop.service, "customer-service");
	ck_assert_str_eq(shop.function, "create_customers");
	ck_assert_str_eq(shop.payload, "{\"params\": {\"name\": \"x\"}}");
	ck_assert_uint_eq(strlen(shop.message_id), 36);
	ck_assert(!shop.send_only);
	ask("POST /inventory", "[{}, {}]", "\"result\"");
	ck_assert_str_eq(shop.function, "create_inventories");
	ck_assert_str_eq(shop.payload, "{\"params\": [{}, {}]}");
}
END_TEST

START_TEST(plural_create_answers_with_the_message_id)
{
	const char *answer = ask("POST /customers\nIdempotency-Key: " FAKE_ID "\r\n", "[{}]",
	                         "{\"result\": \"" FAKE_ID "\"}");
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 "));
	ck_assert(shop.send_only);
	ck_assert_str_eq(shop.message_id, FAKE_ID);
}
END_TEST

START_TEST(update_and_delete_carry_the_id)
{
	ask("PUT /cart/" FAKE_ID, " {\"product_ids\": []}", "\"result\"");
	ck_assert_str_eq(shop.function, "update_cart");
	ck_assert_str_eq(shop.payload,
	                 "{\"params\": {\"entity_id\": \"" FAKE_ID "\", \"product_ids\": []}}");
	ask("PUT /cart/" FAKE_ID, "{}", "\"result\"");
	ck_assert_str_eq(shop.payload, "{\"params\": {\"entity_id\": \"" FAKE_ID "\"}}");
	ask("PUT /cart/" FAKE_ID, "{\"entity_id\": \"" FAKE_ID "\"}", "\"result\"");
	ck_assert_str_eq(shop.payload, "{\"params\": {\"entity_id\": \"" FAKE_ID "\"}}");
	refused(400, "PUT /cart/" FAKE_ID, "{\"entity_id\": \"" FAKE_MISSING "\"}", "entity_id");
	ask("DELETE /order/" FAKE_ID, "", "\"result\"");
	ck_assert_str_eq(shop.service, "order-service");
	ck_assert_str_eq(shop.function, "delete_order");
	ck_assert_str_eq(shop.payload, "{\"params\": {\"entity_id\": \"" FAKE_ID "\"}}");
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
	refused(400, "POST /customer", "{\"name\": ", "line 1");
	refused(400, "POST /customer", "", "the body is empty");
	refused(400, "POST /customer", "7", "number");
	refused(400, "POST /customer", "[]", "empty");
	refused(400, "POST /customer", "[{}, 1]", "[1]");
	refused(400, "POST /customer\nIdempotency-Key: x\r\n", "{}", "Idempotency-Key");
	refused(400, "GET /customer/abc", "", "\\\"abc\\\"");
	refused(404, "GET /nothing", "", "path");
	refused(404, "GET /customr/" FAKE_ID, "", "billing, cart, customer");
	refused(405, "PATCH /customers", "", "Allow: GET, HEAD, POST\r\n");
	refused(405, "DELETE /customer", "", "takes only POST; one customer is at /customer/ID");
	refused(405, "POST /health", "", "takes only GET, HEAD\"");
	refused(409, "POST /customer", "{\"refuse\": 1}", "the customer is not like that");
	refused(504, "POST /customer\nIdempotency-Key: " FAKE_ID "\r\n", "{\"late\": 1}",
	        "no answer from customer-service within 30 s");
	const char *late = ask("PUT /order/" FAKE_ID, "{\"late\": 1}", "order-service");
	ck_assert_ptr_nonnull(strstr(late, "again, with the header Idempotency-Key: "));
	ck_assert_msg(strstr(late, shop.message_id) != NULL, "%s", late);
	refused(415, "POST /customer\nContent-Type: text/plain\r\n", "{}", "application/json");
	ask("POST /customer\nContent-Type: application/json; charset=utf-8\r\n", "{}", "result");
	refused(400, "GET /health?verbose=1", "", "verbose: /health takes no parameters");
	refused(400, "GET /summary?at=10m", "", "at: /summary takes no parameters; at, of routes");
	refused(400, "GET /style.css?v", "", "v: /style.css takes no");
	refused(400, "GET /orders?at", "", "at: is empty");
	refused(400, "GET /orders?at=%zz", "", "at: '%zz' is no entry id");
	ask("GET /orders?pagesize=10", "", "{\"result\": ["); /* clients of the original may */
	refused(400, "GET /events\nLast-Event-ID: nonsense\r\n", "", "Last-Event-ID");
}
END_TEST

/* ---- queries ---- */

START_TEST(entities_and_lists)
{
	ask("GET /customer/" FAKE_ID, "", "{\"result\": {\"entity_id\": \"" FAKE_ID "\"");
	ask("GET /customer/" FAKE_MISSING, "", "\r\n\r\n{\"result\": null}");
	ask("GET /customers", "", "{\"result\": [{\"n\": 1}, {\"n\": 2}]}");
	ask("GET /orders/unbilled", "", "{\"result\": {\"one\": {\"n\": 1}, \"two\": {\"n\": 2}}}");
	ask("GET /orders/unshipped", "", "{\"result\": {\"one\":");
	ask("GET /orders/delivered", "", "{\"result\": [{\"n\": 1}, {\"n\": 2}]}");
	ask("GET /mails/sent", "",
	    "{\"result\": [[\"5-1\", {\"event_id\": \"" FAKE_ID "\", \"event_action\": "
	    "\"mail_sent\", \"event_data\": \"{\\\"recipient\\\": \\\"a@b\\\"}\"}]]}");
	ask("GET /report", "", "{\"result\": {\"all\": []}}");
	ask("GET /report/orders", "", "{\"result\": [\"orders\"]}");
}
END_TEST

START_TEST(queries_wait_for_what_was_written)
{
	ask("GET /customers", "", "result");
	ck_assert_str_eq(shop.tokens, "");
	ask("POST /customer", "{}", "result");
	ask("GET /customers", "", "result");
	ck_assert_str_eq(shop.tokens, "customer=100-7 ");
	ask("GET /customer/" FAKE_ID, "", "result");
	ck_assert_str_eq(shop.tokens, "customer=100-7 ");
	ask("GET /orders", "", "result");
	ck_assert_str_eq(shop.tokens, "");
}
END_TEST

START_TEST(pages_health_and_metrics)
{
	ask("GET /", "", "<title>OrderShop");
	ask("GET /style.css", "", "Content-Type: text/css");
	ask("GET /app.js", "", "Content-Type: text/javascript");
	ask("GET /health", "",
	    "{\"status\": \"ok\", \"services\": {\"event-store\": {\"healthy\": true");
	ask("GET /summary", "", "\"orders\": {\"CREATED\": 2");
	ask("GET /customers", "", "result");
	const char *metrics = ask("GET /metrics", "", "ordershop_feed_clients 0");
	ck_assert_ptr_nonnull(strstr(metrics,
	                             "ordershop_http_requests_total{method=\"GET\",route=\""
	                             "/{Xs}\",status=\"200\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(metrics, "route=\"/{Xs}\",le=\"+Inf\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(metrics, "ordershop_service_healthy{service=\"crm\"} 1\n"));
}
END_TEST

START_TEST(health_of_a_service_that_is_away)
{
	atomic_store(&shop.untaken, true);
	const char *answer = "";
	for (int i = 0; i < 500 && strstr(answer, "degraded") == NULL; i++) {
		usleep(10000);
		answer = ask("GET /health", "", "\"product\": {\"healthy\": ");
	}
	ck_assert_ptr_eq(strstr(answer, "HTTP/1.1 503 "), answer);
	ck_assert_ptr_nonnull(strstr(answer, "\"product\": {\"healthy\": false, \"detail\": "
	                                     "\"nobody takes its commands\"}"));
	ck_assert_ptr_nonnull(strstr(answer, "\"crm\": {\"healthy\": true"));
}
END_TEST

/* What does not fit is left out, and what fits is shown. */
START_TEST(the_summary_leaves_out_what_is_too_large)
{
	enum { LARGE = 900 * 1024 };
	char *large = malloc(LARGE + 16);
	memset(large, 'x', LARGE);
	memcpy(large, "{\"x\":\"", 6);
	strcpy(large + LARGE, "\"}");
	shop.large = large;
	const char *answer = ask("GET /summary", "", "\"recent_events\": [{\"topic\": \"order\"");
	const char *first = strstr(answer, "{\"x\":\"");
	ck_assert_ptr_nonnull(strstr(answer, "\"OrderPlaced\""));
	ck_assert_ptr_nonnull(first);
	size_t count = 0;
	for (const char *at = answer; (at = strstr(at, "{\"x\":\"")) != NULL; at++)
		count++;
	ck_assert_uint_eq(count, 3); /* two of the latest events, one of the orders */
	shop.large = NULL;
	free(large);
}
END_TEST

/* ---- the feed ---- */

static const char *event_id, *event_data;
static struct loop_timer again;

static void send_event(void *arg)
{
	if (shop.subscriber == NULL) {
		loop_timer_start(loop, &again, 5, send_event, arg);
		return;
	}
	fake_shop_event(&shop, event_id, event_data);
	atomic_fetch_add(&tasks_done, 1);
}

static void drop(void *arg)
{
	(void)arg;
	fake_shop_drop(&shop);
	atomic_fetch_add(&tasks_done, 1);
}

static void post_and_wait(void (*fn)(void *arg))
{
	int before = atomic_load(&tasks_done);
	loop_post(loop, fn, NULL);
	wait_for(&tasks_done, before + 1);
}

static int open_feed(const char *more)
{
	char request[256];
	int fd = dial();
	snprintf(request, sizeof(request), "GET /events HTTP/1.1\r\nHost: x\r\n%s\r\n", more);
	ck_assert_int_gt(send(fd, request, strlen(request), MSG_NOSIGNAL), 0);
	hear(fd, "retry:");
	return fd;
}

START_TEST(feed_is_live_and_comes_back_after_a_loss)
{
	int first = open_feed(""), second = open_feed("");
	event_id = "200-1";
	event_data = "{\"name\":\n \"seen\"}";
	post_and_wait(send_event);
	const char *text = hear(first, "\n\n\r\n");
	ck_assert_ptr_nonnull(strstr(text, "id: 200-1/customer\ndata: {\"topic\": \"customer\""));
	ck_assert_ptr_nonnull(strstr(text, "\"data\": {\"name\":\"seen\"}}\n\n"));
	hear(second, "200-1/customer");
	ck_assert_str_eq(shop.subscribed, "live");
	ck_assert_uint_eq(shop.subscriptions, 1);
	post_and_wait(drop);
	event_id = "200-2";
	post_and_wait(send_event);
	hear(first, "id: 200-2/customer\n");
	ck_assert_str_eq(shop.subscribed, "200-1/customer");
	close(first);
	close(second);
}
END_TEST

START_TEST(feed_goes_on_where_a_client_was)
{
	int fd = open_feed("Last-Event-ID: 150-3/order\r\n");
	event_id = "200-1";
	event_data = "not JSON";
	post_and_wait(send_event);
	hear(fd, "\"data\": not JSON");
	ck_assert_str_eq(shop.subscribed, "150-3/order");
	close(fd);
}
END_TEST

START_TEST(stopping_ends_an_open_feed)
{
	int fd = open_feed("");
	loop_post(loop, stop, loop);
	hear(fd, "0\r\n\r\n");
	close(fd);
	wait_for(&stopped, 1);
	pthread_join(loop_thread, NULL);
	gateway_destroy(gateway);
	fake_shop_destroy(&shop);
	loop_destroy(loop);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gateway");
	TCase *tests = tcase_create("gateway"), *stops = tcase_create("stops");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, create_waits_for_the_result);
	tcase_add_test(tests, plural_create_answers_with_the_message_id);
	tcase_add_test(tests, update_and_delete_carry_the_id);
	tcase_add_test(tests, what_is_wrong_is_said);
	tcase_add_test(tests, entities_and_lists);
	tcase_add_test(tests, queries_wait_for_what_was_written);
	tcase_add_test(tests, pages_health_and_metrics);
	tcase_add_test(tests, health_of_a_service_that_is_away);
	tcase_add_test(tests, the_summary_leaves_out_what_is_too_large);
	tcase_add_test(tests, feed_is_live_and_comes_back_after_a_loss);
	tcase_add_test(tests, feed_goes_on_where_a_client_was);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(stops, setup, NULL);
	tcase_add_test(stops, stopping_ends_an_open_feed);
	tcase_set_timeout(stops, 60);
	suite_add_tcase(suite, stops);
	return run_suite(suite);
}
