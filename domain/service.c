#include "domain/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rpc_client.h"
#include "base/rpc_server.h"
#include "domain/saga_runtime.h"
#include "domain/worker.h"

#include <stdlib.h>

enum {
	LOOK_MS = 50,          /* at health while not healthy, at the drain */
	LOOK_HEALTHY_MS = 500, /* at health */
	STORE_GONE_MS = 2000,  /* without an event store: others get the messages */
	DRAIN_MS = 4000,       /* less than `ordershop run` waits */
	CLOSE_MS = 500,        /* for the streams to end when nothing runs any more */
	SHUTDOWN_MS = 100,
};

struct domain {
	struct loop *loop;
	const struct service *service;
	struct rpc_server *server;
	struct rpc_channel *event_store, *queue, *read_model;
	struct domain_store *store;
	struct runtime *runtime;
	struct worker *worker;
	struct saga_runtime *sagas;
	bool healthy;
	uint64_t store_seen_us;
	struct loop_timer look;
	uint64_t drain_until_us;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static void look_at_health(void *arg)
{
	struct domain *domain = arg;
	bool stored = domain_store_connected(domain->store);
	bool healthy = stored && worker_up(domain->worker) && saga_runtime_up(domain->sagas);
	uint64_t now_us = clock_monotonic_us();
	if (stored)
		domain->store_seen_us = now_us;
	worker_take(domain->worker, now_us < domain->store_seen_us + STORE_GONE_MS * 1000ULL);
	if (healthy != domain->healthy)
		log_info("health", "service=%s serving=%s", domain->service->name,
		         healthy ? "true" : "false");
	domain->healthy = healthy;
	rpc_server_set_healthy(domain->server, healthy);
	loop_timer_start(domain->loop, &domain->look, healthy ? LOOK_HEALTHY_MS : LOOK_MS,
	                 look_at_health, domain);
}

bool domain_serve(struct loop *loop, const struct domain_options *options, struct domain **out,
                  struct error *err)
{
	const struct service *service = domain_service_find(options->service);
	if (service == NULL)
		return error_set(err, ERR_NOT_FOUND, "there is no service %s", options->service);
	struct domain *domain = calloc(1, sizeof(*domain));
	ASSERT(domain != NULL);
	domain->loop = loop;
	domain->service = service;
	domain->server = rpc_server_create(loop);
	for (size_t i = 0; i < options->listen_count; i++) {
		if (!rpc_server_listen(domain->server, options->listen[i], NULL, err)) {
			rpc_server_destroy(domain->server);
			free(domain);
			return false;
		}
	}
	domain->event_store = rpc_channel_create(loop, options->event_store);
	domain->queue = rpc_channel_create(loop, options->message_queue);
	domain->read_model = rpc_channel_create(loop, options->read_model);
	domain->store = domain_store_create(loop, domain->event_store);
	domain->runtime = runtime_create(loop, service, domain->store);
	domain->worker = worker_create(loop, service, domain->queue, domain->runtime);
	domain->sagas = saga_runtime_create(loop, &(struct saga_options){
	                                              .service = service,
	                                              .runtime = domain->runtime,
	                                              .store = domain->store,
	                                              .event_store = domain->event_store,
	                                              .queue = domain->queue,
	                                              .read_model = domain->read_model,
	                                          });
	rpc_server_start(domain->server);
	domain->store_seen_us = clock_monotonic_us();
	look_at_health(domain);
	*out = domain;
	return true;
}

static void look_at_drain(void *arg)
{
	struct domain *domain = arg;
	bool idle = worker_idle(domain->worker) && saga_runtime_idle(domain->sagas);
	bool drained = worker_drained(domain->worker) && saga_runtime_drained(domain->sagas);
	uint64_t now = clock_monotonic_us();
	if (idle && domain->drain_until_us > now + CLOSE_MS * 1000)
		domain->drain_until_us = now + CLOSE_MS * 1000;
	if (drained || now >= domain->drain_until_us)
		rpc_server_shutdown(domain->server, SHUTDOWN_MS, domain->stopped,
		                    domain->stopped_arg);
	else
		loop_timer_start(domain->loop, &domain->look, LOOK_MS, look_at_drain, domain);
}

void domain_stop(struct domain *domain, void (*done)(void *arg), void *arg)
{
	domain->stopped = done;
	domain->stopped_arg = arg;
	domain->drain_until_us = clock_monotonic_us() + DRAIN_MS * 1000;
	rpc_server_set_healthy(domain->server, false);
	worker_drain(domain->worker);
	saga_runtime_drain(domain->sagas);
	loop_timer_start(domain->loop, &domain->look, 0, look_at_drain, domain);
}

/* What waits for answers ends first, then those who asked, then the connections. */
void domain_destroy(struct domain *domain)
{
	if (domain == NULL)
		return;
	loop_timer_stop(domain->loop, &domain->look);
	domain_store_destroy(domain->store);
	runtime_destroy(domain->runtime);
	rpc_channel_destroy(domain->read_model);
	saga_runtime_destroy(domain->sagas);
	worker_destroy(domain->worker);
	rpc_channel_destroy(domain->queue);
	rpc_channel_destroy(domain->event_store);
	rpc_server_destroy(domain->server);
	free(domain);
}
