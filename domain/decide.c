#include "domain/decide.h"

#include "base/id.h"

/* The hash of the needs lives in the arena: nothing to free. */
#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size)       arena_alloc(context->arena, size)
#define uthash_free(memory, size) ((void)(memory))

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RESULT_MAX = 1024 * 1024, ID_MAX = 128, KEY_MAX = 512 };

void context_init(struct context *context, struct arena *arena, const char *cause_id)
{
	*context = (struct context){ .arena = arena, .cause_id = cause_id };
	buffer_init(&context->result, RESULT_MAX);
}

void context_free(struct context *context)
{
	buffer_free(&context->result);
}

struct arena *context_arena(struct context *context)
{
	return context->arena;
}

static void start_over(struct context *context)
{
	context->batches = NULL;
	context->error = (struct error){ .code = ERR_NONE };
	context->passing = false;
	buffer_clear(&context->result);
	for (struct need *need = context->needs; need != NULL; need = need->next)
		need->seen = &need->loaded;
}

enum step context_decide(struct context *context, decide_function *decide,
                         const struct command *command)
{
	start_over(context);
	enum step step = decide(context, command);
	ASSERT((step == STEP_FAILED) == (context->error.code != ERR_NONE));
	return step;
}

enum step context_react(struct context *context, react_function *react, const struct event *event)
{
	start_over(context);
	return react(context, event);
}

void context_forget(struct context *context)
{
	context->assume_nothing = true;
	for (struct need *need = context->needs; need != NULL; need = need->next) {
		if (need->kind == NEED_ENTITY) {
			need->known = false;
			need->assumed = false;
			need->loaded.version = 0;
			need->loaded.state = need->loaded.last = NULL;
		}
	}
}

/* ---- Needs ------------------------------------------------------------------------------- */

struct key {
	char text[KEY_MAX];
	size_t len;
};

static void key_add(struct key *key, const char *part)
{
	size_t len = strnlen(part, ID_MAX);
	memcpy(key->text + key->len, part, len);
	key->text[key->len + len] = '/';
	key->len += len + 1;
}

static struct key key_of(char kind, const char *a, const char *b, const char *c)
{
	struct key key;
	key.text[0] = kind;
	key.len = 1;
	key_add(&key, a);
	key_add(&key, b);
	if (c != NULL)
		key_add(&key, c);
	return key;
}

static struct need *need_find(struct context *context, const struct key *key)
{
	struct need *need;
	HASH_FIND(hh, context->needs_by_key, key->text, key->len, need);
	return need;
}

static struct need *need_add(struct context *context, enum need_kind kind, const struct key *key)
{
	struct need *need = arena_zalloc(context->arena, sizeof(*need));
	need->kind = kind;
	const char *text = arena_copy(context->arena, key->text, key->len);
	HASH_ADD_KEYPTR(hh, context->needs_by_key, text, key->len, need);
	if (context->last_need != NULL)
		context->last_need->next = need;
	else
		context->needs = need;
	context->last_need = need;
	return need;
}

static struct need *entity_need(struct context *context, const char *topic, const char *id)
{
	struct key key = key_of('e', topic, id, NULL);
	struct need *need = need_find(context, &key);
	if (need != NULL)
		return need;
	need = need_add(context, NEED_ENTITY, &key);
	need->loaded.topic = topic;
	need->loaded.id = arena_strdup(context->arena, id);
	need->seen = &need->loaded;
	/* No entity has such a name, so nobody need look. */
	need->known = id[0] == '\0' || strlen(id) > ID_MAX;
	return need;
}

const struct entity *decide_load(struct context *context, const char *topic, const char *id)
{
	struct need *need = entity_need(context, topic, id);
	return need->known ? need->seen : NULL;
}

const struct entity *decide_load_new(struct context *context, const char *topic, const char *id)
{
	struct need *need = entity_need(context, topic, id);
	if (!need->known && !context->assume_nothing) {
		need->known = true;
		need->assumed = true;
	}
	return need->known ? need->seen : NULL;
}

const struct entity *react_load(struct context *context, const char *topic, const char *id)
{
	return decide_load(context, topic, id);
}

const struct entity_list *react_list(struct context *context, const char *topic, const char *field,
                                     const char *value)
{
	struct key key = key_of('l', topic, field, value);
	struct need *need = need_find(context, &key);
	if (need == NULL) {
		need = need_add(context, NEED_LIST, &key);
		need->loaded.topic = topic;
		need->field = field;
		need->value = arena_strdup(context->arena, value);
	}
	return need->known ? &need->list : NULL;
}

static struct need *message_need(struct context *context, enum need_kind kind, const char *service,
                                 const char *function, const char *name, const char *params)
{
	struct key key = key_of('m', service, function, name);
	struct need *need = need_find(context, &key);
	if (need != NULL)
		return need;
	need = need_add(context, kind, &key);
	need->service = service;
	need->function = function;
	need->key = name == NULL ? NULL : arena_strdup(context->arena, name);
	need->params = arena_strdup(context->arena, params);
	char id[UUID_SIZE];
	uuid_v5(id, context->cause_id, arena_printf(context->arena, "%s.%s", service, function),
	        name);
	need->message_id = arena_strdup(context->arena, id);
	return need;
}

const struct reply *react_call(struct context *context, const char *service, const char *function,
                               const char *key, const char *params)
{
	struct need *need = message_need(context, NEED_CALL, service, function, key, params);
	return need->known ? &need->reply : NULL;
}

