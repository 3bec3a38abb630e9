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
	bool created = event_creates(all);
	if (!created && !event_deletes(all) && strcmp(action, ENTITY_UPDATED) != 0)
		invariants_broken(all, entity, "action: must be one of entities, is %.60s", action);
	else if (created == all->change.existed)
		invariants_broken(all, entity, "action: must be %s, as the entity %s, is %s",
		                  created ? "another" : ENTITY_CREATED,
		                  created ? "is there already" : "is not there", action);
}

void check_fields(struct invariants *all, const struct fold_entity *entity)
{
	struct error err;
	const struct entity_rules *rules = invariants_rules(all);
	if (rules != NULL && !rules->check(all->event->state, &err))
		invariants_broken(all, entity, "%s", err.message);
}

/* ---- Fields that refer to others --------------------------------------------------------- */

static const struct {
	const char *topic;
	const char *fields[8];
} fixed_fields[] = {
	{ "inventory", { "product_id" } },
	{ "order", { "cart_id", "customer_id", "items", "shipping_fee", "total" } },
	{ "billing", { "order_id", "amount" } },
	{ "shipping", { "order_id" } },
};

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
	for (size_t i = 0; before != NULL && i < ARRAY_LEN(fixed_fields); i++) {
		if (strcmp(fixed_fields[i].topic, all->event->topic) != 0)
			continue;
		for (const char *const *name = fixed_fields[i].fields; *name != NULL; name++) {
			const ProtobufCFieldDescriptor *field = field_of(after, *name);
			if (!state_field_equal(before, after, field))
				broken_field(all, entity, field);
		}
	}
}

static const struct {
	const char *topic, *field, *refers_to;
} references[] = {
	{ "inventory", "product_id", "product" }, { "cart", "customer_id", "customer" },
	{ "cart", "product_ids", "product" },     { "order", "cart_id", "cart" },
	{ "order", "customer_id", "customer" },   { "billing", "order_id", "order" },
	{ "shipping", "order_id", "order" },
};

static void check_reference(struct invariants *all, const struct fold_entity *entity, size_t row,
                            const char *id)
{
	if (fold_find(all->fold, references[row].refers_to, id) == NULL)
		invariants_broken(all, entity,
		                  "%s: must be a %s that was created before, is \"%.60s\"",
		                  references[row].field, references[row].refers_to, id);
}

void check_references(struct invariants *all, const struct fold_entity *entity)
{
	const ProtobufCMessage *before = all->change.state, *after = all->event->state;
	for (size_t i = 0; i < ARRAY_LEN(references); i++) {
		if (strcmp(references[i].topic, all->event->topic) != 0)
			continue;
		const ProtobufCFieldDescriptor *field = field_of(after, references[i].field);
		const char *at = (const char *)after;
		if (before != NULL && state_field_equal(before, after, field))
			continue;
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			check_reference(all, entity, i, text_field(after, references[i].field));
			continue;
		}
		const char *const *ids =
		    *(const char *const *const *)(const void *)(at + field->offset);
		size_t count = *(const size_t *)(const void *)(at + field->quantifier_offset);
		for (size_t j = 0; j < count; j++) {
			if (j == 0 || strcmp(ids[j], ids[j - 1]) != 0)
				check_reference(all, entity, i, ids[j]);
		}
	}
}

void check_derived_ids(struct invariants *all, const struct fold_entity *entity)
{
	static const struct {
		const char *topic, *field;
	} derived[] = {
		{ "inventory", "product_id" },
		{ "billing", "order_id" },
		{ "shipping", "order_id" },
	};
	char expected[UUID_SIZE];
	if (!event_creates(all) || entity == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		if (strcmp(derived[i].topic, all->event->topic) != 0)
			continue;
		const char *of = text_field(all->event->state, derived[i].field);
		strcpy(expected, "none");
		if (uuid_valid(of))
			uuid_v5(expected, of, derived[i].topic, NULL);
		if (strcmp(expected, entity->id) != 0)
			invariants_broken(all, entity,
			                  "entity_id: must be %s, that of %s %.60s, is %.60s",
			                  expected, derived[i].field, of, entity->id);
	}
}
