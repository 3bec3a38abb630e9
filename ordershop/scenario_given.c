/* scenario_given.c - events that are given. */
#include "domain/decide.h"
#include "ordershop/scenario_run.h"

#include <stdio.h>
#include <string.h>

enum { ESCAPE_MAX = 6 }; /* times as long can a JSON string be */

static const char *action_of(const char *type)
{
	size_t len = strlen(type);
	if (strcmp(type, "MailSent") == 0)
		return "mail_sent";
	if (strcmp(type, "OrderPlaced") == 0 || (len > 7 && strcmp(type + len - 7, "Created") == 0))
		return ENTITY_CREATED;
	return len > 7 && strcmp(type + len - 7, "Deleted") == 0 ? ENTITY_DELETED : ENTITY_UPDATED;
}

static const char *member_text(const struct node *map, const char *name)
{
	const struct node *member = node_member(map, name);
	return member == NULL ? NULL : member->text;
}

/* `data` is an object. */
static const char *with_id(struct trial *trial, const char *data, const char *id, bool empty)
{
	struct buffer text;
	buffer_init(&text, strlen(data) + ESCAPE_MAX * strlen(id) + sizeof("{\"entity_id\":\"\","));
	buffer_puts(&text, "{\"entity_id\":");
	json_write_string(&text, id, strlen(id));
	buffer_printf(&text, "%s%s", empty ? "" : ",", data + 1);
	ASSERT(!text.overflow);
	const char *whole = arena_copy(trial->step_arena, text.bytes, text.len);
	buffer_free(&text);
	return whole;
}

/* The data with the entity's id; of a deletion without data the last state. */
static bool given_data(struct trial *trial, const struct node *node, struct shop_event *event)
{
	const struct node *data = node_member(node, "data");
	struct error err;
	if (data == NULL) {
		if (!trial->shop->methods->state(trial->shop->shop, event->topic, event->entity_id,
		                                 &event->data, &err))
			return trial_broken(trial, node->line, &err);
		return event->data != NULL ||
		       trial_fail(trial, node->line, "the event needs the key 'data'");
	}
	event->data = trial_text(trial, data);
	if (event->data != NULL && event->entity_id[0] != '\0' &&
	    node_member(data, "entity_id") == NULL)
		event->data = with_id(trial, event->data, event->entity_id, data->count == 0);
	return event->data != NULL;
}

static bool given_entity(struct trial *trial, const struct node *node, const char *event_id,
                         struct shop_event *event)
{
	const struct node *as = node_member(node, "as"), *of = node_member(node, "of");
	char id[UUID_SIZE];
	const char *topic;
	struct error err;
	event->entity_id = "";
	if (of != NULL)
		return resolve_entity(&trial->resolver, of, of->text, &topic, &event->entity_id,
		                      &err) ||
		       trial_broken(trial, of->line, &err);
	if (as == NULL)
		return true;
	const struct node *data = node_member(node, "data");
	const struct json *params = data == NULL ? NULL : trial_json(trial, data);
	if (data != NULL && params == NULL)
		return false;
	uuid_v5(id, event_id, "entity", NULL);
	event->entity_id =
	    params == NULL ? NULL : trial_created_id(trial, event->topic, event_id, params, 0);
	if (event->entity_id == NULL)
		event->entity_id = arena_strdup(trial->step_arena, id);
	return trial_bind(trial, as, event->topic, event->entity_id);
}

bool trial_given(struct trial *trial)
{
	const struct node *list = trial->step->node;
	unsigned index = 0;
	for (const struct node *node = list->first; node != NULL; node = node->next, index++) {
		char number[48], event_id[UUID_SIZE];
		struct error err;
		struct shop_event event = { .type = node_member(node, "event")->text,
			                    .topic = member_text(node, "topic"),
			                    .action = member_text(node, "action"),
			                    .event_id = event_id };
		snprintf(number, sizeof(number), "%zu.%u", trial->step->number, index);
		uuid_v5(event_id, trial->shop->run_id, "given", number);
		if (event.topic == NULL)
			event.topic = scenario_topic_of(event.type);
		if (event.action == NULL)
			event.action = action_of(event.type);
		if (!given_entity(trial, node, event_id, &event) ||
		    !given_data(trial, node, &event))
			return false;
		if (!trial->shop->methods->given(trial->shop->shop, &event, &err))
			return trial_broken(trial, node->line, &err);
	}
	return true;
}
