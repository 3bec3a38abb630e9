/* serve.c - `ordershop serve SERVICE`: one service until SIGTERM. */
#include "base/backoff.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/rpc_client.h"
#include "domain/service.h"
#include "event-store/service.h"
#include "gateway/service.h"
#include "message-queue/service.h"
#include "ordershop/command.h"
#include "ordershop/services.h"
#include "ordershop/targets.h"
#include "proto/health.pb-c.h"
#include "read-model/service.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config_option options[] = {
	{ .name = "redis",
	  .placeholder = "URL",
	  .help = "where the three with a Redis have it",
	  .fallback = "redis://127.0.0.1:6379" },
	{ .name = "listen",
	  .placeholder = "LIST",
	  .help = "addresses for gRPC: host:port,unix:/path,..." },
	{ .name = "host",
	  .placeholder = "ADDRESS",
	  .help = "of the gateway's HTTP port",
	  .fallback = "127.0.0.1" },
	{ .name = "port",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "of the gateway: HTTP",
	  .fallback = "5000",
	  .max = 65535 },
	{ .name = "rebuild",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "of the read model: build it anew beside the live one" },
	{ .name = "debug", .type = CONFIG_FLAG, .help = "log more" },
	TARGET_OPTIONS,
};

enum { TRIES_PER_WARNING = 10, LISTEN_MAX = 8, CHECK_EVERY_MS = 20, CHECK_TIMEOUT_MS = 1000 };

struct server {
	struct loop *loop;
	const struct service_info *info;
	const struct service_kind *kind;
	void *service;
	const char *listen[LISTEN_MAX];
	size_t listen_count;
	sigset_t signals;
	/* The question to our own health, until it is SERVING. */
	struct rpc_channel *self;
	struct loop_timer timer;
};

/* How each kind of service is started from the options; stop and destroy are as in its header. */
struct service_kind {
	bool (*start)(struct server *server, struct error *err);
	void (*stop)(struct server *server, void (*done)(void *arg), void *arg);
	void (*destroy)(struct server *server);
};

static const char *target(enum target which)
{
	return target_find(options, ARRAY_LEN(options), which, NULL, NULL);
}

static const char *redis_url(void)
{
	return config_string(options, ARRAY_LEN(options), "redis");
}

/* To the supervisor, if there is one. */
static void tell_ready(void *arg)
{
	const char *name = getenv("ORDERSHOP_READY_FD");
	int fd = name ? (int)strtol(name, NULL, 10) : -1;

	(void)arg;
	log_info("ready", "pid=%d", (int)getpid());
	if (fd < 0)
		return;
	if (write(fd, "r", 1) != 1)
		log_warn("cannot_tell_ready", "fd=%d", fd);
	close(fd);
	unsetenv("ORDERSHOP_READY_FD");
}

static bool start_event_store(struct server *server, struct error *err)
{
	const struct event_store_options settings = {
		.redis_url = redis_url(),
		.listen = server->listen,
		.listen_count = server->listen_count,
	};
	struct event_store *service;

	if (!event_store_serve(server->loop, &settings, &service, err))
		return false;
	server->service = service;
	return true;
}

static void stop_event_store(struct server *server, void (*done)(void *arg), void *arg)
{
	event_store_stop(server->service, done, arg);
}

static void destroy_event_store(struct server *server)
{
	event_store_destroy(server->service);
}

static bool start_message_queue(struct server *server, struct error *err)
{
	const struct message_queue_options settings = {
		.redis_url = redis_url(),
		.listen = server->listen,
		.listen_count = server->listen_count,
	};
	struct message_queue *service;

	if (!message_queue_serve(server->loop, &settings, &service, err))
		return false;
	server->service = service;
	return true;
}

static void stop_message_queue(struct server *server, void (*done)(void *arg), void *arg)
{
	message_queue_stop(server->service, done, arg);
}

static void destroy_message_queue(struct server *server)
{
	message_queue_destroy(server->service);
}

