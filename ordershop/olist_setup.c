/* olist_setup.c - what the orders need: what is there already, customers, products, stock. */
#include "base/json.h"
#include "ordershop/olist_orders.h"
#include "ordershop/olist_play.h"

#include <string.h>

enum { IN_FLIGHT = 128 };

/* ---- What is there ----------------------------------------------------------------------- */

static const char *customer_id(struct play *play, size_t i)
{
	return play->customers[i].plan->id;
}

static const char *product_id(struct play *play, size_t i)
{
	return play->products[i].plan->id;
}

static const char *stock_id(struct play *play, size_t i)
{
	return play->products[i].plan->stock_id;
}

static const char *cart_id(struct play *play, size_t i)
{
	return play->orders[i].plan->cart_id;
}

static const char *order_id(struct play *play, size_t i)
{
	return play->orders[i].plan->id;
}

static void customer_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	(void)entity, (void)arg;
	play->customers[i].exists = true;
}

static void product_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	(void)arg;
	play->products[i].exists = true;
	play->products[i].price = play_number(entity, "price");
}

static void stock_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	(void)entity, (void)arg;
	play->products[i].stocked = true;
}

static void cart_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	(void)entity, (void)arg;
	play->orders[i].cart_exists = true;
}

static void order_found(struct play *play, size_t i, const struct json *entity, void *arg)
{
	(void)arg;
	play->orders[i].placed = true;
	play->orders[i].status = play_order_status(entity);
}

bool play_look_up(struct play *play, struct error *err)
{
	const struct olist *olist = play->olist;
	const struct look_up all[] = {
		{ "customer", customer_id, olist->customer_count, customer_found, NULL },
		{ "product", product_id, olist->product_count, product_found, NULL },
		{ "inventory", stock_id, olist->product_count, stock_found, NULL },
		{ "cart", cart_id, olist->order_count, cart_found, NULL },
		{ "order", order_id, olist->order_count, order_found, NULL },
	};

	if (!play_news_mark(play, err))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (!play_ask(play, &all[i], err))
			return false;
	}
	return true;
}

/* ---- What is missing --------------------------------------------------------------------- */

/* One kind of entity to be created: finds the task of the i-th, or NULL when it exists. */
struct kind {
	size_t count;
	struct task *(*missing)(struct play *play, size_t i);
	void (*send)(struct task *task);
	void (*done)(struct task *task);
};

static const struct kind *running; /* one phase at a time */

static void fill(struct play *play);

static void one_less(struct play *play)
{
	play->under_way--;
	fill(play);
}

static void creation_failed(struct task *task, const struct error *err)
{
	(void)err;
	one_less(task->play);
}

static void fill(struct play *play)
{
	while (play->under_way < IN_FLIGHT && play->next < running->count && play->failures == 0) {
		struct task *task = running->missing(play, play->next++);

		if (!task)
			continue;
		*task = (struct task){ .play = play,
			               .send = running->send,
			               .done = running->done,
			               .failed = creation_failed };
		play->under_way++;
		task->send(task);
	}
	if (play->under_way == 0)
		loop_stop(play->client->loop);
}

static struct task *missing_customer(struct play *play, size_t i)
{
	return play->customers[i].exists ? NULL : &play->customers[i].task;
}

static struct task *missing_product(struct play *play, size_t i)
{
	return play->products[i].exists ? NULL : &play->products[i].task;
}

static struct task *missing_stock(struct play *play, size_t i)
{
	return play->products[i].stocked ? NULL : &play->products[i].task;
}

static void create_customer(struct task *task)
{
	struct plan_command command;

	plan_customer_command(((struct play_customer *)task)->plan, &command);
	play_command(task, &command);
}

static void customer_created(struct task *task)
{
	((struct play_customer *)task)->exists = true;
	one_less(task->play);
}

static void create_product(struct task *task)
{
	struct plan_command command;

	plan_product_command(((struct play_product *)task)->plan, PLAN_PRODUCT, &command);
	play_command(task, &command);
}

static void product_created(struct task *task)
{
	struct play_product *product = (struct play_product *)task;

	product->exists = true;
	product->price = product->plan->first_price;
	one_less(task->play);
}

static void create_stock(struct task *task)
{
	struct plan_command command;

	plan_product_command(((struct play_product *)task)->plan, PLAN_STOCK, &command);
	play_command(task, &command);
}

static void stock_created(struct task *task)
{
	((struct play_product *)task)->stocked = true;
	one_less(task->play);
}

bool play_set_up(struct play *play, struct error *err)
{
	const struct olist *olist = play->olist;
	const struct kind kinds[] = {
		{ olist->customer_count, missing_customer, create_customer, customer_created },
		{ olist->product_count, missing_product, create_product, product_created },
		{ olist->product_count, missing_stock, create_stock, stock_created },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		running = &kinds[i];
		play->next = 0;
		fill(play);
		loop_run(play->client->loop);
		if (play->failures > 0) {
			*err = play->failure;
			return false;
		}
	}
	return true;
}
