#include "read-model/store_internal.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

struct model_store_entity {
	const struct kind *kind;
	const char *id;
	const struct redis_value *row; /* _version, _more, then the fields */
};
enum { ROW_VERSION, ROW_MORE, ROW_FIELDS };

static const char *row_text(const struct model_store_entity *entity, size_t index, size_t *len)
{
	return redis_value_string(redis_value_at(entity->row, index), len);
}

static void got_entity(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct model_store_call *call = arg;
	struct error err;
	struct model_store_entity entity = { call->kind, call->id, value };
	if (model_store_failed(value, "[?s]", redis_err, &err)) {
		call->done.entity(call->arg, NULL, &err);
	} else {
		bool there = redis_value_kind(redis_value_at(value, ROW_VERSION)) != REDIS_NIL;
		call->done.entity(call->arg, there ? &entity : NULL, NULL);
	}
	model_store_call_end(call);
}

void model_store_get(struct model_store *store, const char *name, const char *id,
                     model_store_entity_done *done, void *arg)
{
	const struct kind *kind = kind_of(name);
	struct redis_command *command = model_store_command(store, "HMGET");
	model_store_arg_key(store, command, name, "_entity:", id);
	redis_arg(command, "_version");
	redis_arg(command, "_more");
	for (size_t i = 0; i < kind_field_count(kind); i++)
		redis_arg(command, kind_field_name(kind, i));
	struct model_store_call *call = model_store_call_begin(store, arg);
	call->done.entity = done;
	call->kind = kind;
	call->id = strdup(id);
	ASSERT(call->id != NULL);
	redis_queue(store->redis, command, got_entity, call);
}

uint64_t model_store_entity_version(const struct model_store_entity *entity)
{
	return (uint64_t)redis_value_integer(redis_value_at(entity->row, ROW_VERSION));
}

const char *model_store_entity_id(const struct model_store_entity *entity)
{
	return entity->id;
}

const char *model_store_entity_field(const struct model_store_entity *entity, const char *name)
{
	size_t len;
	int position = kind_field_position(entity->kind, name);
	return position < 0 ? NULL : row_text(entity, ROW_FIELDS + (size_t)position, &len);
}

static void put_value(const struct model_store_entity *entity, size_t position, struct buffer *out)
{
	size_t len;
	const char *text = row_text(entity, ROW_FIELDS + position, &len);
	const struct redis_value *value = redis_value_at(entity->row, ROW_FIELDS + position);
	if (redis_value_kind(value) == REDIS_NIL) {
		text = kind_field_default(entity->kind, position);
		len = strlen(text);
	}
	kind_write_value(entity->kind, position, text, len, out);
}

void model_store_entity_json(const struct model_store_entity *entity, struct buffer *out)
{
	if (entity->kind->type == NULL) {
		put_value(entity, 0, out);
		return;
	}
	size_t len;
	buffer_puts(out, "{\"" KIND_ID_FIELD "\":");
	json_write_string(out, entity->id, strlen(entity->id));
	for (size_t i = 0; i < kind_field_count(entity->kind); i++) {
		buffer_puts(out, ",\"");
		buffer_puts(out, kind_field_name(entity->kind, i));
		buffer_puts(out, "\":");
		put_value(entity, i, out);
	}
	const char *more = row_text(entity, ROW_MORE, &len);
	if (len > 0) {
		buffer_putc(out, ',');
		buffer_append(out, more, len);
	}
	buffer_putc(out, '}');
}
