#include "tests/support/redis_words.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct redis_library libraries[] = {
	{ "redistest", "redis.register_function('redistest_double', function(keys, args)\n"
	               "  return tonumber(args[1]) * 2\n"
	               "end)\n" },
};

struct redis *words_connect(const struct redis_fixture *server, struct loop *loop,
                            unsigned timeout_ms)
{
	struct error err;
	struct redis *redis;
	if (!redis_create(loop, server->url, libraries, ARRAY_LEN(libraries), timeout_ms, &redis,
	                  &err))
		ck_abort_msg("%s", err.message);
	return redis;
}

void words_put(struct redis_command *command, const char *words)
{
	char copy[512];
	snprintf(copy, sizeof(copy), "%s", words);
	redis_command_init(command);
	char *rest;
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		redis_arg(command, word);
}

bool words_run(struct redis *redis, const char *words, const struct redis_value **value,
               struct error *err)
{
	struct redis_command command;
	words_put(&command, words);
	bool ok = redis_wait(redis, &command, 0, value, err);
	redis_command_free(&command);
	return ok;
}

void words_expect_text(struct redis *redis, const char *words, const char *expected)
{
	struct error err;
	const struct redis_value *value;
	size_t len;
	if (!words_run(redis, words, &value, &err))
		ck_abort_msg("%s: %s", words, err.message);
	ck_assert_str_eq(redis_value_string(value, &len), expected);
}

void words_expect_integer(struct redis *redis, const char *words, int64_t expected)
{
	struct error err;
	const struct redis_value *value;
	if (!words_run(redis, words, &value, &err))
		ck_abort_msg("%s: %s", words, err.message);
	ck_assert_int_eq(redis_value_integer(value), expected);
}
