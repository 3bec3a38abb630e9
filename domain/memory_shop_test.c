/* The shop in memory: clock, queue, groups and faults. What the rules say is tested elsewhere. */
#include "domain/limits.h"
#include "domain/memory_shop_fixture.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_MANY = 1000 };
static struct memory_shop *shop;
static struct error err;

static void setup(void)
{
	shop = memory_shop_create(0, MEMORY_SHOP_START_US);
}

static void teardown(void)
{
	memory_shop_destroy(shop);
}

static const char *const ann = "{\"name\":\"Ann\",\"email\":\"ann@example.com\"}";

static const char *send(const char *service, const char *function, const char *params)
{
	static char id[UUID_SIZE];
	struct memory_message message = { .service = service,
		                          .function = function,
		                          .params = params };
	ck_assert_msg(memory_shop_send(shop, &message, id, &err), "%s", err.message);
	return id;
}

static void fault(enum memory_fault kind, const char *service)
{
	ck_assert_msg(memory_shop_fault(shop, kind, service, &err), "%s", err.message);
}

static struct answer outcome(const char *id)
{
	struct answer answer;
	ck_assert_msg(memory_shop_outcome(shop, id, &answer), "no outcome of %s", id);
	return answer;
}

/* ---- The same bytes ---------------------------------------------------------------------- */

static void write_event(void *arg, const struct event *event)
{
	struct buffer *text = arg;
	buffer_printf(text, "%s %s %s %s %s %s %llu %s ", event->entry_id, event->topic,
	              event->event_id, event->action, event->type, event->entity_id,
	              (unsigned long long)event->version, event->metadata);
	json_write_message(text, event->state);
	buffer_putc(text, '\n');
}

static void place_order(const char *customer, const char *product)
{
	const char *cart =
	    memory_shop_do(shop, "cart", "create_carts",
	                   "{\"customer_id\":\"%s\",\"product_ids\":[\"%s\"]}", customer, product);
	char params[100];
	snprintf(params, sizeof(params), "{\"cart_id\":\"%s\"}", cart);
	send("order", "create_orders", params);
}

/* A short life with all faults; the log as text. */
static struct buffer history(uint64_t seed)
{
	struct buffer text;
	shop = memory_shop_create(seed, MEMORY_SHOP_START_US);
	const char *customer = memory_shop_do(shop, "customer", "create_customers", "%s", ann);
	const char *product =
	    memory_shop_do(shop, "product", "create_products", "{\"name\":\"Tea\",\"price\":500}");
	for (int i = 0; i < MEMORY_FAULTS; i++) {
		place_order(customer, product);
		fault((enum memory_fault)i, "order");
		memory_shop_step(shop, 7);
		fault((enum memory_fault)i, "inventory");
		memory_shop_advance(shop, 300000);
		fault(MEMORY_START, "order");
		fault(MEMORY_START, "inventory");
	}
	memory_shop_do(shop, "inventory", "create_inventories",
	               "{\"product_id\":\"%s\",\"amount\":5}", product);
	memory_shop_restart_redis(shop);
	memory_shop_settle(shop);
	ck_assert(memory_shop_settled(shop));
	ck_assert_uint_eq(memory_shop_count(shop, "OrderInStock"), 5);
	buffer_init(&text, 1024 * 1024);
	memory_shop_replay(shop, NULL, write_event, &text);
	memory_shop_destroy(shop);
	return text;
}

START_TEST(the_same_calls_give_the_same_log)
{
	struct buffer first = history(7), again = history(7), other = history(8);
	struct buffer in_order = history(0), in_order_again = history(0);
	ck_assert_str_eq(first.bytes, again.bytes);
	ck_assert_str_ne(first.bytes, other.bytes);
	ck_assert_str_eq(in_order.bytes, in_order_again.bytes);
	buffer_free(&first);
	buffer_free(&again);
	buffer_free(&other);
	buffer_free(&in_order);
	buffer_free(&in_order_again);
}
END_TEST

/* ---- Time and metadata ------------------------------------------------------------------- */

