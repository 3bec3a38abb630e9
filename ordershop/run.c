/* run.c - `ordershop run`: the whole shop in one data folder. */
#include "base/log.h"
#include "base/redis.h"
#include "ordershop/command.h"
#include "ordershop/data_folder.h"
#include "ordershop/redis_process.h"
#include "ordershop/services.h"
#include "ordershop/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct config_option options[] = {
	{ .name = "data",
	  .placeholder = "DIR",
	  .help = "folder of everything durable",
	  .fallback = "data" },
	{ .name = "redis",
	  .placeholder = "URL",
	  .help = "use this Redis instead of private ones; see ordershop serve --help" },
	{ .name = "host",
	  .placeholder = "ADDRESS",
	  .help = "IPv4 address of the public ports",
	  .fallback = "127.0.0.1" },
	{ .name = "port",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "pages and REST (gateway)",
	  .fallback = "5000",
	  .min = 1,
	  .max = 65535 },
	{ .name = "event_store_port",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "gRPC of the event store",
	  .fallback = "50051",
	  .min = 1,
	  .max = 65535 },
	{ .name = "message_queue_port",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "gRPC of the message queue",
	  .fallback = "50052",
	  .min = 1,
	  .max = 65535 },
	{ .name = "read_model_port",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "gRPC of the read model",
	  .fallback = "50053",
	  .min = 1,
	  .max = 65535 },
	{ .name = "grace_ms",
	  .type = CONFIG_INTEGER,
	  .placeholder = "MS",
	  .help = "time to end, for each service, before it is killed",
	  .fallback = "5000",
	  .max = 600000 },
};

enum { ARGUMENTS_MAX = 24, PROCESSES = SERVICE_COUNT + 2 };

/* A redis-server of our own, or just the URL of a given one. */
struct redis_plan {
	char url[PATH_MAX + 16];
	char socket[PATH_MAX];
	char folder[PATH_MAX];
	const char *argv[REDIS_ARGUMENTS];
};

/* What the processes are started with; lives as long as they run. */
struct plan {
	struct data_folder folder;
	struct redis_plan log;   /* events and messages */
	struct redis_plan model; /* what can be made again from them */
	char *service_argv[SERVICE_COUNT][ARGUMENTS_MAX];
	struct process_spec specs[PROCESSES];
	size_t spec_count;
};

static const char *text_option(const char *name)
{
	return config_string(options, ARRAY_LEN(options), name);
}

static int port_option(const char *name)
{
	return (int)config_integer(options, ARRAY_LEN(options), name);
}

enum { FLAG_SIZE = 64 };

/* "read_model_port" -> "--read-model-port" */
static const char *flag_of(const char *option, char flag[FLAG_SIZE])
{
	snprintf(flag, FLAG_SIZE, "--%s", option);
	for (char *c = flag; *c; c++)
		*c = *c == '_' ? '-' : *c;
	return flag;
}

/* Would a server get this port? Better one clear sentence now than a service that never starts. */
static bool check_port(const char *option, struct error *err)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int port = port_option(option);
	const char *host = text_option("host");
	int fd, yes = 1, problem = 0;
	char flag[FLAG_SIZE], other[FLAG_SIZE];

	for (size_t i = 0; i < SERVICE_COUNT && services[i].port_option != option; i++) {
		if (services[i].port_option && port_option(services[i].port_option) == port)
			return error_set(err, ERR_INVALID, "%s and %s are both %d",
			                 flag_of(services[i].port_option, other),
			                 flag_of(option, flag), port);
	}
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return error_set(err, ERR_INVALID, "--host must be an IPv4 address, is '%s'", host);
	address.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, ERR_INTERNAL, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		problem = errno;
	close(fd);
	if (problem == 0)
		return true;
	return error_set(err, ERR_EXISTS, "port %d of %s %s; choose another with %s N", port, host,
	                 problem == EADDRINUSE ? "is in use" : strerror(problem),
	                 flag_of(option, flag));
}

/* A URL that no service could use is the caller's to mend, before anything is started. */
static bool check_redis(struct error *err)
{
	struct redis *redis;

	if (!text_option("redis"))
		return true;
	if (!redis_create(NULL, text_option("redis"), NULL, 0, 0, &redis, err))
		return false;
	redis_destroy(redis);
	return true;
}

static char *made(const char *format, ...) PRINTF(1, 2);
static char *made(const char *format, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	ASSERT(len >= 0);
	return text;
}

static char *socket_target(const struct plan *plan, const char *service)
{
	char path[PATH_MAX];

	data_folder_socket(&plan->folder, service, path);
	return made("unix:%s", path);
}

