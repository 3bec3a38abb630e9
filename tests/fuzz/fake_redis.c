#include "tests/fuzz/fake.h"

#include "base/redis_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct redis {
	size_t waiting;
};

struct command {
	struct redis *redis;
	redis_done *done;
	void *arg;
	struct command *prev, *next;
};

static struct command *commands; /* of all connections, oldest first */

bool redis_create(struct loop *loop, const char *url, const struct redis_library *libraries,
                  size_t library_count, unsigned timeout_ms, struct redis **out, struct error *err)
{
	(void)loop;
	(void)url;
	(void)libraries;
	(void)library_count;
	(void)timeout_ms;
	(void)err;
	*out = calloc(1, sizeof(**out));
	ASSERT(*out != NULL);
	return true;
}

static void end(struct command *command, const struct redis_value *value, const struct error *err)
{
	DL_DELETE(commands, command);
	command->redis->waiting--;
	if (command->done != NULL)
		command->done(command->arg, value, err);
	free(command);
}

void redis_destroy(struct redis *redis)
{
	struct error err;
	error_set(&err, ERR_CANCELLED, "the connection is closed");
	if (redis == NULL)
		return;
	while (redis->waiting > 0) {
		struct command *command = commands;
		while (command->redis != redis)
			command = command->next;
		end(command, NULL, &err);
	}
	free(redis);
}

void redis_queue(struct redis *redis, const struct redis_command *command, redis_done *done,
                 void *arg)
{
	ASSERT(command->argc > 0 && !command->args.overflow);
	struct command *waiting = calloc(1, sizeof(*waiting));
	ASSERT(waiting != NULL);
	*waiting = (struct command){ .redis = redis, .done = done, .arg = arg };
	DL_APPEND(commands, waiting);
	redis->waiting++;
}

size_t redis_queue_all(struct redis *redis, const struct redis_command *command, redis_done *done,
                       void *arg)
{
	redis_queue(redis, command, done, arg);
	return 1;
}

size_t redis_waiting(const struct redis *redis)
{
	return redis->waiting;
}

/* Lives as long as the process. */
static const struct redis_value *empty_list(void)
{
	static struct arena *arena;
	static void *value;
	if (arena == NULL) {
		arena = arena_create();
		redisReader *reader = redis_reader_create();
		reader->privdata = arena;
		ASSERT(redisReaderFeed(reader, "*0\r\n", 4) == REDIS_OK &&
		       redisReaderGetReply(reader, &value) == REDIS_OK);
		redisReaderFree(reader);
	}
	return value;
}

/* Only at the start: everything is empty, and configuration is hidden. */
bool redis_wait(struct redis *redis, const struct redis_command *command, unsigned timeout_ms,
                const struct redis_value **value, struct error *err)
{
	(void)redis;
	(void)timeout_ms;
	*value = empty_list();
	return strstr(command->args.bytes, "CONFIG") == NULL ||
	       error_set(err, ERR_INTERNAL, "redis: unknown command");
}

bool redis_connected(const struct redis *redis)
{
	(void)redis;
	return true;
}

uint64_t redis_losses(const struct redis *redis)
{
	(void)redis;
	return 0;
}

static struct command *find(unsigned which)
{
	struct command *command;
	unsigned count;
	DL_COUNT(commands, command, count);
	command = commands;
	for (which = count > 0 ? which % count : 0; which > 0; which--)
		command = command->next;
	return command;
}

void fake_redis_answer(unsigned which, const uint8_t *bytes, size_t len)
{
	struct command *command = find(which);
	struct arena *arena = arena_create();
	redisReader *reader = redis_reader_create();
	void *value = NULL;
	reader->privdata = arena;
	if (commands != NULL && redisReaderFeed(reader, (const char *)bytes, len) == REDIS_OK &&
	    redisReaderGetReply(reader, &value) == REDIS_OK && value != NULL)
		end(command, value, NULL);
	redisReaderFree(reader);
	arena_destroy(arena);
}

void fake_redis_fail(unsigned which)
{
	struct command *command = find(which);
	struct error err;
	error_set(&err, ERR_UNAVAILABLE, "redis: the connection was lost");
	if (command != NULL)
		end(command, NULL, &err);
}