static void check_time(void *arg, const struct event *event)
{
	struct entry_id *last = arg, id;
	ck_assert(entry_id_parse(event->entry_id, &id, &err));
	ck_assert_int_gt(entry_id_compare(id, *last), 0);
	ck_assert_uint_lt(id.us, 1000);
	*last = id;
}

START_TEST(entry_ids_are_the_time_and_only_grow)
{
	struct entry_id last = { 0, 0 };
	memory_shop_do(shop, "customer", "create_customers", "[%s,%s]", ann, ann);
	memory_shop_replay(shop, NULL, check_time, &last);
	ck_assert_uint_eq(last.ms * 1000 + last.us, MEMORY_SHOP_START_US + 1);
	memory_shop_set_clock(shop, MEMORY_SHOP_START_US - 5);
	memory_shop_do(shop, "customer", "create_customers", "%s", ann);
	memory_shop_set_clock(shop, MEMORY_SHOP_START_US + 86400000000);
	memory_shop_do(shop, "customer", "create_customers", "%s", ann);
	last = (struct entry_id){ 0, 0 };
	memory_shop_replay(shop, NULL, check_time, &last);
	ck_assert_uint_eq(last.ms * 1000 + last.us, MEMORY_SHOP_START_US + 86400000000);
	ck_assert_uint_eq(memory_shop_clock(shop), MEMORY_SHOP_START_US + 86400000000);
}
END_TEST

static void keep_metadata(void *arg, const struct event *event)
{
	snprintf(arg, 400, "%s", event->metadata);
}

START_TEST(metadata_tells_the_causes)
{
	char id[UUID_SIZE], text[400] = "", expected[400];
	struct memory_message message = {
		.service = "customer",
		.function = "create_customers",
		.params = ann,
		.metadata = "{\"correlation_id\":\"c\",\"actor\":\"rest\",\"occurred_at\":\"o\"}",
	};
	ck_assert(memory_shop_send(shop, &message, id, &err));
	memory_shop_settle(shop);
	memory_shop_replay(shop, "customer", keep_metadata, text);
	snprintf(expected, sizeof(expected),
	         "{\"causation_id\":\"%s\",\"correlation_id\":\"c\",\"actor\":\"rest\","
	         "\"occurred_at\":\"o\"}",
	         id);
	ck_assert_str_eq(text, expected);
	char event_id[UUID_SIZE], mail_id[UUID_SIZE];
	applied_event_id(id, "customer", event_id);
	uuid_v5(mail_id, event_id, "mail.send", NULL);
	snprintf(expected, sizeof(expected),
	         "{\"causation_id\":\"%s\",\"correlation_id\":\"c\",\"actor\":\"rest\"}", mail_id);
	memory_shop_replay(shop, "mail", keep_metadata, text);
	ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(without_metadata_the_message_is_the_correlation)
{
	char id[UUID_SIZE], text[400] = "", expected[200];
	strcpy(id, send("customer", "create_customers", ann));
	memory_shop_settle(shop);
	memory_shop_replay(shop, "mail", keep_metadata, text);
	snprintf(expected, sizeof(expected), "\"correlation_id\":\"%s\"}", id);
	ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
}
END_TEST

/* ---- Queue and services ------------------------------------------------------------------ */

START_TEST(what_is_sent_twice_runs_once)
{
	const char *id = send("customer", "create_customers", ann);
	struct memory_message again = { "customer", "create_customers", id, ann, NULL };
	ck_assert(memory_shop_send(shop, &again, NULL, &err));
	memory_shop_settle(shop);
	ck_assert(memory_shop_send(shop, &again, NULL, &err));
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "CustomerCreated"), 1);
	ck_assert_ptr_nonnull(outcome(id).result);
	/* The outcome is forgotten, the events are not. */
	struct answer answer;
	memory_shop_advance(shop, 700000000);
	ck_assert(memory_shop_outcome(shop, id, &answer));
	send("product", "create_products", "{}");
	ck_assert(!memory_shop_outcome(shop, again.message_id, &answer));
	ck_assert(memory_shop_send(shop, &again, NULL, &err));
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "CustomerCreated"), 1);
}
END_TEST