/* Services reach each other by unix sockets; the public ones listen on their port as well. */
static void plan_service(struct plan *plan, size_t index)
{
	const struct service_info *service = &services[index];
	char **argv = plan->service_argv[index];
	char *own = socket_target(plan, service->name);
	size_t count = 0;

	argv[count++] = strdup("ordershop");
	argv[count++] = strdup("serve");
	argv[count++] = strdup(service->name);
	argv[count++] = strdup("--listen");
	if (service->port_option && service->stage != STAGE_GATEWAY) {
		argv[count++] =
		    made("%s,%s:%d", own, text_option("host"), port_option(service->port_option));
		free(own);
	} else {
		argv[count++] = own;
	}
	if (service->stage <= STAGE_MODEL) {
		argv[count++] = strdup("--redis");
		argv[count++] =
		    strdup(service->stage == STAGE_MODEL ? plan->model.url : plan->log.url);
	}
	for (size_t i = 0; i < SERVICE_COUNT && services[i].stage <= STAGE_MODEL; i++) {
		if (services[i].stage >= service->stage)
			continue;
		argv[count++] = made("--%s", services[i].name);
		argv[count++] = socket_target(plan, services[i].name);
	}
	if (service->stage == STAGE_GATEWAY) {
		argv[count++] = strdup("--host");
		argv[count++] = strdup(text_option("host"));
		argv[count++] = strdup("--port");
		argv[count++] = made("%d", port_option("port"));
	}
	ASSERT(count < ARGUMENTS_MAX);
	plan->specs[plan->spec_count++] = (struct process_spec){
		.name = service->name,
		.path = "/proc/self/exe",
		.argv = (const char *const *)argv,
		.stage = service->stage,
	};
}

static void plan_redis(struct plan *plan, struct redis_plan *redis, const char *name,
                       enum redis_keeps keeps)
{
	const char *url = text_option("redis");

	if (url) {
		snprintf(redis->url, sizeof(redis->url), "%s", url);
		return;
	}
	data_folder_file(&plan->folder, name, redis->folder);
	data_folder_socket(&plan->folder, name, redis->socket);
	snprintf(redis->url, sizeof(redis->url), "unix://%s", redis->socket);
	redis_process_arguments(redis->folder, redis->socket, keeps, redis->argv);
	plan->specs[plan->spec_count++] = (struct process_spec){
		.name = name,
		.path = "redis-server",
		.argv = redis->argv,
		.stage = STAGE_REDIS,
		.probe = redis_process_ready,
		.probe_arg = redis->socket,
	};
}

static void free_plan(struct plan *plan)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		for (size_t j = 0; plan->service_argv[i][j]; j++)
			free(plan->service_argv[i][j]);
	}
}

/* For the commands that are given the same --data. */
static bool write_addresses(struct plan *plan, struct error *err)
{
	static const char *const told[] = { "event-store", "message-queue", "read-model" };
	char path[PATH_MAX], socket_path[PATH_MAX];
	bool written;
	FILE *file;

	data_folder_file(&plan->folder, "addresses", path);
	file = fopen(path, "we");
	if (!file)
		return error_set(err, ERR_INTERNAL, "cannot write %s: %s", path, strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		data_folder_socket(&plan->folder, told[i], socket_path);
		fprintf(file, "%s: unix:%s\n", told[i], socket_path);
	}
	data_folder_socket(&plan->folder, "control", socket_path);
	fprintf(file, "control: %s\nredis: %s\n", socket_path, plan->log.url);
	written = !ferror(file);
	if (fclose(file) != 0 || !written)
		return error_set(err, ERR_INTERNAL, "cannot write %s: %s", path, strerror(errno));
	return true;
}

static void print_ready(void *arg)
{
	const char *host = text_option("host");

	(void)arg;
	printf("ready http://%s:%d\n", strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : host,
	       port_option("port"));
	fflush(stdout);
}

static bool run_plan(struct plan *plan, struct error *err)
{
	char logs[PATH_MAX], control[PATH_MAX];
	struct supervisor_options supervise = {
		.log_folder = logs,
		.control_path = control,
		.grace_ms = (unsigned)config_integer(options, ARRAY_LEN(options), "grace_ms"),
		.ready = print_ready,
	};
	struct supervisor *supervisor;
	bool done;

	data_folder_file(&plan->folder, "logs", logs);
	data_folder_socket(&plan->folder, "control", control);
	/* The read model is a cache with its checkpoint in it: it needs no disk write before it
	 * answers, and must not share the one of the log. */
	plan_redis(plan, &plan->log, "redis", REDIS_KEEPS_ALL);
	plan_redis(plan, &plan->model, "redis-model", REDIS_KEEPS_SNAPSHOTS);
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		plan_service(plan, i);
	if (!write_addresses(plan, err) ||
	    !supervisor_create(&supervise, plan->specs, plan->spec_count, &supervisor, err))
		return false;
	done = supervisor_run(supervisor, err);
	supervisor_destroy(supervisor);
	return done;
}

int run_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct plan *plan;
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 1)
		return command_misuse(self, "'%s' is not an option", argv[1]);
	if (!check_redis(&err))
		return command_misuse(self, "--%s", err.message);
	log_init("supervisor", LOG_INFO);
	log_aborts();
	plan = calloc(1, sizeof(*plan));
	ASSERT(plan);
	/* The folder first: that the same shop runs already says more than that its ports are taken. */
	if (!data_folder_open(text_option("data"), &plan->folder, &err)) {
		free(plan);
		return command_fail(self, "%s", err.message);
	}
	done = true;
	for (size_t i = 0; done && i < SERVICE_COUNT; i++)
		done = !services[i].port_option || check_port(services[i].port_option, &err);
	done = done && run_plan(plan, &err);
	data_folder_close(&plan->folder);
	free_plan(plan);
	free(plan);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
