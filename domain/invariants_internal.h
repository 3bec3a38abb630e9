/* invariants_internal.h - what the rules of invariants.c see. */
#ifndef DOMAIN_INVARIANTS_INTERNAL_H
#define DOMAIN_INVARIANTS_INTERNAL_H

#include "domain/id_set.h"
#include "domain/invariants.h"
#include "domain/rules.h"

#include "proto/entities.pb-c.h"

enum { ROWS_MAX = 32, LISTS_MAX = 16, MAILED_MAX = 8, LINK_BILLING = 0, LINK_SHIPPING = 1 };

/* What is known of a product's stock beside its inventory. */
struct stock {
	int64_t out;  /* reserved and not released */
	int64_t held; /* by orders, also by those that were deleted after their delivery */
	UT_hash_handle hh;
	char product_id[];
};

/* A mail that must come. */
struct pending_mail {
	struct id128 event_id; /* of the mail */
	/* Without these nobody is written to; NULL: does not depend on one. */
	const struct fold_entity *customer, *order;
	/* The event that it follows from. */
	const struct fold_topic *topic;
	const char *entity_id;
	struct entry_id entry;
	char cause_id[UUID_SIZE];
	UT_hash_handle hh;
};

/* What other entities an entity of the topic belongs to. */
struct shape {
	const char *topic;
	const char *fixed[6]; /* fields that stay as they were created; ended by NULL */
	struct reference {
		const char *field, *to;
	} refers[3];       /* ended by a NULL field */
	const char *owner; /* the field from which the entity's id follows; NULL: none */
};

/* What is checked of a topic's events. */
struct row_list {
	const char *topic; /* "": of any topic that is not of this shop */
	const struct entity_rules *rules;
	const struct shape *shape;
	const char *mailed[MAILED_MAX]; /* types of events that a mail follows from */
	size_t mailed_count;
	const struct invariant *rows[ROWS_MAX];
	size_t count;
};

struct invariants {
	struct fold *fold;
	violation_function *report;
	void *arg;
	uint64_t checked[ROWS_MAX], violations[ROWS_MAX], total;

	struct id_set event_ids;
	bool event_known; /* the id of the event that is looked at was there before */
	struct stock *stocks;
	struct pending_mail *mails;
	bool mail_doubled; /* the mail that is looked at is one too many */
	struct id_set caused,
	    uncaused; /* texts of mails, that followed from events and that did not */
	struct digest *digest;

	struct row_list lists[LISTS_MAX];

	/* What is looked at; in rules at rest there is no event. */
	const struct invariant *row;
	const struct row_list *list;
	const struct event *event;
	struct entry_id entry;
	struct fold_change change;
	bool counting, broken;
};

/* The entity before and after the event; NULL: not there. */
#define BEFORE(type) ((const type *)all->change.state)
#define AFTER(type)  ((const type *)all->event->state)

/* "what: must be ..., is ..." */
void invariants_broken(struct invariants *all, const struct fold_entity *entity, const char *format,
                       ...) PRINTF(3, 4);
void invariants_report(struct invariants *all, const struct violation *violation);
bool invariants_event_is(const struct invariants *all, const char *type);
bool invariants_event_creates(const struct invariants *all);
bool invariants_event_deletes(const struct invariants *all);

/* invariants_track.c: what is carried from event to event, brought up to the event before the rules look. */
void invariants_track(struct invariants *all);
void invariants_track_free(struct invariants *all);
struct stock *invariants_stock(struct invariants *all, const char *product_id);

typedef void invariant_check(struct invariants *all, const struct fold_entity *entity);
/* invariants_log.c */
const struct shape *shape_of(const char *topic);
invariant_check check_ids, check_log_order, check_versions, check_readable, check_life,
    check_fields;
invariant_check check_fixed, check_references, check_derived_ids;
/* invariants_shop.c */
invariant_check check_status_path, check_stock_mark, check_total, check_order_of_cart,
    check_cart_held;
invariant_check check_stock_moves, check_no_oversell, check_refund, check_delivery,
    check_mails_once;
/* invariants_rest.c */
invariant_check rest_order, rest_stock, rest_cart, rest_refund, rest_shipping;
/* Of all that are pending; takes no entity. */
invariant_check rest_mails;

#endif
