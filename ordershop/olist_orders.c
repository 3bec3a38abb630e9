#include "ordershop/olist_orders.h"
#include "base/clock.h"

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

enum step {
	STEP_NONE, /* wait: for the turn, or for an event */
	STEP_PRICE,
	STEP_CART,
	STEP_ORDER,
	STEP_BILL,
	STEP_SHIP,
	STEP_DELIVER,
	STEP_CANCEL,
	STEPS
};

void play_order_goal(struct play_order *order)
{
	static const Shop__OrderStatus goals[OLIST_STATUSES] = {
		[OLIST_CREATED] = SHOP__ORDER_STATUS__IN_STOCK,
		[OLIST_APPROVED] = SHOP__ORDER_STATUS__CLEARED,
		[OLIST_PROCESSING] = SHOP__ORDER_STATUS__CLEARED,
		[OLIST_INVOICED] = SHOP__ORDER_STATUS__CLEARED,
		[OLIST_SHIPPED] = SHOP__ORDER_STATUS__SHIPPED,
		[OLIST_DELIVERED] = SHOP__ORDER_STATUS__DELIVERED,
		[OLIST_UNAVAILABLE] = SHOP__ORDER_STATUS__CANCELLED,
		[OLIST_CANCELED] = SHOP__ORDER_STATUS__CANCELLED,
	};
	const struct olist_order *from = order->order;

	order->goal = goals[from->status];
	/* A cancelled one may have been paid, and even be on its way, before. */
	order->shipped = order->goal == SHOP__ORDER_STATUS__SHIPPED ||
	                 order->goal == SHOP__ORDER_STATUS__DELIVERED ||
	                 (order->goal == SHOP__ORDER_STATUS__CANCELLED && from->carrier != 0);
	order->billed = order->shipped || order->goal == SHOP__ORDER_STATUS__CLEARED ||
	                (order->goal == SHOP__ORDER_STATUS__CANCELLED && from->approved != 0);
}

/* ---- Which step is next ------------------------------------------------------------------ */

static struct play_product *product_of(const struct play_order *order, size_t item)
{
	return &order->task.play->products[order->order->items[item].product];
}

static bool its_turn(const struct play_order *order)
{
	const struct play *play = order->task.play;

	for (size_t i = 0; i < order->order->item_count; i++) {
		const struct play_product *product = product_of(order, i);

		if (product->several &&
		    product->turns[product->turn] != (size_t)(order - play->orders))
			return false;
	}
	return true;
}

/* The first item whose product has another price now; item_count: none. */
static size_t other_price(const struct play_order *order)
{
	size_t i = 0;

	while (i < order->order->item_count &&
	       product_of(order, i)->price == order->order->items[i].price)
		i++;
	return i;
}

static enum step next_step(const struct play_order *order)
{
	bool cancel = order->goal == SHOP__ORDER_STATUS__CANCELLED;

	if (!order->placed) {
		if (!its_turn(order))
			return STEP_NONE;
		if (!order->cart_exists)
			return STEP_CART;
		return other_price(order) < order->order->item_count ? STEP_PRICE : STEP_ORDER;
	}
	if (order->acted)
		return STEP_NONE;
	switch (order->status) {
	case SHOP__ORDER_STATUS__IN_STOCK:
		return order->billed ? STEP_BILL : cancel ? STEP_CANCEL : STEP_NONE;
	case SHOP__ORDER_STATUS__CLEARED:
		return order->shipped ? STEP_SHIP : cancel ? STEP_CANCEL : STEP_NONE;
	case SHOP__ORDER_STATUS__SHIPPED:
		return order->goal == SHOP__ORDER_STATUS__DELIVERED ? STEP_DELIVER
		       : cancel                                     ? STEP_CANCEL
		                                                    : STEP_NONE;
	default:
		return STEP_NONE;
	}
}

/* ---- The steps --------------------------------------------------------------------------- */

static void write_price(const struct play_order *order, struct buffer *params)
{
	size_t item = other_price(order);

	buffer_printf(params, "{\"entity_id\":\"%s\",\"price\":%" PRId64 "}",
	              product_of(order, item)->id, order->order->items[item].price);
}

static void write_cart(const struct play_order *order, struct buffer *params)
{
	const struct play *play = order->task.play;

	buffer_printf(params, "{\"entity_id\":\"%s\",\"customer_id\":\"%s\",\"product_ids\":[",
	              order->cart_id, play->customers[order->order->customer].id);
	for (size_t i = 0; i < order->order->item_count; i++)
		buffer_printf(params, "%s\"%s\"", i > 0 ? "," : "", product_of(order, i)->id);
	buffer_puts(params, "]}");
}

