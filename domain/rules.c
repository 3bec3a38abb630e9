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

bool uuid_check(struct context *context, const char *field, const char *id)
{
	if (uuid_valid(id))
		return true;
	if (id[0] == '\0')
		decide_fail(context, ERR_INVALID, "%s: is missing", field);
	else
		decide_fail(context, ERR_INVALID,
		            "%s: must be a UUID in lower case such as "
		            "123e4567-e89b-42d3-a456-426614174000, is \"%.60s\"",
		            field, id);
	return false;
}

bool amount_check(const char *field, int64_t amount, struct error *err)
{
	if (amount >= 0 && amount <= AMOUNT_MAX)
		return true;
	return error_set(err, ERR_INVALID, "%s: must be 0 to %lld, is %lld", field,
	                 (long long)AMOUNT_MAX, (long long)amount);
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

const struct entity *load_given(struct context *context, const char *field, const char *topic,
                                const char *id, enum step *step)
{
	if (id[0] != '\0')
		return load_existing(context, topic, id, step);
	*step = decide_fail(context, ERR_INVALID, "%s: is missing", field);
	return NULL;
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

/* ---- Create, update, delete -------------------------------------------------------------- */

/* The value of a field as JSON. */
static const char *field_text(struct context *context, const ProtobufCMessage *entity,
                              const ProtobufCFieldDescriptor *field)
{
	struct buffer text;
	buffer_init(&text, 1024 * 1024);
	json_write_field(&text, entity, field);
	const char *copy = arena_copy(context->arena, text.bytes, text.len);
	buffer_free(&text);
	return copy;
}

/* Of the fixed fields that are present, all must be as they are: `before`, or of a new entity the
 * defaults. */
static bool check_fixed(struct context *context, const struct entity_rules *rules,
                        const ProtobufCMessage *before, const ProtobufCMessage *given,
                        json_fields present)
{
	ProtobufCMessage *fresh = NULL;
	if (before == NULL) {
		fresh = arena_alloc(context->arena, rules->type->sizeof_message);
		protobuf_c_message_init(rules->type, fresh);
	}
	for (const struct fixed_field *fixed = rules->fixed; fixed != NULL && fixed->name != NULL;
	     fixed++) {
		const ProtobufCFieldDescriptor *field =
		    protobuf_c_message_descriptor_get_field_by_name(rules->type, fixed->name);
		if ((present >> (field - rules->type->fields) & 1) == 0 ||
		    (before == NULL && !fixed->always))
			continue;
		const char *is = field_text(context, before != NULL ? before : fresh, field);
		if (strcmp(is, field_text(context, given, field)) != 0) {
			decide_fail(context, ERR_INVALID,
			            "%s: cannot be set by clients, is %.60s; it %s", fixed->name,
			            is, fixed->how);
			return false;
		}
	}
	return true;
}

/* The id of the entity that the index-th item creates; NULL after a failure. */
static const char *new_id(struct context *context, const struct entity_rules *rules,
                          const ProtobufCMessage *entity, bool given, size_t index)
{
	const char *id = get_id(entity);
	if (given && !uuid_check(context, "entity_id", id))
		return NULL;
	if (rules->derive == NULL)
		return given ? arena_strdup(context->arena, id) : decide_id(context, index);
	const char *derived = rules->derive(context, entity);
	if (derived != NULL && given && strcmp(derived, id) != 0) {
		decide_fail(context, ERR_INVALID, "entity_id: must be %s or be left out, is %s",
		            derived, id);
		return NULL;
	}
	return derived;
}

static enum step permit(struct context *context, const struct entity_rules *rules,
                        struct change *change)
{
	return rules->permit == NULL ? STEP_DONE : rules->permit(context, change);
}

static enum step create_one(struct context *context, const struct entity_rules *rules,
                            const char *id, ProtobufCMessage *entity)
{
	set_id(entity, id);
	if (!rules->check(entity, &context->error))
		return STEP_FAILED;
	const struct entity *before = decide_load_new(context, rules->topic, id);
	if (before == NULL)
		return STEP_MORE;
	if (before->state != NULL)
		return decide_fail(context, ERR_EXISTS, "there is %s %s %s already",
		                   strchr("aeio", rules->topic[0]) != NULL ? "an" : "a",
		                   rules->topic, id);
	struct change change = { .id = id, .after = entity, .event_type = rules->created };
	enum step step = permit(context, rules, &change);
	if (step == STEP_DONE)
		decide_event(context, change.event_type, ENTITY_CREATED, rules->topic, id, entity);
	return step;
}

enum step rules_create(struct context *context, const struct command *command)
{
	const struct entity_rules *rules = command->rules;
	const struct json *params = command->params;
	if (!params_check(context, params))
		return STEP_FAILED;
	enum step outcome = STEP_DONE;
	size_t index = 0;
	for (const struct json *item = params_first(params); item != NULL;
	     item = params_next(params, item), index++) {
		json_fields present = 0;
		ProtobufCMessage *entity = decide_read(context, item, rules->type, &present);
		if (entity == NULL || !check_fixed(context, rules, NULL, entity, present))
			return params_fail(context, params, index);
		bool given = (present >> (id_field(rules->type) - rules->type->fields) & 1) != 0;
		const char *id = new_id(context, rules, entity, given, index);
		if (id == NULL)
			return params_fail(context, params, index);
		result_id(context, index, id);
		if (command->applied)
			continue;
		enum step step = create_one(context, rules, id, entity);
		if (step == STEP_FAILED)
			return params_fail(context, params, index);
		if (step == STEP_MORE)
			outcome = STEP_MORE;
	}
	result_ids_end(context);
	return outcome;
}

enum step rules_update(struct context *context, const struct command *command)
{
	const struct entity_rules *rules = command->rules;
	decide_true(context);
	if (command->applied)
		return STEP_DONE;
	json_fields present = 0;
	ProtobufCMessage *changes = decide_read(context, command->params, rules->type, &present);
	const char *id =
	    changes == NULL ? NULL : decide_text(context, command->params, "entity_id");
	if (id == NULL)
		return STEP_FAILED;
	enum step step;
	const struct entity *before = load_existing(context, rules->topic, id, &step);
	if (before == NULL)
		return step;
	if (!check_fixed(context, rules, before->state, changes, present))
		return STEP_FAILED;
	struct change change = {
		.id = before->id,
		.before = before->state,
		.after = entity_merge(context, before->state, changes, present),
		.event_type = rules->updated,
	};
	if (!rules->check(change.after, &context->error))
		return STEP_FAILED;
	step = permit(context, rules, &change);
	if (step == STEP_DONE)
		decide_event(context, change.event_type, ENTITY_UPDATED, rules->topic, change.id,
		             change.after);
	return step;
}

enum step rules_delete(struct context *context, const struct command *command)
{
	const struct entity_rules *rules = command->rules;
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
	struct change change = { .id = before->id,
		                 .before = before->state,
		                 .event_type = rules->deleted };
	step = permit(context, rules, &change);
	if (step == STEP_DONE)
		decide_event(context, change.event_type, ENTITY_DELETED, rules->topic, change.id,
		             change.before);
	return step;
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
		bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
		memcpy(after + field->offset, from + field->offset,
		       list ? sizeof(void *) : json_element_size(field->type));
		if (list)
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