START_TEST(wrong_messages_are_refused)
{
	struct memory_message message = { "customer", "create_nothing", NULL, ann, NULL };
	ck_assert(!memory_shop_send(shop, &message, NULL, &err));
	ck_assert_str_eq(err.message, "nobody serves customer-service.create_nothing");
	message = (struct memory_message){ "order", "mark_cleared", NULL, "{}", NULL };
	ck_assert(!memory_shop_send(shop, &message, NULL, &err));
	message = (struct memory_message){ "customer", "create_customers", "1", ann, NULL };
	ck_assert(!memory_shop_send(shop, &message, NULL, &err));
	ck_assert_str_eq(err.message, "message_id: must be a UUID, is \"1\"");
	message = (struct memory_message){ "customer", "create_customers", NULL, "{", NULL };
	ck_assert(!memory_shop_send(shop, &message, NULL, &err));
	ck_assert_msg(strncmp(err.message, "params: ", 8) == 0, "%s", err.message);
	ck_assert(!memory_shop_fault(shop, MEMORY_KILL, "nobody", &err));
	ck_assert_str_eq(err.message, "there is no service nobody");
}
END_TEST

START_TEST(a_stopped_service_finishes_and_takes_nothing_more)
{
	char first[UUID_SIZE], second[UUID_SIZE];
	struct answer answer;
	strcpy(first, send("customer", "create_customers", ann));
	memory_shop_step(shop, 1);
	fault(MEMORY_STOP, "customer");
	strcpy(second, send("customer", "create_customers", ann));
	memory_shop_settle(shop);
	ck_assert_ptr_nonnull(outcome(first).result);
	ck_assert(!memory_shop_outcome(shop, second, &answer));
	ck_assert(!memory_shop_settled(shop));
	fault(MEMORY_START, "customer");
	memory_shop_settle(shop);
	ck_assert_ptr_nonnull(outcome(second).result);
	ck_assert(memory_shop_settled(shop));
}
END_TEST

START_TEST(a_frozen_service_goes_on_where_it_was)
{
	const char *id = send("customer", "create_customers", ann);
	memory_shop_step(shop, 1);
	fault(MEMORY_FREEZE, "customer");
	memory_shop_advance(shop, 60000000);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "CustomerCreated"), 0);
	fault(MEMORY_START, "customer");
	memory_shop_settle(shop);
	ck_assert_ptr_nonnull(outcome(id).result);
	ck_assert_uint_eq(memory_shop_count(shop, "CustomerCreated"), 1);
}
END_TEST

START_TEST(what_kills_its_consumer_becomes_a_dead_letter)
{
	const char *id = send("customer", "create_customers", ann);
	for (int i = 0; i < MESSAGE_ATTEMPTS; i++) {
		ck_assert_uint_eq(memory_shop_dead(shop), 0);
		memory_shop_step(shop, 1);
		fault(MEMORY_KILL, "customer");
		fault(MEMORY_START, "customer");
	}
	ck_assert_uint_eq(memory_shop_dead(shop), 1);
	ck_assert_int_eq(outcome(id).error.code, ERR_INTERNAL);
	memory_shop_requeue(shop);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_dead(shop), 0);
	ck_assert_ptr_nonnull(outcome(id).result);
}
END_TEST

START_TEST(an_event_that_kills_its_group_is_parked)
{
	memory_shop_do(shop, "customer", "create_customers", "%s", ann);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(memory_shop_parked(shop), 0);
		memory_shop_step(shop, 1);
		fault(MEMORY_KILL, "crm");
		fault(MEMORY_START, "crm");
	}
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_parked(shop), 1);
	ck_assert_uint_eq(memory_shop_count(shop, "MailSent"), 0);
	memory_shop_requeue(shop);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_parked(shop), 0);
	ck_assert_uint_eq(memory_shop_count(shop, "MailSent"), 1);
}
END_TEST

