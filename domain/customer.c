/* customer.c - the rules of customers. */
#include "domain/rules.h"
#include "domain/services.h"

#include "proto/entities.pb-c.h"

#include <string.h>

enum { EMAIL_MAX = 254 };

static bool check(const ProtobufCMessage *entity, struct error *err)
{
	const Shop__Customer *customer = (const Shop__Customer *)entity;
	size_t name = text_length(customer->name), email = text_length(customer->email);
	if (name < 1 || name > TEXT_MAX)
		return error_set(err, ERR_INVALID, "name: must have 1 to %d characters, has %zu",
		                 TEXT_MAX, name);
	if (email < 3 || email > EMAIL_MAX)
		return error_set(err, ERR_INVALID, "email: must have 3 to %d characters, has %zu",
		                 EMAIL_MAX, email);
	const char *at = strchr(customer->email, '@');
	if (at == NULL || at == customer->email || at[1] == '\0' || strchr(at + 1, '@') != NULL)
		return error_set(err, ERR_INVALID, "email: must have one '@' between others");
	return true;
}

static const struct entity_rules rules = {
	.topic = "customer",
	.type = &shop__customer__descriptor,
	.created = "CustomerCreated",
	.updated = "CustomerUpdated",
	.deleted = "CustomerDeleted",
	.check = check,
};

static const struct function functions[] = {
	{ .name = "create_customers", .decide = rules_create, .rules = &rules },
	{ .name = "update_customer", .decide = rules_update, .rules = &rules },
	{ .name = "delete_customer", .decide = rules_delete, .rules = &rules },
};

const struct service customer_service = {
	.name = "customer",
	.topic = "customer",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
