/* domain_test.c - the domain services as processes, between the real queue, store and Redis. */
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rpc_client.h"
#include "base/rpc_mux.h"
#include "domain/service.h"
#include "event-store/service.h"
#include "message-queue/service.h"
#include "read-model/service.h"
#include "tests/support/redis_fixture.h"

#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct redis_fixture redis = { .disk = REDIS_FIXTURE_MEMORY };
static char store_address[128], queue_address[128], model_address[128];

/* ---- The processes ----------------------------------------------------------------------- */

enum { PROCESSES_MAX = 16 };
static struct {
	const char *name;
	pid_t pid;
} processes[PROCESSES_MAX];

static struct domain *domain; /* in its process */

static bool serve_one(struct loop *loop, const char *name, struct error *err)
{
	struct event_store *events;
	struct message_queue *messages;
	struct read_model *model;
	const char *address = NULL;
	const struct event_store_options store_options = {
		.redis_url = redis.url,
		.listen = &address,
		.listen_count = 1,
	};
	const struct message_queue_options queue_options = {
		.redis_url = redis.url,
		.listen = &address,
		.listen_count = 1,
	};
	const struct read_model_options model_options = {
		.redis_url = redis.url,
		.event_store = store_address,
		.message_queue = queue_address,
		.listen = &address,
		.listen_count = 1,
	};
	const struct domain_options options = {
		.service = name,
		.event_store = store_address,
		.message_queue = queue_address,
		.read_model = model_address,
	};
	if (strcmp(name, "event-store") == 0) {
		address = store_address;
		return event_store_serve(loop, &store_options, &events, err);
	}
	if (strcmp(name, "message-queue") == 0) {
		address = queue_address;
		return message_queue_serve(loop, &queue_options, &messages, err);
	}
	if (strcmp(name, "read-model") == 0) {
		address = model_address;
		return read_model_serve(loop, &model_options, &model, err);
	}
	return domain_serve(loop, &options, &domain, err);
}

static void stop_serving(void *served)
{
	domain_stop(domain, (void (*)(void *))loop_stop, served);
}

static void *wait_for_end(void *served)
{
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigwait(&set, &number);
	loop_post(served, stop_serving, served);
	return NULL;
}

static void serve(const char *name)
{
	sigset_t set;
	pthread_t thread;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	struct loop *served = loop_create();
	struct error err;
	log_init(name, LOG_WARN);
	if (!serve_one(served, name, &err)) {
		log_error("cannot_serve", "reason=\"%s\"", err.message);
		_exit(1);
	}
	pthread_create(&thread, NULL, wait_for_end, served);
	loop_run(served);
	pthread_join(thread, NULL);
	domain_destroy(domain);
	loop_destroy(served);
}

static void process_start(const char *name)
{
	size_t i = 0;
	sigset_t set;
	while (i < PROCESSES_MAX && processes[i].pid != 0)
		i++;
	ck_assert_uint_lt(i, PROCESSES_MAX);
	processes[i].name = name;
	/* The child inherits it, so that a SIGTERM before it listens waits for that. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	processes[i].pid = fork();
	if (processes[i].pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Not just a fork: gRPC does not survive one. */
		execl("/proc/self/exe", "domain_test", "serve", name, redis.url, store_address,
		      queue_address, model_address, (char *)NULL);
		_exit(127);
	}
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Ends it as the supervisor does; false unless it ends well. */
static bool process_stop(const char *name)
{
	int status = -1;
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid == 0 || strcmp(processes[i].name, name) != 0)
			continue;
		kill(processes[i].pid, SIGTERM);
		waitpid(processes[i].pid, &status, 0);
		processes[i].pid = 0;
	}
	return status == 0;
}

static void process_kill(const char *name)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid == 0 || strcmp(processes[i].name, name) != 0)
			continue;
		kill(processes[i].pid, SIGKILL);
		waitpid(processes[i].pid, NULL, 0);
		processes[i].pid = 0;
	}
}

static void setup(void)
{
	static const char *const names[] = { "event-store", "message-queue", "read-model",
		                             "customer",    "product",       "inventory",
		                             "cart",        "order",         "billing",
		                             "shipping",    "mail",          "crm" };
	redis_fixture_start(&redis, REDIS_FIXTURE_MEMORY);
	snprintf(store_address, sizeof(store_address), "unix:%s/store.sock", redis.folder);
	snprintf(queue_address, sizeof(queue_address), "unix:%s/queue.sock", redis.folder);
	snprintf(model_address, sizeof(model_address), "unix:%s/model.sock", redis.folder);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		process_start(names[i]);
}

