/* simulate_client.h - shared by simulate_client.c and simulate_commands.c only. */
#ifndef ORDERSHOP_SIMULATE_CLIENT_H
#define ORDERSHOP_SIMULATE_CLIENT_H

#include "ordershop/simulate.h"

enum { KNOWN_MAX = 24, SENT_MAX = 16, CLIENT_SERVICES = 16, COMMANDS_MAX = 64 };

/* Ids that were given to entities; the oldest are forgotten. */
struct known {
	char ids[KNOWN_MAX][UUID_SIZE];
	size_t count; /* ever */
};

struct client {
	uint64_t seed, random, number;
	struct cast cast;
	struct arena *arena;
	struct memory_shop *shop;
	struct buffer params;
	char id[UUID_SIZE]; /* the last of client_make_id, client_derived */
	struct known customers, products, carts, orders;
	struct action sent[SENT_MAX];
	size_t sent_count;
	bool down[CLIENT_SERVICES];
	/* How this history is: of a thousand actions so many are faults, or commands. */
	size_t faults, commands;
	size_t products_first;
	bool unused[COMMANDS_MAX]; /* it goes without these commands */
};

size_t client_pick(struct client *client, size_t count);
/* A new id, for `known` unless NULL. */
const char *client_make_id(struct client *client, struct known *known);
/* One that was made; rarely one of nothing. */
const char *client_known(struct client *client, const struct known *known);
const char *client_derived(struct client *client, const char *space, const char *kind);

struct client_command {
	const char *service, *function;
	size_t weight;
	void (*write)(struct client *client, struct buffer *params);
};
extern const struct client_command client_commands[];
extern const size_t client_command_count;

#endif
