#include "tests/integration/domain_processes.h"

#include "base/log.h"
#include "base/loop.h"
#include "domain/service.h"
#include "event-store/service.h"
#include "message-queue/service.h"
#include "read-model/service.h"
#include "tests/support/redis_fixture.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct process_addresses addresses;
static struct redis_fixture redis = { .disk = REDIS_FIXTURE_MEMORY };

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
		.event_store = addresses.store,
		.message_queue = addresses.queue,
		.listen = &address,
		.listen_count = 1,
	};
	const struct domain_options options = {
		.service = name,
		.event_store = addresses.store,
		.message_queue = addresses.queue,
		.read_model = addresses.model,
	};
	if (strcmp(name, "event-store") == 0) {
		address = addresses.store;
		return event_store_serve(loop, &store_options, &events, err);
	}
	if (strcmp(name, "message-queue") == 0) {
		address = addresses.queue;
		return message_queue_serve(loop, &queue_options, &messages, err);
	}
	if (strcmp(name, "read-model") == 0) {
		address = addresses.model;
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

bool process_main(int argc, char **argv)
{
	if (argc != 7 || strcmp(argv[1], "serve") != 0)
		return false;
	snprintf(redis.url, sizeof(redis.url), "%s", argv[3]);
	snprintf(addresses.store, sizeof(addresses.store), "%s", argv[4]);
	snprintf(addresses.queue, sizeof(addresses.queue), "%s", argv[5]);
	snprintf(addresses.model, sizeof(addresses.model), "%s", argv[6]);
	serve(argv[2]);
	return true;
}

void process_start(const char *name)
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
		execl("/proc/self/exe", "domain_test", "serve", name, redis.url, addresses.store,
		      addresses.queue, addresses.model, (char *)NULL);
		_exit(127);
	}
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool process_stop(const char *name)
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

void process_kill(const char *name)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid == 0 || strcmp(processes[i].name, name) != 0)
			continue;
		kill(processes[i].pid, SIGKILL);
		waitpid(processes[i].pid, NULL, 0);
		processes[i].pid = 0;
	}
}

void processes_setup(void)
{
	static const char *const names[] = { "event-store", "message-queue", "read-model",
		                             "customer",    "product",       "inventory",
		                             "cart",        "order",         "billing",
		                             "shipping",    "mail",          "crm" };
	redis_fixture_start(&redis, REDIS_FIXTURE_MEMORY);
	snprintf(addresses.store, sizeof(addresses.store), "unix:%s/store.sock", redis.folder);
	snprintf(addresses.queue, sizeof(addresses.queue), "unix:%s/queue.sock", redis.folder);
	snprintf(addresses.model, sizeof(addresses.model), "unix:%s/model.sock", redis.folder);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		process_start(names[i]);
}

void processes_teardown(void)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid != 0)
			process_kill(processes[i].name);
	}
	redis_fixture_destroy(&redis);
}
