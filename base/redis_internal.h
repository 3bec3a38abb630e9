/* redis_internal.h - the parts of base/redis. Only for base/redis*.c, and tests.
 *
 *   redis.c            what redis.h promises: queues commands, steps the links
 *   redis_place.c      where commands go
 *   redis_cluster.c    the map of a cluster
 *   redis_slot.c       the slots of commands; what answers say about where to go
 *   redis_link.c       one connection: connects, sets up, one batch in flight
 *   redis_batch.c      commands that travel together
 *   redis_functions.c  the commands that begin a connection
 *   redis_address.c    URLs
 *   redis_value.c      answers, and commands being written */
#ifndef BASE_REDIS_INTERNAL_H
#define BASE_REDIS_INTERNAL_H

#include "base/redis.h"

#include <hiredis/hiredis.h>

enum { REDIS_SLOTS = 16384 };

/* A reader that makes redis_values in the arena that is its privdata. */
redisReader *redis_reader_create(void);
/* Writes the digits so that they end before `end`; where they begin. At most 20. */
char *redis_put_decimal(char *end, uint64_t number);

struct redis_address {
	char *host; /* NULL: a unix socket */
	int port;
	char *path;     /* of the unix socket */
	char *user;     /* NULL: none */
	char *password; /* NULL: none */
	int database;
};
void redis_address_free(struct redis_address *address);
void redis_address_copy(struct redis_address *address, const struct redis_address *from);
/* The login of `from`, at another place. */
void redis_address_set(struct redis_address *address, const struct redis_address *from,
                       const char *host, int port);
/* A connected socket in non-blocking mode. */
MUST_USE bool redis_address_connect(const struct redis_address *address, unsigned timeout_ms,
                                    int *fd, struct error *err);

/* Where to begin: servers, or the sentinels that know the server. */
struct redis_seeds {
	struct redis_address *items;
	size_t count;
	size_t next;       /* to be tried */
	char *master_name; /* NULL: they are servers */
	int replicas;      /* that must have what is answered */
};
MUST_USE bool redis_seeds_parse(const char *urls, struct redis_seeds *out, struct error *err);
void redis_seeds_free(struct redis_seeds *seeds);

/* Commands that travel together, and their answers. */
struct request {
	size_t offset, len; /* in the batch's bytes */
	size_t args;        /* offset of the first argument */
	redis_done *done;
	void *arg;
	unsigned timeout_ms;
	enum error_code refused; /* not ERR_NONE: never sent */
	int slot;                /* of a cluster; -1: any master will do; or REDIS_SLOT_OF_KEY */
	bool follows;            /* WAIT: goes where the one before it goes */
	bool repeated;           /* its function was loaded for it */
	bool asking;             /* "ASKING", for the one after it */
	unsigned redirects;
	uint64_t until_us; /* refused for now: try again until then; 0: was not */
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
struct request *batch_append(struct batch *batch, const struct redis_command *command,
                             unsigned timeout_ms, redis_done *done, void *arg);
void batch_append_asking(struct batch *batch);
/* Appends a request of another batch, to be sent once more. */
struct request *batch_copy(struct batch *batch, const struct batch *from,
                           const struct request *request);
/* Sends what the socket takes. False: the connection is lost. */
MUST_USE bool batch_write(struct batch *batch, int fd, struct error *err);
/* Moves what bytes there are, both ways. False: the connection is lost. */
MUST_USE bool batch_pump(struct batch *batch, int fd, redisReader *reader, struct error *err);
bool batch_late(const struct batch *batch);

/* Adds WAIT at the end. */
void redis_put_wait(struct batch *batch, int replicas, unsigned timeout_ms);
/* The batch that asks a sentinel for the server. */
void redis_setup_find(struct batch *setup, const char *master_name);
/* The batch that begins a connection: login, database, role, the map of the cluster, and what the
 * server has of the libraries. */
void redis_setup_ask(struct batch *setup, const struct redis_address *address,
                     const struct redis_library *libraries, size_t count);
/* Of its answers, `libraries` being as many: */
const struct redis_value *redis_setup_role(const struct batch *setup, size_t libraries);
const struct redis_value *redis_setup_map(const struct batch *setup, size_t libraries);
/* Makes of its answers the batch that loads what differs. False: nothing does. */
bool redis_setup_load(struct batch *setup, const struct redis_library *libraries, size_t count);
/* `args`: of the command, as it was sent. */
bool redis_function_missing(const char *args, const struct redis_value *answer);

/* Redis could not do it for now, or not here. */
enum redis_fate {
	FATE_DONE,    /* what the answer says is for who asked */
	FATE_REFUSED, /* as ERR_UNAVAILABLE */
	FATE_LATER,   /* try again in a moment */
	FATE_LOST,    /* no master any more: connect again and then try again */
	FATE_MOVED,   /* the slot is with another master */
	FATE_ASK      /* this key is, while the slot moves */
};
enum redis_fate redis_fate(const struct redis_value *answer);
/* Of MOVED and ASK. `host` is empty when it is that of the server that answered. */
struct redis_redirect {
	int slot, port;
	char host[256];
};
bool redis_redirect_parse(const struct redis_value *answer, struct redis_redirect *out);
/* The slot of a command's first key; -1 when it has none. `args` as they are sent. */
int redis_slot_of_args(const char *args, size_t len);
int redis_slot_of_key(const char *key, size_t len);

#endif
