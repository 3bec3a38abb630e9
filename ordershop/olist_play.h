/* olist_play.h - the orders of Olist, played through a running shop by commands.
 *
 *   look up what is there -> customers, products -> stock -> orders, many at a time
 *
 * What is sent is the plan of olist_plan.h, so an import can be interrupted at any moment and started
 * again. What the shop does itself is seen in the events of the topic order. A product that was sold at several
 * prices is ordered in the order of purchase, its price changed in between. */
#ifndef ORDERSHOP_OLIST_PLAY_H
#define ORDERSHOP_OLIST_PLAY_H

#include "base/json.h"
#include "base/rpc_mux.h"
#include "ordershop/client.h"
#include "ordershop/olist_plan.h"
#include "proto/readmodel_v1.pb-c.h"

#include <uthash.h>

struct play;

/* One command that is under way, and what follows its answer. */
struct task {
	struct play *play;
	void (*send)(struct task *task); /* again, after a passing failure */
	void (*done)(struct task *task); /* it is as wanted */
	void (*failed)(struct task *task, const struct error *err);
	unsigned attempt;
	struct loop_timer retry;
};

struct play_customer {
	struct task task;
	const struct plan_customer *plan;
	bool exists;
};

struct play_product {
	struct task task;
	const struct plan_product *plan;
	bool exists, stocked;
	int64_t price; /* in the shop, now */
	size_t turn;   /* of plan->turns */
};

struct play_order {
	struct task task;
	const struct plan_order *plan;
	bool cart_exists, placed, active, finished, failed;
	Shop__OrderStatus status; /* in the shop, once placed */
	uint64_t version;
	bool under_way;      /* a command is */
	bool acted;          /* the command that leaves `status` was answered: wait for the event */
	enum plan_step step; /* that is under way; PLAN_NONE: waits for its turn, or for an event */
	Shop__OrderStatus sent_at; /* the status it was sent in */
	uint64_t news_ms;
	UT_hash_handle hh;
};

struct play {
	struct client *client;
	const struct plan *plan;
	const struct olist *olist; /* the plan's */
	struct rpc_mux *commands;
	struct play_customer *customers;
	struct play_product *products;
	struct play_order *orders;
	struct play_order *by_id;
	size_t under_way; /* tasks of the phase that runs */
	size_t next;      /* of the phase: not begun yet */
	size_t active, finished, failures;
	uint64_t sent;                  /* commands */
	struct error failure;           /* the first */
	char last_event[ENTRY_ID_SIZE]; /* of topic order */
	struct rpc_stream *events;
	struct loop_timer tick;
	uint64_t news_ms;
	uint64_t shown_ms; /* of the progress line */
};

struct play *play_create(struct client *client, const struct plan *plan);
/* Ends what is under way. The client's channels must be closed between these two: they still call. */
void play_stop(struct play *play);
void play_destroy(struct play *play);

/* Reads from the model what is there already. */
MUST_USE bool play_look_up(struct play *play, struct error *err);
/* Creates customers, products and stock that are missing. */
MUST_USE bool play_set_up(struct play *play, struct error *err);
/* Brings every order to its goal. */
MUST_USE bool play_orders(struct play *play, struct error *err);
/* Waits, bounded, until the shop has nothing left to do: mails, stock of cancelled orders. */
void play_settle(struct play *play);
/* Compares and prints. False when the shop differs from the files; `err` says how. */
MUST_USE bool play_verify(struct play *play, struct error *err);

/* Asks the model for many entities of one kind; `found` gets each that is there. */
struct look_up {
	const char *name; /* "order" */
	const char *(*id_of)(struct play *play, size_t index);
	size_t count;
	void (*found)(struct play *play, size_t index, const struct json *entity, void *arg);
	void *arg;
};
MUST_USE bool play_ask(struct play *play, const struct look_up *ask, struct error *err);

/* Sends a command; task->done or ->failed follows, passing failures are tried again. Frees the params. */
void play_command(struct task *task, struct plan_command *command);
/* The member of an object as number or text; 0 and "" when it is not there. */
int64_t play_number(const struct json *object, const char *name);
const char *play_text(const struct json *object, const char *name);

/* A whole command about the files that its arguments `olist DIR` name. */
typedef bool olist_function(const struct olist *olist, struct error *err);
int olist_command(const struct subcommand *self, int argc, char **argv, olist_function *function);

#endif
