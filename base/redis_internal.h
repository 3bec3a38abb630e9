/* redis_internal.h - the parts of base/redis: values, address, functions. Only for base/redis*.c. */
#ifndef BASE_REDIS_INTERNAL_H
#define BASE_REDIS_INTERNAL_H

#include "base/redis.h"

#include <hiredis/hiredis.h>

/* A reader that makes redis_values in the arena that is its privdata. */
redisReader *redis_reader_create(void);

struct redis_address {
	char *host; /* NULL: a unix socket */
	int port;
	char *path;     /* of the unix socket */
	char *user;     /* NULL: none */
	char *password; /* NULL: none */
	int database;
};
MUST_USE bool redis_address_parse(const char *url, struct redis_address *out, struct error *err);
void redis_address_free(struct redis_address *address);
/* A connected socket in non-blocking mode. */
MUST_USE bool redis_address_connect(const struct redis_address *address, unsigned timeout_ms,
                                    int *fd, struct error *err);

/* Commands that travel together, and their answers. */
struct request {
	size_t offset, len; /* in the batch's bytes */
	size_t args;        /* offset of the first argument */
	redis_done *done;
	void *arg;
	unsigned timeout_ms;
	enum error_code refused; /* not ERR_NONE: never sent */
	bool repeated;
	const struct redis_value *value;
};

struct batch {
	struct buffer bytes;
	struct request *requests;
	size_t count, capacity;
	size_t sent;             /* bytes */
	size_t answered;         /* requests */
	unsigned timeout_ms;     /* the longest of its requests */
	uint64_t progress_at_us; /* when Redis last took or gave bytes */
	struct arena *arena;     /* of the values */
};

void batch_init(struct batch *batch);
void batch_free(struct batch *batch);
void batch_clear(struct batch *batch);
void batch_swap(struct batch *a, struct batch *b);
struct request *batch_add(struct batch *batch);
void batch_append(struct batch *batch, const struct redis_command *command, unsigned timeout_ms,
                  redis_done *done, void *arg);
/* Sends what the socket takes. False: the connection is lost. */
MUST_USE bool batch_write(struct batch *batch, int fd, struct error *err);
/* Moves bytes both ways, waiting up to wait_ms for the first. False: the connection is lost. */
MUST_USE bool batch_pump(struct batch *batch, int fd, redisReader *reader, unsigned wait_ms,
                         struct error *err);
bool batch_late(const struct batch *batch);

/* The batch that begins a connection: login, database, and what the server has of the libraries. */
void redis_setup_ask(struct batch *setup, const struct redis_address *address,
                     const struct redis_library *libraries, size_t count);
/* Makes of its answers the batch that loads what differs. False: nothing does. */
bool redis_setup_load(struct batch *setup, const struct redis_library *libraries, size_t count);
/* `args`: of the command, as it was sent. */
bool redis_function_missing(const char *args, const struct redis_value *answer);

#endif
