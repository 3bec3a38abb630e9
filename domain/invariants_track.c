/* invariants_track.c - what the rules of invariants.c have to remember. */
#include "domain/invariants_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- Ids --------------------------------------------------------------------------------- */

static struct id128 id_of_bytes(const unsigned char *bytes)
{
	struct id128 id;
	memcpy(&id, bytes, sizeof(id));
	return id;
}

/* Of a UUID its bits, of anything else a hash. */
static struct id128 id_of_text(struct invariants *all, const char *text)
{
	unsigned char bytes[DIGEST_BYTES];
	if (!uuid_read(text, bytes)) {
		digest_add(all->digest, text, strlen(text));
		digest_end(all->digest, bytes);
	}
	return id_of_bytes(bytes);
}

/* ---- Stock ------------------------------------------------------------------------------- */

struct stock *invariants_stock(struct invariants *all, const char *product_id)
{
	struct stock *stock;
	HASH_FIND_STR(all->stocks, product_id, stock);
	if (stock != NULL)
		return stock;
	size_t size = strlen(product_id) + 1;
	stock = calloc(1, sizeof(*stock) + size);
	ASSERT(stock != NULL);
	memcpy(stock->product_id, product_id, size);
	HASH_ADD_KEYPTR(hh, all->stocks, stock->product_id, size - 1, stock);
	return stock;
}

/* Wraps around: whoever wrote such numbers. */
static int64_t plus(int64_t sum, int64_t number, int64_t sign)
{
	return (int64_t)((uint64_t)sum + (uint64_t)sign * (uint64_t)number);
}

static void track_stock(struct invariants *all)
{
	const Shop__Inventory *before = BEFORE(Shop__Inventory), *after = AFTER(Shop__Inventory);
	if (before == NULL || invariants_event_deletes(all) ||
	    (!invariants_event_is(all, "StockReserved") &&
	     !invariants_event_is(all, "StockReleased")))
		return;
	struct stock *stock = invariants_stock(all, after->product_id);
	stock->out = plus(plus(stock->out, before->amount, 1), after->amount, -1);
}

static bool holds_stock(const Shop__Order *order)
{
	return order != NULL && order->stock_held && order->status != SHOP__ORDER_STATUS__CANCELLED;
}

static void hold(struct invariants *all, const Shop__Order *order, int64_t sign)
{
	for (size_t i = 0; i < order->n_items; i++) {
		struct stock *stock = invariants_stock(all, order->items[i]->product_id);
		stock->held = plus(stock->held, order->items[i]->quantity, sign);
	}
}

static void track_order(struct invariants *all)
{
	const Shop__Order *before = BEFORE(Shop__Order), *after = AFTER(Shop__Order);
	/* What was delivered is sold, also when its order is deleted. */
	bool sold = before != NULL && before->status == SHOP__ORDER_STATUS__DELIVERED;
	bool held = holds_stock(before), holds = holds_stock(after);
	if (invariants_event_deletes(all))
		holds = held && sold;
	if (held && !holds)
		hold(all, before, -1);
	else if (!held && holds)
		hold(all, after, 1);
}

/* ---- What belongs to an order ------------------------------------------------------------ */

static void link_order(struct invariants *all, const char *order_id, size_t link)
{
	struct fold_entity *order = fold_find(all->fold, "order", order_id);
	if (order != NULL)
		order->links[link] = all->change.entity;
}

/* ---- Mails ------------------------------------------------------------------------------- */

static bool crm_reacts(const struct invariants *all)
{
	for (size_t i = 0; i < all->list->mailed_count; i++) {
		if (invariants_event_is(all, all->list->mailed[i]))
			return true;
	}
	return false;
}

/* Crm asks mail-service once per event, and both derive their ids. */
static struct id128 mail_id(struct invariants *all)
{
	char message_id[UUID_SIZE], event_id[UUID_SIZE];
	uuid_v5(message_id, all->event->event_id, "mail.send", NULL);
	applied_event_id(message_id, "mail", event_id);
	return id_of_text(all, event_id);
}

