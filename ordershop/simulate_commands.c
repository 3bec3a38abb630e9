/* Every command of every service, with params that may be right, and some that cannot be. */
#include "ordershop/simulate_visitor.h"

#include "proto/entities.pb-c.h"

#include <string.h>

/* ---- Right ones, at least in shape ------------------------------------------------------- */

static void put_text(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, "\"%s\":", name);
	json_write_string(out, text, strlen(text));
}

static const char *any_name(struct visitor *visitor)
{
	static const char *const names[] = { "Ann", "Bob", "Zo\xC3\xAB \"Z\" \\ O'Neil",
		                             "$order.first: ~x", "\xE6\x9D\x8E" };
	return names[visitor_pick(visitor, ARRAY_LEN(names))];
}

static void write_customer(struct visitor *visitor, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", visitor_make_id(visitor, &visitor->customers));
	buffer_putc(out, ',');
	put_text(out, "name", any_name(visitor));
	buffer_printf(out, ",\"email\":\"c%zu@example.com\"}", visitor->customers.count);
}

static void write_customers(struct visitor *visitor, struct buffer *out)
{
	size_t count = visitor_pick(visitor, 4) == 0 ? 2 + visitor_pick(visitor, 2) : 0;
	if (count == 0) {
		write_customer(visitor, out);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		buffer_putc(out, i == 0 ? '[' : ',');
		write_customer(visitor, out);
	}
	buffer_putc(out, ']');
}

static void update_customer(struct visitor *visitor, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", visitor_known(visitor, &visitor->customers));
	buffer_putc(out, ',');
	put_text(out, "name", any_name(visitor));
	buffer_putc(out, '}');
}

static void write_entity_id(struct buffer *out, const char *id)
{
	buffer_printf(out, "{\"entity_id\":\"%s\"}", id);
}

static void delete_customer(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, visitor_known(visitor, &visitor->customers));
}

static void write_product(struct visitor *visitor, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", visitor_make_id(visitor, &visitor->products));
	buffer_printf(out, ",\"name\":\"Tea %zu\",\"price\":%zu}", visitor->products.count,
	              100 * visitor_pick(visitor, 9));
}

static void update_product(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"price\":%zu}",
	              visitor_known(visitor, &visitor->products), 1 + visitor_pick(visitor, 999));
}

static void delete_product(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, visitor_known(visitor, &visitor->products));
}

static void write_inventory(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"product_id\":\"%s\",\"amount\":%zu}",
	              visitor_known(visitor, &visitor->products), visitor_pick(visitor, 8));
}

static const char *known_inventory(struct visitor *visitor)
{
	return visitor_derived(visitor, visitor_known(visitor, &visitor->products), "inventory");
}

static void update_inventory(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"amount\":%zu}", known_inventory(visitor),
	              visitor_pick(visitor, 12));
}

static void delete_inventory(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, known_inventory(visitor));
}

static void write_products_of_cart(struct visitor *visitor, struct buffer *out)
{
	size_t units = 1 + visitor_pick(visitor, 4);
	buffer_puts(out, "\"product_ids\":[");
	for (size_t i = 0; i < units; i++)
		buffer_printf(out, "%s\"%s\"", i == 0 ? "" : ",",
		              visitor_known(visitor, &visitor->products));
	buffer_putc(out, ']');
}

static void write_cart(struct visitor *visitor, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", visitor_make_id(visitor, &visitor->carts));
	buffer_printf(out, ",\"customer_id\":\"%s\",", visitor_known(visitor, &visitor->customers));
	write_products_of_cart(visitor, out);
	buffer_putc(out, '}');
}

static void update_cart(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",", visitor_known(visitor, &visitor->carts));
	write_products_of_cart(visitor, out);
	buffer_putc(out, '}');
}

static void delete_cart(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, visitor_known(visitor, &visitor->carts));
}

static const char *any_fulfilment(struct visitor *visitor)
{
	return visitor_pick(visitor, 3) == 0 ? "manual" : "auto";
}

static void write_order(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out,
	              "{\"entity_id\":\"%s\",\"cart_id\":\"%s\",\"fulfilment\":\"%s\","
	              "\"shipping_fee\":%zu}",
	              visitor_make_id(visitor, &visitor->orders),
	              visitor_known(visitor, &visitor->carts), any_fulfilment(visitor),
	              10 * visitor_pick(visitor, 3));
}

static void update_order(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"fulfilment\":\"%s\"}",
	              visitor_known(visitor, &visitor->orders), any_fulfilment(visitor));
}

static void name_order(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, visitor_known(visitor, &visitor->orders));
}

/* The total, where the order is there by now. */
static void write_billing(struct visitor *visitor, struct buffer *out)
{
	const char *id = visitor_known(visitor, &visitor->orders);
	const Shop__Order *order = memory_shop_state(visitor->shop, "order", id);
	buffer_printf(out, "{\"order_id\":\"%s\",\"amount\":%lld}", id,
	              order == NULL ? 0LL : (long long)order->total);
}

static const char *of_order(struct visitor *visitor, const char *kind)
{
	return visitor_derived(visitor, visitor_known(visitor, &visitor->orders), kind);
}

static void name_billing(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, of_order(visitor, "billing"));
}

static void write_shipping(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"order_id\":\"%s\"}", visitor_known(visitor, &visitor->orders));
}

static void update_shipping(struct visitor *visitor, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"delivered\":%d}", of_order(visitor, "shipping"),
	              visitor_pick(visitor, 5) == 0 ? 0 : 1767225600);
}

