/* scenario_live.h - a shop that runs, as scenarios see it.
 *
 * Each command's message id is its correlation id; what follows carries it on. So the events of a run
 * are those whose correlation id is one of its own, and its entities and mails are those of these
 * events. What else the shop holds is not looked at. */
#ifndef ORDERSHOP_SCENARIO_LIVE_H
#define ORDERSHOP_SCENARIO_LIVE_H

#include "base/id.h"
#include "ordershop/client.h"
#include "ordershop/http_client.h"
#include "ordershop/scenario_shop.h"

/* `client` is open and outlives the shop. `rest`: commands and questions go by REST where there is a
 * route for them; NULL: by gRPC. `shop->run_id` is new each time. */
MUST_USE bool scenario_live_open(struct client *client, const struct http_target *rest,
                                 struct shop *shop, struct error *err);

/* ---- For scenario_live*.c ---------------------------------------------------------------- */

enum { TOPIC_SIZE = 80 }; /* of a topic's name of at most 64 bytes, as the event store has them */

struct own; /* a correlation id, entity id, or entry id of a mail that is this run's */

struct live {
	struct client *client;
	const struct http_target *rest;
	struct arena *arena;
	char run_id[UUID_SIZE];
	struct own *own;
	struct shop_event *events; /* of this run so far */
	size_t event_count;
	char entry_id[ENTRY_ID_SIZE],
	    topic[TOPIC_SIZE]; /* the log has been read up to here; "": nothing yet */
	bool read_failed;
	struct error read_error;
	uint64_t parked_before;
};

void live_own(struct live *live, const char *id);
bool live_owns(const struct live *live, const char *id);
/* Reads the log to its end. */
MUST_USE bool live_read(struct live *live, struct error *err);
MUST_USE bool live_rest(void *shop, struct error *err);
MUST_USE bool live_parked(void *shop, uint64_t *count, struct error *err);
MUST_USE bool live_ask(void *shop, const struct shop_question *question, struct shop_list *list,
                       struct error *err);

/* ERR_PRECONDITION: what was written last by REST is not in the log of the client's shop. */
MUST_USE bool live_rest_same_shop(struct live *live, struct error *err);
/* By REST; *handled is false where there is no route for it. */
MUST_USE bool live_rest_command(struct live *live, const struct shop_command *command,
                                struct shop_answer *answer, bool *handled, struct error *err);
MUST_USE bool live_rest_ask(struct live *live, const struct shop_question *question,
                            struct shop_list *list, bool *handled, struct error *err);

#endif
