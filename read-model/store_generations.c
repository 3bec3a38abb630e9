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
	uint64_t generation;
	char cursor[24]; /* of a drop */
	union {
		model_generations_done *asked;
		model_generation_begun *begun;
		model_store_done *done;
	} done;
	void *arg;
};

static struct move *move_begin(struct redis *redis, uint64_t generation, void *arg)
{
	struct move *move = malloc(sizeof(*move));
	ASSERT(move != NULL);
	*move = (struct move){ .redis = redis, .generation = generation, .arg = arg };
	return move;
}

static void send_words(struct redis *redis, const char *const *words, size_t count,
                       redis_done *done, void *arg)
{
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < count; i++)
		redis_arg(&command, words[i]);
	redis_queue(redis, &command, done, arg);
	redis_command_free(&command);
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

static const char *const ask_words[] = { "HGETALL", LIVE_KEY };

bool model_generations_read(struct redis *redis, struct model_generations *generations,
                            struct error *err)
{
	struct redis_command command;
	const struct redis_value *value;
	redis_command_init(&command);
	for (size_t i = 0; i < ARRAY_LEN(ask_words); i++)
		redis_arg(&command, ask_words[i]);
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
	struct move *move = move_begin(redis, 0, arg);
	move->done.asked = done;
	send_words(redis, ask_words, ARRAY_LEN(ask_words), asked, move);
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
	char version[24], used[24];
	snprintf(version, sizeof(version), "%d", MODEL_VERSION);
	snprintf(used, sizeof(used), "%" PRIu64, floor);
	const char *words[] = { "FCALL", "readmodel_begin", "1", LIVE_KEY, version, used, process };
	struct move *move = move_begin(redis, 0, arg);
	move->done.begun = done;
	send_words(redis, words, ARRAY_LEN(words), begun, move);
}

void model_generation_moment(struct redis *redis, uint64_t floor, const char *process,
                             model_generation_begun *done, void *arg)
{
	char used[24];
	snprintf(used, sizeof(used), "%" PRIu64, floor);
	const char *words[] = { "FCALL", "readmodel_moment", "1", LIVE_KEY, used, process };
	struct move *move = move_begin(redis, 0, arg);
	move->done.begun = done;
	send_words(redis, words, ARRAY_LEN(words), begun, move);
}

static void said_alive(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool bad = model_store_failed(value, "i", redis_err, &err);
	move->done.done(move->arg, bad ? &err : NULL);
	free(move);
}

void model_generation_alive(struct redis *redis, const char *process, bool keeps_moments,
                            const uint64_t *kept, size_t kept_count, model_store_done *done,
                            void *arg)
{
	const char *words[] = { "FCALL",  "readmodel_alive", "1",
		                LIVE_KEY, process,           keeps_moments ? "1" : "0" };
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		redis_arg(&command, words[i]);
	for (size_t i = 0; i < kept_count; i++)
		redis_arg_integer(&command, (int64_t)kept[i]);
	struct move *move = move_begin(redis, 0, arg);
	move->done.done = done;
	redis_queue(redis, &command, said_alive, move);
	redis_command_free(&command);
}

static void seen(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool bad = model_store_failed(value, "i", redis_err, &err);
	if (!bad && redis_value_integer(value) == 0)
		bad = !error_set(&err, ERR_CONFLICT, "another process builds the model now");
	move->done.done(move->arg, bad ? &err : NULL);
	free(move);
}

void model_generation_seen(struct redis *redis, uint64_t generation, const char *process,
                           model_store_done *done, void *arg)
{
	char number[24];
	snprintf(number, sizeof(number), "%" PRIu64, generation);
	const char *words[] = { "FCALL", "readmodel_seen", "1", LIVE_KEY, number, process };
	struct move *move = move_begin(redis, generation, arg);
	move->done.done = done;
	send_words(redis, words, ARRAY_LEN(words), seen, move);
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
	move->done.done(move->arg, bad ? &err : NULL);
	free(move);
}

void model_generation_go_live(struct redis *redis, uint64_t generation, model_store_done *done,
                              void *arg)
{
	char number[24], version[24];
	snprintf(number, sizeof(number), "%" PRIu64, generation);
	snprintf(version, sizeof(version), "%d", MODEL_VERSION);
	const char *words[] = { "FCALL", "readmodel_go_live", "1", LIVE_KEY, number, version };
	struct move *move = move_begin(redis, generation, arg);
	move->done.done = done;
	send_words(redis, words, ARRAY_LEN(words), went_live, move);
	FAULT("go_live_queued");
}

/* ---- deleting ---- */

static void scan(struct move *move);

static void marked(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	bool bad = model_store_failed(value, "s", redis_err, &err);
	move->done.done(move->arg, bad ? &err : NULL);
	free(move);
}

void model_generation_forget(struct redis *redis, uint64_t generation, model_store_done *done,
                             void *arg)
{
	char number[24];
	snprintf(number, sizeof(number), "%" PRIu64, generation);
	const char *words[] = { "FCALL", "readmodel_forget", "1", LIVE_KEY, number };
	struct move *move = move_begin(redis, generation, arg);
	move->done.done = done;
	send_words(redis, words, ARRAY_LEN(words), marked, move);
}

static void scan_on(struct move *move)
{
	char number[24];
	if (strcmp(move->cursor, "0") != 0) {
		scan(move);
		return;
	}
	snprintf(number, sizeof(number), "%" PRIu64, move->generation);
	const char *words[] = { "FCALL", "readmodel_dropped", "1", LIVE_KEY, number };
	send_words(move->redis, words, ARRAY_LEN(words), marked, move);
}

static void unlinked(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	FAULT("keys_unlinked");
	if (!model_store_failed(value, "i", redis_err, &err)) {
		scan_on(move);
		return;
	}
	move->done.done(move->arg, &err);
	free(move);
}

static void scanned(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct move *move = arg;
	struct error err;
	size_t len;
	if (model_store_failed(value, "(s[s])", redis_err, &err)) {
		move->done.done(move->arg, &err);
		free(move);
		return;
	}
	const struct redis_value *keys = redis_value_at(value, 1);
	snprintf(move->cursor, sizeof(move->cursor), "%s",
	         redis_value_string(redis_value_at(value, 0), &len));
	struct redis_command command;
	redis_command_init(&command);
	redis_arg(&command, "UNLINK");
	for (size_t i = 0; i < redis_value_count(keys); i++) {
		const char *key = redis_value_string(redis_value_at(keys, i), &len);
		redis_arg_bytes(&command, key, len);
	}
	if (command.argc > 1)
		redis_queue(move->redis, &command, unlinked, move);
	else
		scan_on(move);
	redis_command_free(&command);
}

static void scan(struct move *move)
{
	char pattern[40], count[24];
	snprintf(pattern, sizeof(pattern), "{model:%" PRIu64 "}*", move->generation);
	snprintf(count, sizeof(count), "%d", DROP_PER_STEP);
	const char *words[] = { "SCAN", move->cursor, "MATCH", pattern, "COUNT", count };
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		redis_arg(&command, words[i]);
	redis_route(&command, pattern);
	redis_queue(move->redis, &command, scanned, move);
	redis_command_free(&command);
}

void model_generation_drop(struct redis *redis, uint64_t generation, model_store_done *done,
                           void *arg)
{
	struct move *move = move_begin(redis, generation, arg);
	move->done.done = done;
	snprintf(move->cursor, sizeof(move->cursor), "0");
	scan(move);
}
