/* A read model that misses, keeps or misplaces something is not what the log comes to. */
#include "ordershop/model_check.h"

#include "domain/history_fixture.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define CUSTOMER_OF(letter)                                                                        \
	{                                                                                          \
		CREATED("customer", "CustomerCreated"),                                            \
		    .id = "$" letter,                                                              \
		    .data = "{\"entity_id\":\"$" letter                                            \
		            "\",\"name\":\"x\",\"email\":\"x@example.com\"}"                       \
	}

static struct log log_of;
static struct memory_model *model;

static void setup(void)
{
	log_open(&log_of, NULL);
	/* Whether the log is right does not matter here. */
	invariants_destroy(log_of.all);
	log_of.all = invariants_create(NULL, NULL);
	model = memory_model_create();
}

static void teardown(void)
{
	memory_model_destroy(model);
	log_close(&log_of);
}

/* `place`: of the entry, in milliseconds from the start. */
static void project(const struct line *line, size_t place, uint64_t version)
{
	struct arena *arena = log_of.arena;
	struct projection_event event = {
		.topic = line->topic,
		.entry_id = arena_printf(arena, "%zu-0", (size_t)log_of.start_ms + place),
		.event_id = arena_printf(arena, "%zu", place),
		.action = line->action,
		.data = history_text(arena, line->data),
		.entity_id = line->id == NULL ? "" : history_text(arena, line->id),
		.version = version,
	};
	memory_model_apply(model, &event, 1);
}

/* The whole history in both, but for the events of type `skip` in the model. */
static void play(const char *skip)
{
	for (size_t i = 0; i < ALL; i++) {
		log_add(&log_of, &history[i]);
		if (skip == NULL || strcmp(history[i].type, skip) != 0)
			project(&history[i], i, i + 1);
	}
}

static void check(const char *wrong)
{
	struct error err = { .message = "" };
	bool same = model_equals_fold(model, invariants_fold(log_of.all), &err);
	ck_assert_str_eq(err.message, wrong);
	ck_assert(same == (wrong[0] == '\0'));
}

START_TEST(the_whole_log_makes_the_same)
{
	play(NULL);
	check("");
}
END_TEST

START_TEST(an_entity_is_missing)
{
	play("BillingCreated");
	check("the read model's list billing has 0 entities, by the log 1");
}
END_TEST

START_TEST(an_entity_has_an_older_state)
{
	char id[UUID_SIZE], wrong[128];
	history_id('S', id);
	snprintf(wrong, sizeof(wrong),
	         "the read model's list shipping has not the last state of %s", id);
	play("ShippingDelivered");
	check(wrong);
}
END_TEST

START_TEST(entities_are_in_another_order)
{
	static const struct line customers[] = { CUSTOMER_OF("C"), CUSTOMER_OF("K") };
	char id[UUID_SIZE], wrong[128];
	history_id('C', id);
	snprintf(wrong, sizeof(wrong), "the read model's list customer has too late %s", id);
	for (size_t i = 0; i < ARRAY_LEN(customers); i++) {
		log_add(&log_of, &customers[i]);
		project(&customers[i], ARRAY_LEN(customers) - i, 1);
	}
	check(wrong);
}
END_TEST

START_TEST(a_mail_is_missing)
{
	static const struct line mail = { .topic = "mail",
		                          .type = "MailSent",
		                          .action = "mail_sent",
		                          .data = "{\"recipient\":\"a\",\"message\":\"b\"}" };
	log_add(&log_of, &mail);
	check("the read model has 0 mails, the log 1");
	project(&mail, 0, 0);
	check("");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model_check");
	TCase *tcase = tcase_create("model_check");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_whole_log_makes_the_same);
	tcase_add_test(tcase, an_entity_is_missing);
	tcase_add_test(tcase, an_entity_has_an_older_state);
	tcase_add_test(tcase, entities_are_in_another_order);
	tcase_add_test(tcase, a_mail_is_missing);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
