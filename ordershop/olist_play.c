#include "ordershop/olist_play.h"
#include "base/clock.h"
#include "base/json.h"
#include "ordershop/olist_orders.h"
#include "ordershop/quiet.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
	COMMAND_TIMEOUT_MS = 60000,
	ATTEMPTS_MAX = 8,
	RETRY_MS = 250,
	LOOK_UP_IDS = 500,
	SETTLE_MS = 30000,
};

int64_t play_number(const struct json *object, const char *name)
{
	const struct json *member = json_member(object, name);
	struct error err;
	int64_t number;

	return member && json_integer(member, &number, &err) ? number : 0;
}

const char *play_text(const struct json *object, const char *name)
{
	const struct json *member = json_member(object, name);
	const char *text = member ? json_text(member) : NULL;

	return text ? text : "";
}

struct play *play_create(struct client *client, const struct plan *plan)
{
	const struct olist *olist = plan->olist;
	struct play *play = calloc(1, sizeof(*play));

	ASSERT(play);
	play->client = client;
	play->plan = plan;
	play->olist = olist;
	play->commands =
	    rpc_mux_create(client->loop, client->channels[TARGET_MESSAGE_QUEUE],
	                   client_service(TARGET_MESSAGE_QUEUE), "SubmitStream", 10000);
	play->customers = calloc(olist->customer_count + 1, sizeof(*play->customers));
	play->products = calloc(olist->product_count + 1, sizeof(*play->products));
	play->orders = calloc(olist->order_count + 1, sizeof(*play->orders));
	ASSERT(play->customers && play->products && play->orders);
	for (size_t i = 0; i < olist->customer_count; i++)
		play->customers[i].plan = &plan->customers[i];
	for (size_t i = 0; i < olist->product_count; i++)
		play->products[i].plan = &plan->products[i];
	for (size_t i = 0; i < olist->order_count; i++)
		play->orders[i].plan = &plan->orders[i];
	return play;
}

void play_stop(struct play *play)
{
	play_orders_end(play);
	rpc_mux_destroy(play->commands);
}

void play_destroy(struct play *play)
{
	HASH_CLEAR(hh, play->by_id);
	free(play->customers);
	free(play->products);
	free(play->orders);
	free(play);
}

/* ---- Commands ---------------------------------------------------------------------------- */

static void send_again(void *arg)
{
	struct task *task = arg;

	task->send(task);
}

/* ERR_PRECONDITION: news of the order is on its way, such as the billing's. */
static bool passing(enum error_code code)
{
	return code == ERR_UNAVAILABLE || code == ERR_DEADLINE || code == ERR_CONFLICT ||
	       code == ERR_EXHAUSTED || code == ERR_PRECONDITION;
}

static void answered(void *arg, const ProtobufCMessage *item, const struct error *err)
{
	const Mq__SubmitResult *result = (const void *)item;
	struct task *task = arg;
	struct error problem = { 0 };

	if (err)
		problem = *err;
	else if (result->result && result->result->error)
		error_set(&problem, error_from_grpc((int)result->result->error->code), "%s",
		          result->result->error->message);
	task->play->news_ms = clock_monotonic_ms();
	if (problem.code == ERR_CANCELLED)
		return; /* the play is over */
	if (problem.code == ERR_NONE || problem.code == ERR_EXISTS) {
		task->attempt = 0;
		task->done(task);
	} else if (passing(problem.code) && ++task->attempt < ATTEMPTS_MAX) {
		loop_timer_start(task->play->client->loop, &task->retry, RETRY_MS * task->attempt,
		                 send_again, task);
	} else {
		if (task->play->failures++ == 0)
			task->play->failure = problem;
		task->failed(task, &problem);
	}
}

