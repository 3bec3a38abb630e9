/* scenario.h - a scenario file, read and checked. tests/scenarios/README.md describes the format.
 *
 *   FILE --yaml_read--> nodes --scenario_read--> struct scenario --scenario_run--> report
 *                                                                      |  ^
 *                                            commands, faults, questions v  | answers
 *                                                     struct shop: in process, or live
 */
#ifndef ORDERSHOP_SCENARIO_H
#define ORDERSHOP_SCENARIO_H

#include "domain/memory_shop.h"
#include "ordershop/yaml.h"

/* Where the virtual clock begins if the file does not say: 2026-01-01T00:00:00Z */
#define SCENARIO_START_US UINT64_C(1767225600000000)
/* What JSON and JavaScript hold as a whole number. */
#define SCENARIO_SEED_MAX ((INT64_C(1) << 53) - 1)

enum scenario_kind {
	SCENARIO_GIVEN,
	SCENARIO_WHEN,
	SCENARIO_AT,
	SCENARIO_WORK,
	SCENARIO_FAULT,
	SCENARIO_THEN,
	SCENARIO_KINDS
};

/* When the next step begins. */
enum scenario_wait { WAIT_REST, WAIT_ANSWER, WAIT_NOTHING };

/* Beside those of enum memory_fault, which are of a service: */
enum { FAULT_REDIS_RESTART = MEMORY_FAULTS, FAULT_REQUEUE, FAULT_KINDS };

enum scenario_query {
	QUERY_GET,
	QUERY_LIST_OF,
	QUERY_UNBILLED,
	QUERY_UNSHIPPED,
	QUERY_DELIVERED,
	QUERY_MAILS,
	QUERIES
};
extern const char *const scenario_queries[QUERIES]; /* their names */

/* Any of these nodes is NULL if it was not given. */
struct scenario_when {
	const char *service, *function;
	const struct node *params;
	const struct node *as;
	const struct node *result;
	bool any; /* it may be refused or not */
	enum error_code error;
	const struct node *error_message;
	const char *message; /* name; NULL: none */
	const char *actor;
};

struct scenario_at {
	bool relative;
	uint64_t us; /* since the epoch, or from now */
};

struct scenario_trouble {
	int fault;
	const char *service; /* NULL: none */
};

struct scenario_step {
	enum scenario_kind kind;
	int line;
	size_t number; /* from 1 */
	const char *name;
	enum scenario_wait wait;
	struct scenario_when when;
	struct scenario_at at;
	struct scenario_trouble trouble;
	int64_t work;
	const struct node *node; /* what stands after `given:` and `then:` */
};

struct scenario {
	const char *path;
	const char *title;
	uint64_t start_us;
	int64_t seed;
	size_t count;
	struct scenario_step *steps;
	const struct scenario_step *only_in_process; /* the first such step; NULL: none */
};

/* Lives in the arena. Errors are those of yaml.h. */
MUST_USE bool scenario_read(const char *path, struct arena *arena, struct scenario *scenario,
                            struct error *err);

const char *scenario_kind_name(enum scenario_kind kind);
const char *scenario_fault_name(int fault); /* "redis_restart" */
/* The kinds of entities that references name: customer, ... shipping. */
bool scenario_is_entity(const char *topic);
bool scenario_topic_is(const char *topic); /* one of these, or mail */
/* The topic of an event's type, by its first word; NULL: none. */
const char *scenario_topic_of(const char *event_type);

#endif
