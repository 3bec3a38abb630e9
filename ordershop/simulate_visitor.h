/* simulate_visitor.h - shared by simulate_visitor.c and simulate_commands.c only. */
#ifndef ORDERSHOP_SIMULATE_VISITOR_H
#define ORDERSHOP_SIMULATE_VISITOR_H

#include "ordershop/simulate.h"

enum { KNOWN_MAX = 24, SENT_MAX = 16, VISITOR_SERVICES = 16, COMMANDS_MAX = 64 };

/* Ids that were given to entities; the oldest are forgotten. */
struct known {
	char ids[KNOWN_MAX][UUID_SIZE];
	size_t count; /* ever */
};

struct visitor {
	uint64_t seed, random, number;
	struct cast cast;
	struct arena *arena;
	struct memory_shop *shop;
	struct buffer params;
	char id[UUID_SIZE]; /* the last of visitor_make_id, visitor_derived */
	struct known customers, products, carts, orders;
	struct action sent[SENT_MAX];
	size_t sent_count;
	bool down[VISITOR_SERVICES];
	/* How this history is: of a thousand actions so many are faults, or commands. */
	size_t faults, commands;
	size_t products_first;
	bool unused[COMMANDS_MAX]; /* it goes without these commands */
};

size_t visitor_pick(struct visitor *visitor, size_t count);
/* A new id, for `known` unless NULL. */
const char *visitor_make_id(struct visitor *visitor, struct known *known);
/* One that was made; rarely one of nothing. */
const char *visitor_known(struct visitor *visitor, const struct known *known);
const char *visitor_derived(struct visitor *visitor, const char *space, const char *kind);

struct visitor_command {
	const char *service, *function;
	size_t weight;
	void (*write)(struct visitor *visitor, struct buffer *params);
};
extern const struct visitor_command visitor_commands[];
extern const size_t visitor_command_count;

#endif
