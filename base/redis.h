/* redis.h - a connection to Redis, pipelined by loop turns: to one server, to the one that sentinels
 * name, or to each master of a cluster.
 *
 * redis_queue only collects. The turn hook sends what was collected as one pipeline; while Redis
 * works on it the loop collects the next; then all callbacks of the first run and the next leaves.
 * So an idle connection has the latency of one round trip, and a busy one waits for no timer.
 *
 * The connection is made when first needed, and again after a loss with a backoff of 50 ms to 1 s.
 * While there is none, or Redis does not answer for `timeout_ms`, commands end with
 * ERR_UNAVAILABLE; one that had been sent may have run. An error reply of Redis comes as a value of
 * kind REDIS_ERROR, unless it says that Redis could not do the command for now (it loads, is full, has
 * too few replicas, ...): that is ERR_UNAVAILABLE too. The loop is never blocked for more than 200 ms.
 *
 * A cluster is noticed by itself. Commands go to the master of their first key's slot, over one
 * connection for each; MOVED and ASK are followed, and what is refused for a moment (a slot that moves,
 * a failover) is tried again for up to 2 s. While the slots stay where they are, commands of one slot
 * run in the order in which they were queued. Behind sentinels, the master is asked for before each
 * connection; a server that is a replica, or becomes one, is left.
 *
 * Functions: libraries given to redis_create are loaded on every new connection (FUNCTION LOAD
 * REPLACE) unless the server has exactly this code under this name. Function names are unique over all
 * libraries of a server, so two versions cannot stand beside each other: the last process that
 * connects wins, and a change must keep what the functions of the version before promised. An
 * FCALL that is answered "Function not found" (functions flushed, a new master) loads the libraries
 * again and is repeated once. Each master of a cluster has its own. */
#ifndef BASE_REDIS_H
#define BASE_REDIS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/loop.h"

struct redis;

enum redis_kind { REDIS_NIL, REDIS_INTEGER, REDIS_STRING, REDIS_ARRAY, REDIS_STATUS, REDIS_ERROR };
struct redis_value; /* lives during the callback, or in the connection until the next redis_wait */

enum redis_kind redis_value_kind(const struct redis_value *value);
int64_t redis_value_integer(const struct redis_value *value); /* also of a decimal string; else 0 */
/* Bytes of a string, status or error; "" with *len 0 for other kinds. NUL-terminated. */
const char *redis_value_string(const struct redis_value *value, size_t *len);
size_t redis_value_count(const struct redis_value *value); /* of an array; else 0 */
/* NULL past the end. */
const struct redis_value *redis_value_at(const struct redis_value *value, size_t index);

/* A command being written: its arguments are copied. It can be cleared and used again as soon as it
 * was queued. */
struct redis_command {
	size_t argc;
	struct buffer args; /* as they are sent: "$<len>\r\n<bytes>\r\n" each */
	int slot;           /* of a cluster */
};
enum { REDIS_SLOT_OF_KEY = -2 }; /* the usual: of the first key; any master when there is none */
void redis_command_init(struct redis_command *command);
void redis_command_free(struct redis_command *command);
void redis_command_clear(struct redis_command *command);
void redis_arg(struct redis_command *command, const char *text);
void redis_arg_bytes(struct redis_command *command, const void *bytes, size_t len);
void redis_arg_integer(struct redis_command *command, int64_t number);
/* Sends a command without keys (SCAN, TIME) to where `key` lives; until it is cleared. */
void redis_route(struct redis_command *command, const char *key);

struct redis_library {
	const char *name;   /* "eventstore" */
	const char *source; /* Lua, without the "#!lua" line */
};

/* `url`: redis://[[user]:password@]host:port[/db] or unix:///path[?db=N]; several with commas are tried
 * in turn, for a cluster whose masters come and go; sentinel://[[user]:password@]host:port,.../name
 * asks sentinels (the login is the server's). With ?replicas=N (1 to 16) at the end, an answer comes when N
 * replicas have all that was written before it: a WAIT of 1 s goes with each batch, and what is not
 * confirmed ends with ERR_UNAVAILABLE though it may have run. So what was answered, or read, survives the
 * loss of a master whose most advanced replica takes over. `libraries` must outlive it.
 * With `loop` NULL there is no hook: only redis_wait can be used, from one thread. */
MUST_USE bool redis_create(struct loop *loop, const char *url,
                           const struct redis_library *libraries, size_t library_count,
                           unsigned timeout_ms, struct redis **out, struct error *err);
/* Ends what waits with ERR_CANCELLED. */
void redis_destroy(struct redis *redis);

/* `value` is NULL when `err` is not. */
typedef void redis_done(void *arg, const struct redis_value *value, const struct error *err);
/* Of what `done` was given: true if there is a value, and of this shape. A shape has one letter for each
 * value: i an integer, s a string, a an array, . anything; ?x: nil or x; (xy): an array of exactly these;
 * [xy]: an array of such groups, or of none. Else *err is `failed`, or ERR_UNAVAILABLE with the words of
 * Redis if it is an error reply. */
MUST_USE bool redis_check(const struct redis_value *value, const char *shape,
                          const struct error *failed, struct error *err);
/* Never calls `done` before it returns. WAIT goes over the connection of the command that was queued
 * just before it, wherever that is sent on to. */
void redis_queue(struct redis *redis, const struct redis_command *command, redis_done *done,
                 void *arg);
/* Queues it for each master, or the one server. Returns how often `done` will be called. */
size_t redis_queue_all(struct redis *redis, const struct redis_command *command, redis_done *done,
                       void *arg);
/* Commands queued or in flight. */
size_t redis_waiting(const struct redis *redis);

/* Sends one command and waits for the value; for start-up, tools, tests and threads of their own.
 * `timeout_ms` 0: the connection's; for blocking commands give more than they block.
 * An error reply is a failure here (ERR_INTERNAL with Redis's words). */
MUST_USE bool redis_wait(struct redis *redis, const struct redis_command *command,
                         unsigned timeout_ms, const struct redis_value **value, struct error *err);
/* For a thread of its own, without a loop: moves what is queued, and waits up to wait_ms for answers.
 * The callbacks run meanwhile. */
void redis_step(struct redis *redis, unsigned wait_ms);
bool redis_connected(const struct redis *redis); /* to one master at least */
/* Known only after the first connection. */
bool redis_is_cluster(const struct redis *redis);
/* Grows when a command had to be sent on to another master: slots are moving, or have. */
uint64_t redis_redirects(const struct redis *redis);
/* Grows when a connection was lost, or a master of a cluster has no slots any more: what answers now may have
 * less than what answered before. */
uint64_t redis_losses(const struct redis *redis);

#endif
