/* gateway.h - what the files of the gateway share.
 *
 *   service.c   start and stop, the HTTP thread's handler
 *   commands.c  POST, PUT, DELETE: to the message queue
 *   queries.c   GET: from the read model
 *   feed.c      live events
 *   health.c    is everybody well
 *   summary.c   what the live page shows when it is opened
 *   metrics.c   counters
 *
 * An exchange is one request on its way. It is made on the HTTP thread, crosses to the loop with
 * all others of one turn, and ends in exchange_answer or exchange_fail. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/buffer.h"
#include "base/http_server.h"
#include "base/id.h"
#include "base/rpc_client.h"
#include "base/rpc_mux.h"
#include "gateway/routes.h"
#include "gateway/service.h"
#include "gateway/tokens.h"

#include <pthread.h>

enum {
	BODY_MAX = 1024 * 1024,
	ANSWER_MAX = 64 * 1024 * 1024,
	QUERY_TIMEOUT_MS = 10000,
};

struct exchange {
	struct gateway *gateway;
	struct http_request *request;
	const struct route *route;
	const struct route_entity *entity;
	char id[UUID_SIZE];         /* of the entity; "" if none */
	char message_id[UUID_SIZE]; /* of the command */
	bool given_id;              /* it is the client's */
	char at[ENTRY_ID_SIZE];     /* the moment of the past that a query is about; "": now */
	char last_event[ENTRY_ID_SIZE + 64];
	uint64_t started_us;
	struct exchange *next;
	struct buffer text;    /* a command's payload, or the answer as it grows */
	const char *separator; /* within a list */
};

/* One stream to a service. */
struct upstream {
	const char *name;
	struct rpc_channel *channel;
	struct rpc_mux *mux;
	uint64_t down_since_us; /* 0: connected when last looked at */
};

struct gateway {
	struct loop *loop;
	struct http_server *http; /* NULL once stopped */
	struct upstream queue, model;
	struct rpc_channel *store;
	struct tokens tokens;
	/* Of the queries with large answers: how many run, and those that wait, oldest first. */
	unsigned large_running, large_waiting;
	struct exchange *large_first, **large_last;
	struct feed *feed;
	struct health *health;
	struct summary *summary;
	struct metrics *metrics;
	/* Of the HTTP thread: what this turn collected, oldest first. */
	struct exchange *first, **last;
	struct loop_timer look; /* at the upstreams */
	pthread_t stopper;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* Both free the exchange. The buffer is taken over. */
void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     struct buffer *body);
void exchange_fail(struct exchange *exchange, const struct error *err);
/* {"result": json}; the text may be empty, for null. */
void exchange_result(struct exchange *exchange, const char *json);
/* The end of an exchange that was answered in another way. */
void exchange_done(struct exchange *exchange, int status);

/* False when the service cannot be reached for longer than a restart takes. */
MUST_USE bool upstream_check(struct upstream *upstream, struct error *err);

/* On the HTTP thread: reads what the handler needs from headers and body. */
MUST_USE bool command_prepare(struct exchange *exchange, struct error *err);
/* Is the body JSON, as far as its headers say? */
bool command_accepts(const struct route *route, const struct http_request *request);
/* On the loop. */
void command_run(struct exchange *exchange);
void query_run(struct exchange *exchange);
/* On the HTTP thread: reads ?at=. */
MUST_USE bool query_prepare(struct exchange *exchange, struct error *err);

#endif
