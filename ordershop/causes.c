#include "ordershop/causes.h"

#include "base/id.h"
#include "domain/metadata.h"
#include "domain/rules.h"
#include "ordershop/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { EVENTS_MAX = 100000, STOCK_TRIES_MAX = 1000, DEPTH_MAX = 60, PREFIX_SIZE = 8 * DEPTH_MAX };

/* An event or a message. */
struct cause {
	const char *id;
	const char *text;
	const char *actor; /* of a message; NULL: unknown */
	bool message;
	bool own;              /* an event of the entity */
	bool led;              /* to one, or is one */
	struct entry_id entry; /* of a message that of its first event */
	const struct event *event;
	struct cause *parent, *children, *last_child, *next;
	UT_hash_handle hh;
};

struct origin {
	UT_hash_handle hh;
	char id[];
};

struct causes {
	const char *topic, *id;
	struct arena *arena, *scratch; /* scratch: of one event */
	struct origin *origins;
	struct cause *nodes; /* by id, in the order of the log */
	size_t events;
};

struct causes *causes_create(const char *topic, const char *id)
{
	struct causes *causes = calloc(1, sizeof(*causes));

	ASSERT(causes);
	causes->topic = topic;
	causes->id = id;
	causes->arena = arena_create();
	causes->scratch = arena_create();
	return causes;
}

void causes_destroy(struct causes *causes)
{
	HASH_CLEAR(hh, causes->origins);
	HASH_CLEAR(hh, causes->nodes);
	arena_destroy(causes->arena);
	arena_destroy(causes->scratch);
	free(causes);
}

/* The message that began it all; "": unknown. */
static const char *origin_of(struct arena *arena, const char *metadata)
{
	const char *id = metadata_text(arena, metadata, "correlation_id");

	return *id ? id : metadata_text(arena, metadata, "causation_id");
}

void causes_want(struct causes *causes, const char *metadata)
{
	const char *id = origin_of(causes->arena, metadata);
	struct origin *origin;

	HASH_FIND_STR(causes->origins, id, origin);
	if (origin || !*id)
		return;
	origin = arena_zalloc(causes->arena, sizeof(*origin) + strlen(id) + 1);
	strcpy(origin->id, id);
	HASH_ADD_KEYPTR(hh, causes->origins, origin->id, strlen(origin->id), origin);
}

/* ---- Building ---------------------------------------------------------------------------- */

static struct cause *cause_open(struct causes *causes, const char *id, struct entry_id entry)
{
	struct cause *node;

	HASH_FIND_STR(causes->nodes, id, node);
	if (node)
		return node;
	node = arena_zalloc(causes->arena, sizeof(*node));
	node->id = arena_strdup(causes->arena, id);
	node->entry = entry;
	HASH_ADD_KEYPTR(hh, causes->nodes, node->id, strlen(node->id), node);
	return node;
}

static void adopt(struct cause *parent, struct cause *child)
{
	child->parent = parent;
	if (parent->last_child)
		parent->last_child->next = child;
	else
		parent->children = child;
	parent->last_child = child;
}

static const char *event_text(struct causes *causes, const struct event *event,
                              struct entry_id entry)
{
	char when[LINE_TIME_SIZE];

	return arena_printf(
	    causes->arena, "%s %s %s%s%s%s", line_entry_time(entry, when),
	    *event->type ? event->type : event->action, event->topic, *event->entity_id ? " " : "",
	    event->entity_id,
	    event->version > 0 ? arena_printf(causes->arena, " v%" PRIu64, event->version) : "");
}

static void add_cause(struct causes *causes, const struct event *event, struct entry_id entry)
{
	const char *cause = metadata_text(causes->arena, event->metadata, "causation_id");
	const char *actor = metadata_text(causes->arena, event->metadata, "actor");
	struct cause *message = *cause ? cause_open(causes, cause, entry) : NULL;
	struct cause *node = cause_open(causes, event->event_id, entry);

	if (node == message || node->text) /* ids that cannot be; each has one place */
		return;
	node->text = event_text(causes, event, entry);
	node->own =
	    strcmp(event->topic, causes->topic) == 0 && strcmp(event->entity_id, causes->id) == 0;
	struct event *copy = arena_zalloc(causes->arena, sizeof(*copy));
	copy->topic = arena_strdup(causes->arena, event->topic);
	copy->entity_id = arena_strdup(causes->arena, event->entity_id);
	copy->type = arena_strdup(causes->arena, event->type);
	node->event = copy;
	if (!message)
		return;
	if (!message->text) {
		message->message = true;
		message->text = arena_strdup(causes->arena, cause);
		message->actor = *actor ? actor : NULL;
	}
	if (!node->parent)
		adopt(message, node);
}

bool causes_add(struct causes *causes, const struct event *event, struct error *err)
{
	struct origin *origin;
	struct entry_id entry;
	bool own =
	    strcmp(event->topic, causes->topic) == 0 && strcmp(event->entity_id, causes->id) == 0;

	arena_reset(causes->scratch);
	const char *id = origin_of(causes->scratch, event->metadata);
	HASH_FIND_STR(causes->origins, id, origin);
	if (!origin && !own)
		return true;
	if (++causes->events > EVENTS_MAX)
		return error_set(err, ERR_TOO_LARGE, "more than %d events led to it or followed",
		                 EVENTS_MAX);
	if (!entry_id_parse(event->entry_id, &entry, err))
		return false;
	add_cause(causes, event, entry);
	return true;
}

/* ---- Messages of sagas ------------------------------------------------------------------- */

