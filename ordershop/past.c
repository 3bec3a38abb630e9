#include "ordershop/past.h"
#include "base/heap.h"
#include "domain/memory_shop.h"

#include <stdlib.h>
#include <string.h>

enum { DATA_MAX = 1024 * 1024 };

/* An order with its next step. One block of memory, with its items and its id behind it. */
struct waiting {
	struct heap_item
	    item; /* first, by microsecond; equal ones in the order in which they came */
	enum plan_step step;
	struct plan_order order;
	struct olist_order from;
	struct olist_item items[];
};

struct past {
	const struct past_source *source;
	past_function *each;
	void *arg;
	struct memory_shop *shop;
	struct arena *arena;   /* of one event */
	struct arena *results; /* of one command */
	struct buffer data;
	struct error failure; /* of `each` */
	struct past_counts *counts;
	uint64_t number;
	struct heap waiting; /* all of them */
};

/* ---- The orders under way ---------------------------------------------------------------- */

/* NULL: none. */
static struct waiting *first_waiting(const struct past *past)
{
	return (struct waiting *)(void *)heap_first(
	    &past->waiting); /* the item is its first member */
}

static struct waiting *waiting_create(struct past *past, const struct olist_order *from)
{
	size_t items = from->item_count * sizeof(*from->items), id = strlen(from->id) + 1;
	struct waiting *waiting = malloc(sizeof(*waiting) + items + id);

	ASSERT(waiting);
	*waiting = (struct waiting){ .item.number = past->number++, .from = *from };
	memcpy(waiting->items, from->items, items);
	waiting->from.items = waiting->items;
	waiting->from.id = memcpy((char *)waiting->items + items, from->id, id);
	plan_order_init(&waiting->order, &waiting->from);
	return waiting;
}

/* ---- The shop ---------------------------------------------------------------------------- */

static void appended(void *arg, const struct event *event)
{
	struct past *past = arg;
	struct event complete = *event;

	if (past->failure.code != ERR_NONE)
		return;
	arena_reset(past->arena);
	complete.metadata = memory_shop_metadata(past->shop, past->arena, event->event_id);
	buffer_clear(&past->data);
	json_write_message(&past->data, event->state);
	ASSERT(!past->data.overflow);
	past->counts->events++;
	(void)past->each(past->arg, &complete, past->data.bytes, &past->failure);
}

/* Runs the command, and all that follows from it. */
static bool run(struct past *past, struct plan_command *command, struct error *err)
{
	struct memory_message message = { .service = command->service,
		                          .function = command->function,
		                          .params = command->params.bytes };
	char id[UUID_SIZE];
	struct answer answer;

	plan_message_id(command, 0, id);
	message.message_id = id;
	arena_reset(past->results);
	answer = memory_shop_call(past->shop, past->results, &message);
	buffer_free(&command->params);
	if (!answer.result) {
		*err = answer.error;
		return error_wrap(err, "%s.%s", command->service, command->function);
	}
	memory_shop_settle(past->shop);
	if (past->failure.code != ERR_NONE)
		*err = past->failure;
	return past->failure.code == ERR_NONE;
}

static bool known(struct past *past, const char *topic, const char *id)
{
	return memory_shop_version(past->shop, topic, id) > 0;
}

static bool run_step(struct past *past, const struct plan_order *order, enum plan_step step,
                     size_t item, struct error *err)
{
	struct plan_command command;

	plan_order_command(past->source->plan, order, step, item, &command);
	return run(past, &command, err);
}

static bool bring_customer(struct past *past, size_t index, struct error *err)
{
	const struct plan_customer *customer = &past->source->plan->customers[index];
	struct plan_command command;

	if (known(past, "customer", customer->id))
		return true;
	plan_customer_command(customer, &command);
	return run(past, &command, err);
}

static bool bring_product(struct past *past, const struct plan_product *product, struct error *err)
{
	struct plan_command command;

	if (known(past, "product", product->id))
		return true;
	plan_product_command(product, PLAN_PRODUCT, &command);
	if (!run(past, &command, err))
		return false;
	plan_product_command(product, PLAN_STOCK, &command);
	return run(past, &command, err);
}

static int64_t units_of(const struct olist_order *order, size_t product)
{
	int64_t units = 0;

	for (size_t i = 0; i < order->item_count; i++)
		units += order->items[i].product == product;
	return units;
}

/* The product of one item: there, at the price of the day, and enough of it. */
static bool prepare_item(struct past *past, const struct plan_order *order, size_t item,
                         struct error *err)
{
	const struct olist_item *wanted = &order->from->items[item];
	const struct plan_product *product = &past->source->plan->products[wanted->product];
	const Shop__Product *now;
	const Shop__Inventory *stock;

	if (!bring_product(past, product, err))
		return false;
	now = memory_shop_state(past->shop, "product", product->id);
	if (now->price != wanted->price && !run_step(past, order, PLAN_PRICE, item, err))
		return false;
	stock = memory_shop_state(past->shop, "inventory", product->stock_id);
	return stock->amount >= units_of(order->from, wanted->product) ||
	       run_step(past, order, PLAN_RESTOCK, item, err);
}

static bool purchase(struct past *past, const struct plan_order *order, struct error *err)
{
	if (!bring_customer(past, order->from->customer, err))
		return false;
	for (size_t i = 0; i < order->from->item_count; i++) {
		if (!prepare_item(past, order, i, err))
			return false;
	}
	return run_step(past, order, PLAN_CART, 0, err) &&
	       run_step(past, order, PLAN_ORDER, 0, err);
}

