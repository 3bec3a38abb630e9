/* inventory.c - the rules of stock: it is reserved here, so it cannot be sold twice.
 *
 *   reserve {order_id, items}: takes all items of an order off the stock, or none of them.
 *                              Result: {"order_id": ..., "reserved": true | false}
 *   release {order_id, items}: gives them back.
 *
 * There is one inventory per product; its id follows from the product's. */
#include "domain/rules.h"
#include "domain/services.h"

#include "base/id.h"

#include "proto/entities.pb-c.h"

#include <string.h>

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	return amount_check("amount", ((const Shop__Inventory *)entity)->amount, err);
}

static const char *inventory_id(struct context *context, const char *product_id)
{
	return derive_id(context, product_id, "inventory");
}

static const char *derive(struct context *context, const ProtobufCMessage *entity)
{
	const char *product_id = ((const Shop__Inventory *)entity)->product_id;
	if (!uuid_check(context, "product_id", product_id))
		return NULL;
	return inventory_id(context, product_id);
}

static enum step permit(struct context *context, struct change *change)
{
	const Shop__Inventory *before = (const Shop__Inventory *)change->before;
	const Shop__Inventory *after = (const Shop__Inventory *)change->after;
	enum step step;
	if (before == NULL && load_existing(context, "product", after->product_id, &step) == NULL)
		return step;
	if (before != NULL && after != NULL && after->amount > before->amount)
		change->event_type = "StockAdded";
	return STEP_DONE;
}

static const struct fixed_field fixed[] = {
	{ .name = "product_id", .how = "stays as it was created" },
	{ .name = NULL },
};

static const struct entity_rules rules = {
	.topic = "inventory",
	.type = &shop__inventory__descriptor,
	.created = "InventoryCreated",
	.updated = "InventoryUpdated",
	.deleted = "InventoryDeleted",
	.fixed = fixed,
	.check = check,
	.derive = derive,
	.permit = permit,
};

/* ---- The stock of an order --------------------------------------------------------------- */

struct demand {
	const char *order_id;
	size_t count;
	struct {
		const char *inventory_id;
		int64_t quantity;
	} * items;
};

static bool demand_item(struct context *context, const struct json *value, struct demand *demand)
{
	const Shop__OrderItem *item =
	    decide_read(context, value, &shop__order_item__descriptor, NULL);
	if (item == NULL || !uuid_check(context, "product_id", item->product_id))
		return false;
	if (item->quantity < 1 || item->quantity > AMOUNT_MAX) {
		decide_fail(context, ERR_INVALID, "quantity: must be 1 to %lld, is %lld",
		            (long long)AMOUNT_MAX, (long long)item->quantity);
		return false;
	}
	const char *id = inventory_id(context, item->product_id);
	for (size_t i = 0; i < demand->count; i++) {
		if (strcmp(demand->items[i].inventory_id, id) == 0) {
			decide_fail(context, ERR_INVALID, "product_id: %s is given twice",
			            item->product_id);
			return false;
		}
	}
	demand->items[demand->count].inventory_id = id;
	demand->items[demand->count++].quantity = item->quantity;
	return true;
}

static bool demand_read(struct context *context, const struct json *params, struct demand *demand)
{
	demand->order_id = decide_text(context, params, "order_id");
	if (demand->order_id == NULL)
		return false;
	const struct json *items = json_member(params, "items");
	size_t count = items != NULL && json_kind(items) == JSON_LIST ? json_count(items) : 0;
	if (count < 1 || count > BATCH_MAX) {
		decide_fail(context, ERR_INVALID, "items: must be a list of 1 to %d", BATCH_MAX);
		return false;
	}
	demand->count = 0;
	demand->items = arena_alloc(context_arena(context), count * sizeof(*demand->items));
	for (const struct json *item = json_first(items); item != NULL; item = json_next(item)) {
		if (!demand_item(context, item, demand)) {
			(void)params_fail(context, items, demand->count);
			return false;
		}
	}
	return true;
}

/* STEP_MORE unless all inventories are loaded. */
static enum step demand_load(struct context *context, const struct demand *demand)
{
	enum step step = STEP_DONE;
	for (size_t i = 0; i < demand->count; i++) {
		if (decide_load(context, "inventory", demand->items[i].inventory_id) == NULL)
			step = STEP_MORE;
	}
	return step;
}

static const Shop__Inventory *stock_of(struct context *context, const struct demand *demand,
                                       size_t i)
{
	return (const Shop__Inventory *)decide_load(context, "inventory",
	                                            demand->items[i].inventory_id)
	    ->state;
}

static void move_stock(struct context *context, const struct demand *demand, size_t i,
                       const char *event_type, int64_t by)
{
	Shop__Inventory *after = arena_alloc(context_arena(context), sizeof(*after));
	*after = *stock_of(context, demand, i);
	after->amount += by;
	decide_event(context, event_type, ENTITY_UPDATED, "inventory",
	             demand->items[i].inventory_id, &after->base);
}

static enum step reserve(struct context *context, const struct command *command)
{
	struct demand demand;
	if (!demand_read(context, command->params, &demand))
		return STEP_FAILED;
	bool reserved = true;
	if (!command->applied) {
		if (demand_load(context, &demand) == STEP_MORE)
			return STEP_MORE;
		for (size_t i = 0; i < demand.count; i++) {
			const Shop__Inventory *stock = stock_of(context, &demand, i);
			reserved =
			    reserved && stock != NULL && stock->amount >= demand.items[i].quantity;
		}
		for (size_t i = 0; reserved && i < demand.count; i++)
			move_stock(context, &demand, i, "StockReserved", -demand.items[i].quantity);
	}
	struct buffer *result = decide_result(context);
	buffer_puts(result, "{\"order_id\":");
	json_write_string(result, demand.order_id, strlen(demand.order_id));
	buffer_puts(result, reserved ? ",\"reserved\":true}" : ",\"reserved\":false}");
	return STEP_DONE;
}

static enum step release(struct context *context, const struct command *command)
{
	struct demand demand;
	decide_true(context);
	if (!demand_read(context, command->params, &demand))
		return STEP_FAILED;
	if (command->applied)
		return STEP_DONE;
	if (demand_load(context, &demand) == STEP_MORE)
		return STEP_MORE;
	for (size_t i = 0; i < demand.count; i++) {
		/* The stock of a product whose inventory was deleted is not counted any more. */
		if (stock_of(context, &demand, i) != NULL)
			move_stock(context, &demand, i, "StockReleased", demand.items[i].quantity);
	}
	return STEP_DONE;
}

static const struct function functions[] = {
	{ .name = "create_inventories", .decide = rules_create, .rules = &rules },
	{ .name = "update_inventory", .decide = rules_update, .rules = &rules },
	{ .name = "delete_inventory", .decide = rules_delete, .rules = &rules },
	{ .name = "reserve", .decide = reserve },
	{ .name = "release", .decide = release },
};

const struct service inventory_service = {
	.name = "inventory",
	.topic = "inventory",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
