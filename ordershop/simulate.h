/* simulate.h - random histories of the shop in memory, and what must be true of them.
 *
 *   visitor --actions--> stage: the shop in memory, its invariants, its read model
 *      |                  |
 *      '---- script       '--> finding: what does not hold
 *               '--shrink--> the shortest script that shows it --write--> scenario file
 *
 * A history is a script of actions whose every word is fixed when it is drawn, so that it can be played
 * again, also with some of them left out. The same seed gives the same histories, everywhere. */
#ifndef ORDERSHOP_SIMULATE_H
#define ORDERSHOP_SIMULATE_H

#include "base/buffer.h"
#include "base/digest.h"
#include "ordershop/watched_shop.h"

/* ---- Scripts ----------------------------------------------------------------------------- */

enum action_kind {
	ACTION_SEND,  /* a command */
	ACTION_WORK,  /* `number` steps of the shop */
	ACTION_FAULT, /* of `service` */
	ACTION_REDIS, /* restarts */
	ACTION_PASS, /* the shop comes to rest, before and after the clock moves by `number` seconds */
	ACTION_REQUEUE, /* what was set aside is tried again */
	ACTION_KINDS
};

struct action {
	enum action_kind kind;
	const char *service, *function, *params;
	char message_id[UUID_SIZE];
	bool again; /* the message was sent before */
	bool rest;  /* of SEND: somebody waits for the answer, then the shop comes to rest */
	enum memory_fault fault;
	uint32_t number;
};

struct script {
	uint64_t seed; /* of the shop */
	bool ends;     /* the finding shows when it has been played to its end */
	struct action *actions;
	size_t count;
};
void script_add(struct script *script, const struct action *action);
void script_free(struct script *script); /* not the texts */

/* ---- Playing ----------------------------------------------------------------------------- */

struct stage {
	struct watched watched;
	const struct cast *cast;
	uint64_t actions; /* but WORK */
	uint64_t events;
	uint64_t hash; /* of the log so far */
};
bool stage_found(const struct stage *stage);

void stage_open(struct stage *stage, uint64_t seed, const struct cast *cast);
void stage_close(struct stage *stage);
void stage_act(struct stage *stage, const struct action *action);
/* All services live, time passes, what was set aside is tried again: then the shop must come to rest
 * ("comes-to-rest"), and the read model have what the log comes to. */
enum { STAGE_END_SECONDS = 60 }; /* longer than each lease and pause */
void stage_end(struct stage *stage);

/* ---- Random visitors --------------------------------------------------------------------- */

struct visitor;

/* Texts of its actions live in `arena`. */
struct visitor *visitor_create(uint64_t seed, const struct cast *cast, struct arena *arena);
void visitor_destroy(struct visitor *visitor);
/* What a shop begins with: customers, products, stock. */
void visitor_begin(struct visitor *visitor, struct script *script);
/* The next action: a command, some steps, a fault. */
struct action visitor_next(struct visitor *visitor, struct memory_shop *shop);

/* ---- All --------------------------------------------------------------------------------- */

struct simulation_function {
	const char *service, *function;
	uint64_t sent;
};

struct simulation {
	struct cast cast;
	uint64_t seed, steps; /* to be taken, in histories of 5,000 */
	/* Outcome. */
	uint64_t taken, histories, events, rests, accepted, refused;
	uint64_t kinds[ACTION_KINDS], faults[MEMORY_FAULTS];
	struct simulation_function functions[64];
	size_t function_count;
	char hash[DIGEST_TEXT_SIZE]; /* of all logs and states */
	struct finding finding;
	struct script script; /* that shows the finding; its texts live in `arena` */
	struct arena *arena;
};

/* Until the steps are taken or something is found. False: something was found. */
bool simulation_run(struct simulation *simulation);
void simulation_free(struct simulation *simulation);

/* Makes the script as short as it can be and still show a finding of the same invariant. Returns how many
 * times something was played; at most `plays_max`. */
uint64_t script_shrink(struct script *script, const struct cast *cast, struct finding *finding,
                       struct arena *arena, uint64_t plays_max);
/* The JSON text without its `part`-th member or element, counted through all levels; NULL: it has not
 * so many. A list of one element becomes the element. */
const char *params_without(struct arena *arena, const char *params, size_t part);
/* As a scenario that `ordershop scenario` plays; tests/scenarios/README.md says how it reads. */
void script_write(const struct script *script, const struct finding *finding, const char *comment,
                  struct buffer *out);

#endif
