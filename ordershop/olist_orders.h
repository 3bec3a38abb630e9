/* olist_orders.h - how one order of the files is brought to its status; for olist_play.h alone. */
#ifndef ORDERSHOP_OLIST_ORDERS_H
#define ORDERSHOP_OLIST_ORDERS_H

#include "ordershop/olist_play.h"

/* Of an order's JSON; CREATED when it has none. */
Shop__OrderStatus play_order_status(const struct json *entity);
const char *play_status_name(Shop__OrderStatus status);
/* Something about it has changed: goes on with it. */
void play_order_news(struct play_order *order);
/* Ends the subscription and all timers; for play_stop. */
void play_orders_end(struct play *play);

/* olist_news.c: the events of topic order, and the read model where they keep silent.
 * Remembers where the events end now, so that none is missed. */
MUST_USE bool play_news_mark(struct play *play, struct error *err);
/* To be called now and then. */
void play_news_tick(struct play *play);
void play_news_end(struct play *play);

#endif