START_TEST(faults_change_nothing_in_the_end)
{
	for (int i = 0; i < MEMORY_FAULTS; i++) {
		const char *id = send("customer", "create_customers", ann);
		fault((enum memory_fault)i, "customer");
		fault((enum memory_fault)i, "crm");
		memory_shop_step(shop, 3);
		memory_shop_restart_redis(shop);
		memory_shop_step(shop, STEPS_MANY);
		fault(MEMORY_START, "customer");
		fault(MEMORY_START, "crm");
		memory_shop_settle(shop);
		ck_assert_msg(outcome(id).result != NULL, "%s",
		              memory_fault_name((enum memory_fault)i));
		ck_assert_uint_eq(memory_shop_count(shop, "CustomerCreated"), (size_t)i + 1);
		ck_assert_uint_eq(memory_shop_count(shop, "MailSent"), (size_t)i + 1);
	}
}
END_TEST

/* ---- Events that nobody's command made --------------------------------------------------- */

static void count_event(void *arg, const struct event *event)
{
	(void)event;
	++*(size_t *)arg;
}

START_TEST(given_events_are_reacted_to_unless_unnoticed)
{
	static const char id[] = "00000000-0000-4000-8000-000000000001";
	struct memory_event event = {
		.topic = "customer",
		.type = "CustomerCreated",
		.action = ENTITY_CREATED,
		.entity_id = id,
		.data = "{\"entity_id\":\"00000000-0000-4000-8000-000000000001\","
		        "\"name\":\"Bob\",\"email\":\"b@c\"}",
		.unnoticed = true,
	};
	size_t watched = 0;
	memory_shop_watch(shop, count_event, &watched);
	ck_assert_msg(memory_shop_give(shop, &event, &err), "%s", err.message);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "MailSent"), 0);
	event.unnoticed = false;
	event.type = "CustomerDeleted";
	event.action = ENTITY_DELETED;
	ck_assert(memory_shop_give(shop, &event, &err));
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "MailSent"), 1);
	ck_assert_ptr_null(memory_shop_get(shop, "customer", id));
	ck_assert_uint_eq(memory_shop_version(shop, "customer", id), 2);
	ck_assert_uint_eq(watched, 3);
	event.data = "{\"name\":7}";
	ck_assert(!memory_shop_give(shop, &event, &err));
	ck_assert_msg(strncmp(err.message, "data: name: ", 12) == 0, "%s", err.message);
	event.topic = "parcel";
	ck_assert(!memory_shop_give(shop, &event, &err));
	ck_assert_str_eq(err.message, "topic: must be one of the shop's, is \"parcel\"");
}
END_TEST

START_TEST(a_shop_that_keeps_nothing_forgets_after_a_day)
{
	memory_shop_keep_nothing(shop);
	const char *old = memory_shop_do(shop, "customer", "create_customers", "%s", ann);
	memory_shop_settle(shop);
	memory_shop_advance(shop, 90000000000);
	memory_shop_do(shop, "customer", "create_customers", "%s", ann);
	memory_shop_settle(shop);
	ck_assert_uint_eq(memory_shop_count(shop, "CustomerCreated"), 1);
	ck_assert_ptr_nonnull(memory_shop_get(shop, "customer", old));
	memory_shop_forget(shop, "customer", old);
	ck_assert_ptr_null(memory_shop_get(shop, "customer", old));
	ck_assert_uint_eq(memory_shop_version(shop, "customer", old), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory_shop");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, entry_ids_are_the_time_and_only_grow);
	tcase_add_test(all, metadata_tells_the_causes);
	tcase_add_test(all, without_metadata_the_message_is_the_correlation);
	tcase_add_test(all, what_is_sent_twice_runs_once);
	tcase_add_test(all, wrong_messages_are_refused);
	tcase_add_test(all, a_stopped_service_finishes_and_takes_nothing_more);
	tcase_add_test(all, a_frozen_service_goes_on_where_it_was);
	tcase_add_test(all, what_kills_its_consumer_becomes_a_dead_letter);
	tcase_add_test(all, an_event_that_kills_its_group_is_parked);
	tcase_add_test(all, faults_change_nothing_in_the_end);
	tcase_add_test(all, given_events_are_reacted_to_unless_unnoticed);
	tcase_add_test(all, a_shop_that_keeps_nothing_forgets_after_a_day);
	suite_add_tcase(suite, all);
	TCase *alone = tcase_create("same bytes");
	tcase_add_test(alone, the_same_calls_give_the_same_log);
	suite_add_tcase(suite, alone);
	return run_suite(suite);
}
