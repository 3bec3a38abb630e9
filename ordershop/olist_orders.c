#include "ordershop/olist_orders.h"
#include "base/clock.h"
#include "ordershop/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	WINDOW = 64, /* orders at a time */
	TICK_MS = 100,
	STUCK_MS = 60000, /* without any news the import ends */
	SHOW_TTY_MS = 100,
	SHOW_LOG_MS = 2000,
};

/* ---- Which step is next ------------------------------------------------------------------ */

static struct play_product *product_of(const struct play_order *order, size_t item)
{
	return &order->task.play->products[order->plan->from->items[item].product];
}

static bool its_turn(const struct play_order *order)
{
	const struct play *play = order->task.play;

	for (size_t i = 0; i < order->plan->from->item_count; i++) {
		const struct play_product *product = product_of(order, i);

		if (product->plan->several &&
		    product->plan->turns[product->turn] != (size_t)(order - play->orders))
			return false;
	}
	return true;
}

/* The first item whose product has another price now; item_count: none. */
static size_t other_price(const struct play_order *order)
{
	size_t i = 0;

	while (i < order->plan->from->item_count &&
	       product_of(order, i)->price == order->plan->from->items[i].price)
		i++;
	return i;
}

static enum plan_step next_step(const struct play_order *order)
{
	bool cancel = order->plan->goal == SHOP__ORDER_STATUS__CANCELLED;

	if (!order->placed) {
		if (!its_turn(order))
			return PLAN_NONE;
		if (!order->cart_exists)
			return PLAN_CART;
		return other_price(order) < order->plan->from->item_count ? PLAN_PRICE : PLAN_ORDER;
	}
	if (order->acted)
		return PLAN_NONE;
	switch (order->status) {
	case SHOP__ORDER_STATUS__IN_STOCK:
		return order->plan->billed ? PLAN_BILL : cancel ? PLAN_CANCEL : PLAN_NONE;
	case SHOP__ORDER_STATUS__CLEARED:
		return order->plan->shipped ? PLAN_SHIP : cancel ? PLAN_CANCEL : PLAN_NONE;
	case SHOP__ORDER_STATUS__SHIPPED:
		return order->plan->goal == SHOP__ORDER_STATUS__DELIVERED ? PLAN_DELIVER
		       : cancel                                           ? PLAN_CANCEL
		                                                          : PLAN_NONE;
	default:
		return PLAN_NONE;
	}
}

static void begin_orders(struct play *play);

static void finish(struct play_order *order)
{
	struct play *play = order->task.play;

	order->finished = true;
	order->active = false;
	play->active--;
	play->finished++;
}

/* Does what is next, if anything is. */
static void act(struct play_order *order)
{
	enum plan_step step = next_step(order);
	struct plan_command command;

	order->under_way = step != PLAN_NONE;
	if (order->placed && order->status == order->plan->goal && !order->finished)
		finish(order);
	if (step == PLAN_NONE)
		return;
	order->step = step;
	order->sent_at = order->status;
	plan_order_command(order->task.play->plan, order->plan, step,
	                   step == PLAN_PRICE ? other_price(order) : 0, &command);
	play_command(&order->task, &command);
}

static void send_order(struct task *task)
{
	act((struct play_order *)task);
}

/* The order has its price, or never will: the next ones may have theirs. */
static void pass_turns(struct play_order *order)
{
	struct play *play = order->task.play;

	for (size_t i = 0; i < order->plan->from->item_count; i++) {
		struct play_product *product = product_of(order, i);
		struct play_order *next;

		while (product->turn < product->plan->turn_count &&
		       (play->orders[product->plan->turns[product->turn]].placed ||
		        play->orders[product->plan->turns[product->turn]].failed))
			product->turn++;
		if (!product->plan->several || product->turn == product->plan->turn_count)
			continue;
		next = &play->orders[product->plan->turns[product->turn]];
		if (next->active && !next->under_way)
			act(next);
	}
}