static bool start_read_model(struct server *server, struct error *err)
{
	const struct read_model_options settings = {
		.redis_url = redis_url(),
		.event_store = target(TARGET_EVENT_STORE),
		.message_queue = target(TARGET_MESSAGE_QUEUE),
		.listen = server->listen,
		.listen_count = server->listen_count,
		.rebuild = config_flag(options, ARRAY_LEN(options), "rebuild"),
	};
	struct read_model *service;

	if (!read_model_serve(server->loop, &settings, &service, err))
		return false;
	server->service = service;
	return true;
}

static void stop_read_model(struct server *server, void (*done)(void *arg), void *arg)
{
	read_model_stop(server->service, done, arg);
}

static void destroy_read_model(struct server *server)
{
	read_model_destroy(server->service);
}

static bool start_domain(struct server *server, struct error *err)
{
	const struct domain_options settings = {
		.service = server->info->name,
		.event_store = target(TARGET_EVENT_STORE),
		.message_queue = target(TARGET_MESSAGE_QUEUE),
		.read_model = target(TARGET_READ_MODEL),
		.listen = server->listen,
		.listen_count = server->listen_count,
	};
	struct domain *service;

	if (!domain_serve(server->loop, &settings, &service, err))
		return false;
	server->service = service;
	return true;
}

static void stop_domain(struct server *server, void (*done)(void *arg), void *arg)
{
	domain_stop(server->service, done, arg);
}

static void destroy_domain(struct server *server)
{
	domain_destroy(server->service);
}

static bool start_gateway(struct server *server, struct error *err)
{
	const struct gateway_options settings = {
		.host = config_string(options, ARRAY_LEN(options), "host"),
		.port = (int)config_integer(options, ARRAY_LEN(options), "port"),
		.event_store = target(TARGET_EVENT_STORE),
		.message_queue = target(TARGET_MESSAGE_QUEUE),
		.read_model = target(TARGET_READ_MODEL),
		.ready = tell_ready,
	};
	struct gateway *service;

	if (!gateway_serve(server->loop, &settings, &service, err))
		return false;
	server->service = service;
	return true;
}

static void stop_gateway(struct server *server, void (*done)(void *arg), void *arg)
{
	gateway_stop(server->service, done, arg);
}

static void destroy_gateway(struct server *server)
{
	gateway_destroy(server->service);
}

static const struct service_kind kinds[] = {
	[STAGE_STORE] = { start_event_store, stop_event_store, destroy_event_store },
	[STAGE_QUEUE] = { start_message_queue, stop_message_queue, destroy_message_queue },
	[STAGE_MODEL] = { start_read_model, stop_read_model, destroy_read_model },
	[STAGE_DOMAIN] = { start_domain, stop_domain, destroy_domain },
	[STAGE_GATEWAY] = { start_gateway, stop_gateway, destroy_gateway },
};

static void ask_health(void *arg);

static void end_asking(void *arg)
{
	struct server *server = arg;

	rpc_channel_destroy(server->self);
	server->self = NULL;
}

static void health_answered(void *arg, const ProtobufCMessage *response, const struct error *err)
{
	struct server *server = arg;
	const Health__HealthCheckResponse *health = (const void *)response;

	if (err && err->code == ERR_CANCELLED)
		return;
	if (!health || health->status != HEALTH__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING) {
		loop_timer_start(server->loop, &server->timer, CHECK_EVERY_MS, ask_health, server);
		return;
	}
	tell_ready(NULL);
	loop_post(server->loop, end_asking, server);
}

static void ask_health(void *arg)
{
	struct server *server = arg;
	Health__HealthCheckRequest request = HEALTH__HEALTH_CHECK_REQUEST__INIT;

	rpc_unary(server->self, &health__health__descriptor, "Check", &request.base,
	          CHECK_TIMEOUT_MS, health_answered, server);
}

static void stopped(void *arg)
{
	struct server *server = arg;

	loop_stop(server->loop);
}

