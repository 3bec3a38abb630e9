#include "read-model/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kinds of one run get numbers in the order of their first writes. */
struct numbering {
	const char **topics; /* as many as the run has writes */
	size_t count;
};

static bool number_of(struct numbering *numbers, const char *topic, size_t *number)
{
	for (size_t i = 0; i < numbers->count; i++) {
		if (strcmp(numbers->topics[i], topic) == 0) {
			*number = i + 1;
			return false;
		}
	}
	numbers->topics[numbers->count++] = topic;
	*number = numbers->count;
	return true;
}

static void put_kind(struct redis_command *out, const struct kind *kind, const char *topic)
{
	static const char *const types[] = {
		[KIND_INDEX_VALUE] = "V",
		[KIND_INDEX_ORDER] = "O",
		[KIND_INDEX_FLAG] = "F",
	};
	redis_arg(out, topic);
	redis_arg_integer(out, (int64_t)kind_field_count(kind));
	for (size_t i = 0; i < kind_field_count(kind); i++)
		redis_arg(out, kind_field_name(kind, i));
	size_t indices = kind_index_count(kind);
	redis_arg_integer(out, (int64_t)indices);
	for (size_t i = 0; i < indices; i++) {
		const struct kind_index *index = &kind->indices[i];
		redis_arg_integer(out, kind_field_position(kind, index->field) + 1);
		redis_arg(out, types[index->type]);
		redis_arg(out, index->set);
	}
}

static void put_write(struct redis_command *out, const struct projection_write *write,
                      size_t number)
{
	static const char befores[] = {
		[PROJECTION_KEEP] = 'K',
		[PROJECTION_NEW] = 'N',
		[PROJECTION_DROP] = 'D',
	};
	char word[32];
	if (write->action == PROJECTION_MAIL) {
		redis_arg(out, "M");
		redis_arg(out, write->id);
		redis_arg_bytes(out, write->values[0].bytes, write->values[0].len);
		redis_arg_bytes(out, write->values[1].bytes, write->values[1].len);
		return;
	}
	bool put = write->action == PROJECTION_PUT;
	snprintf(word, sizeof(word), "%c%zu%s", put ? befores[write->before] : 'R', number,
	         write->more.len > 0 ? "+" : "");
	redis_arg(out, word);
	redis_arg(out, write->id);
	if (!put)
		return;
	redis_arg_integer(out, (int64_t)write->version);
	redis_arg_integer(out, (int64_t)write->created_us);
	for (size_t i = 0; i < write->value_count; i++)
		redis_arg_bytes(out, write->values[i].bytes, write->values[i].len);
	if (write->more.len > 0)
		redis_arg_bytes(out, write->more.bytes, write->more.len);
}

static void applied(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct model_store_call *call = arg;
	model_store_apply_done *done = call->done.apply;
	struct error err;
	size_t len;
	bool elsewhere = redis_value_kind(value) == REDIS_ARRAY;
	bool bad = model_store_failed(value, elsewhere ? "(ss)" : "s", redis_err, &err);
	if (!bad && elsewhere)
		bad = !error_set(&err, ERR_CONFLICT, "the checkpoint is %s of '%s'",
		                 redis_value_string(redis_value_at(value, 0), &len),
		                 redis_value_string(redis_value_at(value, 1), &len));
	done(call->arg, bad ? &err : NULL);
	model_store_call_end(call);
}

void model_store_apply(struct model_store *store, const struct model_position *from,
                       const struct model_position *to, struct projection *run,
                       model_store_apply_done *done, void *arg)
{
	struct numbering numbers = { .topics = malloc((projection_writes(run) + 1) *
		                                      sizeof(*numbers.topics)) };
	ASSERT(numbers.topics != NULL);
	struct redis_command kinds_part, writes_part;
	redis_command_init(&kinds_part);
	redis_command_init(&writes_part);
	for (size_t i = 0; i < projection_writes(run); i++) {
		struct projection_write write;
		size_t number = 0;
		if (!projection_at(run, i, &write))
			continue;
		if (write.action != PROJECTION_MAIL && number_of(&numbers, write.topic, &number))
			put_kind(&kinds_part, write.kind, write.topic);
		put_write(&writes_part, &write, number);
	}
	struct redis_command *command = model_store_command(store, "FCALL");
	redis_arg(command, "readmodel_apply");
	redis_arg(command, "1");
	model_store_arg_key(store, command, "checkpoint", "", "");
	redis_arg(command, store->prefix);
	redis_arg(command, from->entry_id);
	redis_arg(command, from->topic);
	redis_arg(command, to->entry_id);
	redis_arg(command, to->topic);
	redis_arg_integer(command, (int64_t)projection_events(run));
	redis_arg_integer(command, (int64_t)numbers.count);
	buffer_append(&command->args, kinds_part.args.bytes, kinds_part.args.len);
	buffer_append(&command->args, writes_part.args.bytes, writes_part.args.len);
	command->argc += kinds_part.argc + writes_part.argc;
	redis_command_free(&kinds_part);
	redis_command_free(&writes_part);
	free(numbers.topics);
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.apply = done;
	redis_queue(store->redis, command, applied, call);
}
