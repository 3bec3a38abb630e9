/* olist_play.h - the orders of Olist, played through a running shop by commands.
 *
 *   look up what is there -> customers, products -> stock -> orders, many at a time
 *
 * Ids of entities and messages follow from the ids of the files, so whatever is sent twice runs
 * once, and an import can be interrupted at any moment and started again.
 *
 * One order:  price of that day -> cart -> order ~> IN_STOCK -> billing ~> CLEARED -> shipping
 *             ~> SHIPPED -> delivery ~> DELIVERED, or cancel_order where it was cancelled
 *
 * "~>" is the shop's own doing: it is seen in the events of the topic order. A product that was
 * sold at several prices is ordered in the order of purchase, its price changed in between. */
#ifndef ORDERSHOP_OLIST_PLAY_H
#define ORDERSHOP_OLIST_PLAY_H

#include "base/id.h"
#include "base/json.h"
#include "base/rpc_mux.h"
#include "ordershop/client.h"
#include "ordershop/olist_csv.h"
#include "proto/entities.pb-c.h"
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
	char id[UUID_SIZE];
	bool exists;
};

struct play_product {
	struct task task;
	char id[UUID_SIZE];
	char stock_id[UUID_SIZE];
	bool exists, stocked;
	int64_t price;       /* in the shop, now */
	int64_t first_price; /* of its first order */
	/* Sold at several prices: its orders (indices, by time) are placed one after the other. */
	bool several;
	size_t *turns, turn_count, turn;
};

struct play_order {
	struct task task;
	const struct olist_order *order;
	char id[UUID_SIZE], cart_id[UUID_SIZE], billing_id[UUID_SIZE];
	Shop__OrderStatus goal;
	bool billed, shipped; /* on the way to the goal */
	bool cart_exists, placed, active, finished, failed;
	Shop__OrderStatus status; /* in the shop, once placed */
	uint64_t version;
	bool under_way; /* a command is */
	bool acted;     /* the command that leaves `status` was answered: wait for the event */
	int step;       /* that is under way; the steps of olist_orders.c */
	Shop__OrderStatus sent_at; /* the status it was sent in */
	uint64_t news_ms;
	UT_hash_handle hh;
};

struct play {
	struct client *client;
	const struct olist *olist;
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

struct play *play_create(struct client *client, const struct olist *olist);
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

/* Sends a command; task->done or ->failed follows, passing failures are tried again. The message id is
 * v5(entity, function, attempt). `params` is JSON text. */
void play_command(struct task *task, const char *service, const char *function, const char *entity,
                  const struct buffer *params);
/* The member of an object as number or text; 0 and "" when it is not there. */
int64_t play_number(const struct json *object, const char *name);
const char *play_text(const struct json *object, const char *name);

#endif