static void write_order(const struct play_order *order, struct buffer *params)
{
	buffer_printf(params,
	              "{\"entity_id\":\"%s\",\"cart_id\":\"%s\",\"shipping_fee\":%" PRId64
	              ",\"fulfilment\":\"manual\"}",
	              order->id, order->cart_id, order->order->freight);
}

static void write_billing(const struct play_order *order, struct buffer *params)
{
	buffer_printf(params, "{\"order_id\":\"%s\",\"amount\":%" PRId64 "}", order->id,
	              order->order->goods + order->order->freight);
}

static void write_shipping(const struct play_order *order, struct buffer *params)
{
	buffer_printf(params, "{\"order_id\":\"%s\"}", order->id);
}

static void write_delivery(const struct play_order *order, struct buffer *params)
{
	/* A few of the real ones lack the time of delivery. */
	const struct olist_order *from = order->order;
	int64_t when = from->delivered ? from->delivered : from->carrier;
	char id[UUID_SIZE];

	uuid_v5(id, order->id, "shipping", NULL);
	buffer_printf(params, "{\"entity_id\":\"%s\",\"delivered\":%" PRId64 "}", id,
	              when ? when : from->purchased);
}

static void write_cancel(const struct play_order *order, struct buffer *params)
{
	buffer_printf(params, "{\"entity_id\":\"%s\"}", order->id);
}

static const struct {
	const char *service, *function;
	void (*write)(const struct play_order *order, struct buffer *params);
} steps[STEPS] = {
	[STEP_PRICE] = { "product-service", "update_product", write_price },
	[STEP_CART] = { "cart-service", "create_carts", write_cart },
	[STEP_ORDER] = { "order-service", "create_orders", write_order },
	[STEP_BILL] = { "billing-service", "create_billings", write_billing },
	[STEP_SHIP] = { "shipping-service", "create_shippings", write_shipping },
	[STEP_DELIVER] = { "shipping-service", "update_shipping", write_delivery },
	[STEP_CANCEL] = { "order-service", "cancel_order", write_cancel },
};

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
	enum step step = next_step(order);
	char name[UUID_SIZE];
	struct buffer params;

	order->under_way = step != STEP_NONE;
	if (order->placed && order->status == order->goal && !order->finished)
		finish(order);
	if (step == STEP_NONE)
		return;
	order->step = (int)step;
	order->sent_at = order->status;
	/* A price is changed once per order and product. */
	memcpy(name, order->id, sizeof(name));
	if (step == STEP_PRICE)
		uuid_v5(name, order->id, "price", product_of(order, other_price(order))->id);
	buffer_init(&params, 1024 * 1024);
	steps[step].write(order, &params);
	play_command(&order->task, steps[step].service, steps[step].function, name, &params);
	buffer_free(&params);
}

static void send_order(struct task *task)
{
	act((struct play_order *)task);
}

/* The order has its price, or never will: the next ones may have theirs. */
static void pass_turns(struct play_order *order)
{
	struct play *play = order->task.play;

	for (size_t i = 0; i < order->order->item_count; i++) {
		struct play_product *product = product_of(order, i);
		struct play_order *next;

		while (product->turn < product->turn_count &&
		       (play->orders[product->turns[product->turn]].placed ||
		        play->orders[product->turns[product->turn]].failed))
			product->turn++;
		if (!product->several || product->turn == product->turn_count)
			continue;
		next = &play->orders[product->turns[product->turn]];
		if (next->active && !next->under_way)
			act(next);
	}
}

static void order_done(struct task *task)
{
	struct play_order *order = (struct play_order *)task;
	size_t item = other_price(order);

	order->news_ms = clock_monotonic_ms();
	switch ((enum step)order->step) {
	case STEP_PRICE:
		product_of(order, item)->price = order->order->items[item].price;
		break;
	case STEP_CART:
		order->cart_exists = true;
		break;
	case STEP_ORDER:
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

	fprintf(stderr, "order %s: %s.%s: %s\n", order->order->id, steps[order->step].service,
	        steps[order->step].function, err->message);
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
	fprintf(stderr, "%s%zu of %zu orders, %" PRIu64 " commands%s", tty ? "\r" : "",
	        play->finished, play->olist->order_count, play->sent, tty && !last ? "" : "\n");
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
			          "no news for %d s with %zu orders on their way; see ordershop "
			          "status",
			          STUCK_MS / 1000, play->active);
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
		HASH_ADD_STR(play->by_id, id, order);
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
