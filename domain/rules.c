#include "domain/rules.h"

#include "base/id.h"

#include <string.h>

enum { LIST_MAX = BATCH_MAX };

const struct json *params_first(const struct json *params)
{
	return json_kind(params) == JSON_LIST ? json_first(params) : params;
}

const struct json *params_next(const struct json *params, const struct json *item)
{
	return json_kind(params) == JSON_LIST ? json_next(item) : NULL;
}

bool params_check(struct context *context, const struct json *params)
{
	if (params != NULL && json_kind(params) == JSON_OBJECT)
		return true;
	if (params != NULL && json_kind(params) == JSON_LIST && json_count(params) >= 1 &&
	    json_count(params) <= LIST_MAX)
		return true;
	decide_fail(context, ERR_INVALID, "params: must be an object or a list of 1 to %d objects",
	            LIST_MAX);
	return false;
}

enum step params_fail(struct context *context, const struct json *params, size_t index)
{
	if (json_kind(params) == JSON_LIST)
		(void)error_wrap(&context->error, "params[%zu]", index);
	return STEP_FAILED;
}

const char *params_new_id(struct context *context, const struct json *item, size_t index)
{
	const struct json *given =
	    json_kind(item) == JSON_OBJECT ? json_member(item, "entity_id") : NULL;
	if (given == NULL)
		return decide_id(context, index);
	const char *id = json_text(given);
	if (id != NULL && uuid_valid(id))
		return id;
	decide_fail(context, ERR_INVALID, "entity_id: must be a UUID");
	return NULL;
}

void result_id(struct context *context, size_t index, const char *id)
{
	struct buffer *result = decide_result(context);
	buffer_putc(result, index == 0 ? '[' : ',');
	json_write_string(result, id, strlen(id));
}

void result_ids_end(struct context *context)
{
	buffer_putc(decide_result(context), ']');
}

const struct entity *load_existing(struct context *context, const char *topic, const char *id,
                                   enum step *step)
{
	const struct entity *entity = decide_load(context, topic, id);
	*step = STEP_MORE;
	if (entity != NULL && entity->state == NULL) {
		*step = decide_fail(context, ERR_NOT_FOUND, "there is no %s %.128s", topic, id);
		return NULL;
	}
	return entity;
}

static const ProtobufCFieldDescriptor *id_field(const ProtobufCMessageDescriptor *type)
{
	return protobuf_c_message_descriptor_get_field_by_name(type, "entity_id");
}

static void set_id(ProtobufCMessage *entity, const char *id)
{
	*(const char **)((char *)entity + id_field(entity->descriptor)->offset) = id;
}

static const char *get_id(const ProtobufCMessage *entity)
{
	return *(const char *const *)((const char *)entity + id_field(entity->descriptor)->offset);
}

enum step rules_create(struct context *context, const struct command *command,
                       const struct entity_rules *rules)
{
	const struct json *params = command->params;
	if (!params_check(context, params))
		return STEP_FAILED;
	enum step step = STEP_DONE;
	size_t index = 0;
	for (const struct json *item = params_first(params); item != NULL;
	     item = params_next(params, item), index++) {
		ProtobufCMessage *entity = decide_read(context, item, rules->type, NULL);
		const char *id = entity == NULL ? NULL : params_new_id(context, item, index);
		if (id == NULL)
			return params_fail(context, params, index);
		result_id(context, index, id);
		if (command->applied)
			continue;
		set_id(entity, id);
		if (!rules->check(entity, &context->error))
			return params_fail(context, params, index);
		const struct entity *before = decide_load_new(context, rules->topic, id);
		if (before == NULL)
			step = STEP_MORE;
		else if (before->state != NULL)
			return decide_fail(context, ERR_EXISTS, "there is a %s %s already",
			                   rules->topic, id);
		else
			decide_event(context, rules->created, ENTITY_CREATED, rules->topic, id,
			             entity);
	}
	result_ids_end(context);
	return step;
}

enum step rules_update(struct context *context, const struct command *command,
                       const struct entity_rules *rules)
{
	decide_true(context);
	if (command->applied)
		return STEP_DONE;
	json_fields present;
	ProtobufCMessage *changes = decide_read(context, command->params, rules->type, &present);
	if (changes == NULL)
		return STEP_FAILED;
	const char *id = decide_text(context, command->params, "entity_id");
	if (id == NULL)
		return STEP_FAILED;
	enum step step;
	const struct entity *before = load_existing(context, rules->topic, id, &step);
	if (before == NULL)
		return step;
	ProtobufCMessage *after = entity_merge(context, before->state, changes, present);
	if (!rules->check(after, &context->error))
		return STEP_FAILED;
	decide_event(context, rules->updated, ENTITY_UPDATED, rules->topic, get_id(before->state),
	             after);
	return STEP_DONE;
}

enum step rules_delete(struct context *context, const struct command *command,
                       const struct entity_rules *rules)
{
	decide_true(context);
	if (command->applied)
		return STEP_DONE;
	const char *id = decide_text(context, command->params, "entity_id");
	if (id == NULL)
		return STEP_FAILED;
	enum step step;
	const struct entity *before = load_existing(context, rules->topic, id, &step);
	if (before == NULL)
		return step;
	decide_event(context, rules->deleted, ENTITY_DELETED, rules->topic, before->id,
	             before->state);
	return STEP_DONE;
}

static size_t field_size(const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return sizeof(void *);
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(int64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	default: /* no entity has another */
		ASSERT(false);
		return 0;
	}
}

void *entity_merge(struct context *context, const ProtobufCMessage *entity,
                   const ProtobufCMessage *changes, json_fields present)
{
	const ProtobufCMessageDescriptor *type = entity->descriptor;
	char *after = arena_alloc(context->arena, type->sizeof_message);
	memcpy(after, entity, type->sizeof_message);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const char *from = (const char *)changes;
		if ((present >> i & 1) == 0)
			continue;
		memcpy(after + field->offset, from + field->offset, field_size(field));
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			memcpy(after + field->quantifier_offset, from + field->quantifier_offset,
			       sizeof(size_t));
	}
	return after;
}

size_t text_length(const char *text)
{
	size_t length = 0;
	for (; *text != '\0'; text++)
		length += ((unsigned char)*text & 0xC0) != 0x80;
	return length;
}