void react_send(struct context *context, const char *service, const char *function, const char *key,
                const char *params)
{
	message_need(context, NEED_SEND, service, function, key, params);
}

/* ---- Ids --------------------------------------------------------------------------------- */

const char *derive_id(struct context *context, const char *space, const char *name)
{
	char id[UUID_SIZE];
	uuid_v5(id, space, name, NULL);
	return arena_copy(context->arena, id, UUID_SIZE - 1);
}

static const char *numbered_id(struct context *context, const char *a, const char *prefix,
                               size_t index)
{
	char number[32], id[UUID_SIZE];
	snprintf(number, sizeof(number), "%s%zu", prefix, index);
	uuid_v5(id, context->cause_id, a, number);
	return arena_copy(context->arena, id, UUID_SIZE - 1);
}

const char *decide_id(struct context *context, size_t index)
{
	return numbered_id(context, "entity", "", index);
}

void applied_event_id(const char *message_id, const char *topic, char out[37])
{
	uuid_v5(out, message_id, topic, "0");
}

/* ---- Events ------------------------------------------------------------------------------ */

static struct batch *batch_of(struct context *context, const char *topic)
{
	struct batch **place = &context->batches;
	while (*place != NULL && strcmp((*place)->topic, topic) != 0)
		place = &(*place)->next;
	if (*place == NULL) {
		*place = arena_zalloc(context->arena, sizeof(**place));
		(*place)->topic = topic;
	}
	return *place;
}

static struct new_event *event_make(struct context *context, const char *type, const char *action,
                                    const char *topic, const char *id,
                                    const ProtobufCMessage *state)
{
	struct new_event *event = arena_zalloc(context->arena, sizeof(*event));
	event->type = type;
	event->action = action;
	event->topic = topic;
	event->state = state;
	if (id == NULL)
		return event;
	event->need = entity_need(context, topic, id);
	ASSERT(event->need->known);
	event->entity_id = event->need->seen->id;
	event->expected_version = event->need->seen->version;
	event->expect_none = event->need->assumed && event->need->seen->version == 0;
	return event;
}

static void event_add(struct new_event **list, struct new_event *event)
{
	while (*list != NULL)
		list = &(*list)->next;
	*list = event;
}

void decide_event(struct context *context, const char *type, const char *action, const char *topic,
                  const char *id, const ProtobufCMessage *state)
{
	struct batch *batch = batch_of(context, topic);
	struct new_event *event = event_make(context, type, action, topic, id, state);
	event->event_id = numbered_id(context, topic, "", batch->count++);
	if (batch->last != NULL)
		batch->last->next = event;
	else
		batch->events = event;
	batch->last = event;
	if (event->need != NULL) {
		struct entity *after = arena_alloc(context->arena, sizeof(*after));
		*after = *event->need->seen;
		after->version++;
		bool deleted = strcmp(action, ENTITY_DELETED) == 0;
		after->state = deleted ? NULL : state;
		after->last = deleted ? state : NULL;
		event->need->seen = after;
	}
}

void decide_undo(struct context *context, const char *type, const char *topic, const char *id,
                 const ProtobufCMessage *state)
{
	struct batch *batch = batch_of(context, topic);
	ASSERT(batch->count > 0);
	struct new_event *event = event_make(context, type, ENTITY_UPDATED, topic, id, state);
	event->event_id = numbered_id(context, topic, "undo", batch->count - 1);
	event_add(&batch->undo, event);
}

/* ---- Results ----------------------------------------------------------------------------- */

struct buffer *decide_result(struct context *context)
{
	return &context->result;
}

void decide_true(struct context *context)
{
	buffer_clear(&context->result);
	buffer_puts(&context->result, "true");
}

enum step decide_fail(struct context *context, enum error_code code, const char *format, ...)
{
	char message[sizeof(context->error.message)];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	(void)error_set(&context->error, code, "%s", message);
	return STEP_FAILED;
}

enum step decide_fail_for_now(struct context *context, const char *format, ...)
{
	char message[sizeof(context->error.message)];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	(void)error_set(&context->error, ERR_PRECONDITION, "%s", message);
	context->passing = true;
	return STEP_FAILED;
}

void *decide_read(struct context *context, const struct json *value,
                  const ProtobufCMessageDescriptor *type, json_fields *present)
{
	ProtobufCMessage *message = NULL;
	if (value == NULL || json_kind(value) != JSON_OBJECT) {
		decide_fail(context, ERR_INVALID, "params: must be an object, is %s",
		            value == NULL ? "missing" : json_kind_name(json_kind(value)));
		return NULL;
	}
	if (!json_read_message(value, type, context->arena, false, present, &message,
	                       &context->error))
		return NULL;
	return message;
}

const char *decide_text(struct context *context, const struct json *params, const char *name)
{
	if (params == NULL || json_kind(params) != JSON_OBJECT) {
		decide_fail(context, ERR_INVALID, "params: must be an object, is %s",
		            params == NULL ? "missing" : json_kind_name(json_kind(params)));
		return NULL;
	}
	const struct json *value = json_member(params, name);
	const char *text = value == NULL ? NULL : json_text(value);
	if (text == NULL || text[0] == '\0')
		decide_fail(context, ERR_INVALID, "%s: must be a non-empty string, is %s", name,
		            value == NULL  ? "missing"
		            : text != NULL ? "empty"
		                           : json_kind_name(json_kind(value)));
	return text == NULL || text[0] == '\0' ? NULL : text;
}
