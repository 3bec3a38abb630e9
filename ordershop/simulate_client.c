/* What random clients do, and what goes wrong around them. */
#include "ordershop/simulate_client.h"

#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUSTOMERS = 4, PRODUCTS_MAX = 5, PARAMS_MAX = 65536 };

size_t client_pick(struct client *client, size_t count)
{
	ASSERT(count > 0);
	return (size_t)(random_next(&client->random) % count);
}

/* No two histories are alike: what is rare in one is frequent in another, and what is left out makes room. */
static void choose_habits(struct client *client)
{
	static const size_t faults[] = { 0, 4, 12, 50 }, commands[] = { 60, 180, 180, 400 };
	client->faults = faults[client_pick(client, ARRAY_LEN(faults))];
	client->commands = commands[client_pick(client, ARRAY_LEN(commands))];
	client->products_first = 1 + client_pick(client, PRODUCTS_MAX);
	ASSERT(client_command_count <= COMMANDS_MAX);
	for (size_t i = 0; i < client_command_count; i++)
		client->unused[i] = client_pick(client, 8) == 0;
}

struct client *client_create(uint64_t seed, const struct cast *cast, struct arena *arena)
{
	struct client *client = calloc(1, sizeof(*client));
	ASSERT(client != NULL && cast->count <= CLIENT_SERVICES);
	client->seed = client->random = seed;
	client->cast = *cast;
	client->arena = arena;
	buffer_init(&client->params, PARAMS_MAX);
	choose_habits(client);
	return client;
}

void client_destroy(struct client *client)
{
	if (client == NULL)
		return;
	buffer_free(&client->params);
	free(client);
}

const char *client_make_id(struct client *client, struct known *known)
{
	/* The space of the ids of simulated clients. */
	static const char space[] = "0b0c7e64-6f0e-4f0c-8f5b-8a1f6a1f7f5e";
	char number[48];
	snprintf(number, sizeof(number), "%" PRIu64 "/%" PRIu64, client->seed, client->number++);
	char *id = known == NULL ? client->id : known->ids[known->count++ % KNOWN_MAX];
	uuid_v5(id, space, number, NULL);
	return id;
}

const char *client_known(struct client *client, const struct known *known)
{
	size_t count = known->count < KNOWN_MAX ? known->count : KNOWN_MAX;
	if (count == 0 || client_pick(client, 100) == 0)
		return "00000000-0000-4000-8000-000000000000";
	/* Mostly of those about which there is news. */
	size_t among = client_pick(client, 4) > 0 && count > 5 ? 5 : count;
	return known->ids[(known->count - 1 - client_pick(client, among)) % KNOWN_MAX];
}

const char *client_derived(struct client *client, const char *space, const char *kind)
{
	uuid_v5(client->id, space, kind, NULL);
	return client->id;
}

/* ---- Commands ---------------------------------------------------------------------------- */

static struct action command(struct client *client, const struct client_command *row)
{
	struct action action = { .kind = ACTION_SEND,
		                 .service = row->service,
		                 .function = row->function };
	buffer_clear(&client->params);
	row->write(client, &client->params);
	ASSERT(!client->params.overflow);
	action.params = arena_copy(client->arena, client->params.bytes, client->params.len);
	strcpy(action.message_id, client_make_id(client, NULL));
	client->sent[client->sent_count++ % SENT_MAX] = action;
	return action;
}

static struct action named_command(struct client *client, const char *function)
{
	size_t i = 0;
	while (strcmp(client_commands[i].function, function) != 0)
		i++;
	return command(client, &client_commands[i]);
}

static struct action any_command(struct client *client)
{
	size_t total = 0, i = 0;
	for (size_t j = 0; j < client_command_count; j++)
		total += client->unused[j] ? 0 : client_commands[j].weight;
	size_t chosen = client_pick(client, total);
	for (; client->unused[i] || chosen >= client_commands[i].weight; i++)
		chosen -= client->unused[i] ? 0 : client_commands[i].weight;
	return command(client, &client_commands[i]);
}

/* Who has got no answer sends the message again. */
static struct action again(struct client *client)
{
	size_t count = client->sent_count < SENT_MAX ? client->sent_count : SENT_MAX;
	struct action action =
	    client->sent[(client->sent_count - 1 - client_pick(client, count)) % SENT_MAX];
	action.again = true;
	return action;
}

/* ---- Faults ------------------------------------------------------------------------------ */

static size_t down_count(const struct client *client)
{
	size_t count = 0;
	for (size_t i = 0; i < client->cast.count; i++)
		count += client->down[i];
	return count;
}

static struct action start(struct client *client, size_t i)
{
	client->down[i] = false;
	return (struct action){ .kind = ACTION_FAULT,
		                .service = client->cast.services[i]->name,
		                .fault = MEMORY_START };
}

static struct action start_one(struct client *client)
{
	size_t chosen = client_pick(client, down_count(client)), i = 0;
	while (!client->down[i] || chosen-- > 0)
		i++;
	return start(client, i);
}

/* One command that two instances work on at the same time may be refused by one and done by the other: that is
 * a known limit (domain/README.md), which would be found again and again. */
static bool is_known_limit(const struct service *service, enum memory_fault fault)
{
	return fault == MEMORY_DUPLICATE && service->function_count > 0;
}

static struct action fault(struct client *client)
{
	if (client_pick(client, 20) == 0)
		return (struct action){ .kind = ACTION_REDIS };
	size_t i = client_pick(client, client->cast.count);
	enum memory_fault kind = (enum memory_fault)client_pick(client, MEMORY_FAULTS);
	if (kind == MEMORY_START || is_known_limit(client->cast.services[i], kind))
		kind = MEMORY_KILL;
	if (memory_fault_stops(kind))
		client->down[i] = true;
	return (struct action){ .kind = ACTION_FAULT,
		                .service = client->cast.services[i]->name,
		                .fault = kind };
}

/* ---- A life ------------------------------------------------------------------------------ */

static void send_many(struct client *client, struct script *script, const char *function,
                      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct action action = named_command(client, function);
		script_add(script, &action);
	}
	script_add(script, &(struct action){ .kind = ACTION_PASS, .number = 1 });
}

void client_begin(struct client *client, struct script *script)
{
	send_many(client, script, "create_customers", CUSTOMERS);
	send_many(client, script, "create_products", client->products_first);
	send_many(client, script, "create_inventories", 2 * client->products_first);
}

struct action client_next(struct client *client, struct memory_shop *shop)
{
	client->shop = shop;
	size_t chance = client_pick(client, 1000);
	if (down_count(client) > 0 && client_pick(client, 25) == 0)
		return start_one(client);
	if (chance < client->faults)
		return fault(client);
	chance = client_pick(client, 1000);
	if (chance < 2)
		return (struct action){ .kind = ACTION_PASS,
			                .number = 1 + (uint32_t)client_pick(client, 60) };
	if (chance < 8 && client->sent_count > 0)
		return again(client);
	if (chance < 8 + client->commands)
		return any_command(client);
	return (struct action){ .kind = ACTION_WORK,
		                .number = 1 + (uint32_t)client_pick(client, 8) };
}
