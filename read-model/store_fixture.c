#include "read-model/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_fixture server;
struct redis *redis;

void setup(void)
{
	struct error err;
	redis_fixture_start(&server, REDIS_FIXTURE_MEMORY);
	if (!redis_create(NULL, server.url, model_store_libraries, MODEL_STORE_LIBRARIES, 5000,
	                  &redis, &err))
		ck_abort_msg("%s", err.message);
}

void teardown(void)
{
	redis_destroy(redis);
	redis_fixture_destroy(&server);
}

/* Runs what is queued, and the callbacks. */
void settle(void)
{
	struct error err;
	struct redis_command command;
	const struct redis_value *value;
	redis_command_init(&command);
	redis_arg(&command, "PING");
	if (!redis_wait(redis, &command, 0, &value, &err))
		ck_abort_msg("%s", err.message);
	redis_command_free(&command);
	if (redis_waiting(redis) > 0)
		settle();
}

void applied(void *arg, const struct error *err)
{
	struct folder *folder = arg;
	folder->err = err == NULL ? (struct error){ 0 } : *err;
}

struct folder folder_create(uint64_t generation)
{
	return (struct folder){ .store = model_store_create(redis, generation),
		                .run = projection_create() };
}

void folder_destroy(struct folder *folder)
{
	projection_destroy(folder->run);
	model_store_destroy(folder->store);
}

/* Adds the event of this number, and moves on to it. */
void add_step(struct projection *run, const struct step *step, size_t number,
              struct model_position *at)
{
	struct projection_event event = { .topic = step->topic,
		                          .event_id = "e",
		                          .entry_id = at->entry_id,
		                          .action = step->action,
		                          .data = step->data,
		                          .entity_id = step->id,
		                          .version = step->version };
	snprintf(at->entry_id, sizeof(at->entry_id), "16%011zu-%zu", number / 3, number % 3);
	snprintf(at->topic, sizeof(at->topic), "%s", step->topic);
	projection_add(run, &event);
}

/* folder->err says how it went. */
void try_fold(struct folder *folder, const struct step *steps, size_t from, size_t to)
{
	struct model_position next = folder->at;
	for (size_t i = from; i < to; i++)
		add_step(folder->run, &steps[i], i, &next);
	model_store_apply(folder->store, &folder->at, &next, folder->run, applied, folder);
	settle();
	if (folder->err.code == ERR_NONE)
		folder->at = next;
	projection_clear(folder->run);
}

void fold(struct folder *folder, const struct step *steps, size_t from, size_t to)
{
	try_fold(folder, steps, from, to);
	if (folder->err.code != ERR_NONE)
		ck_abort_msg("%s", folder->err.message);
}

void expect_command(const char *words, const char *expected)
{
	char copy[200];
	const char *argv[16];
	int argc = 0;
	char *rest;
	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	char *text = redis_fixture_command(&server, argv, argc);
	ck_assert_msg(strcmp(text, expected) == 0, "%s: '%s', not '%s'", words, text, expected);
	free(text);
}

void done(void *arg, const struct error *err)
{
	ck_assert_ptr_null(err);
	++*(int *)arg;
}

void keep_error(void *arg, const struct error *err)
{
	*(struct error *)arg = err == NULL ? (struct error){ 0 } : *err;
}
