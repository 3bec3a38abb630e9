#include "read-model/store_internal.h"

#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char readmodel_apply_lua[], readmodel_generations_lua[];
const struct redis_library model_store_libraries[MODEL_STORE_LIBRARIES] = {
	{ "readmodel", readmodel_apply_lua },
	{ "readmodel_generations", readmodel_generations_lua },
};

enum { TIES = 8, MEMBERS_MAX = 100000 };

struct model_store *model_store_create(struct redis *redis, uint64_t generation)
{
	struct model_store *store = calloc(1, sizeof(*store));
	ASSERT(store != NULL);
	store->redis = redis;
	store->generation = generation;
	snprintf(store->prefix, sizeof(store->prefix), "{model:%" PRIu64 "}", generation);
	redis_command_init(&store->command);
	return store;
}

void model_store_destroy(struct model_store *store)
{
	if (store == NULL)
		return;
	while (store->free_calls != NULL) {
		struct model_store_call *next = store->free_calls->next;
		free(store->free_calls);
		store->free_calls = next;
	}
	redis_command_free(&store->command);
	free(store);
}

uint64_t model_store_generation(const struct model_store *store)
{
	return store->generation;
}

uint64_t model_store_losses(const struct model_store *store)
{
	return redis_losses(store->redis);
}

struct model_store_call *model_store_call_begin(struct model_store *store, void *arg)
{
	struct model_store_call *call = store->free_calls;
	if (call != NULL)
		store->free_calls = call->next;
	else
		call = malloc(sizeof(*call));
	ASSERT(call != NULL);
	*call = (struct model_store_call){ .store = store, .arg = arg };
	return call;
}

void model_store_call_end(struct model_store_call *call)
{
	free(call->id);
	call->id = NULL;
	call->next = call->store->free_calls;
	call->store->free_calls = call;
}

struct redis_command *model_store_command(struct model_store *store, const char *name)
{
	redis_command_clear(&store->command);
	redis_arg(&store->command, name);
	return &store->command;
}

void model_store_arg_key(struct model_store *store, struct redis_command *command, const char *a,
                         const char *b, const char *c)
{
	const char *const parts[] = { store->prefix, a, b, c };
	size_t lens[ARRAY_LEN(parts)], len = 0;
	char here[1024];
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		len += lens[i] = strlen(parts[i]);
	char *key = len <= sizeof(here) ? here : malloc(len), *end = key;
	ASSERT(key != NULL);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		memcpy(end, parts[i], lens[i]);
		end += lens[i];
	}
	redis_arg_bytes(command, key, len);
	if (key != here)
		free(key);
}

/* How the answers begin with which Redis refuses a command for now. */
static const char *const refusals[] = { "LOADING ",    "BUSY ",        "OOM ",
	                                "MISCONF ",    "READONLY ",    "MASTERDOWN ",
	                                "NOREPLICAS ", "CLUSTERDOWN ", "TRYAGAIN " };

static enum error_code refusal_code(const char *answer)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (strncmp(answer, refusals[i], strlen(refusals[i])) == 0)
			return ERR_UNAVAILABLE;
	}
	return ERR_INTERNAL;
}

bool model_store_failed(const struct redis_value *value, const char *shape,
                        const struct error *redis_err, struct error *err)
{
	size_t len;
	if (redis_check(value, shape, redis_err, err))
		return false;
	if (redis_value_kind(value) == REDIS_ERROR)
		err->code = refusal_code(redis_value_string(value, &len));
	return true;
}

static const char *text_at(const struct redis_value *value, size_t index)
{
	size_t len;
	return redis_value_string(redis_value_at(value, index), &len);
}

/* ---- checkpoint ---- */

void model_position_set(struct model_position *position, const char *entry_id, const char *topic)
{
	snprintf(position->entry_id, sizeof(position->entry_id), "%s", entry_id);
	snprintf(position->topic, sizeof(position->topic), "%s", topic);
}

int model_position_compare(const struct model_position *a, const struct model_position *b)
{
	struct error err;
	struct entry_id left = { 0, 0 }, right = { 0, 0 };
	if (!entry_id_parse(a->entry_id, &left, &err))
		left = (struct entry_id){ 0, 0 };
	if (!entry_id_parse(b->entry_id, &right, &err))
		right = (struct entry_id){ 0, 0 };
	int order = entry_id_compare(left, right);
	return order != 0 ? order : strcmp(a->topic, b->topic);
}

static void got_checkpoint(void *arg, const struct redis_value *value,
                           const struct error *redis_err)
{
	struct model_store_call *call = arg;
	struct error err;
	struct model_position position = { "", "" };
	if (model_store_failed(value, "(?s?s?s)", redis_err, &err)) {
		call->done.checkpoint(call->arg, NULL, 0, &err);
	} else {
		model_position_set(&position, text_at(value, 0), text_at(value, 1));
		int64_t events = redis_value_integer(redis_value_at(value, 2));
		call->done.checkpoint(call->arg, &position, (uint64_t)events, NULL);
	}
	model_store_call_end(call);
}

void model_store_checkpoint(struct model_store *store, model_store_checkpoint_done *done, void *arg)
{
	struct redis_command *command = model_store_command(store, "HMGET");
	model_store_arg_key(store, command, "checkpoint", "", "");
	redis_arg(command, "entry_id");
	redis_arg(command, "topic");
	redis_arg(command, "events");
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.checkpoint = done;
	redis_queue(store->redis, command, got_checkpoint, call);
}