static void teardown(void)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid != 0)
			process_kill(processes[i].name);
	}
	redis_fixture_destroy(&redis);
}

/* ---- The client -------------------------------------------------------------------------- */

static struct loop *loop;
static struct rpc_channel *queue, *store;
static struct rpc_mux *calls;
static struct arena *arena;
static size_t calls_open;
static struct call *all_calls;

struct call {
	struct json *result;
	struct error error;
	struct call *next;
};

static void connect_client(void)
{
	loop = loop_create();
	queue = rpc_channel_create(loop, queue_address);
	store = rpc_channel_create(loop, store_address);
	calls = rpc_mux_create(loop, queue, &mq__message_queue__descriptor, "SubmitStream", 4096);
	arena = arena_create();
}

static void disconnect_client(void)
{
	rpc_mux_destroy(calls);
	for (struct call *call = all_calls; call != NULL; call = call->next)
		json_free(call->result);
	rpc_channel_destroy(queue);
	rpc_channel_destroy(store);
	loop_destroy(loop);
	arena_destroy(arena);
}

static void on_reply(void *arg, const ProtobufCMessage *message, const struct error *err)
{
	struct call *call = arg;
	const Mq__SubmitResult *reply = (const Mq__SubmitResult *)message;
	if (err != NULL)
		call->error = *err;
	else if (reply->result->error != NULL)
		(void)error_set(&call->error, error_from_grpc((int)reply->result->error->code),
		                "%s", reply->result->error->message);
	else
		ck_assert(json_parse(reply->result->result, strlen(reply->result->result),
		                     &call->result, &call->error));
	if (--calls_open == 0)
		loop_stop(loop);
}

static struct call *begin(const char *service, const char *function, const char *params)
{
	struct call *call = arena_zalloc(arena, sizeof(*call));
	call->next = all_calls;
	all_calls = call;
	char id[UUID_SIZE];
	uuid_v4(id);
	Mq__Message message = MQ__MESSAGE__INIT;
	message.service = arena_printf(arena, "%s-service", service);
	message.function = function;
	message.message_id = id;
	message.payload = arena_printf(arena, "{\"params\":%s}", params);
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	item.message = &message;
	calls_open++;
	rpc_mux_request(calls, &item.base, 40000, on_reply, call);
	return call;
}

static struct call *run(const char *service, const char *function, const char *params)
{
	struct call *call = begin(service, function, params);
	loop_run(loop);
	return call;
}

/* The only id of a result that is a list of ids. */
static const char *make(const char *service, const char *function, const char *params)
{
	struct call *call = run(service, function, params);
	ck_assert_msg(call->error.code == ERR_NONE, "%s.%s: %s", service, function,
	              call->error.message);
	return arena_strdup(arena, json_text(json_at(call->result, 0)));
}

static void refused(const char *service, const char *function, const char *params,
                    enum error_code code, const char *word)
{
	struct call *call = run(service, function, params);
	ck_assert_msg(call->error.code == code && strstr(call->error.message, word) != NULL,
	              "%s.%s %s: %s: %s", service, function, params, error_name(call->error.code),
	              call->error.message);
}

static const char *data_of(const char *topic, const char *id)
{
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	request.topic = topic;
	request.entity_id = id;
	const ProtobufCMessage *message;
	struct error err;
	ck_assert_msg(rpc_unary_wait(store, &es__event_store__descriptor, "ReadEntity",
	                             &request.base, 5000, arena, &message, &err),
	              "%s", err.message);
	const Es__ReadEntityResponse *response = (const Es__ReadEntityResponse *)message;
	return response->n_events == 0 ? "" : response->events[0]->event_data;
}

static bool comes(const char *topic, const char *id, const char *text)
{
	for (uint64_t start = clock_monotonic_ms(); clock_monotonic_ms() < start + 15000;) {
		if (strstr(data_of(topic, id), text) != NULL)
			return true;
		usleep(2000);
	}
	fprintf(stderr, "%s %s is %s\n", topic, id, data_of(topic, id));
	return false;
}

static uint64_t topic_length(const char *topic)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *message;
	struct error err;
	ck_assert(rpc_unary_wait(store, &es__event_store__descriptor, "Topics", &request.base, 5000,
	                         arena, &message, &err));
	const Es__TopicsResponse *response = (const Es__TopicsResponse *)message;
	for (size_t i = 0; i < response->n_topics; i++) {
		if (strcmp(response->topics[i]->topic, topic) == 0)
			return response->topics[i]->length;
	}
	return 0;
}