static const struct fold_entity *order_of_event(const struct invariants *all)
{
	if (strcmp(all->event->topic, "order") == 0)
		return all->change.entity;
	if (strcmp(all->event->topic, "billing") == 0)
		return fold_find(all->fold, "order", AFTER(Shop__Billing)->order_id);
	if (strcmp(all->event->topic, "shipping") == 0)
		return fold_find(all->fold, "order", AFTER(Shop__Shipping)->order_id);
	return NULL;
}

static void expect_mail(struct invariants *all)
{
	if (!crm_reacts(all) || !uuid_valid(all->event->event_id))
		return;
	const struct fold_entity *order = order_of_event(all);
	const Shop__Order *state = order == NULL ? NULL : (const Shop__Order *)order->state;
	struct id128 id = mail_id(all);
	struct pending_mail *mail;
	HASH_FIND_BYHASHVALUE(hh, all->mails, &id, sizeof(id), (unsigned)id.low, mail);
	if (mail != NULL) /* the same event once more: check_ids tells */
		return;
	mail = calloc(1, sizeof(*mail));
	ASSERT(mail != NULL);
	mail->event_id = id;
	mail->order = order != all->change.entity ? order : NULL;
	mail->customer =
	    state == NULL ? NULL : fold_find(all->fold, "customer", state->customer_id);
	mail->topic = all->change.topic;
	mail->entity_id = all->change.entity->id;
	mail->entry = all->entry;
	strcpy(mail->cause_id, all->event->event_id);
	HASH_ADD_BYHASHVALUE(hh, all->mails, event_id, sizeof(id), (unsigned)id.low, mail);
}

/* Two mails of one text, of which only one follows from an event: that is one too many. */
static void track_mail(struct invariants *all)
{
	struct id128 id = id_of_text(all, all->event->event_id);
	struct id128 text = id_of_bytes(all->change.topic->loose_last);
	struct pending_mail *mail;
	HASH_FIND_BYHASHVALUE(hh, all->mails, &id, sizeof(id), (unsigned)id.low, mail);
	all->mail_doubled = id_set_has(mail != NULL ? &all->uncaused : &all->caused, text);
	(void)id_set_add(mail != NULL ? &all->caused : &all->uncaused, text);
	if (mail == NULL)
		return;
	HASH_DEL(all->mails, mail);
	free(mail);
}

/* ---- All --------------------------------------------------------------------------------- */

void invariants_track(struct invariants *all)
{
	const struct event *event = all->event;
	all->mail_doubled = false;
	all->event_known = !id_set_add(&all->event_ids, id_of_text(all, event->event_id));
	if (event->state == NULL)
		return;
	if (all->change.entity == NULL) {
		if (strcmp(event->topic, "mail") == 0)
			track_mail(all);
		return;
	}
	if (strcmp(event->topic, "inventory") == 0)
		track_stock(all);
	else if (strcmp(event->topic, "order") == 0)
		track_order(all);
	else if (strcmp(event->topic, "billing") == 0)
		link_order(all, AFTER(Shop__Billing)->order_id, LINK_BILLING);
	else if (strcmp(event->topic, "shipping") == 0)
		link_order(all, AFTER(Shop__Shipping)->order_id, LINK_SHIPPING);
	expect_mail(all);
}

void invariants_track_free(struct invariants *all)
{
	struct stock *stock, *next_stock;
	struct pending_mail *mail, *next_mail;
	HASH_ITER(hh, all->stocks, stock, next_stock)
	{
		HASH_DEL(all->stocks, stock);
		free(stock);
	}
	HASH_ITER(hh, all->mails, mail, next_mail)
	{
		HASH_DEL(all->mails, mail);
		free(mail);
	}
	id_set_free(&all->event_ids);
	id_set_free(&all->caused);
	id_set_free(&all->uncaused);
}
