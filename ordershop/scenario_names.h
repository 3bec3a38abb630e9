/* scenario_names.h - what references such as $order.first stand for. */
#ifndef ORDERSHOP_SCENARIO_NAMES_H
#define ORDERSHOP_SCENARIO_NAMES_H

#include "base/id.h"
#include "ordershop/scenario.h"

struct names;

/* `run_id`: a UUID from which the ids of $id.NAME follow. Lives in the arena, but for what
 * names_free frees. */
struct names *names_create(struct arena *arena, const char *run_id);
void names_free(struct names *names);
/* False: there is one already, of another id. */
MUST_USE bool names_bind(struct names *names, const char *topic, const char *name, const char *id);
/* From whose id that of a billing, shipping or inventory follows: "order", "product"; NULL: from none. */
const char *names_origin(const char *topic);
/* "$order.first" of an id that has a name; else the id. */
const char *names_show(struct names *names, const char *id);

/* How references are looked up. */
struct resolver {
	struct arena *arena;
	struct names *names;
	/* The state of an entity as JSON, NULL: none; for $order.first.total. */
	bool (*state)(void *arg, const char *topic, const char *id, const char **json,
	              struct error *err);
	void *arg;
};
/* All errors begin with "line: ". The text with its references replaced: */
MUST_USE bool resolve_text(struct resolver *resolver, const struct node *at, const char *text,
                           const char **out, struct error *err);
/* As JSON. */
MUST_USE bool resolve_json(struct resolver *resolver, const struct node *node, struct buffer *out,
                           struct error *err);
/* "$order.first", or an id (then *topic is NULL). */
MUST_USE bool resolve_entity(struct resolver *resolver, const struct node *at, const char *text,
                             const char **topic, const char **id, struct error *err);

#endif
