#include "domain/runtime_fixture.h"

#include "base/id.h"

#include "proto/entities.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- A service made for these tests: it takes from stock, never below 0 ------------------ */

const char cart_id[] = "00000000-0000-4000-8000-000000000001";
const char stock_id[] = "00000000-0000-4000-8000-000000000002";

static enum step take_from(struct context *context, const struct entity *before, int64_t amount)
{
	Shop__Inventory *after = arena_alloc(context_arena(context), sizeof(*after));
	*after = *(const Shop__Inventory *)before->state;
	if (after->amount < amount)
		return decide_fail(context, ERR_PRECONDITION, "only %lld are left",
		                   (long long)after->amount);
	after->amount -= amount;
	decide_event(context, "Taken", ENTITY_UPDATED, "inventory", before->id, &after->base);
	return STEP_DONE;
}

static enum step take(struct context *context, const struct command *command)
{
	decide_true(context);
	if (command->applied)
		return STEP_DONE;
	const struct entity *before = decide_load(context, "inventory", stock_id);
	return before == NULL ? STEP_MORE : take_from(context, before, 1);
}

/* New goods may come in any moment. */
static enum step take_patiently(struct context *context, const struct command *command)
{
	const struct entity *before = decide_load(context, "inventory", stock_id);
	if (before != NULL && ((const Shop__Inventory *)before->state)->amount == 0)
		return decide_fail_for_now(context, "nothing is left");
	return take(context, command);
}

/* Marks a cart first, then takes: the mark is undone when nothing is left. */
static enum step mark_and_take(struct context *context, const struct command *command)
{
	decide_true(context);
	if (command->applied)
		return STEP_DONE;
	const struct entity *cart = decide_load(context, "cart", cart_id);
	const struct entity *before = decide_load(context, "inventory", stock_id);
	if (cart == NULL || before == NULL)
		return STEP_MORE;
	if (cart->state == NULL)
		return decide_fail(context, ERR_NOT_FOUND, "there is no cart");
	Shop__Cart marked = *(const Shop__Cart *)cart->state;
	if (strcmp(marked.order_id, command->message_id) != 0) {
		Shop__Cart *after = arena_alloc(context_arena(context), sizeof(*after));
		*after = marked;
		after->order_id = command->message_id;
		decide_event(context, "Marked", ENTITY_UPDATED, "cart", cart_id, &after->base);
		decide_undo(context, "Unmarked", "cart", cart_id, cart->state);
	}
	return take_from(context, before, 1);
}

static enum step make(struct context *context, const struct command *command)
{
	Shop__Inventory *stock =
	    decide_read(context, command->params, &shop__inventory__descriptor, NULL);
	if (stock == NULL)
		return STEP_FAILED;
	const char *id = stock->entity_id[0] != '\0' ? stock->entity_id : decide_id(context, 0);
	stock->entity_id = id;
	json_write_string(decide_result(context), id, strlen(id));
	if (command->applied)
		return STEP_DONE;
	const struct entity *before = decide_load_new(context, "inventory", id);
	if (before == NULL)
		return STEP_MORE;
	if (before->state != NULL)
		return decide_fail(context, ERR_EXISTS, "there is an inventory %s", id);
	decide_event(context, "Made", ENTITY_CREATED, "inventory", id, &stock->base);
	return STEP_DONE;
}

int impatience;
static enum step wait_for_it(struct context *context, const struct command *command)
{
	(void)command;
	if (--impatience > 0)
		return decide_fail_for_now(context, "not yet");
	decide_true(context);
	return STEP_DONE;
}

const struct function take_function = { .name = "take", .decide = take };
const struct function take_patiently_function = { .name = "take_patiently",
	                                          .decide = take_patiently };
const struct function mark_function = { .name = "mark",
	                                .decide = mark_and_take,
	                                .first_topic = "cart" };
const struct function make_function = { .name = "make", .decide = make };
const struct function wait_function = { .name = "wait", .decide = wait_for_it };
static const struct service service = { .name = "test", .topic = "inventory" };

/* ---- The bench --------------------------------------------------------------------------- */

struct loop *loop;
struct fake_store *fake;
static struct rpc_channel *channel;
static struct domain_store *store;
static struct runtime *runtime;
struct arena *arena;
size_t done_count, ok_count;
bool comes_again; /* of the tasks that are begun */

void runtime_setup(void)
{
	char address[64];
	snprintf(address, sizeof(address), "unix:/tmp/domain-test-%d.sock", (int)getpid());
	loop = loop_create();
	fake = fake_store_create(loop, address);
	channel = rpc_channel_create(loop, address);
	store = domain_store_create(loop, channel);
	runtime = runtime_create(loop, &service, store);
	arena = arena_create();
	done_count = ok_count = 0;
	comes_again = false;
}

void runtime_teardown(void)
{
	domain_store_destroy(store);
	runtime_destroy(runtime);
	rpc_channel_destroy(channel);
	fake_store_destroy(fake);
	loop_destroy(loop);
	arena_destroy(arena);
}

void stock(int amount)
{
	char data[256];
	snprintf(data, sizeof(data), "{\"entity_id\":\"%s\",\"product_id\":\"p\",\"amount\":%d}",
	         stock_id, amount);
	fake_store_write(fake, "inventory", stock_id, ENTITY_UPDATED, data);
}

void mark_cart(const char *order_id)
{
	char data[256];
	snprintf(data, sizeof(data),
	         "{\"entity_id\":\"%s\",\"customer_id\":\"c\",\"product_ids\":[\"p\"],"
	         "\"order_id\":\"%s\"}",
	         cart_id, order_id);
	fake_store_write(fake, "cart", cart_id, ENTITY_UPDATED, data);
}

int64_t stock_left(uint64_t *version)
{
	const char *data = fake_store_data(fake, "inventory", stock_id, version);
	const char *amount = strstr(data, "\"amount\":");
	ck_assert_ptr_nonnull(amount);
	return strtoll(amount + strlen("\"amount\":"), NULL, 10);
}

static void on_done(void *arg, const struct outcome *outcome)
{
	struct command_run *run = arg;
	run->outcome = outcome;
	ok_count += outcome->error.code == ERR_NONE;
	done_count++;
	if (runtime_running(runtime) == 0)
		loop_stop(loop);
}

struct command_run *begin(const struct function *function, const char *message_id,
                          const char *params)
{
	struct command_run *run = arena_zalloc(arena, sizeof(*run));
	struct error err;
	if (message_id == NULL)
		uuid_v4(run->message_id);
	else
		strcpy(run->message_id, message_id);
	if (params != NULL)
		ck_assert(json_parse(params, strlen(params), &run->params, &err));
	run->task = (struct task){
		.function = function,
		.message_id = run->message_id,
		.params = run->params,
		.metadata = "",
		.comes_again = comes_again,
	};
	runtime_run(runtime, arena, &run->task, on_done, run);
	return run;
}

const struct outcome *run_one(const struct function *function, const char *message_id,
                              const char *params)
{
	struct command_run *run = begin(function, message_id, params);
	if (run->outcome == NULL)
		loop_run(loop);
	json_free(run->params);
	return run->outcome;
}