/* ---- Tests ------------------------------------------------------------------------------- */

#define TEXT(...) arena_printf(arena, __VA_ARGS__)

static const char *customer, *product, *inventory;

static void stock_up(int amount)
{
	customer = make("customer", "create_customers",
	                "{\"name\":\"Ann\",\"email\":\"ann@example.org\"}");
	product = make("product", "create_products", "{\"name\":\"Tea\",\"price\":250}");
	inventory = make("inventory", "create_inventories",
	                 TEXT("{\"product_id\":\"%s\",\"amount\":%d}", product, amount));
}

static const char *make_cart(void)
{
	return make("cart", "create_carts",
	            TEXT("{\"customer_id\":\"%s\",\"product_ids\":[\"%s\",\"%s\"]}", customer,
	                 product, product));
}

START_TEST(an_order_goes_all_the_way)
{
	connect_client();
	stock_up(10);
	const char *cart = make_cart();
	const char *order = make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", cart));
	ck_assert(comes("order", order, "IN_STOCK"));
	ck_assert_ptr_nonnull(strstr(data_of("inventory", inventory), "\"amount\":8"));
	refused("cart", "update_cart", TEXT("{\"entity_id\":\"%s\",\"product_ids\":[]}", cart),
	        ERR_INVALID, "product_ids");
	refused("billing", "create_billings", TEXT("{\"order_id\":\"%s\",\"amount\":499}", order),
	        ERR_INVALID, "amount");
	make("billing", "create_billings", TEXT("{\"order_id\":\"%s\",\"amount\":500}", order));
	ck_assert(comes("order", order, "SHIPPED"));
	char shipping[UUID_SIZE];
	uuid_v5(shipping, order, "shipping", NULL);
	ck_assert_int_eq(run("shipping", "update_shipping",
	                     TEXT("{\"entity_id\":\"%s\",\"delivered\":1700000000}", shipping))
	                     ->error.code,
	                 ERR_NONE);
	ck_assert(comes("order", order, "DELIVERED"));
	ck_assert(comes("cart", cart, "\"order_id\":\"\""));
	/* Welcome, please pay, paid, shipped. */
	for (int i = 0; i < 1000 && topic_length("mail") < 4; i++)
		usleep(5000);
	ck_assert_uint_eq(topic_length("mail"), 4);
	disconnect_client();
}
END_TEST

START_TEST(wrong_commands_are_refused_by_name)
{
	connect_client();
	refused("customer", "update_customer",
	        "{\"entity_id\":\"00000000-0000-4000-8000-000000000001\",\"name\":\"x\"}",
	        ERR_NOT_FOUND, "00000000-0000-4000-8000-000000000001");
	refused("customer", "create_customers", "{\"name\":5,\"email\":\"a@b\"}", ERR_INVALID,
	        "name");
	refused("product", "create_products",
	        "[{\"name\":\"a\",\"price\":1},{\"name\":\"b\",\"price\":-1}]", ERR_INVALID,
	        "params[1]");
	ck_assert_uint_eq(topic_length("product"), 0);
	disconnect_client();
}
END_TEST

/* Twice as many orders as stock, all at once: exactly the stock is sold. */
START_TEST(stock_is_not_sold_twice)
{
	enum { ORDERS = 60, STOCK = 60 /* two units each */ };
	const char *orders[ORDERS];
	connect_client();
	stock_up(STOCK);
	for (int i = 0; i < ORDERS; i++) {
		const char *cart = make_cart();
		orders[i] = make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", cart));
	}
	int in_stock = 0;
	for (int i = 0; i < ORDERS; i++) {
		ck_assert(comes("order", orders[i], "STOCK\""));
		in_stock += strstr(data_of("order", orders[i]), "\"IN_STOCK\"") != NULL;
	}
	ck_assert_int_eq(in_stock, STOCK / 2);
	ck_assert_ptr_nonnull(strstr(data_of("inventory", inventory), "\"amount\":0"));
	disconnect_client();
}
END_TEST

