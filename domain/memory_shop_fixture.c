#include "domain/memory_shop_fixture.h"
#include "domain/memory_shop_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer memory_shop_run(struct memory_shop *shop, const char *service, const char *function,
                              const char *message_id, const char *params)
{
	return memory_shop_call(shop, shop->arena,
	                        &(struct memory_message){ .service = service,
	                                                  .function = function,
	                                                  .message_id = message_id,
	                                                  .params = params });
}

const char *memory_shop_do(struct memory_shop *shop, const char *service, const char *function,
                           const char *params, ...)
{
	char text[65536];
	va_list args;
	va_start(args, params);
	int len = vsnprintf(text, sizeof(text), params, args);
	va_end(args);
	ASSERT(len >= 0 && (size_t)len < sizeof(text));
	struct answer answer = memory_shop_run(shop, service, function, NULL, text);
	if (answer.result == NULL) {
		fprintf(stderr, "%s.%s %s: %s\n", service, function, text, answer.error.message);
		abort();
	}
	if (strncmp(answer.result, "[\"", 2) != 0)
		return "";
	char *id = arena_strdup(shop->arena, answer.result + 2);
	id[strcspn(id, "\"")] = '\0';
	return id;
}

struct found {
	struct memory_shop *shop;
	const char *id, *type; /* NULL: any */
	const char *text;
	size_t count;
};

static void add(void *arg, const struct event *event)
{
	struct found *found = arg;
	if ((found->id != NULL && strcmp(event->entity_id, found->id) != 0) ||
	    (found->type != NULL && strcmp(event->type, found->type) != 0))
		return;
	found->text = arena_printf(found->shop->arena, "%s%s%s", found->text,
	                           found->count++ > 0 ? " " : "", event->type);
}

const char *memory_shop_events(struct memory_shop *shop, const char *topic, const char *id)
{
	struct found found = { .shop = shop, .id = id, .text = "" };
	memory_shop_replay(shop, topic, add, &found);
	return found.text;
}

size_t memory_shop_count(struct memory_shop *shop, const char *type)
{
	struct found found = { .shop = shop, .type = type, .text = "" };
	memory_shop_replay(shop, NULL, add, &found);
	return found.count;
}

void memory_shop_crash_next(struct memory_shop *shop)
{
	shop->crash = true;
}

void memory_shop_meanwhile(struct memory_shop *shop, void (*call)(void *arg), void *arg)
{
	shop->meanwhile = call;
	shop->meanwhile_arg = arg;
}

void memory_shop_redeliver(struct memory_shop *shop)
{
	shop->redeliver = true;
}
