#include "domain/rules_fixture.h"

#include "base/id.h"

#include "proto/entities.pb-c.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct memory_shop *shop;
char text[TEXT_SIZE];
const char unknown[] = "00000000-0000-4000-8000-000000000000";

void rules_setup(void)
{
	shop = memory_shop_create(1, MEMORY_SHOP_START_US);
}

void rules_teardown(void)
{
	memory_shop_destroy(shop);
}

void refuse(const char *service, const char *function, enum error_code code, const char *message,
            const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct answer answer = memory_shop_run(shop, service, function, NULL, text);
	ck_assert_msg(answer.result == NULL, "%s.%s %s", service, function, text);
	ck_assert_msg(strstr(answer.error.message, message) != NULL, "%s.%s %s: %s", service,
	              function, text, answer.error.message);
	ck_assert_msg(answer.error.code == code, "%s.%s %s: %s", service, function, text,
	              error_name(answer.error.code));
}

const char *customer(void)
{
	return memory_shop_do(shop, "customer", "create_customers",
	                      "{\"name\":\"Ann\",\"email\":\"a@b\"}");
}

const char *product(int price)
{
	return memory_shop_do(shop, "product", "create_products", "{\"name\":\"Tea\",\"price\":%d}",
	                      price);
}

const char *stock(const char *product_id, int amount)
{
	return memory_shop_do(shop, "inventory", "create_inventories",
	                      "{\"product_id\":\"%s\",\"amount\":%d}", product_id, amount);
}

const char *cart(const char *product_id)
{
	return memory_shop_do(shop, "cart", "create_carts",
	                      "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}", customer(),
	                      product_id);
}

const char *order_of(const char *cart_id, const char *more)
{
	return memory_shop_do(shop, "order", "create_orders", "{\"cart_id\":\"%s\"%s}", cart_id,
	                      more);
}

const char *order(const char *more)
{
	const char *id = product(500);
	stock(id, 10);
	id = order_of(cart(id), more);
	memory_shop_settle(shop);
	return id;
}

const char *bill(const char *order_id)
{
	return memory_shop_do(shop, "billing", "create_billings",
	                      "{\"order_id\":\"%s\",\"amount\":500}", order_id);
}

const char *status_of(const char *order_id)
{
	const Shop__Order *state = memory_shop_state(shop, "order", order_id);
	return state == NULL ? "none"
	                     : protobuf_c_enum_descriptor_get_value(&shop__order_status__descriptor,
	                                                            state->status)
	                           ->name;
}

const char *derived(const char *space, const char *name)
{
	static char id[UUID_SIZE];
	uuid_v5(id, space, name, NULL);
	return id;
}