void play_command(struct task *task, struct plan_command *command)
{
	Mq__SubmitItem item = MQ__SUBMIT_ITEM__INIT;
	Mq__Message message = MQ__MESSAGE__INIT;
	char id[UUID_SIZE], service[64];
	struct buffer payload;

	plan_message_id(command, task->attempt, id);
	snprintf(service, sizeof(service), "%s-service", command->service);
	buffer_init(&payload, 1024 * 1024);
	buffer_printf(&payload, "{\"params\":%s}", command->params.bytes);
	message.service = service;
	message.function = command->function;
	message.message_id = id;
	message.payload = payload.bytes;
	item.message = &message;
	item.timeout_ms = COMMAND_TIMEOUT_MS;
	task->play->sent++;
	rpc_mux_request(task->play->commands, &item.base, COMMAND_TIMEOUT_MS, answered, task);
	buffer_free(&payload);
	buffer_free(&command->params);
}

/* ---- Questions --------------------------------------------------------------------------- */

struct asked {
	const char *id;
	size_t index;
	UT_hash_handle hh;
};

static void give_found(struct play *play, const struct look_up *ask, struct asked *all,
                       const Rm__Entity *entity)
{
	struct asked *asked;
	struct json *json;
	struct error err;

	HASH_FIND_STR(all, entity->id, asked);
	if (!asked || !json_parse(entity->json, strlen(entity->json), &json, &err))
		return;
	ask->found(play, asked->index, json, ask->arg);
	json_free(json);
}

static bool ask_some(struct play *play, const struct look_up *ask, size_t from, struct error *err)
{
	struct asked asked[LOOK_UP_IDS], *all = NULL;
	const char *ids[LOOK_UP_IDS];
	Rm__GetManyRequest request = RM__GET_MANY_REQUEST__INIT;
	Rm__Consistency consistency = RM__CONSISTENCY__INIT;
	Rm__Token token = RM__TOKEN__INIT, *tokens[] = { &token };
	const ProtobufCMessage *response;
	const Rm__ListResponse *list;
	bool done;

	while (request.n_ids < LOOK_UP_IDS && from + request.n_ids < ask->count) {
		size_t i = request.n_ids++;

		asked[i] = (struct asked){ .id = ask->id_of(play, from + i), .index = from + i };
		ids[i] = asked[i].id;
		HASH_ADD_KEYPTR(hh, all, asked[i].id, strlen(asked[i].id), &asked[i]);
	}
	request.name = ask->name;
	request.ids = ids;
	token.topic = "order";
	token.entry_id = play->last_event;
	consistency.n_tokens = *play->last_event ? 1 : 0;
	consistency.tokens = tokens;
	request.consistency = &consistency;
	done =
	    client_call(play->client, TARGET_READ_MODEL, "GetMany", &request.base, &response, err);
	list = done ? (const void *)response : NULL;
	for (size_t i = 0; list && i < list->n_entities; i++)
		give_found(play, ask, all, list->entities[i]);
	HASH_CLEAR(hh, all);
	arena_reset(play->client->arena);
	return done;
}

bool play_ask(struct play *play, const struct look_up *ask, struct error *err)
{
	for (size_t from = 0; from < ask->count; from += LOOK_UP_IDS) {
		if (!ask_some(play, ask, from, err))
			return false;
	}
	return true;
}

void play_settle(struct play *play)
{
	char what[QUIET_TEXT_SIZE];

	if (!shop_quiet(play->client, SETTLE_MS, what, NULL))
		fprintf(stderr, "the shop is still working: %s\n", what);
}

int olist_command(const struct subcommand *self, int argc, char **argv, olist_function *function)
{
	struct olist *olist;
	struct error err;
	bool done;

	if (argc != 3)
		return command_misuse(self, "say what to %s and where its files are: olist DIR",
		                      self->name);
	if (strcmp(argv[1], "olist") != 0)
		return command_misuse(self, "cannot %s '%s'; olist is known", self->name, argv[1]);
	if (!olist_load(argv[2], &olist, &err))
		return command_fail(self, "%s", err.message);
	done = function(olist, &err);
	olist_free(olist);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
