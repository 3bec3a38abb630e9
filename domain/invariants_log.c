/* invariants_log.c - rules of any entity. */
#include "domain/invariants_internal.h"

#include "domain/fold_state.h"

#include <inttypes.h>
#include <string.h>

enum { FIELD_MAX = 64 * 1024 };

void check_ids(struct invariants *all, const struct fold_entity *entity)
{
	if (all->event_known)
		invariants_broken(all, entity, "event_id: must be there once, %s is there again",
		                  all->event->event_id);
}

void check_log_order(struct invariants *all, const struct fold_entity *entity)
{
	char last[ENTRY_ID_SIZE];
	if (entry_id_compare(all->change.last_in_topic, all->entry) < 0)
		return;
	entry_id_format(all->change.last_in_topic, last);
	invariants_broken(all, entity,
	                  "entry_id: must be after %s, the one before in the topic, is %s", last,
	                  all->event->entry_id);
}

void check_versions(struct invariants *all, const struct fold_entity *entity)
{
	uint64_t expected = entity == NULL ? 0 : all->change.version + 1;
	if (all->event->version != expected)
		invariants_broken(all, entity, "version: must be %" PRIu64 ", is %" PRIu64,
		                  expected, all->event->version);
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *state, const char *name)
{
	return protobuf_c_message_descriptor_get_field_by_name(state->descriptor, name);
}

static const char *text_field(const ProtobufCMessage *state, const char *name)
{
	const char *at = (const char *)state + field_of(state, name)->offset;
	return *(const char *const *)(const void *)at;
}

void check_readable(struct invariants *all, const struct fold_entity *entity)
{
	const struct fold_topic *topic = all->change.topic;
	if (all->event->state == NULL) {
		invariants_broken(all, entity, "data: must be a %s, cannot be read as one",
		                  topic->type->short_name);
		return;
	}
	bool loose = strcmp(topic->name, "mail") == 0;
	if (loose != (entity == NULL))
		invariants_broken(all, entity, "entity_id: %s, is \"%.60s\"",
		                  loose ? "must be empty of a mail" : "must not be empty",
		                  entity == NULL ? "" : entity->id);
	else if (entity != NULL &&
	         strcmp(text_field(all->event->state, "entity_id"), entity->id) != 0)
		invariants_broken(all, entity, "data.entity_id: must be %.60s, is \"%.60s\"",
		                  entity->id, text_field(all->event->state, "entity_id"));
}

void check_life(struct invariants *all, const struct fold_entity *entity)
{
	if (entity == NULL)
		return;
	const char *action = all->event->action;
	bool created = invariants_event_creates(all);
	if (!created && !invariants_event_deletes(all) && strcmp(action, ENTITY_UPDATED) != 0)
		invariants_broken(all, entity, "action: must be one of entities, is %.60s", action);
	else if (created == all->change.existed)
		invariants_broken(all, entity, "action: must be %s, as the entity %s, is %s",
		                  created ? "another" : ENTITY_CREATED,
		                  created ? "is there already" : "is not there", action);
}

void check_fields(struct invariants *all, const struct fold_entity *entity)
{
	struct error err;
	const struct entity_rules *rules = all->list->rules;
	if (rules != NULL && !rules->check(all->event->state, &err))
		invariants_broken(all, entity, "%s", err.message);
}

/* ---- Fields that refer to others --------------------------------------------------------- */

static const struct shape shapes[] = {
	{ .topic = "inventory",
	  .fixed = { "product_id" },
	  .refers = { { "product_id", "product" } },
	  .owner = "product_id" },
	{ .topic = "cart",
	  .refers = { { "customer_id", "customer" }, { "product_ids", "product" } } },
	{ .topic = "order",
	  .fixed = { "cart_id", "customer_id", "items", "shipping_fee", "total" },
	  .refers = { { "cart_id", "cart" }, { "customer_id", "customer" } } },
	{ .topic = "billing",
	  .fixed = { "order_id", "amount" },
	  .refers = { { "order_id", "order" } },
	  .owner = "order_id" },
	{ .topic = "shipping",
	  .fixed = { "order_id" },
	  .refers = { { "order_id", "order" } },
	  .owner = "order_id" },
};

const struct shape *shape_of(const char *topic)
{
	static const struct shape none = { .topic = "" };
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		if (strcmp(shapes[i].topic, topic) == 0)
			return &shapes[i];
	}
	return &none;
}

static void broken_field(struct invariants *all, const struct fold_entity *entity,
                         const ProtobufCFieldDescriptor *field)
{
	struct buffer was, is;
	buffer_init(&was, FIELD_MAX);
	buffer_init(&is, FIELD_MAX);
	json_write_field(&was, all->change.state, field);
	json_write_field(&is, all->event->state, field);
	invariants_broken(all, entity, "%s: must stay %.80s, is %.80s", field->name,
	                  was.overflow ? "as it was" : was.bytes,
	                  is.overflow ? "another" : is.bytes);
	buffer_free(&was);
	buffer_free(&is);
}

void check_fixed(struct invariants *all, const struct fold_entity *entity)
{
	const ProtobufCMessage *before = all->change.state, *after = all->event->state;
	if (before == NULL)
		return;
	for (const char *const *name = all->list->shape->fixed; *name != NULL; name++) {
		const ProtobufCFieldDescriptor *field = field_of(after, *name);
		if (!state_field_equal(before, after, field))
			broken_field(all, entity, field);
	}
}

static void check_reference(struct invariants *all, const struct fold_entity *entity,
                            const struct reference *reference, const char *id)
{
	if (fold_find(all->fold, reference->to, id) == NULL)
		invariants_broken(all, entity,
		                  "%s: must be a %s that was created before, is \"%.60s\"",
		                  reference->field, reference->to, id);
}

void check_references(struct invariants *all, const struct fold_entity *entity)
{
	const ProtobufCMessage *before = all->change.state, *after = all->event->state;
	for (const struct reference *r = all->list->shape->refers; r->field != NULL; r++) {
		const ProtobufCFieldDescriptor *field = field_of(after, r->field);
		const char *at = (const char *)after;
		if (before != NULL && state_field_equal(before, after, field))
			continue;
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			check_reference(all, entity, r, text_field(after, r->field));
			continue;
		}
		const char *const *ids =
		    *(const char *const *const *)(const void *)(at + field->offset);
		size_t count = *(const size_t *)(const void *)(at + field->quantifier_offset);
		for (size_t i = 0; i < count; i++) {
			if (i == 0 || strcmp(ids[i], ids[i - 1]) != 0)
				check_reference(all, entity, r, ids[i]);
		}
	}
}

void check_derived_ids(struct invariants *all, const struct fold_entity *entity)
{
	const char *owner = all->list->shape->owner;
	char expected[UUID_SIZE] = "none";
	if (owner == NULL || entity == NULL || !invariants_event_creates(all))
		return;
	const char *id = text_field(all->event->state, owner);
	if (uuid_valid(id))
		uuid_v5(expected, id, all->event->topic, NULL);
	if (strcmp(expected, entity->id) != 0)
		invariants_broken(all, entity, "entity_id: must be %s, that of %s %.60s, is %.60s",
		                  expected, owner, id, entity->id);
}
