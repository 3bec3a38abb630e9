/* invariants_rest.c - rules of a shop that has nothing left to do. */
#include "domain/invariants_internal.h"

#include "domain/order_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Bit of a status, for sets of them. */
#define IN(name) (1U << SHOP__ORDER_STATUS__##name)

static const void *living_link(const struct fold_entity *order, size_t link)
{
	const struct fold_entity *entity = order->links[link];
	return entity == NULL || entity->deleted ? NULL : entity->state;
}

static bool stock_is_there(const struct invariants *all, const Shop__Order *order)
{
	for (size_t i = 0; i < order->n_items; i++) {
		char id[UUID_SIZE];
		const Shop__OrderItem *item = order->items[i];
		if (!uuid_valid(item->product_id))
			return false;
		uuid_v5(id, item->product_id, "inventory", NULL);
		const struct fold_entity *stock = fold_find(all->fold, "inventory", id);
		if (stock == NULL || stock->deleted || stock->state == NULL ||
		    ((const Shop__Inventory *)stock->state)->amount < item->quantity)
			return false;
	}
	return true;
}

/* What an order that stands still can be, and what of it is wrong. */
struct standing {
	const Shop__Order *order;
	const Shop__Billing *billing;
	const Shop__Shipping *shipping;
	unsigned status; /* bit */
};

static const char *wrong_with_parts(const struct standing *s)
{
	if (s->billing != NULL && (s->status & (IN(IN_STOCK) | IN(OUT_OF_STOCK) | IN(UNCLEARED))))
		return "must be cleared, as it has a billing";
	if (s->billing == NULL && (s->status & (IN(CLEARED) | IN(SHIPPED) | IN(DELIVERED))))
		return "must have a billing";
	if (s->shipping == NULL && (s->status & (IN(SHIPPED) | IN(DELIVERED))))
		return "must have a shipping";
	if (s->shipping != NULL && !(s->status & (IN(SHIPPED) | IN(DELIVERED) | IN(CANCELLED))))
		return "must be shipped, as it has a shipping";
	if (s->shipping != NULL && (s->shipping->delivered != 0) != (s->status == IN(DELIVERED)))
		return "must be DELIVERED exactly if its shipping is";
	if (s->status == IN(CLEARED) && s->order->fulfilment == SHOP__FULFILMENT__auto)
		return "must be shipped, as its fulfilment is auto";
	return NULL;
}

void rest_order(struct invariants *all, const struct fold_entity *entity)
{
	struct standing s = { .order = (const Shop__Order *)entity->state,
		              .billing = living_link(entity, LINK_BILLING),
		              .shipping = living_link(entity, LINK_SHIPPING) };
	const unsigned holding =
	    IN(IN_STOCK) | IN(CLEARED) | IN(UNCLEARED) | IN(SHIPPED) | IN(DELIVERED);
	const char *wrong = NULL;
	s.status = 1U << s.order->status;
	if (s.status == IN(CREATED))
		wrong = "must have reserved its stock, or be OUT_OF_STOCK";
	else if (s.status == IN(OUT_OF_STOCK) && stock_is_there(all, s.order))
		wrong = "must be IN_STOCK, as what it waits for is there";
	else if (s.order->stock_held != ((s.status & holding) != 0))
		wrong = s.order->stock_held ? "must hold no stock" : "must hold its stock";
	else if (!entity->was_deleted) /* one of the same id may have left its parts */
		wrong = wrong_with_parts(&s);
	if (wrong != NULL)
		invariants_broken(all, entity, "order: %s, is %s", wrong,
		                  order_status_name(s.order->status));
}

void rest_refund(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Billing *billing = (const Shop__Billing *)entity->state;
	const struct fold_entity *order = fold_find(all->fold, "order", billing->order_id);
	if (order == NULL || order->state == NULL || (order->was_deleted && !order->deleted))
		return;
	Shop__OrderStatus status = ((const Shop__Order *)order->state)->status;
	bool expected = status == SHOP__ORDER_STATUS__CANCELLED ||
	                (order->deleted && status != SHOP__ORDER_STATUS__DELIVERED);
	if (billing->refunded != expected)
		invariants_broken(all, entity, "refunded: must be %s, as order %s %s %s, is %s",
		                  expected ? "true" : "false", order->id,
		                  order->deleted ? "was deleted when it was" : "is",
		                  order_status_name(status), billing->refunded ? "true" : "false");
}

/* Of orders that are there, rest_order tells. */
void rest_shipping(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Shipping *shipping = (const Shop__Shipping *)entity->state;
	const struct fold_entity *order = fold_find(all->fold, "order", shipping->order_id);
	if (order == NULL || !order->deleted || order->state == NULL ||
	    ((const Shop__Order *)order->state)->status != SHOP__ORDER_STATUS__DELIVERED)
		return;
	if (shipping->delivered == 0)
		invariants_broken(all, entity,
		                  "delivered: must be set, as order %.60s was deleted when it was "
		                  "DELIVERED",
		                  order->id);
}

void rest_cart(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Cart *cart = (const Shop__Cart *)entity->state;
	if (cart->order_id[0] == '\0')
		return;
	const struct fold_entity *order = fold_find(all->fold, "order", cart->order_id);
	const Shop__Order *state =
	    order == NULL || order->deleted ? NULL : (const Shop__Order *)order->state;
	if (state == NULL || order_status_final(state->status))
		invariants_broken(
		    all, entity,
		    "order_id: must be empty or an order in progress, is %.60s, which is %s",
		    cart->order_id,
		    order == NULL    ? "none"
		    : order->deleted ? "deleted"
		    : state == NULL  ? "unreadable"
		                     : order_status_name(state->status));
	else if (strcmp(state->cart_id, entity->id) != 0)
		invariants_broken(all, entity,
		                  "order_id: must be an order of this cart, %s is of %.60s",
		                  order->id, state->cart_id);
}

void rest_stock(struct invariants *all, const struct fold_entity *entity)
{
	const Shop__Inventory *inventory = (const Shop__Inventory *)entity->state;
	const struct stock *stock = invariants_stock(all, inventory->product_id);
	/* What is given back to an inventory that is not there is not counted. */
	if (entity->was_deleted || stock->out == stock->held)
		return;
	invariants_broken(all, entity,
	                  "stock: what was reserved must be what orders hold, %" PRId64
	                  " is reserved, %" PRId64 " is held",
	                  stock->out, stock->held);
}

static bool excused(const struct fold_entity *entity)
{
	return entity != NULL && entity->was_deleted;
}

void rest_mails(struct invariants *all, const struct fold_entity *entity)
{
	(void)entity;
	for (struct pending_mail *mail = all->mails; mail != NULL; mail = mail->hh.next) {
		if (excused(mail->customer) || excused(mail->order))
			continue;
		struct violation violation = { .invariant = all->row,
			                       .topic = mail->topic->name,
			                       .entity_id = mail->entity_id,
			                       .entry = mail->entry,
			                       .event_id = mail->cause_id };
		snprintf(violation.message, sizeof(violation.message),
		         "mail: must be sent after this event, is not");
		invariants_report(all, &violation);
	}
}
