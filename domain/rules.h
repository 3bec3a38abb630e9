/* rules.h - what the rules of most entities have in common: create one or many, update, delete.
 *
 * create_Xs takes one object or a list, all or none, and answers with the list of ids; update_X an
 * object with entity_id and the fields to change; delete_X an object with entity_id. */
#ifndef DOMAIN_RULES_H
#define DOMAIN_RULES_H

#include "domain/decide.h"

struct change;

/* A field that clients cannot change; they may give it as it is. */
struct fixed_field {
	const char *name;
	bool always;     /* not even when they create the entity */
	const char *how; /* "follows from ..." */
};

struct entity_rules {
	const char *topic;
	const ProtobufCMessageDescriptor *type;
	const char *created, *updated, *deleted; /* event types */
	const struct fixed_field *fixed;         /* ended by a NULL name; NULL: none */
	/* Is the entity right in itself? "FIELD: ..." */
	bool (*check)(const ProtobufCMessage *entity, struct error *err);
	/* Of entities of which there is one per other: the id of this one; NULL after decide_fail. A
	 * client may give it, but no other. NULL: any id. */
	const char *(*derive)(struct context *context, const ProtobufCMessage *entity);
	/* May it be? Loads what the entity refers to, fills in what follows from it, emits events of
	 * other topics. Called right before the entity's own event. NULL: it may. */
	enum step (*permit)(struct context *context, struct change *change);
};

struct change {
	const char *id;
	const ProtobufCMessage *before; /* NULL: it is created */
	ProtobufCMessage *after;        /* NULL: it is deleted */
	const char *event_type;         /* may be set to a better word */
};

/* Deciders, of `command->rules`. */
enum step rules_create(struct context *context, const struct command *command);
enum step rules_update(struct context *context, const struct command *command);
enum step rules_delete(struct context *context, const struct command *command);

/* The objects of params that are one object or a list of them. */
const struct json *params_first(const struct json *params);
const struct json *params_next(const struct json *params, const struct json *item);
/* Fails unless params are an object or a list of 1 to BATCH_MAX. */
MUST_USE bool params_check(struct context *context, const struct json *params);
/* Puts "params[index].: " before the error when params are a list; always STEP_FAILED. */
enum step params_fail(struct context *context, const struct json *params, size_t index);

/* Appends one more id to a result that is a list of ids; end closes it. */
void result_id(struct context *context, size_t index, const char *id);
void result_ids_end(struct context *context);

/* Loads the entity that must be there; NULL: not there yet (*step is STEP_MORE) or no such entity
 * (STEP_FAILED, NOT_FOUND names it). */
const struct entity *load_existing(struct context *context, const char *topic, const char *id,
                                   enum step *step);
/* The same for an id that a field of the params gives: ERR_INVALID when it is empty. */
const struct entity *load_given(struct context *context, const char *field, const char *topic,
                                const char *id, enum step *step);
/* Of a field that holds the id of another entity from which an id is derived. */
MUST_USE bool uuid_check(struct context *context, const char *field, const char *id);
/* 0 to 1,000,000,000,000. */
MUST_USE bool amount_check(const char *field, int64_t amount, struct error *err);
enum { TEXT_MAX = 200 };
#define AMOUNT_MAX INT64_C(1000000000000)
/* Takes the fields that are `present` from `changes` into a copy of `entity`. */
void *entity_merge(struct context *context, const ProtobufCMessage *entity,
                   const ProtobufCMessage *changes, json_fields present);
/* Characters of valid UTF-8. */
size_t text_length(const char *text);

#endif
