/* product.c - the rules of products. */
#include "domain/rules.h"
#include "domain/services.h"

#include "proto/entities.pb-c.h"

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	const Shop__Product *product = (const Shop__Product *)entity;
	size_t name = text_length(product->name);
	if (name < 1 || name > TEXT_MAX)
		return error_set(err, ERR_INVALID, "name: must have 1 to %d characters, has %zu",
		                 TEXT_MAX, name);
	return amount_check("price", product->price, err);
}

static const struct entity_rules rules = {
	.topic = "product",
	.type = &shop__product__descriptor,
	.created = "ProductCreated",
	.updated = "ProductUpdated",
	.deleted = "ProductDeleted",
	.check = check,
};

static const struct function functions[] = {
	{ .name = "create_products", .decide = rules_create, .rules = &rules },
	{ .name = "update_product", .decide = rules_update, .rules = &rules },
	{ .name = "delete_product", .decide = rules_delete, .rules = &rules },
};

const struct service product_service = {
	.name = "product",
	.topic = "product",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
