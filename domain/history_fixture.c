#include "domain/history_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 2048 };

const struct line history[] = {
	{ CREATED("customer", "CustomerCreated"), .id = "$C", .data = CUSTOMER },
	{ CREATED("product", "ProductCreated"), .id = "$P", .data = PRODUCT("500") },
	{ CREATED("inventory", "InventoryCreated"), .id = "$I", .data = STOCK("10") },
	{ CREATED("cart", "CartCreated"), .id = "$K", .data = CART("") },
	{ UPDATED("cart", "CartCheckedOut"), .id = "$K", .data = CART("$O") },
	{ CREATED("order", "OrderPlaced"), .id = "$O", .data = ORDER("CREATED", "false") },
	{ UPDATED("inventory", "StockReserved"), .id = "$I", .data = STOCK("8") },
	{ UPDATED("order", "OrderInStock"), .id = "$O", .data = ORDER("IN_STOCK", "true") },
	{ CREATED("billing", "BillingCreated"), .id = "$B", .data = BILLING("\"amount\":1007") },
	{ UPDATED("order", "OrderCleared"), .id = "$O", .data = ORDER("CLEARED", "true") },
	{ CREATED("shipping", "ShippingCreated"), .id = "$S", .data = SHIPPING("\"delivered\":0") },
	{ UPDATED("order", "OrderShipped"), .id = "$O", .data = ORDER("SHIPPED", "true") },
	{ UPDATED("order", "OrderDelivered"), .id = "$O", .data = ORDER("DELIVERED", "true") },
	{ UPDATED("shipping", "ShippingDelivered"), .id = "$S",
	  .data = SHIPPING("\"delivered\":5") },
	{ UPDATED("cart", "CartReleased"), .id = "$K", .data = CART("") },
};

/* ---- Making events of lines -------------------------------------------------------------- */

void history_id(char letter, char id[UUID_SIZE])
{
	static const struct {
		char letter, owner;
		const char *kind;
	} derived[] = { { 'I', 'P', "inventory" },
		        { 'B', 'O', "billing" },
		        { 'S', 'O', "shipping" } };
	char name[2] = { letter, '\0' };
	uuid_v5(id, SPACE, name, NULL);
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		char owner[UUID_SIZE];
		if (derived[i].letter != letter)
			continue;
		history_id(derived[i].owner, owner);
		uuid_v5(id, owner, derived[i].kind, NULL);
	}
}

const char *history_text(struct arena *arena, const char *text)
{
	struct buffer out;
	buffer_init(&out, TEXT_SIZE);
	for (const char *p = text; *p != '\0'; p++) {
		char id[UUID_SIZE];
		if (*p != '$') {
			buffer_putc(&out, *p);
			continue;
		}
		history_id(*++p, id);
		buffer_puts(&out, id);
	}
	const char *copy = arena_copy(arena, out.len > 0 ? out.bytes : "", out.len);
	buffer_free(&out);
	return copy;
}

static void violated(void *arg, const struct violation *violation)
{
	struct log *log = arg;
	log->violations++;
	if (log->expected == NULL || strcmp(violation->invariant->name, log->expected) != 0)
		ck_abort_msg("%s, instead of %s: %s %s: %s", violation->invariant->name,
		             log->expected == NULL ? "nothing" : log->expected, violation->topic,
		             violation->entity_id, violation->message);
	ck_assert_uint_gt(violation->entry.ms, 0);
	ck_assert_msg(strstr(violation->message, "must") != NULL ||
	                  strstr(violation->message, "cannot") != NULL,
	              "%s", violation->message);
}

void log_open(struct log *log, const char *expected)
{
	*log = (struct log){ .arena = arena_create(), .start_ms = 1000, .expected = expected };
	log->all = invariants_create(violated, log);
}

void log_add_history(struct log *log, size_t count)
{
	for (size_t i = 0; i < count; i++)
		log_add(log, &history[i]);
}

void log_close(struct log *log)
{
	invariants_destroy(log->all);
	arena_destroy(log->arena);
}

static const char *event_id_of(struct arena *arena, size_t place)
{
	char id[UUID_SIZE];
	uuid_v5(id, SPACE, "event", arena_printf(arena, "%zu", place));
	return arena_strdup(arena, id);
}

void log_add(struct log *log, const struct line *line)
{
	struct event event = { .topic = line->topic, .type = line->type, .action = line->action };
	const char *data = history_text(log->arena, line->data);
	struct error err;
	size_t place = log->count++;
	event.entity_id = line->id == NULL ? NULL : history_text(log->arena, line->id);
	event.event_id = line->event_id != NULL ? line->event_id : event_id_of(log->arena, place);
	event.entry_id = line->entry_id != NULL
	                     ? line->entry_id
	                     : arena_printf(log->arena, "%zu-0", (size_t)log->start_ms + place);
	if (event.entity_id != NULL) {
		const struct fold_entity *entity =
		    fold_find(invariants_fold(log->all), line->topic, event.entity_id);
		event.version = line->version > 0 ? line->version
		                : entity == NULL  ? 1
		                                  : entity->version + 1;
	}
	event.state = entity_read(log->arena, line->topic, data, &err);
	invariants_add(log->all, &event, data);
}

/* What crm would have mailed for the first `count` events, but for the one of `skip`. */
void log_add_mails(struct log *log, size_t count, const char *skip)
{
	static const char *const causes[] = { "CustomerCreated", "OrderInStock", "BillingCreated",
		                              "ShippingCreated" };
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < ARRAY_LEN(causes); j++) {
			char message_id[UUID_SIZE], id[UUID_SIZE];
			if (strcmp(history[i].type, causes[j]) != 0 ||
			    (skip != NULL && strcmp(skip, causes[j]) == 0))
				continue;
			uuid_v5(message_id, event_id_of(log->arena, i), "mail.send", NULL);
			applied_event_id(message_id, "mail", id);
			const struct line mail = {
				.topic = "mail",
				.type = "MailSent",
				.action = "mail_sent",
				.event_id = id,
				.data = arena_printf(log->arena,
				                     "{\"recipient\":\"a@b\",\"message\":\"%s\"}",
				                     causes[j]),
			};
			log_add(log, &mail);
		}
	}
}