/* Is there a message of this id, without a cause yet, that came after the event? */
static void try_message(struct causes *causes, struct cause *event, const char *service,
                        const char *function, const char *key)
{
	char name[160], id[UUID_SIZE];
	struct cause *message;

	snprintf(name, sizeof(name), "%s.%s", service, function);
	uuid_v5(id, event->id, name, key);
	HASH_FIND_STR(causes->nodes, id, message);
	if (!message || !message->message || message->parent ||
	    entry_id_compare(event->entry, message->entry) >= 0)
		return;
	message->text = key ? arena_printf(causes->arena, "%s for order %s", name, key)
	                    : arena_strdup(causes->arena, name);
	adopt(event, message);
}

/* Does any saga react to it? */
static bool causes_anything(const struct event *event)
{
	for (size_t i = 0; i < domain_service_count; i++) {
		for (size_t j = 0; j < domain_services[i]->saga_count; j++) {
			const struct saga *saga = &domain_services[i]->sagas[j];

			if (strcmp(saga->topic, event->topic) != 0)
				continue;
			for (const char *const *type = saga->event_types; *type; type++) {
				if (strcmp(*type, event->type) == 0)
					return true;
			}
		}
	}
	return false;
}

static void find_messages(struct causes *causes, struct cause *event)
{
	for (size_t i = 0; i < domain_service_count; i++) {
		const struct service *service = domain_services[i];

		for (size_t j = 0; j < service->function_count; j++)
			try_message(causes, event, service->name, service->functions[j].name, NULL);
	}
}

/* Stock that grew sends a message for each order that waits, told apart by the order's id. Looked for backwards
 * from its event: it came shortly before. */
static void find_stock(struct causes *causes, struct cause *message)
{
	const struct event *retried = message->children ? message->children->event : NULL;
	struct cause *node = message;

	if (!retried || strcmp(retried->type, "OrderRetried") != 0)
		return;
	for (int tries = 0; tries < STOCK_TRIES_MAX && node && !message->parent;
	     node = node->hh.prev) {
		if (!node->event || strcmp(node->event->topic, "inventory") != 0)
			continue;
		try_message(causes, node, "order", "retry", retried->entity_id);
		tries++;
	}
}

/* ---- Commands ---------------------------------------------------------------------------- */

/* What a function writes, where its name and the rules of its entity do not tell. */
static const struct {
	const char *type, *function;
} writes[] = {
	{ "OrderCancelled", "cancel_order" },
	{ "StockAdded", "update_inventory" },
	{ "StockReserved", "reserve" },
	{ "StockReleased", "release" },
	{ "CartReleased", "release" },
	{ "BillingRefunded", "refund" },
	{ "ShippingDelivered", "update_shipping" },
	{ "MailSent", "send" },
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool function_writes(const struct function *function, const char *type)
{
	const struct entity_rules *rules = function->rules;

	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		if (strcmp(writes[i].type, type) == 0)
			return strcmp(writes[i].function, function->name) == 0;
	}
	return rules && ((strcmp(rules->created, type) == 0 && begins(function->name, "create_")) ||
	                 (strcmp(rules->updated, type) == 0 && begins(function->name, "update_")) ||
	                 (strcmp(rules->deleted, type) == 0 && begins(function->name, "delete_")));
}

/* A command writes the topic of its service last. Which function it was is not in the log; that event tells. */
static void name_command(struct causes *causes, struct cause *command)
{
	const struct event *last = command->last_child ? command->last_child->event : NULL;
	const char *name = "";

	for (size_t i = 0; last && i < domain_service_count; i++) {
		const struct service *service = domain_services[i];

		for (size_t j = 0; j < service->function_count; j++) {
			if (service->topic && strcmp(service->topic, last->topic) == 0 &&
			    function_writes(&service->functions[j], last->type))
				name = arena_printf(causes->arena, "%s.%s ", service->name,
				                    service->functions[j].name);
		}
	}
	command->text =
	    arena_printf(causes->arena, "command %s%s%s%s", name, command->text,
	                 command->actor ? " by " : "", command->actor ? command->actor : "");
}

static void connect(struct causes *causes)
{
	for (struct cause *n = causes->nodes; n; n = n->hh.next) {
		if (n->event && uuid_valid(n->id) && causes_anything(n->event))
			find_messages(causes, n);
	}
	for (struct cause *n = causes->nodes; n; n = n->hh.next) {
		if (n->message && !n->parent)
			find_stock(causes, n);
	}
	for (struct cause *n = causes->nodes; n; n = n->hh.next) {
		if (n->message && !n->parent)
			name_command(causes, n);
		for (struct cause *up = n->own ? n : NULL; up && !up->led; up = up->parent)
			up->led = true;
	}
}

/* ---- Printing ---------------------------------------------------------------------------- */

static struct cause *next_shown(struct cause *node, bool all)
{
	while (node && !all && !node->led)
		node = node->next;
	return node;
}

static void print_cause(const struct cause *node, char *prefix, size_t depth, bool all)
{
	size_t len = strlen(prefix);

	fputs(node->own ? "* " : "", stdout);
	line_print(node->text);
	if (depth == DEPTH_MAX) {
		printf("%s...\n", prefix);
		return;
	}
	for (struct cause *child = next_shown(node->children, all); child;) {
		struct cause *next = next_shown(child->next, all);

		printf("%s%s", prefix, next ? "├─ " : "└─ ");
		strcpy(prefix + len, next ? "│  " : "   ");
		print_cause(child, prefix, depth + 1, all);
		prefix[len] = '\0';
		child = next;
	}
}

void causes_print(struct causes *causes, bool all)
{
	char prefix[PREFIX_SIZE] = "";

	connect(causes);
	for (struct cause *n = causes->nodes; n; n = n->hh.next) {
		if (!n->parent && n->text && (all || n->led))
			print_cause(n, prefix, 0, all);
	}
}
