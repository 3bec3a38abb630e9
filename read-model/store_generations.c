#include "read-model/store_internal.h"

#include "base/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DROP_PER_STEP = 1000 };
#define LIVE_KEY     "model:live"
#define DROP_FIELD   "drop:"
#define MOMENT_FIELD "moment:"

/* A question or a move under way; a drop goes through several commands. */
struct move {
	struct redis *redis;
	struct redis_command command; /* the one being written */
	uint64_t generation;
	char cursor[24];   /* of a drop */
	const char *shape; /* of the answer, when that says no more than that it is done */
	union {
		model_generations_done *asked;
		model_generation_begun *begun;
		model_store_done *done;
	} done;
	void *arg;
};

static struct move *move_begin(struct redis *redis, void *arg)
{
	struct move *move = calloc(1, sizeof(*move));
	ASSERT(move != NULL);
	move->redis = redis;
	move->arg = arg;
	return move;
}

/* The arguments of the function follow. */
static void put_call(struct move *move, const char *function)
{
	redis_command_init(&move->command);
	redis_arg(&move->command, "FCALL");
	redis_arg(&move->command, function);
	redis_arg(&move->command, "1");
	redis_arg(&move->command, LIVE_KEY);
}

static void put_number(struct move *move, uint64_t number)
{
	redis_arg_integer(&move->command, (int64_t)number);
}

static void send(struct move *move, redis_done *done)
{
	redis_queue(move->redis, &move->command, done, move);
	redis_command_free(&move->command);
}

static void move_end(struct move *move, const struct error *err)
{
	move->done.done(move->arg, err);
	free(move);
}

static void moved(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool bad = model_store_failed(value, move->shape, redis_err, &err);
	move_end(move, bad ? &err : NULL);
}

/* ---- reading ---- */

/* The number of a field "<prefix><number>" goes to the list, if there is room. */
static void read_number(const char *name, const char *prefix, uint64_t *numbers, size_t *count,
                        size_t max)
{
	if (strncmp(name, prefix, strlen(prefix)) == 0 && *count < max)
		numbers[(*count)++] = strtoull(name + strlen(prefix), NULL, 10);
}

static void read_fields(const struct redis_value *value, struct model_generations *out)
{
	uint64_t version = 0, building_version = 0;
	size_t len;
	*out = (struct model_generations){ .none = redis_value_count(value) == 0 };
	for (size_t i = 0; i + 1 < redis_value_count(value); i += 2) {
		const char *name = redis_value_string(redis_value_at(value, i), &len);
		uint64_t number = (uint64_t)redis_value_integer(redis_value_at(value, i + 1));
		if (strcmp(name, "generation") == 0)
			out->live = number;
		else if (strcmp(name, "version") == 0)
			version = number;
		else if (strcmp(name, "building") == 0)
			out->building = number;
		else if (strcmp(name, "building_version") == 0)
			building_version = number;
		else if (strcmp(name, "highest") == 0)
			out->highest = number;
		read_number(name, DROP_FIELD, out->dropped, &out->dropped_count,
		            GENERATIONS_DROPPED_MAX);
		read_number(name, MOMENT_FIELD, out->moments, &out->moment_count,
		            GENERATIONS_MOMENTS_MAX);
	}
	if (version != MODEL_VERSION)
		out->live = 0;
	if (building_version != MODEL_VERSION)
		out->building = 0;
}

static void put_question(struct redis_command *command)
{
	redis_command_init(command);
	redis_arg(command, "HGETALL");
	redis_arg(command, LIVE_KEY);
}

bool model_generations_read(struct redis *redis, struct model_generations *generations,
                            struct error *err)
{
	struct redis_command command;
	const struct redis_value *value;
	put_question(&command);
	bool ok = redis_wait(redis, &command, 0, &value, err) &&
	          !model_store_failed(value, "[ss]", NULL, err);
	redis_command_free(&command);
	if (ok)
		read_fields(value, generations);
	return ok;
}

static void asked(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct model_generations generations;
	struct error err;
	bool bad = model_store_failed(value, "[ss]", redis_err, &err);
	if (!bad)
		read_fields(value, &generations);
	move->done.asked(move->arg, bad ? NULL : &generations, bad ? &err : NULL);
	free(move);
}

void model_generations_ask(struct redis *redis, model_generations_done *done, void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->done.asked = done;
	put_question(&move->command);
	send(move, asked);
}

/* ---- moves ---- */

static void begun(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool bad = model_store_failed(value, "i", redis_err, &err);
	int64_t number = bad ? 0 : redis_value_integer(value);
	move->done.begun(move->arg, (uint64_t)llabs(number), number > 0, bad ? &err : NULL);
	free(move);
}

