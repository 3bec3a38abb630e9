/* watched_shop.h - the shop in memory and all that watches it: invariants, and a read model made from its log.
 *
 * The read model takes the log in windows of any size, as one does that dies now and then and goes on from
 * its checkpoint. Scenarios and the simulator both run on this, so that what one finds the other shows. */
#ifndef ORDERSHOP_WATCHED_SHOP_H
#define ORDERSHOP_WATCHED_SHOP_H

#include "domain/invariants.h"
#include "domain/memory_shop.h"
#include "read-model/memory_model.h"

/* The services that are there. */
struct cast {
	const struct service *const *services;
	size_t count;
};

struct finding {
	char invariant[64]; /* "": none */
	char what[512];
};

struct watched {
	struct memory_shop *shop;
	struct invariants *invariants;
	struct memory_model *model;
	struct finding finding; /* the first */
	uint64_t rests;
	/* Of the read model: what is not in it yet, and at how much of that it takes it. */
	struct arena *arena;
	struct projection_event *events;
	size_t event_count, window;
	uint64_t random;
	struct buffer data;
	/* Who watches too: each event and its JSON, for the call. */
	void (*appended)(void *arg, const struct event *event, const char *data);
	void *arg;
};

/* `cast` NULL: the services of the shop. */
void watched_open(struct watched *watched, uint64_t start_us, uint64_t seed,
                  const struct cast *cast);
void watched_close(struct watched *watched);

/* All is done that can be; if nothing is left then, the rules of a shop at rest are checked. */
void watched_rest(struct watched *watched);
/* It comes to rest, the clock moves, and what became due happens. */
void watched_pass(struct watched *watched, uint64_t us);
/* Lets the shop work, and time pass, until there is an answer to the message: for 30 s at most, then
 * ERR_DEADLINE. It lives as memory_shop_outcome says. */
struct answer watched_answer(struct watched *watched, const char *message_id);
/* The read model comes to the end of the log. */
void watched_project(struct watched *watched);
/* Does the read model have what the log comes to? Else that is a finding. */
void watched_check_model(struct watched *watched);

#endif
