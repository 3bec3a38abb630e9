/* redis_words.h - commands written as words with blanks, for the tests of redis.h. */
#ifndef TESTS_SUPPORT_REDIS_WORDS_H
#define TESTS_SUPPORT_REDIS_WORDS_H

#include "base/redis.h"
#include "tests/support/redis_fixture.h"

/* With a library that has the function redistest_double. Aborts the test on failure. */
struct redis *words_connect(const struct redis_fixture *server, struct loop *loop,
                            unsigned timeout_ms);
void words_put(struct redis_command *command, const char *words); /* free it */
MUST_USE bool words_run(struct redis *redis, const char *words, const struct redis_value **value,
                        struct error *err);
void words_expect_text(struct redis *redis, const char *words, const char *expected);
void words_expect_integer(struct redis *redis, const char *words, int64_t expected);

#endif
