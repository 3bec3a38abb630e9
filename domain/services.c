#include "domain/services.h"

#include "proto/entities.pb-c.h"

#include <string.h>

const struct service *const domain_services[] = {
	&customer_service, &product_service,  &inventory_service, &cart_service, &order_service,
	&billing_service,  &shipping_service, &mail_service,      &crm_service,
};
const size_t domain_service_count = ARRAY_LEN(domain_services);

static const struct {
	const char *topic;
	const ProtobufCMessageDescriptor *type;
} types[] = {
	{ "customer", &shop__customer__descriptor },   { "product", &shop__product__descriptor },
	{ "inventory", &shop__inventory__descriptor }, { "cart", &shop__cart__descriptor },
	{ "order", &shop__order__descriptor },         { "billing", &shop__billing__descriptor },
	{ "shipping", &shop__shipping__descriptor },   { "mail", &shop__mail__descriptor },
};

const ProtobufCMessageDescriptor *entity_type(const char *topic)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i].topic, topic) == 0)
			return types[i].type;
	}
	return NULL;
}

ProtobufCMessage *entity_read(struct arena *arena, const char *topic, const char *data,
                              struct error *err)
{
	const ProtobufCMessageDescriptor *type = entity_type(topic);
	ProtobufCMessage *entity = NULL;
	struct json *json;
	if (type == NULL) {
		(void)error_set(err, ERR_INVALID, "topic %.64s has no entities of the shop", topic);
		return NULL;
	}
	if (!json_parse(data, strlen(data), &json, err))
		return NULL;
	if (!json_read_message(json, type, arena, true, NULL, &entity, err))
		entity = NULL;
	json_free(json);
	return entity;
}

const struct service *domain_service_find(const char *name)
{
	for (size_t i = 0; i < domain_service_count; i++) {
		if (strcmp(domain_services[i]->name, name) == 0)
			return domain_services[i];
	}
	return NULL;
}

const struct function *domain_service_function(const struct service *service, const char *name)
{
	for (size_t i = 0; i < service->function_count; i++) {
		if (strcmp(service->functions[i].name, name) == 0)
			return &service->functions[i];
	}
	return NULL;
}
