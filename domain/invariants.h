/* invariants.h - what must be true of the shop, in one table.
 *
 *   events in merged order --> invariants_add --> fold, and violations as they come
 *                              invariants_rest --> violations of what holds in a shop at rest
 *
 * Pure; an event costs about a microsecond, whatever came before. Used by the simulator after every step,
 * by `ordershop verify` and `bisect`, by the importer. Events of topics that are not of this shop are
 * checked for ids and versions only.
 *
 * The merged order is taken as the order of causes: a log whose Redis had its clock set back, or had several
 * clocks, can break rules about two topics for the length of that step. */
#ifndef DOMAIN_INVARIANTS_H
#define DOMAIN_INVARIANTS_H

#include "domain/fold.h"

struct invariants;

struct invariant {
	const char *name; /* "status-path" */
	const char *says; /* one sentence */
	bool of_the_log;  /* no store has a log that breaks it, nor takes one in */
	/* Holds when the shop has nothing left to do: no message, no event to react to. */
	bool at_rest;
	const char *topic; /* of whose events or entities; NULL: of all */
	/* Calls invariants_broken for what is wrong. `entity`: of rules at rest, else of the event, or NULL. */
	void (*check)(struct invariants *all, const struct fold_entity *entity);
};

extern const struct invariant invariant_table[];
extern const size_t invariant_count;
const struct invariant *invariant_find(const char *name); /* NULL: none */

struct violation {
	const struct invariant *invariant;
	const char *topic;
	const char *entity_id; /* "": of no entity */
	/* After which event: the one that breaks it; of rules at rest the entity's last one. */
	struct entry_id entry;
	const char *event_id; /* "" where it is not known */
	char message[256];    /* what must be, and what is */
};
/* Called during invariants_add and invariants_rest; the violation lives as long as the call. */
typedef void violation_function(void *arg, const struct violation *violation);

/* `report` may be NULL: the counts below tell. */
struct invariants *invariants_create(violation_function *report, void *arg);
void invariants_destroy(struct invariants *all); /* NULL is fine */

/* As fold_add; folds the event. */
void invariants_add(struct invariants *all, const struct event *event, const char *data);
/* Checks all rules of a shop at rest, each entity. */
void invariants_rest(struct invariants *all);
/* Checks one such rule for one entity, without counting. True: it holds. */
bool invariants_rest_holds(struct invariants *all, const struct invariant *invariant,
                           const struct fold_entity *entity);

const struct fold *invariants_fold(const struct invariants *all);
/* Events or entities that were looked at, and violations so far. */
uint64_t invariants_checked(const struct invariants *all, const struct invariant *invariant);
uint64_t invariants_violations(const struct invariants *all, const struct invariant *invariant);
uint64_t invariants_broken_total(const struct invariants *all);

#endif
