#include "domain/invariants_internal.h"

#include "domain/services.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of each topic of this shop. */
#define SHOP "*"

const struct invariant invariant_table[] = {
	{ "event-ids", "An event id is in the log once.", .of_the_log = true, .check = check_ids },
	{ "log-order", "Entry ids of a topic grow.", .of_the_log = true, .check = check_log_order },
	{ "versions", "Versions of an entity are 1, 2, 3, ... without gaps.", .of_the_log = true,
	  .check = check_versions },
	{ "readable", "The data of an event is an entity of its topic, with the event's entity id.",
	  .topic = SHOP, .check = check_readable },
	{ "life",
	  "An entity is created once before it is deleted; what is not there does not change.",
	  .topic = SHOP, .check = check_life },
	{ "fields",
	  "Names, addresses, prices and amounts are in their limits; stock is never below 0.",
	  .topic = SHOP, .check = check_fields },
	{ "fixed-fields", "What an entity belongs to, and what was agreed, stays.", .topic = SHOP,
	  .check = check_fixed },
	{ "references", "What an entity refers to was created before it.", .topic = SHOP,
	  .check = check_references },
	{ "one-per-owner", "Inventories, billings and shippings have the one id of their owner.",
	  .topic = SHOP, .check = check_derived_ids },
	{ "totals",
	  "An order's total is the sum of its items and fee; its billing has that amount.",
	  .topic = SHOP, .check = check_total },
	{ "status-path", "An order moves along the status machine, each move with its event.",
	  .topic = "order", .check = check_status_path },
	{ "stock-mark", "An order holds stock from OrderInStock until it is given back.",
	  .topic = "order", .check = check_stock_mark },
	{ "order-of-cart", "A new order has the customer and the items of a cart that it holds.",
	  .topic = "order", .check = check_order_of_cart },
	{ "held-cart", "A cart does not change while an order in progress holds it.",
	  .topic = "cart", .check = check_cart_held },
	{ "stock-moves", "Stock moves the way that its event says.", .topic = "inventory",
	  .check = check_stock_moves },
	{ "no-oversell", "Orders hold no more of a product than is reserved.", .topic = SHOP,
	  .check = check_no_oversell },
	{ "refund-once", "A billing is refunded at most once, by its event.", .topic = "billing",
	  .check = check_refund },
	{ "delivery", "A shipping is delivered once, after its order is DELIVERED.",
	  .topic = "shipping", .check = check_delivery },
	{ "mails-once", "A mail that follows from an event is sent once.", .topic = "mail",
	  .check = check_mails_once },

	{ "orders-at-rest",
	  "No order is between two states; its billing and shipping agree with it.",
	  .at_rest = true, .topic = "order", .check = rest_order },
	{ "refunds-at-rest",
	  "Billings of orders cancelled, or deleted before delivery, are refunded, no others.",
	  .at_rest = true, .topic = "billing", .check = rest_refund },
	{ "deliveries-done",
	  "A shipping is delivered if its order was, also when the order is deleted since.",
	  .at_rest = true, .topic = "shipping", .check = rest_shipping },
	{ "stock-at-rest", "What is reserved is what orders hold.", .at_rest = true,
	  .topic = "inventory", .check = rest_stock },
	{ "carts-free", "A cart is held only by an order in progress.", .at_rest = true,
	  .topic = "cart", .check = rest_cart },
	{ "mails-sent", "Every mail that follows from an event was sent.", .at_rest = true,
	  .topic = "mail", .check = rest_mails },
};
const size_t invariant_count = ARRAY_LEN(invariant_table);

const struct invariant *invariant_find(const char *name)
{
	for (size_t i = 0; i < invariant_count; i++) {
		if (strcmp(invariant_table[i].name, name) == 0)
			return &invariant_table[i];
	}
	return NULL;
}

/* ---- Life -------------------------------------------------------------------------------- */

static const struct entity_rules *rules_of(const struct service *service)
{
	for (size_t i = 0; i < service->function_count; i++) {
		if (service->functions[i].rules != NULL)
			return service->functions[i].rules;
	}
	return NULL;
}

static void fill_mailed(struct row_list *list)
{
	for (size_t i = 0; i < crm_service.saga_count; i++) {
		const struct saga *saga = &crm_service.sagas[i];
		if (strcmp(saga->topic, list->topic) != 0)
			continue;
		for (const char *const *type = saga->event_types; *type != NULL; type++) {
			ASSERT(list->mailed_count < MAILED_MAX);
			list->mailed[list->mailed_count++] = *type;
		}
	}
}

static void fill_list(struct row_list *list, const char *topic)
{
	list->topic = topic;
	list->shape = shape_of(topic);
	fill_mailed(list);
	for (size_t i = 0; i < invariant_count; i++) {
		const struct invariant *row = &invariant_table[i];
		bool wanted = row->topic == NULL ||
		              (topic[0] != '\0' && strcmp(row->topic, SHOP) == 0) ||
		              strcmp(row->topic, topic) == 0;
		if (!row->at_rest && wanted)
			list->rows[list->count++] = row;
	}
}

