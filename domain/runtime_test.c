#include "domain/runtime.h"

#include "base/id.h"
#include "domain/fake_store.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- A service made for these tests: it takes from stock, never below 0 ------------------ */

static const char cart_id[] = "00000000-0000-4000-8000-000000000001";
static const char stock_id[] = "00000000-0000-4000-8000-000000000002";

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

static int impatience;
static enum step wait_for_it(struct context *context, const struct command *command)
{
	(void)command;
	if (--impatience > 0)
		return decide_fail_for_now(context, "not yet");
	decide_true(context);
	return STEP_DONE;
}

static const struct function take_function = { .name = "take", .decide = take };
static const struct function take_patiently_function = { .name = "take_patiently",
	                                                 .decide = take_patiently };
static const struct function mark_function = { .name = "mark",
	                                       .decide = mark_and_take,
	                                       .first_topic = "cart" };
static const struct function make_function = { .name = "make", .decide = make };
static const struct function wait_function = { .name = "wait", .decide = wait_for_it };
static const struct service service = { .name = "test", .topic = "inventory" };

/* ---- The bench --------------------------------------------------------------------------- */

static struct loop *loop;
static struct fake_store *fake;
static struct rpc_channel *channel;
static struct domain_store *store;
static struct runtime *runtime;
static struct arena *arena;
static size_t done_count, ok_count;
static bool comes_again; /* of the tasks that are begun */

struct command_run {
	struct task task;
	char message_id[UUID_SIZE];
	struct json *params;
	const struct outcome *outcome;
};

static void setup(void)
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

static void teardown(void)
{
	domain_store_destroy(store);
	runtime_destroy(runtime);
	rpc_channel_destroy(channel);
	fake_store_destroy(fake);
	loop_destroy(loop);
	arena_destroy(arena);
}

static void stock(int amount)
{
	char data[256];
	snprintf(data, sizeof(data), "{\"entity_id\":\"%s\",\"product_id\":\"p\",\"amount\":%d}",
	         stock_id, amount);
	fake_store_write(fake, "inventory", stock_id, ENTITY_UPDATED, data);
}

static void mark_cart(const char *order_id)
{
	char data[256];
	snprintf(data, sizeof(data),
	         "{\"entity_id\":\"%s\",\"customer_id\":\"c\",\"product_ids\":[\"p\"],"
	         "\"order_id\":\"%s\"}",
	         cart_id, order_id);
	fake_store_write(fake, "cart", cart_id, ENTITY_UPDATED, data);
}

static int64_t stock_left(uint64_t *version)
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

static struct command_run *begin(const struct function *function, const char *message_id,
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

static const struct outcome *run_one(const struct function *function, const char *message_id,
                                     const char *params)
{
	struct command_run *run = begin(function, message_id, params);
	if (run->outcome == NULL)
		loop_run(loop);
	json_free(run->params);
	return run->outcome;
}

/* ---- Tests ------------------------------------------------------------------------------- */

START_TEST(commands_of_one_entity_are_pipelined)
{
	stock(1000);
	for (int i = 0; i < 1000; i++)
		begin(&take_function, NULL, NULL);
	loop_run(loop);
	uint64_t version;
	ck_assert_uint_eq(ok_count, 1000);
	ck_assert_int_eq(stock_left(&version), 0);
	ck_assert_uint_eq(version, 1001);
	ck_assert_uint_eq(fake_store_conflicts(fake), 0);
	ck_assert_str_eq(run_one(&take_function, NULL, NULL)->error.message, "only 0 are left");
}
END_TEST

/* Somebody else writes every now and then; nothing is lost, nothing is sold twice. */
static void write_between(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	uint64_t version;
	if (strcmp(topic, "inventory") == 0 && append % 50 == 7 && stock_left(&version) > 0)
		stock((int)stock_left(&version) - 1);
}

START_TEST(a_conflict_is_loaded_and_decided_again)
{
	stock(500);
	fake_store_before_append(fake, write_between, NULL);
	size_t commands = 0;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 40; i++, commands++)
			begin(&take_function, NULL, NULL);
		loop_run(loop);
	}
	uint64_t version;
	ck_assert_uint_eq(done_count, commands);
	int64_t left = stock_left(&version);
	/* Each version but the first took one, be it ours or the other's. */
	ck_assert_int_eq(left, 500 - (int64_t)(version - 1));
	ck_assert_int_ge(left, 0);
	ck_assert_uint_gt(fake_store_conflicts(fake), 0);
}
END_TEST