static void order_done(struct task *task)
{
	struct play_order *order = (struct play_order *)task;
	size_t item = other_price(order);

	order->news_ms = clock_monotonic_ms();
	switch (order->step) {
	case PLAN_PRICE:
		product_of(order, item)->price = order->plan->from->items[item].price;
		break;
	case PLAN_CART:
		order->cart_exists = true;
		break;
	case PLAN_ORDER:
		order->placed = true;
		pass_turns(order);
		break;
	default:
		order->acted = order->status == order->sent_at;
		break;
	}
	act(order);
	begin_orders(task->play);
}

static void order_failed(struct task *task, const struct error *err)
{
	struct play_order *order = (struct play_order *)task;

	fprintf(stderr, "order %s: %s: %s\n", order->plan->from->id, plan_function(order->step),
	        err->message);
	order->under_way = false;
	order->failed = true;
	if (!order->finished)
		finish(order);
	pass_turns(order);
	begin_orders(task->play);
}

void play_order_news(struct play_order *order)
{
	if (!order->active || order->under_way)
		return;
	act(order);
	begin_orders(order->task.play);
}

/* Keeps the window full; ends the loop when all are finished. */
static void begin_orders(struct play *play)
{
	while (play->active < WINDOW && play->next < play->olist->order_count) {
		struct play_order *order = &play->orders[play->next++];

		order->active = true;
		order->news_ms = clock_monotonic_ms();
		play->active++;
		act(order);
	}
	if (play->finished == play->olist->order_count)
		loop_stop(play->client->loop);
}

/* ---- The run ------------------------------------------------------------------------------ */

static void show_progress(struct play *play, bool last)
{
	bool tty = isatty(STDERR_FILENO) == 1;
	uint64_t now = clock_monotonic_ms();

	if (!last && now - play->shown_ms < (tty ? SHOW_TTY_MS : SHOW_LOG_MS))
		return;
	play->shown_ms = now;
	fprintf(stderr, "%s%zu of %zu %s, %" PRIu64 " %s%s", tty ? "\r" : "", play->finished,
	        play->olist->order_count, plural(play->olist->order_count, "order", "orders"),
	        play->sent, plural(play->sent, "command", "commands"), tty && !last ? "" : "\n");
	fflush(stderr);
}

static void tick(void *arg)
{
	struct play *play = arg;

	show_progress(play, false);
	play_news_tick(play);
	if (clock_monotonic_ms() - play->news_ms > STUCK_MS) {
		if (play->failures++ == 0)
			error_set(&play->failure, ERR_DEADLINE,
			          "no news for %d s with %zu %s under way; see ordershop "
			          "status",
			          STUCK_MS / 1000, play->active,
			          plural(play->active, "order", "orders"));
		loop_stop(play->client->loop);
		return;
	}
	loop_timer_start(play->client->loop, &play->tick, TICK_MS, tick, play);
}

bool play_orders(struct play *play, struct error *err)
{
	for (size_t i = 0; i < play->olist->order_count; i++) {
		struct play_order *order = &play->orders[i];

		order->task = (struct task){
			.play = play, .send = send_order, .done = order_done, .failed = order_failed
		};
		HASH_ADD_KEYPTR(hh, play->by_id, order->plan->id, UUID_SIZE - 1, order);
	}
	/* What an earlier import has placed has had its turn. */
	for (size_t i = 0; i < play->olist->order_count; i++)
		pass_turns(&play->orders[i]);
	play->next = 0;
	play->shown_ms = play->news_ms = clock_monotonic_ms();
	tick(play);
	begin_orders(play);
	loop_run(play->client->loop);
	loop_timer_stop(play->client->loop, &play->tick);
	show_progress(play, true);
	if (play->failures > 0)
		*err = play->failure;
	return play->failures == 0;
}

void play_orders_end(struct play *play)
{
	loop_timer_stop(play->client->loop, &play->tick);
	for (size_t i = 0; i < play->olist->order_count; i++)
		loop_timer_stop(play->client->loop, &play->orders[i].task.retry);
	play_news_end(play);
}
