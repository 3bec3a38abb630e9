#include "domain/order_status.h"

#include <stdio.h>
#include <string.h>

#define STATUS(name) SHOP__ORDER_STATUS__##name

static const struct {
	Shop__OrderStatus from;
	enum order_move move;
	Shop__OrderStatus to;
} moves[] = {
	{ STATUS(CREATED), ORDER_RESERVE, STATUS(IN_STOCK) },
	{ STATUS(CREATED), ORDER_RUN_SHORT, STATUS(OUT_OF_STOCK) },
	{ STATUS(CREATED), ORDER_CANCEL, STATUS(CANCELLED) },
	{ STATUS(OUT_OF_STOCK), ORDER_RESERVE, STATUS(IN_STOCK) },
	{ STATUS(OUT_OF_STOCK), ORDER_CANCEL, STATUS(CANCELLED) },
	{ STATUS(IN_STOCK), ORDER_BILL, STATUS(CLEARED) },
	{ STATUS(IN_STOCK), ORDER_CANCEL, STATUS(CANCELLED) },
	{ STATUS(CLEARED), ORDER_UNBILL, STATUS(UNCLEARED) },
	{ STATUS(CLEARED), ORDER_SHIP, STATUS(SHIPPED) },
	{ STATUS(CLEARED), ORDER_CANCEL, STATUS(CANCELLED) },
	{ STATUS(UNCLEARED), ORDER_BILL, STATUS(CLEARED) },
	{ STATUS(UNCLEARED), ORDER_CANCEL, STATUS(CANCELLED) },
	{ STATUS(SHIPPED), ORDER_DELIVER, STATUS(DELIVERED) },
	{ STATUS(SHIPPED), ORDER_CANCEL, STATUS(CANCELLED) },
};

static const struct {
	const char *verb;
	const char *event;
} names[ORDER_MOVES] = {
	[ORDER_RESERVE] = { "reserve the stock of", "OrderInStock" },
	[ORDER_RUN_SHORT] = { "run short of the stock of", "OrderOutOfStock" },
	[ORDER_BILL] = { "bill", "OrderCleared" },
	[ORDER_UNBILL] = { "take back the billing of", "OrderUncleared" },
	[ORDER_SHIP] = { "ship", "OrderShipped" },
	[ORDER_DELIVER] = { "deliver", "OrderDelivered" },
	[ORDER_CANCEL] = { "cancel", "OrderCancelled" },
};

static int find(Shop__OrderStatus from, enum order_move move)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from == from && moves[i].move == move)
			return (int)i;
	}
	return -1;
}

bool order_can(Shop__OrderStatus from, enum order_move move)
{
	return find(from, move) >= 0;
}

bool order_status_next(Shop__OrderStatus from, enum order_move move, Shop__OrderStatus *next,
                       struct error *err)
{
	int row = find(from, move);
	if (row >= 0) {
		*next = moves[row].to;
		return true;
	}
	char allowed[120] = "";
	size_t used = 0;
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].move == move)
			used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
			                         used > 0 ? ", " : "",
			                         order_status_name(moves[i].from));
	}
	return error_set(err, ERR_PRECONDITION,
	                 "cannot %s an order that is %s: it must be one of %s", names[move].verb,
	                 order_status_name(from), allowed);
}

const char *order_move_event(enum order_move move)
{
	return names[move].event;
}

const char *order_status_name(Shop__OrderStatus status)
{
	const ProtobufCEnumValue *value =
	    protobuf_c_enum_descriptor_get_value(&shop__order_status__descriptor, status);
	return value == NULL ? "unknown" : value->name;
}

bool order_status_final(Shop__OrderStatus status)
{
	return status == STATUS(DELIVERED) || status == STATUS(CANCELLED);
}