START_TEST(a_refusal_does_not_rest_on_the_cache)
{
	stock(1);
	ck_assert_ptr_nonnull(run_one(&take_function, NULL, NULL)->result);
	ck_assert_int_eq(run_one(&take_function, NULL, NULL)->error.code, ERR_PRECONDITION);
	stock(1); /* by another instance: the cache does not know */
	ck_assert_ptr_nonnull(run_one(&take_function, NULL, NULL)->result);
}
END_TEST

START_TEST(a_message_that_comes_again_is_applied_once)
{
	const char *message_id = "00000000-0000-4000-8000-00000000000a";
	uint64_t version;
	stock(1);
	const struct outcome *first = run_one(&take_function, message_id, NULL);
	ck_assert_str_eq(first->result, "true");
	/* Now nothing is left, and still the answer is that of the first time. */
	const struct outcome *second = run_one(&take_function, message_id, NULL);
	ck_assert_str_eq(second->result, "true");
	ck_assert_uint_eq(second->token_count, 1);
	ck_assert_str_eq(first->tokens[0].entry_id, second->tokens[0].entry_id);
	ck_assert_int_eq(stock_left(&version), 0);
	stock(5);
	ck_assert_str_eq(run_one(&take_function, message_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 5);
	/* What was predicted for the repeated event is forgotten. */
	ck_assert_str_eq(run_one(&take_function, NULL, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 4);
}
END_TEST

static void sell_out(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	(void)append;
	if (strcmp(topic, "inventory") == 0)
		stock(0);
}

START_TEST(an_earlier_batch_is_undone_when_a_later_one_fails)
{
	uint64_t version;
	stock(1);
	mark_cart("");
	const char *cart = arena_strdup(arena, fake_store_data(fake, "cart", cart_id, &version));
	fake_store_before_append(fake, sell_out, NULL);
	const struct outcome *outcome = run_one(&mark_function, NULL, NULL);
	ck_assert_int_eq(outcome->error.code, ERR_PRECONDITION);
	ck_assert_str_eq(fake_store_data(fake, "cart", cart_id, &version), cart);
	ck_assert_uint_eq(version, 3);

	fake_store_before_append(fake, NULL, NULL);
	stock(1);
	outcome = run_one(&mark_function, NULL, NULL);
	ck_assert_str_eq(outcome->result, "true");
	ck_assert_uint_eq(outcome->token_count, 2);
	fake_store_data(fake, "cart", cart_id, &version);
	ck_assert_uint_eq(version, 4);
}
END_TEST

/* Somebody is always faster. */
static void change_stock(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	(void)append;
	if (strcmp(topic, "inventory") == 0)
		stock(1);
}

START_TEST(after_a_conflict_nothing_is_undone_if_the_message_comes_again)
{
	uint64_t version;
	for (int again = 0; again < 2; again++) {
		stock(1);
		mark_cart("");
		const char *cart =
		    arena_strdup(arena, fake_store_data(fake, "cart", cart_id, &version));
		fake_store_before_append(fake, change_stock, NULL);
		comes_again = again == 1;
		ck_assert_int_eq(run_one(&mark_function, NULL, NULL)->error.code, ERR_CONFLICT);
		bool marked = strcmp(fake_store_data(fake, "cart", cart_id, &version), cart) != 0;
		ck_assert_int_eq(marked, comes_again);
		fake_store_before_append(fake, NULL, NULL);
	}
}
END_TEST

static const char shared_id[] = "00000000-0000-4000-8000-00000000000b";

/* And then the cart went away. */
static void let_another_instance_apply(void *arg, const char *topic, uint64_t append)
{
	char event_id[UUID_SIZE];
	(void)arg;
	(void)topic;
	if (append > 1)
		return;
	fake_store_write(fake, "cart", cart_id, ENTITY_DELETED, "{}");
	applied_event_id(shared_id, "inventory", event_id);
	fake_store_know(fake, "inventory", event_id);
}

START_TEST(what_another_instance_applied_meanwhile_is_not_refused)
{
	stock(1);
	mark_cart("");
	fake_store_before_append(fake, let_another_instance_apply, NULL);
	struct command_run *run = begin(&mark_function, shared_id, NULL);
	loop_run(loop);
	ck_assert_str_eq(run->outcome->result, "true");
}
END_TEST

/* Its lease ended, another instance was faster, and there is no conflict that would tell. */
START_TEST(a_first_delivery_that_decides_last_is_not_refused)
{
	char event_id[UUID_SIZE];
	stock(1);
	applied_event_id(shared_id, "inventory", event_id);
	fake_store_know(fake, "inventory", event_id);
	ck_assert_str_eq(run_one(&mark_function, shared_id, NULL)->result, "true");
}
END_TEST

START_TEST(what_was_refused_stays_refused)
{
	uint64_t version;
	stock(0);
	ck_assert_int_eq(run_one(&take_function, shared_id, NULL)->error.code, ERR_PRECONDITION);
	stock(5);
	const struct outcome *late = run_one(&take_function, shared_id, NULL);
	ck_assert_int_eq(late->error.code, ERR_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(late->error.message, "another delivery of this message"));
	ck_assert_int_eq(stock_left(&version), 5);
	ck_assert_str_eq(run_one(&take_function, NULL, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 4);
}
END_TEST

static void refuse_elsewhere(void *arg, const char *topic, uint64_t append)
{
	char event_id[UUID_SIZE];
	(void)arg;
	(void)append;
	if (strcmp(topic, "inventory") != 0)
		return;
	applied_event_id(shared_id, "inventory", event_id);
	fake_store_give_up(fake, "inventory", event_id);
}

/* An import has the topic: another instance may still append, afterwards. */
START_TEST(nothing_is_refused_that_could_not_be_given_up)
{
	uint64_t version;
	stock(0);
	fake_store_import(fake, true);
	const struct outcome *locked = run_one(&take_function, shared_id, NULL);
	ck_assert(error_transient(&locked->error));
	fake_store_import(fake, false);
	stock(1);
	ck_assert_str_eq(run_one(&take_function, shared_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 0);
}
END_TEST

/* Crowded out is not done either; if the message comes again it still may be. */
START_TEST(what_others_crowded_out_for_good_is_not_done_later)
{
	uint64_t version;
	for (int again = 0; again < 2; again++) {
		char id[UUID_SIZE];
		uuid_v4(id);
		stock(1);
		mark_cart("");
		comes_again = again == 1;
		fake_store_before_append(fake, change_stock, NULL);
		ck_assert_int_eq(run_one(&mark_function, id, NULL)->error.code, ERR_CONFLICT);
		fake_store_before_append(fake, NULL, NULL);
		const struct outcome *late = run_one(&mark_function, id, NULL);
		ck_assert_int_eq(late->error.code, again ? ERR_NONE : ERR_PRECONDITION);
		ck_assert_int_eq(stock_left(&version), again ? 0 : 1);
	}
}
END_TEST

/* It stood still longer than its lease, between its two appends. */
START_TEST(what_another_instance_refused_meanwhile_is_undone)
{
	uint64_t version;
	stock(1);
	mark_cart("");
	const char *cart = arena_strdup(arena, fake_store_data(fake, "cart", cart_id, &version));
	fake_store_before_append(fake, refuse_elsewhere, NULL);
	comes_again = true;
	ck_assert_int_eq(run_one(&mark_function, shared_id, NULL)->error.code, ERR_PRECONDITION);
	ck_assert_int_eq(stock_left(&version), 1);
	ck_assert_str_eq(fake_store_data(fake, "cart", cart_id, &version), cart);
	ck_assert_uint_eq(version, 3);
}
END_TEST

/* Before the first part is given up it comes, from another instance, and so do goods. */
static void mark_elsewhere(void *arg, const char *topic, uint64_t append)
{
	char event_id[UUID_SIZE];
	(void)arg;
	if (append > 1)
		return;
	ck_assert_str_eq(topic, "cart");
	applied_event_id(shared_id, "cart", event_id);
	fake_store_know(fake, "cart", event_id);
	mark_cart(shared_id);
	stock(1);
}

START_TEST(a_half_that_another_instance_did_meanwhile_is_completed)
{
	uint64_t version;
	stock(0);
	mark_cart("");
	fake_store_before_append(fake, mark_elsewhere, NULL);
	ck_assert_str_eq(run_one(&mark_function, shared_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 0);
	ck_assert_str_eq(run_one(&mark_function, shared_id, NULL)->result, "true");
	ck_assert_int_eq(stock_left(&version), 0);
}
END_TEST

static void deliver_goods(void *arg, const char *topic, uint64_t append)
{
	(void)arg;
	if (append == 1)
		stock(1);
	ck_assert_str_eq(topic, "inventory");
}

START_TEST(what_is_refused_for_now_is_not_given_up)
{
	stock(0);
	fake_store_before_append(fake, deliver_goods, NULL);
	ck_assert_str_eq(run_one(&take_patiently_function, NULL, NULL)->result, "true");
}
END_TEST

START_TEST(what_should_be_new_is_not_loaded_unless_it_is_not)
{
	char params[256];
	uint64_t version;
	ck_assert_ptr_nonnull(run_one(&make_function, NULL, "{\"amount\":3}")->result);
	ck_assert_uint_eq(fake_store_loads(fake), 0);
	snprintf(params, sizeof(params), "{\"entity_id\":\"%s\"}", stock_id);
	stock(7);
	ck_assert_int_eq(run_one(&make_function, NULL, params)->error.code, ERR_EXISTS);
	fake_store_write(fake, "inventory", stock_id, ENTITY_DELETED, "{}");
	ck_assert_ptr_nonnull(run_one(&make_function, NULL, params)->result);
	ck_assert_int_eq(stock_left(&version), 0);
	ck_assert_uint_eq(version, 3);
}
END_TEST

START_TEST(what_is_refused_for_now_is_decided_again_for_a_while)
{
	impatience = 4;
	ck_assert_ptr_nonnull(run_one(&wait_function, NULL, NULL)->result);
	impatience = 1000;
	ck_assert_int_eq(run_one(&wait_function, NULL, NULL)->error.code, ERR_PRECONDITION);
	ck_assert_int_gt(impatience, 900);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runtime");
	TCase *tests = tcase_create("runtime");
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, commands_of_one_entity_are_pipelined);
	tcase_add_test(tests, a_conflict_is_loaded_and_decided_again);
	tcase_add_test(tests, a_refusal_does_not_rest_on_the_cache);
	tcase_add_test(tests, a_message_that_comes_again_is_applied_once);
	tcase_add_test(tests, an_earlier_batch_is_undone_when_a_later_one_fails);
	tcase_add_test(tests, after_a_conflict_nothing_is_undone_if_the_message_comes_again);
	tcase_add_test(tests, what_another_instance_applied_meanwhile_is_not_refused);
	tcase_add_test(tests, a_first_delivery_that_decides_last_is_not_refused);
	tcase_add_test(tests, what_was_refused_stays_refused);
	tcase_add_test(tests, nothing_is_refused_that_could_not_be_given_up);
	tcase_add_test(tests, what_others_crowded_out_for_good_is_not_done_later);
	tcase_add_test(tests, what_another_instance_refused_meanwhile_is_undone);
	tcase_add_test(tests, a_half_that_another_instance_did_meanwhile_is_completed);
	tcase_add_test(tests, what_is_refused_for_now_is_not_given_up);
	tcase_add_test(tests, what_should_be_new_is_not_loaded_unless_it_is_not);
	tcase_add_test(tests, what_is_refused_for_now_is_decided_again_for_a_while);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