void model_generation_begin(struct redis *redis, uint64_t floor, const char *process,
                            model_generation_begun *done, void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->done.begun = done;
	put_call(move, "readmodel_begin");
	put_number(move, MODEL_VERSION);
	put_number(move, floor);
	redis_arg(&move->command, process);
	send(move, begun);
}

void model_generation_moment(struct redis *redis, uint64_t floor, const char *process,
                             model_generation_begun *done, void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->done.begun = done;
	put_call(move, "readmodel_moment");
	put_number(move, floor);
	redis_arg(&move->command, process);
	send(move, begun);
}

void model_generation_alive(struct redis *redis, const char *process, bool keeps_moments,
                            const uint64_t *kept, size_t kept_count, model_store_done *done,
                            void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->done.done = done;
	move->shape = "i";
	put_call(move, "readmodel_alive");
	redis_arg(&move->command, process);
	redis_arg(&move->command, keeps_moments ? "1" : "0");
	for (size_t i = 0; i < kept_count; i++)
		put_number(move, kept[i]);
	send(move, moved);
}

static void seen(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool bad = model_store_failed(value, "i", redis_err, &err);
	if (!bad && redis_value_integer(value) == 0)
		bad = !error_set(&err, ERR_CONFLICT, "another process builds the model now");
	move_end(move, bad ? &err : NULL);
}

void model_generation_seen(struct redis *redis, uint64_t generation, const char *process,
                           model_store_done *done, void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->done.done = done;
	put_call(move, "readmodel_seen");
	put_number(move, generation);
	redis_arg(&move->command, process);
	send(move, seen);
}

static void went_live(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool refused = redis_value_kind(value) == REDIS_INTEGER;
	bool bad = model_store_failed(value, refused ? "i" : "s", redis_err, &err);
	if (!bad && refused)
		bad = !error_set(&err, ERR_CONFLICT, "generation %" PRId64 " is being built",
		                 redis_value_integer(value));
	move_end(move, bad ? &err : NULL);
}

void model_generation_go_live(struct redis *redis, uint64_t generation, model_store_done *done,
                              void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->done.done = done;
	put_call(move, "readmodel_go_live");
	put_number(move, generation);
	put_number(move, MODEL_VERSION);
	send(move, went_live);
	FAULT("go_live_queued");
}

/* ---- deleting ---- */

static void mark(struct move *move, const char *function)
{
	move->shape = "s";
	put_call(move, function);
	put_number(move, move->generation);
	send(move, moved);
}

void model_generation_forget(struct redis *redis, uint64_t generation, model_store_done *done,
                             void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->generation = generation;
	move->done.done = done;
	mark(move, "readmodel_forget");
}

static void scan(struct move *move);

static void scan_on(struct move *move)
{
	if (strcmp(move->cursor, "0") != 0)
		scan(move);
	else
		mark(move, "readmodel_dropped");
}

static void unlinked(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	FAULT("keys_unlinked");
	if (model_store_failed(value, "i", redis_err, &err))
		move_end(move, &err);
	else
		scan_on(move);
}

static void scanned(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	size_t len;
	if (model_store_failed(value, "(s[s])", redis_err, &err)) {
		move_end(move, &err);
		return;
	}
	const struct redis_value *keys = redis_value_at(value, 1);
	snprintf(move->cursor, sizeof(move->cursor), "%s",
	         redis_value_string(redis_value_at(value, 0), &len));
	if (redis_value_count(keys) == 0) {
		scan_on(move);
		return;
	}
	redis_command_init(&move->command);
	redis_arg(&move->command, "UNLINK");
	for (size_t i = 0; i < redis_value_count(keys); i++) {
		const char *key = redis_value_string(redis_value_at(keys, i), &len);
		redis_arg_bytes(&move->command, key, len);
	}
	send(move, unlinked);
}

static void scan(struct move *move)
{
	char pattern[40];
	snprintf(pattern, sizeof(pattern), "{model:%" PRIu64 "}*", move->generation);
	redis_command_init(&move->command);
	redis_arg(&move->command, "SCAN");
	redis_arg(&move->command, move->cursor);
	redis_arg(&move->command, "MATCH");
	redis_arg(&move->command, pattern);
	redis_arg(&move->command, "COUNT");
	put_number(move, DROP_PER_STEP);
	redis_route(&move->command, pattern);
	send(move, scanned);
}

void model_generation_drop(struct redis *redis, uint64_t generation, model_store_done *done,
                           void *arg)
{
	struct move *move = move_begin(redis, arg);
	move->generation = generation;
	move->done.done = done;
	snprintf(move->cursor, sizeof(move->cursor), "0");
	scan(move);
}