struct invariants *invariants_create(violation_function *report, void *arg)
{
	struct invariants *all = calloc(1, sizeof(*all));
	size_t count = 0;
	ASSERT(all != NULL && invariant_count <= ROWS_MAX);
	all->fold = fold_create();
	all->digest = digest_create();
	all->report = report;
	all->arg = arg;
	for (size_t i = 0; i < domain_service_count; i++) {
		const struct service *service = domain_services[i];
		if (service->topic == NULL)
			continue;
		ASSERT(count + 1 < LISTS_MAX);
		all->lists[count].rules = rules_of(service);
		fill_list(&all->lists[count++], service->topic);
	}
	fill_list(&all->lists[count], "");
	return all;
}

void invariants_destroy(struct invariants *all)
{
	if (all == NULL)
		return;
	invariants_track_free(all);
	fold_destroy(all->fold);
	digest_destroy(all->digest);
	free(all);
}

/* ---- Checking ---------------------------------------------------------------------------- */

bool invariants_event_is(const struct invariants *all, const char *type)
{
	return strcmp(all->event->type, type) == 0;
}

bool invariants_event_creates(const struct invariants *all)
{
	return strcmp(all->event->action, ENTITY_CREATED) == 0;
}

bool invariants_event_deletes(const struct invariants *all)
{
	return strcmp(all->event->action, ENTITY_DELETED) == 0;
}

static const struct row_list *list_of(struct invariants *all, struct fold_topic *topic)
{
	if (topic->user != NULL)
		return topic->user;
	const struct row_list *list = all->lists;
	while (list->topic[0] != '\0' && strcmp(list->topic, topic->name) != 0)
		list++;
	topic->user = list;
	return list;
}

void invariants_add(struct invariants *all, const struct event *event, const char *data)
{
	all->event = event;
	all->change = fold_add(all->fold, event, data);
	all->entry = all->change.topic->last;
	all->list = list_of(all, all->change.topic);
	invariants_track(all);
	all->counting = true;
	for (size_t i = 0; i < all->list->count; i++) {
		all->row = all->list->rows[i];
		/* What cannot be read breaks one rule, not all. */
		if (event->state == NULL && all->row->topic != NULL &&
		    all->row->check != check_readable)
			continue;
		all->checked[all->row - invariant_table]++;
		all->row->check(all, all->change.entity);
	}
	all->event = NULL;
}

static void check_at_rest(struct invariants *all, const struct fold_entity *entity)
{
	if (entity->deleted || entity->state == NULL)
		return;
	all->checked[all->row - invariant_table]++;
	all->row->check(all, entity);
}

void invariants_rest(struct invariants *all)
{
	all->counting = true;
	for (all->row = invariant_table; all->row < invariant_table + invariant_count; all->row++) {
		if (!all->row->at_rest)
			continue;
		const struct fold_topic *topic = fold_topic_find(all->fold, all->row->topic);
		if (all->row->check == rest_mails) {
			all->checked[all->row - invariant_table] +=
			    topic == NULL ? 0 : topic->loose;
			rest_mails(all, NULL);
			continue;
		}
		for (const struct fold_entity *e = topic == NULL ? NULL : topic->entities;
		     e != NULL; e = e->hh.next)
			check_at_rest(all, e);
	}
}

bool invariants_rest_holds(struct invariants *all, const struct invariant *invariant,
                           const struct fold_entity *entity)
{
	if (entity->deleted || entity->state == NULL)
		return true;
	all->counting = false;
	all->broken = false;
	all->row = invariant;
	invariant->check(all, entity);
	return !all->broken;
}

/* ---- Violations -------------------------------------------------------------------------- */

void invariants_report(struct invariants *all, const struct violation *violation)
{
	all->broken = true;
	if (!all->counting)
		return;
	all->violations[violation->invariant - invariant_table]++;
	all->total++;
	if (all->report != NULL)
		all->report(all->arg, violation);
}

void invariants_broken(struct invariants *all, const struct fold_entity *entity, const char *format,
                       ...)
{
	struct violation violation = {
		.invariant = all->row,
		.topic = entity != NULL ? entity->topic->name : all->change.topic->name,
		.entity_id = entity != NULL ? entity->id : "",
		.entry = all->event != NULL ? all->entry : entity->last,
		.event_id = all->event != NULL ? all->event->event_id : "",
	};
	va_list args;
	va_start(args, format);
	vsnprintf(violation.message, sizeof(violation.message), format, args);
	va_end(args);
	invariants_report(all, &violation);
}

/* ---- Answers ----------------------------------------------------------------------------- */

const struct fold *invariants_fold(const struct invariants *all)
{
	return all->fold;
}

uint64_t invariants_checked(const struct invariants *all, const struct invariant *invariant)
{
	return all->checked[invariant - invariant_table];
}

uint64_t invariants_violations(const struct invariants *all, const struct invariant *invariant)
{
	return all->violations[invariant - invariant_table];
}

uint64_t invariants_broken_total(const struct invariants *all)
{
	return all->total;
}