START_TEST(a_restock_serves_the_orders_that_wait)
{
	connect_client();
	stock_up(1);
	const char *order =
	    make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", make_cart()));
	ck_assert(comes("order", order, "OUT_OF_STOCK"));
	ck_assert_int_eq(run("inventory", "update_inventory",
	                     TEXT("{\"entity_id\":\"%s\",\"amount\":5}", inventory))
	                     ->error.code,
	                 ERR_NONE);
	ck_assert(comes("order", order, "IN_STOCK"));
	ck_assert(comes("inventory", inventory, "\"amount\":3"));
	/* What a cancelled order held goes to the next one that waits. */
	const char *second =
	    make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", make_cart()));
	ck_assert(comes("order", second, "IN_STOCK"));
	const char *third =
	    make("order", "create_orders", TEXT("{\"cart_id\":\"%s\"}", make_cart()));
	ck_assert(comes("order", third, "OUT_OF_STOCK"));
	ck_assert_int_eq(
	    run("order", "cancel_order", TEXT("{\"entity_id\":\"%s\"}", order))->error.code,
	    ERR_NONE);
	ck_assert(comes("order", third, "IN_STOCK"));
	ck_assert(comes("inventory", inventory, "\"amount\":1"));
	refused("order", "cancel_order", TEXT("{\"entity_id\":\"%s\"}", order), ERR_PRECONDITION,
	        order);
	disconnect_client();
}
END_TEST

/* Each service is killed while commands are under way; each command has its effect once. */
START_TEST(a_killed_service_loses_and_doubles_nothing)
{
	static const char *const victims[] = { "customer", "event-store", "message-queue",
		                               "customer" };
	enum { CUSTOMERS = 400 };
	connect_client();
	struct call *made[CUSTOMERS];
	size_t victim = 0;
	for (int i = 0; i < CUSTOMERS; i++) {
		made[i] = begin("customer", "create_customers",
		                TEXT("{\"name\":\"c%d\",\"email\":\"c%d@example.org\"}", i, i));
		if (i % 100 != 50)
			continue;
		process_kill(victims[victim]);
		process_start(victims[victim++]);
	}
	loop_run(loop);
	for (int i = 0; i < CUSTOMERS; i++) {
		ck_assert_msg(made[i]->error.code == ERR_NONE, "%d: %s", i, made[i]->error.message);
		const char *id = json_text(json_at(made[i]->result, 0));
		ck_assert_ptr_nonnull(strstr(data_of("customer", id), TEXT("\"c%d\"", i)));
	}
	ck_assert_uint_eq(topic_length("customer"), CUSTOMERS);
	process_kill("crm");
	process_start("crm");
	for (int i = 0; i < 3000 && topic_length("mail") < CUSTOMERS; i++)
		usleep(5000);
	ck_assert_uint_eq(topic_length("mail"), CUSTOMERS);
	disconnect_client();
}
END_TEST

/* A service that is stopped finishes what it has and leaves the rest to the next one. */
START_TEST(a_stopped_service_leaves_nothing_behind)
{
	enum { CUSTOMERS = 2000 };
	struct call *made[CUSTOMERS];
	connect_client();
	stock_up(1);
	for (int i = 0; i < CUSTOMERS; i++)
		made[i] = begin("customer", "create_customers",
		                TEXT("{\"name\":\"c%d\",\"email\":\"c%d@example.org\"}", i, i));
	for (int round = 0; round < 3; round++) {
		ck_assert(process_stop("customer"));
		process_start("customer");
		ck_assert(process_stop("crm"));
		process_start("crm");
	}
	loop_run(loop);
	for (int i = 0; i < CUSTOMERS; i++)
		ck_assert_msg(made[i]->error.code == ERR_NONE, "%d: %s", i, made[i]->error.message);
	ck_assert_uint_eq(topic_length("customer"), CUSTOMERS + 1);
	for (int i = 0; i < 3000 && topic_length("mail") < CUSTOMERS + 1; i++)
		usleep(5000);
	ck_assert_uint_eq(topic_length("mail"), CUSTOMERS + 1);
	ck_assert(process_stop("order"));
	disconnect_client();
}
END_TEST

int main(int argc, char **argv)
{
	if (argc == 7 && strcmp(argv[1], "serve") == 0) {
		snprintf(redis.url, sizeof(redis.url), "%s", argv[3]);
		snprintf(store_address, sizeof(store_address), "%s", argv[4]);
		snprintf(queue_address, sizeof(queue_address), "%s", argv[5]);
		snprintf(model_address, sizeof(model_address), "%s", argv[6]);
		serve(argv[2]);
		return EXIT_SUCCESS;
	}
	Suite *suite = suite_create("domain");
	TCase *tests = tcase_create("domain");
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, an_order_goes_all_the_way);
	tcase_add_test(tests, wrong_commands_are_refused_by_name);
	tcase_add_test(tests, stock_is_not_sold_twice);
	tcase_add_test(tests, a_restock_serves_the_orders_that_wait);
	tcase_add_test(tests, a_killed_service_loses_and_doubles_nothing);
	tcase_add_test(tests, a_stopped_service_leaves_nothing_behind);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