/* ---- Step by step ------------------------------------------------------------------------ */

static void forget(struct past *past, const struct plan_order *order)
{
	char shipping_id[UUID_SIZE];

	uuid_v5(shipping_id, order->id, "shipping", NULL);
	memory_shop_forget(past->shop, "order", order->id);
	memory_shop_forget(past->shop, "cart", order->cart_id);
	memory_shop_forget(past->shop, "billing", order->billing_id);
	memory_shop_forget(past->shop, "shipping", shipping_id);
	if (past->source->finished && past->source->finished(past->source->arg, order->from))
		memory_shop_forget(past->shop, "customer",
		                   past->source->plan->customers[order->from->customer].id);
}

static enum plan_step step_after(const struct plan_order *order, enum plan_step step)
{
	bool cancelled = order->goal == SHOP__ORDER_STATUS__CANCELLED;

	if (step == PLAN_ORDER && order->billed)
		return PLAN_BILL;
	if (step == PLAN_BILL && order->shipped)
		return PLAN_SHIP;
	if (step == PLAN_SHIP && order->goal == SHOP__ORDER_STATUS__DELIVERED)
		return PLAN_DELIVER;
	return cancelled && step != PLAN_CANCEL ? PLAN_CANCEL : PLAN_NONE;
}

/* In seconds; 0: the files do not say. */
static int64_t time_of(const struct plan_order *order, enum plan_step step)
{
	switch (step) {
	case PLAN_BILL:
		return order->from->approved;
	case PLAN_SHIP:
		return order->from->carrier;
	case PLAN_DELIVER:
		return plan_delivered(order);
	default:
		return 0;
	}
}

/* `waiting` has made its step; it waits for the next one, or is gone. */
static void go_on(struct past *past, struct waiting *waiting)
{
	uint64_t at_us;

	waiting->step = step_after(&waiting->order, waiting->step);
	if (waiting->step == PLAN_NONE) {
		forget(past, &waiting->order);
		free(waiting);
		return;
	}
	at_us = (uint64_t)time_of(&waiting->order, waiting->step) * 1000000;
	if (at_us > waiting->item.at)
		waiting->item.at = at_us;
	heap_put(&past->waiting, &waiting->item);
}

/* All steps up to that time. */
static bool run_until(struct past *past, uint64_t us, struct error *err)
{
	struct waiting *waiting;

	while ((waiting = first_waiting(past)) && waiting->item.at <= us) {
		heap_take(&past->waiting, &waiting->item);
		memory_shop_set_clock(past->shop, waiting->item.at);
		if (!run_step(past, &waiting->order, waiting->step, 0, err)) {
			(void)error_wrap(err, "order %s", waiting->from.id);
			free(waiting);
			return false;
		}
		go_on(past, waiting);
	}
	return true;
}

static bool take_order(struct past *past, const struct olist_order *order, struct error *err)
{
	uint64_t at_us = (uint64_t)order->purchased * 1000000;
	struct waiting *waiting;

	if (past->counts->orders++ == 0)
		past->counts->first_us = at_us;
	if (!run_until(past, at_us, err))
		return false;
	memory_shop_set_clock(past->shop, at_us);
	waiting = waiting_create(past, order);
	waiting->item.at = at_us;
	waiting->step = PLAN_ORDER;
	if (!purchase(past, &waiting->order, err)) {
		free(waiting);
		return error_wrap(err, "order %s", order->id);
	}
	go_on(past, waiting);
	return true;
}

static void count_one(void *arg, const char *id, const void *state)
{
	size_t *count = arg;

	(void)id, (void)state;
	++*count;
}

/* Memory is bounded only if the shop has forgotten all of them. */
static bool orders_are_forgotten(struct past *past)
{
	static const char *const topics[] = { "order", "cart", "billing", "shipping" };
	size_t count = past->waiting.count;

	for (size_t i = 0; i < ARRAY_LEN(topics); i++)
		memory_shop_each(past->shop, topics[i], count_one, &count);
	return count == 0;
}

static void free_all(struct past *past)
{
	struct waiting *waiting;

	while ((waiting = first_waiting(past))) {
		heap_take(&past->waiting, &waiting->item);
		free(waiting);
	}
	heap_free(&past->waiting);
	memory_shop_destroy(past->shop);
	buffer_free(&past->data);
	arena_destroy(past->arena);
	arena_destroy(past->results);
}

bool past_run(const struct past_source *source, past_function *each, void *arg,
              struct past_counts *counts, struct error *err)
{
	struct past past = { .source = source, .each = each, .arg = arg, .counts = counts };
	const struct olist_order *order;
	bool done = true;

	*counts = (struct past_counts){ 0 };
	past.arena = arena_create();
	past.results = arena_create();
	buffer_init(&past.data, DATA_MAX);
	past.shop = memory_shop_create(0, 0);
	memory_shop_keep_nothing(past.shop);
	memory_shop_watch(past.shop, appended, &past);
	while (done && (order = source->next(source->arg)) != NULL)
		done = take_order(&past, order, err);
	done = done && run_until(&past, UINT64_MAX, err);
	ASSERT(!done || orders_are_forgotten(&past));
	counts->last_us = memory_shop_clock(past.shop);
	free_all(&past);
	return done;
}
