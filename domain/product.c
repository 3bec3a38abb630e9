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

static enum step create(struct context *context, const struct command *command)
{
	return rules_create(context, command, &rules);
}

static enum step update(struct context *context, const struct command *command)
{
	return rules_update(context, command, &rules);
}

static enum step remove_(struct context *context, const struct command *command)
{
	return rules_delete(context, command, &rules);
}

static const struct function functions[] = {
	{ .name = "create_products", .decide = create },
	{ .name = "update_product", .decide = update },
	{ .name = "delete_product", .decide = remove_ },
};

const struct service product_service = {
	.name = "product",
	.topic = "product",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