static void begin_stop(void *arg)
{
	struct server *server = arg;

	log_info("stopping", "pid=%d", (int)getpid());
	loop_timer_stop(server->loop, &server->timer);
	server->kind->stop(server, stopped, server);
}

static void *wait_for_signals(void *arg)
{
	struct server *server = arg;
	int number;

	sigwait(&server->signals, &number);
	loop_post(server->loop, begin_stop, server);
	sigwait(&server->signals, &number);
	_exit(EXIT_FAILED); /* asked twice: at once */
}

static bool read_listen(struct server *server, struct error *err)
{
	const char *given = config_string(options, ARRAY_LEN(options), "listen");
	static char *kept; /* the addresses are parts of it */
	char *rest, *next;

	if (!given)
		given = server->info->default_listen;
	if (!given || server->info->stage == STAGE_GATEWAY)
		return true;
	kept = strdup(given);
	for (rest = kept; (next = strsep(&rest, ","));) {
		if (server->listen_count == LISTEN_MAX)
			return error_set(err, ERR_INVALID, "--listen: at most %d addresses",
			                 LISTEN_MAX);
		if (*next)
			server->listen[server->listen_count++] = next;
	}
	if (server->listen_count == 0)
		return error_set(err, ERR_INVALID, "--listen: there is no address in \"%s\"",
		                 given);
	return true;
}

/* Start order does not matter: who needs a Redis that is not there yet waits for it. */
static bool start_when_possible(struct server *server, struct error *err)
{
	struct backoff backoff = { 0 };
	unsigned tries = 0;

	while (!server->kind->start(server, err)) {
		if (err->code != ERR_UNAVAILABLE)
			return false;
		if (tries++ % TRIES_PER_WARNING == 0)
			log_warn("waiting_to_start", "reason=\"%s\"", err->message);
		unsigned ms = backoff_ms(&backoff);
		struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
		if (sigtimedwait(&server->signals, NULL, &pause) > 0) {
			err->code = ERR_CANCELLED;
			return error_wrap(err, "stopped while it waited");
		}
	}
	return true;
}

static bool serve(struct server *server, struct error *err)
{
	pthread_t thread;

	if (!read_listen(server, err))
		return false;
	sigemptyset(&server->signals);
	sigaddset(&server->signals, SIGINT);
	sigaddset(&server->signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &server->signals, NULL);
	server->loop = loop_create();
	if (!start_when_possible(server, err)) {
		loop_destroy(server->loop);
		return false;
	}
	ASSERT(pthread_create(&thread, NULL, wait_for_signals, server) == 0);
	pthread_detach(thread);
	if (server->listen_count > 0) {
		server->self = rpc_channel_create(server->loop, server->listen[0]);
		ask_health(server);
	} else if (server->info->stage != STAGE_GATEWAY) {
		tell_ready(NULL); /* nobody can ask */
	}
	loop_run(server->loop);
	if (server->self)
		rpc_channel_destroy(server->self);
	server->kind->destroy(server);
	loop_destroy(server->loop);
	return true;
}

int serve_command(const struct subcommand *self, int argc, char **argv)
{
	static struct server server; /* the signal thread may outlive this function */
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 2)
		return command_misuse(self, "name one service");
	server.info = service_find(argv[1]);
	if (!server.info) {
		char hint[HINT_SIZE];

		return command_misuse(self, "there is no service '%s'%s", argv[1],
		                      service_hint(hint, argv[1]));
	}
	log_init(server.info->name,
	         config_flag(options, ARRAY_LEN(options), "debug") ? LOG_DEBUG : LOG_INFO);
	log_aborts();
	server.kind = &kinds[server.info->stage];
	if (!serve(&server, &err)) {
		bool asked = err.code == ERR_CANCELLED;
		log_write(asked ? LOG_INFO : LOG_ERROR, "cannot_start", "error=\"%s\"",
		          err.message);
		return asked ? EXIT_OK : EXIT_FAILED;
	}
	return EXIT_OK;
}
