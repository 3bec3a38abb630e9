/* What random clients do, and what goes wrong around them. */
#include "ordershop/simulate_visitor.h"

#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUSTOMERS = 4, PRODUCTS_MAX = 5, PARAMS_MAX = 65536 };

size_t visitor_pick(struct visitor *visitor, size_t count)
{
	ASSERT(count > 0);
	return (size_t)(random_next(&visitor->random) % count);
}

/* No two histories are alike: what is rare in one is frequent in another, and what is left out makes room. */
static void choose_habits(struct visitor *visitor)
{
	static const size_t faults[] = { 0, 4, 12, 50 }, commands[] = { 60, 180, 180, 400 };
	visitor->faults = faults[visitor_pick(visitor, ARRAY_LEN(faults))];
	visitor->commands = commands[visitor_pick(visitor, ARRAY_LEN(commands))];
	visitor->products_first = 1 + visitor_pick(visitor, PRODUCTS_MAX);
	ASSERT(visitor_command_count <= COMMANDS_MAX);
	for (size_t i = 0; i < visitor_command_count; i++)
		visitor->unused[i] = visitor_pick(visitor, 8) == 0;
}

struct visitor *visitor_create(uint64_t seed, const struct cast *cast, struct arena *arena)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));
	ASSERT(visitor != NULL && cast->count <= VISITOR_SERVICES);
	visitor->seed = visitor->random = seed;
	visitor->cast = *cast;
	visitor->arena = arena;
	buffer_init(&visitor->params, PARAMS_MAX);
	choose_habits(visitor);
	return visitor;
}

void visitor_destroy(struct visitor *visitor)
{
	if (visitor == NULL)
		return;
	buffer_free(&visitor->params);
	free(visitor);
}

const char *visitor_make_id(struct visitor *visitor, struct known *known)
{
	/* The space of the ids of simulated clients. */
	static const char space[] = "0b0c7e64-6f0e-4f0c-8f5b-8a1f6a1f7f5e";
	char number[48];
	snprintf(number, sizeof(number), "%" PRIu64 "/%" PRIu64, visitor->seed, visitor->number++);
	char *id = known == NULL ? visitor->id : known->ids[known->count++ % KNOWN_MAX];
	uuid_v5(id, space, number, NULL);
	return id;
}

const char *visitor_known(struct visitor *visitor, const struct known *known)
{
	size_t count = known->count < KNOWN_MAX ? known->count : KNOWN_MAX;
	if (count == 0 || visitor_pick(visitor, 100) == 0)
		return "00000000-0000-4000-8000-000000000000";
	/* Mostly of those about which there is news. */
	size_t among = visitor_pick(visitor, 4) > 0 && count > 5 ? 5 : count;
	return known->ids[(known->count - 1 - visitor_pick(visitor, among)) % KNOWN_MAX];
}

const char *visitor_derived(struct visitor *visitor, const char *space, const char *kind)
{
	uuid_v5(visitor->id, space, kind, NULL);
	return visitor->id;
}

/* ---- Commands ---------------------------------------------------------------------------- */

static struct action command(struct visitor *visitor, const struct visitor_command *row)
{
	struct action action = { .kind = ACTION_SEND,
		                 .service = row->service,
		                 .function = row->function };
	buffer_clear(&visitor->params);
	row->write(visitor, &visitor->params);
	ASSERT(!visitor->params.overflow);
	action.params = arena_copy(visitor->arena, visitor->params.bytes, visitor->params.len);
	strcpy(action.message_id, visitor_make_id(visitor, NULL));
	visitor->sent[visitor->sent_count++ % SENT_MAX] = action;
	return action;
}

static struct action named_command(struct visitor *visitor, const char *function)
{
	size_t i = 0;
	while (strcmp(visitor_commands[i].function, function) != 0)
		i++;
	return command(visitor, &visitor_commands[i]);
}

static struct action any_command(struct visitor *visitor)
{
	size_t total = 0, i = 0;
	for (size_t j = 0; j < visitor_command_count; j++)
		total += visitor->unused[j] ? 0 : visitor_commands[j].weight;
	size_t chosen = visitor_pick(visitor, total);
	for (; visitor->unused[i] || chosen >= visitor_commands[i].weight; i++)
		chosen -= visitor->unused[i] ? 0 : visitor_commands[i].weight;
	return command(visitor, &visitor_commands[i]);
}

/* Who has got no answer sends the message again. */
static struct action again(struct visitor *visitor)
{
	size_t count = visitor->sent_count < SENT_MAX ? visitor->sent_count : SENT_MAX;
	struct action action =
	    visitor->sent[(visitor->sent_count - 1 - visitor_pick(visitor, count)) % SENT_MAX];
	action.again = true;
	return action;
}

/* ---- Faults ------------------------------------------------------------------------------ */

static size_t down_count(const struct visitor *visitor)
{
	size_t count = 0;
	for (size_t i = 0; i < visitor->cast.count; i++)
		count += visitor->down[i];
	return count;
}

static struct action start(struct visitor *visitor, size_t i)
{
	visitor->down[i] = false;
	return (struct action){ .kind = ACTION_FAULT,
		                .service = visitor->cast.services[i]->name,
		                .fault = MEMORY_START };
}

static struct action start_one(struct visitor *visitor)
{
	size_t chosen = visitor_pick(visitor, down_count(visitor)), i = 0;
	while (!visitor->down[i] || chosen-- > 0)
		i++;
	return start(visitor, i);
}

static struct action fault(struct visitor *visitor)
{
	if (visitor_pick(visitor, 20) == 0)
		return (struct action){ .kind = ACTION_REDIS };
	size_t i = visitor_pick(visitor, visitor->cast.count);
	enum memory_fault kind = (enum memory_fault)visitor_pick(visitor, MEMORY_FAULTS);
	if (kind == MEMORY_START)
		kind = MEMORY_KILL;
	if (memory_fault_stops(kind))
		visitor->down[i] = true;
	return (struct action){ .kind = ACTION_FAULT,
		                .service = visitor->cast.services[i]->name,
		                .fault = kind };
}

/* ---- A life ------------------------------------------------------------------------------ */

static void send_many(struct visitor *visitor, struct script *script, const char *function,
                      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct action action = named_command(visitor, function);
		script_add(script, &action);
	}
	script_add(script, &(struct action){ .kind = ACTION_PASS, .number = 1 });
}

void visitor_begin(struct visitor *visitor, struct script *script)
{
	send_many(visitor, script, "create_customers", CUSTOMERS);
	send_many(visitor, script, "create_products", visitor->products_first);
	send_many(visitor, script, "create_inventories", 2 * visitor->products_first);
}

struct action visitor_next(struct visitor *visitor, struct memory_shop *shop)
{
	visitor->shop = shop;
	size_t chance = visitor_pick(visitor, 1000);
	if (down_count(visitor) > 0 && visitor_pick(visitor, 25) == 0)
		return start_one(visitor);
	if (chance < visitor->faults)
		return fault(visitor);
	chance = visitor_pick(visitor, 1000);
	if (chance < 2)
		return (struct action){ .kind = ACTION_PASS,
			                .number = 1 + (uint32_t)visitor_pick(visitor, 60) };
	if (chance < 8 && visitor->sent_count > 0)
		return again(visitor);
	if (chance < 8 + visitor->commands)
		return any_command(visitor);
	return (struct action){ .kind = ACTION_WORK,
		                .number = 1 + (uint32_t)visitor_pick(visitor, 8) };
}