static void name_shipping(struct visitor *visitor, struct buffer *out)
{
	write_entity_id(out, of_order(visitor, "shipping"));
}

static void write_mail(struct visitor *visitor, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "to", "somebody@example.com");
	buffer_putc(out, ',');
	put_text(out, "msg", any_name(visitor));
	buffer_putc(out, '}');
}

/* ---- Wrong ones -------------------------------------------------------------------------- */

#define NOTHING "00000000-0000-4000-8000-000000000000"

static void write_nonsense(struct visitor *visitor, struct buffer *out)
{
	static const char *const texts[] = {
		"null",
		"7",
		"\"order\"",
		"[]",
		"{}",
		"[{},{}]",
		"{\"entity_id\":7}",
		"{\"entity_id\":\"\"}",
		"{\"entity_id\":\"../x\"}",
		"{\"entity_id\":\"" NOTHING "\"}",
		"{\"entity_id\":\"" NOTHING "\",\"amount\":-1}",
		"{\"entity_id\":\"" NOTHING "\",\"status\":\"SHIPPED\"}",
		"{\"order_id\":\"" NOTHING "\"}",
		"{\"order_id\":\"x\",\"amount\":\"much\"}",
		"{\"cart_id\":\"" NOTHING "\",\"order_id\":\"" NOTHING "\"}",
		"{\"order_id\":\"" NOTHING "\",\"items\":[{\"product_id\":\"" NOTHING
		"\",\"quantity\":1}]}",
		"{\"order_id\":\"" NOTHING "\",\"items\":[{\"quantity\":0}]}",
		"{\"name\":\"\",\"email\":\"@\",\"price\":1e30}",
		"{\"name\":\"x\",\"colour\":\"red\"}",
		"{\"product_ids\":[1,2],\"customer_id\":null}",
		"{\"delivered\":-5,\"entity_id\":\"" NOTHING "\"}",
		"{\"to\":\"\",\"msg\":{}}",
	};
	buffer_puts(out, texts[visitor_pick(visitor, ARRAY_LEN(texts))]);
}

/* Refunds and recalls of living orders do what is due, or nothing. Reserving and releasing are for the services
 * themselves: whoever else does it with ids of living orders breaks what must be true. They get nonsense alone. */
const struct visitor_command visitor_commands[] = {
	{ "customer", "create_customers", 20, write_customers },
	{ "customer", "update_customer", 10, update_customer },
	{ "customer", "delete_customer", 5, delete_customer },
	{ "customer", "create_customers", 1, write_nonsense },
	{ "customer", "update_customer", 1, write_nonsense },
	{ "customer", "delete_customer", 1, write_nonsense },
	{ "product", "create_products", 15, write_product },
	{ "product", "update_product", 15, update_product },
	{ "product", "delete_product", 2, delete_product },
	{ "product", "create_products", 1, write_nonsense },
	{ "product", "update_product", 1, write_nonsense },
	{ "product", "delete_product", 1, write_nonsense },
	{ "inventory", "create_inventories", 25, write_inventory },
	{ "inventory", "update_inventory", 60, update_inventory },
	{ "inventory", "delete_inventory", 3, delete_inventory },
	{ "inventory", "create_inventories", 1, write_nonsense },
	{ "inventory", "update_inventory", 1, write_nonsense },
	{ "inventory", "delete_inventory", 1, write_nonsense },
	{ "inventory", "reserve", 2, write_nonsense },
	{ "inventory", "release", 2, write_nonsense },
	{ "cart", "create_carts", 90, write_cart },
	{ "cart", "update_cart", 30, update_cart },
	{ "cart", "delete_cart", 10, delete_cart },
	{ "cart", "create_carts", 1, write_nonsense },
	{ "cart", "update_cart", 1, write_nonsense },
	{ "cart", "delete_cart", 1, write_nonsense },
	{ "cart", "release", 2, write_nonsense },
	{ "order", "create_orders", 150, write_order },
	{ "order", "update_order", 20, update_order },
	{ "order", "delete_order", 30, name_order },
	{ "order", "cancel_order", 40, name_order },
	{ "order", "create_orders", 1, write_nonsense },
	{ "order", "update_order", 1, write_nonsense },
	{ "order", "delete_order", 1, write_nonsense },
	{ "order", "cancel_order", 1, write_nonsense },
	{ "billing", "create_billings", 150, write_billing },
	{ "billing", "update_billing", 5, name_billing },
	{ "billing", "delete_billing", 30, name_billing },
	{ "billing", "create_billings", 1, write_nonsense },
	{ "billing", "update_billing", 1, write_nonsense },
	{ "billing", "delete_billing", 1, write_nonsense },
	{ "billing", "refund", 10, write_shipping },
	{ "billing", "refund", 2, write_nonsense },
	{ "shipping", "create_shippings", 60, write_shipping },
	{ "shipping", "update_shipping", 90, update_shipping },
	{ "shipping", "delete_shipping", 15, name_shipping },
	{ "shipping", "create_shippings", 1, write_nonsense },
	{ "shipping", "update_shipping", 1, write_nonsense },
	{ "shipping", "delete_shipping", 1, write_nonsense },
	{ "shipping", "recall", 10, write_shipping },
	{ "shipping", "recall", 2, write_nonsense },
	{ "mail", "send", 3, write_mail },
	{ "mail", "send", 1, write_nonsense },
};
const size_t visitor_command_count = ARRAY_LEN(visitor_commands);
