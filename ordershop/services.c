#include "ordershop/services.h"
#include "ordershop/command.h"

#include <string.h>

const struct service_info services[SERVICE_COUNT] = {
	{ "event-store", STAGE_STORE, "event_store_port", "127.0.0.1:50051" },
	{ "message-queue", STAGE_QUEUE, "message_queue_port", "127.0.0.1:50052" },
	{ "read-model", STAGE_MODEL, "read_model_port", "127.0.0.1:50053" },
	{ "customer", STAGE_DOMAIN, NULL, NULL },
	{ "product", STAGE_DOMAIN, NULL, NULL },
	{ "inventory", STAGE_DOMAIN, NULL, NULL },
	{ "cart", STAGE_DOMAIN, NULL, NULL },
	{ "order", STAGE_DOMAIN, NULL, NULL },
	{ "billing", STAGE_DOMAIN, NULL, NULL },
	{ "shipping", STAGE_DOMAIN, NULL, NULL },
	{ "crm", STAGE_DOMAIN, NULL, NULL },
	{ "mail", STAGE_DOMAIN, NULL, NULL },
	{ "gateway", STAGE_GATEWAY, "port", NULL },
};

const struct service_info *service_find(const char *name)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	}
	return NULL;
}

const char *service_hint(char hint[HINT_SIZE], const char *name)
{
	const char *names[SERVICE_COUNT];

	for (size_t i = 0; i < SERVICE_COUNT; i++)
		names[i] = services[i].name;
	return closest_hint(hint, name, names, SERVICE_COUNT);
}
