/* Every command of every service, with params that may be right, and some that cannot be. */
#include "ordershop/simulate_client.h"

#include "proto/entities.pb-c.h"

#include <string.h>

/* ---- Right ones, at least in shape ------------------------------------------------------- */

static void put_text(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, "\"%s\":", name);
	json_write_string(out, text, strlen(text));
}

static const char *any_name(struct client *client)
{
	static const char *const names[] = { "Ann", "Bob", "Zo\xC3\xAB \"Z\" \\ O'Neil",
		                             "$order.first: ~x", "\xE6\x9D\x8E" };
	return names[client_pick(client, ARRAY_LEN(names))];
}

static void write_customer(struct client *client, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", client_make_id(client, &client->customers));
	buffer_putc(out, ',');
	put_text(out, "name", any_name(client));
	buffer_printf(out, ",\"email\":\"c%zu@example.com\"}", client->customers.count);
}

static void write_customers(struct client *client, struct buffer *out)
{
	size_t count = client_pick(client, 4) == 0 ? 2 + client_pick(client, 2) : 0;
	if (count == 0) {
		write_customer(client, out);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		buffer_putc(out, i == 0 ? '[' : ',');
		write_customer(client, out);
	}
	buffer_putc(out, ']');
}

static void update_customer(struct client *client, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", client_known(client, &client->customers));
	buffer_putc(out, ',');
	put_text(out, "name", any_name(client));
	buffer_putc(out, '}');
}

static void write_entity_id(struct buffer *out, const char *id)
{
	buffer_printf(out, "{\"entity_id\":\"%s\"}", id);
}

static void delete_customer(struct client *client, struct buffer *out)
{
	write_entity_id(out, client_known(client, &client->customers));
}

static void write_product(struct client *client, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", client_make_id(client, &client->products));
	buffer_printf(out, ",\"name\":\"Tea %zu\",\"price\":%zu}", client->products.count,
	              100 * client_pick(client, 9));
}

static void update_product(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"price\":%zu}",
	              client_known(client, &client->products), 1 + client_pick(client, 999));
}

static void delete_product(struct client *client, struct buffer *out)
{
	write_entity_id(out, client_known(client, &client->products));
}

static void write_inventory(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"product_id\":\"%s\",\"amount\":%zu}",
	              client_known(client, &client->products), client_pick(client, 8));
}

static const char *known_inventory(struct client *client)
{
	return client_derived(client, client_known(client, &client->products), "inventory");
}

static void update_inventory(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"amount\":%zu}", known_inventory(client),
	              client_pick(client, 12));
}

static void delete_inventory(struct client *client, struct buffer *out)
{
	write_entity_id(out, known_inventory(client));
}

static void write_products_of_cart(struct client *client, struct buffer *out)
{
	size_t units = 1 + client_pick(client, 4);
	buffer_puts(out, "\"product_ids\":[");
	for (size_t i = 0; i < units; i++)
		buffer_printf(out, "%s\"%s\"", i == 0 ? "" : ",",
		              client_known(client, &client->products));
	buffer_putc(out, ']');
}

static void write_cart(struct client *client, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "entity_id", client_make_id(client, &client->carts));
	buffer_printf(out, ",\"customer_id\":\"%s\",", client_known(client, &client->customers));
	write_products_of_cart(client, out);
	buffer_putc(out, '}');
}

static void update_cart(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",", client_known(client, &client->carts));
	write_products_of_cart(client, out);
	buffer_putc(out, '}');
}

static void delete_cart(struct client *client, struct buffer *out)
{
	write_entity_id(out, client_known(client, &client->carts));
}

static const char *any_fulfilment(struct client *client)
{
	return client_pick(client, 3) == 0 ? "manual" : "auto";
}

static void write_order(struct client *client, struct buffer *out)
{
	buffer_printf(out,
	              "{\"entity_id\":\"%s\",\"cart_id\":\"%s\",\"fulfilment\":\"%s\","
	              "\"shipping_fee\":%zu}",
	              client_make_id(client, &client->orders), client_known(client, &client->carts),
	              any_fulfilment(client), 10 * client_pick(client, 3));
}

static void update_order(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"fulfilment\":\"%s\"}",
	              client_known(client, &client->orders), any_fulfilment(client));
}

static void name_order(struct client *client, struct buffer *out)
{
	write_entity_id(out, client_known(client, &client->orders));
}

/* The total, where the order is there by now. */
static void write_billing(struct client *client, struct buffer *out)
{
	const char *id = client_known(client, &client->orders);
	const Shop__Order *order = memory_shop_state(client->shop, "order", id);
	buffer_printf(out, "{\"order_id\":\"%s\",\"amount\":%lld}", id,
	              order == NULL ? 0LL : (long long)order->total);
}

static const char *of_order(struct client *client, const char *kind)
{
	return client_derived(client, client_known(client, &client->orders), kind);
}

static void name_billing(struct client *client, struct buffer *out)
{
	write_entity_id(out, of_order(client, "billing"));
}

static void write_shipping(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"order_id\":\"%s\"}", client_known(client, &client->orders));
}

static void update_shipping(struct client *client, struct buffer *out)
{
	buffer_printf(out, "{\"entity_id\":\"%s\",\"delivered\":%d}", of_order(client, "shipping"),
	              client_pick(client, 5) == 0 ? 0 : 1767225600);
}

static void name_shipping(struct client *client, struct buffer *out)
{
	write_entity_id(out, of_order(client, "shipping"));
}

static void write_mail(struct client *client, struct buffer *out)
{
	buffer_putc(out, '{');
	put_text(out, "to", "somebody@example.com");
	buffer_putc(out, ',');
	put_text(out, "msg", any_name(client));
	buffer_putc(out, '}');
}

/* ---- Wrong ones -------------------------------------------------------------------------- */

#define NOTHING "00000000-0000-4000-8000-000000000000"

static void write_nonsense(struct client *client, struct buffer *out)
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
	buffer_puts(out, texts[client_pick(client, ARRAY_LEN(texts))]);
}

/* Reserving, releasing, refunding and recalling are for the services themselves: whoever else does it with
 * ids of living orders breaks what must be true. They get nonsense alone. */
const struct client_command client_commands[] = {
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
	{ "billing", "refund", 2, write_nonsense },
	{ "shipping", "create_shippings", 60, write_shipping },
	{ "shipping", "update_shipping", 90, update_shipping },
	{ "shipping", "delete_shipping", 15, name_shipping },
	{ "shipping", "create_shippings", 1, write_nonsense },
	{ "shipping", "update_shipping", 1, write_nonsense },
	{ "shipping", "delete_shipping", 1, write_nonsense },
	{ "shipping", "recall", 2, write_nonsense },
	{ "mail", "send", 3, write_mail },
	{ "mail", "send", 1, write_nonsense },
};
const size_t client_command_count = ARRAY_LEN(client_commands);
