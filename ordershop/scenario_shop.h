/* scenario_shop.h - what a scenario does to a shop and asks it: the same for the one in process and
 * for one that runs.
 *
 * Answers live in the shop's arena. A shop knows only what this run of a scenario has caused. */
#ifndef ORDERSHOP_SCENARIO_SHOP_H
#define ORDERSHOP_SCENARIO_SHOP_H

#include "ordershop/scenario.h"

struct shop_command {
	const char *service, *function;
	const char *message_id;
	const char *params; /* JSON */
	const char *actor;  /* NULL: none */
	bool wait;          /* for the answer */
};

struct shop_answer {
	const char *result; /* JSON; NULL: error is set */
	struct error error;
	int http_status; /* of a refusal by REST, where several codes have one status; else 0 */
};

struct shop_event {
	const char *topic, *entry_id, *event_id, *type, *action, *entity_id;
	uint64_t version;
	const char *data, *metadata; /* JSON */
};

struct shop_events {
	size_t count;
	const struct shop_event *events;
};

struct shop_question {
	enum scenario_query query;
	const char *topic, *id; /* of GET; of LIST_OF the topic */
	/* Of LIST_OF: text values of fields, all of which must be so. */
	size_t filter_count;
	const char *const *fields, *const *values;
};

struct shop_list {
	size_t count;
	const char *const *texts; /* JSON; of a mail {"recipient", "message"} */
};

/* A list that grows in an arena. */
struct texts {
	struct arena *arena;
	const char **texts;
	size_t count, capacity;
};
void texts_add(struct texts *texts, const char *text); /* copied */

/* All return false with an error when the shop cannot be asked, not when it says no. */
struct shop_methods {
	bool (*command)(void *shop, const struct shop_command *command, struct shop_answer *answer,
	                struct error *err);
	/* An event as it is; entry id and version are given by the shop, `metadata` by the caller. */
	bool (*given)(void *shop, const struct shop_event *event, struct error *err);
	bool (*rest)(void *shop, struct error *err);
	bool (*move)(void *shop, const struct scenario_at *at, struct error *err);
	bool (*work)(void *shop, int64_t steps, struct error *err);
	bool (*trouble)(void *shop, const struct scenario_trouble *trouble, struct error *err);
	/* The last state by the log; NULL: none. */
	bool (*state)(void *shop, const char *topic, const char *id, const char **json,
	              struct error *err);
	/* All events so far, in one order. */
	bool (*events)(void *shop, struct shop_events *events, struct error *err);
	bool (*ask)(void *shop, const struct shop_question *question, struct shop_list *list,
	            struct error *err);
	bool (*parked)(void *shop, uint64_t *count, struct error *err);
	/* What must hold of a shop at rest: false says what does not. */
	bool (*check)(void *shop, struct error *err);
	void (*close)(void *shop);
};

/* Of what a run sends: its correlation id, and who sends it (NULL: nobody says). */
const char *shop_metadata(struct arena *arena, const char *correlation_id, const char *actor);
/* As it is exported, without a line break. */
void shop_event_write(struct buffer *out, const struct shop_event *event);

struct shop {
	const struct shop_methods *methods;
	void *shop;
	const char *run_id; /* UUID: ids of this run follow from it */
};

#endif