static void filled(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct model_store_call *call = arg;
	struct error err;
	bool bad = model_store_failed(value, "i", redis_err, &err);
	call->done.filled(call->arg, bad ? &err : NULL);
	model_store_call_end(call);
}

void model_store_filled(struct model_store *store, const struct model_position *position,
                        uint64_t events, model_store_done *done, void *arg)
{
	struct redis_command *command = model_store_command(store, "HSET");
	model_store_arg_key(store, command, "checkpoint", "", "");
	redis_arg(command, "entry_id");
	redis_arg(command, position->entry_id);
	redis_arg(command, "topic");
	redis_arg(command, position->topic);
	redis_arg(command, "events");
	redis_arg_integer(command, (int64_t)events);
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.filled = done;
	redis_queue(store->redis, command, filled, call);
}

/* ---- members of sets ---- */

static void ask_members(struct model_store_call *call);

static void got_members(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct model_store_call *call = arg;
	struct error err;
	if (model_store_failed(value, "[ss]", redis_err, &err)) {
		call->done.members(call->arg, NULL, 0, false, &err);
		model_store_call_end(call);
		return;
	}
	size_t count = redis_value_count(value) / 2, used = 0;
	bool full = count == call->limit;
	struct model_store_member *members = malloc((count + 1) * sizeof(*members));
	ASSERT(members != NULL);
	const char *after = strchr(call->id, '\n') + 1;
	for (size_t i = 0; i < count; i++) {
		struct model_store_member member = {
			text_at(value, 2 * i), strtoull(text_at(value, 2 * i + 1), NULL, 10)
		};
		if (member.score > call->score || strcmp(member.id, after) > 0)
			members[used++] = member;
	}
	if (used == 0 && full && call->limit < MEMBERS_MAX) {
		call->limit *= 4; /* all of one moment */
		ask_members(call);
	} else {
		call->done.members(call->arg, members, used, full, NULL);
		model_store_call_end(call);
	}
	free(members);
}

/* call->id is "<set>\n<id to start after>" */
static void ask_members(struct model_store_call *call)
{
	char score[24];
	struct redis_command *command = model_store_command(call->store, "ZRANGEBYSCORE");
	redis_arg_bytes(command, call->id, (size_t)(strchr(call->id, '\n') - call->id));
	snprintf(score, sizeof(score), "%" PRIu64, call->score);
	redis_arg(command, score);
	redis_arg(command, "+inf");
	redis_arg(command, "WITHSCORES");
	redis_arg(command, "LIMIT");
	redis_arg(command, "0");
	redis_arg_integer(command, (int64_t)call->limit);
	redis_queue(call->store->redis, command, got_members, call);
}

void model_store_members(struct model_store *store, const char *set, const char *value,
                         uint64_t after_score, const char *after_id, size_t limit,
                         model_store_members_done *done, void *arg)
{
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.members = done;
	call->score = after_score;
	call->limit = limit + TIES;
	int len = asprintf(&call->id, "%s%s%s\n%s", store->prefix, set, value, after_id);
	ASSERT(len > 0);
	ask_members(call);
}

static void got_count(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct model_store_call *call = arg;
	struct error err;
	if (model_store_failed(value, "i", redis_err, &err))
		call->done.count(call->arg, 0, &err);
	else
		call->done.count(call->arg, (uint64_t)redis_value_integer(value), NULL);
	model_store_call_end(call);
}

void model_store_count(struct model_store *store, const char *set, const char *value,
                       model_store_count_done *done, void *arg)
{
	struct redis_command *command = model_store_command(store, "ZCARD");
	model_store_arg_key(store, command, set, value, "");
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.count = done;
	redis_queue(store->redis, command, got_count, call);
}

/* ---- mails ---- */

static void got_mails(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct model_store_call *call = arg;
	struct error err;
	if (model_store_failed(value, "[(s(ssss))]", redis_err, &err)) {
		call->done.mails(call->arg, NULL, 0, &err);
		model_store_call_end(call);
		return;
	}
	size_t count = redis_value_count(value);
	struct model_store_mail *mails = malloc((count + 1) * sizeof(*mails));
	ASSERT(mails != NULL);
	for (size_t i = 0; i < count; i++) {
		const struct redis_value *entry = redis_value_at(value, i);
		const struct redis_value *fields = redis_value_at(entry, 1);
		mails[i] = (struct model_store_mail){ text_at(entry, 0), text_at(fields, 1),
			                              text_at(fields, 3) };
	}
	call->done.mails(call->arg, mails, count, NULL);
	free(mails);
	model_store_call_end(call);
}

void model_store_mails(struct model_store *store, const char *after, size_t limit,
                       model_store_mails_done *done, void *arg)
{
	char start[STORE_ENTRY_SIZE + 1];
	snprintf(start, sizeof(start), "%s%s", after[0] == '\0' ? "-" : "(", after);
	struct redis_command *command = model_store_command(store, "XRANGE");
	model_store_arg_key(store, command, "mails", "", "");
	redis_arg(command, start);
	redis_arg(command, "+");
	redis_arg(command, "COUNT");
	redis_arg_integer(command, (int64_t)limit);
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.mails = done;
	redis_queue(store->redis, command, got_mails, call);
}
