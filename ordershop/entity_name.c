#include "ordershop/entity_name.h"

#include "domain/services.h"
#include "ordershop/command.h"
#include "ordershop/lines.h"

#include <stdio.h>
#include <string.h>

enum { ID_MAX = 128 };

bool entity_check(const char *topic, const char *id, struct error *err)
{
	if (!name_check("entity", topic, err))
		return false;
	if (*id == '\0' || strlen(id) > ID_MAX)
		return error_set(err, ERR_INVALID, "id: must have 1 to %d bytes, has %zu", ID_MAX,
		                 strlen(id));
	return true;
}

bool entity_topic_check(struct client *client, const char *topic, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;
	const char **names;
	size_t count = 0;
	char hint[HINT_SIZE];

	request.brief = true;
	if (!client_call(client, TARGET_EVENT_STORE, "Topics", &request.base, &response, err))
		return false;
	topics = (const void *)response;
	names =
	    arena_alloc(client->arena, (domain_service_count + topics->n_topics) * sizeof(*names));
	for (size_t i = 0; i < domain_service_count; i++) {
		if (domain_services[i]->topic)
			names[count++] = domain_services[i]->topic;
	}
	for (size_t i = 0; i < topics->n_topics; i++)
		names[count++] = topics->topics[i]->topic;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], topic) == 0)
			return true;
	}
	closest_hint(hint, topic, names, count);
	return error_set(err, ERR_NOT_FOUND, "there is no topic '%s'%s", topic,
	                 *hint ? hint : " (yet); ordershop status lists those there are");
}

/* There are no events of it: perhaps because the topic is called otherwise, or the id was shortened. */
static bool not_found(struct client *client, const char *topic, const char *id, struct error *err)
{
	return entity_topic_check(client, topic, err) &&
	       error_set(err, ERR_NOT_FOUND, "there is no %s '%s', and never was%s", topic, id,
	                 uuid_valid(id) ? "" : "; ids are whole UUIDs in lower case");
}

bool entity_last(struct client *client, const char *topic, const char *id, const Es__Event **out,
                 struct error *err)
{
	Es__ReadEntityRequest request = ES__READ_ENTITY_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__ReadEntityResponse *found;

	request.topic = topic;
	request.entity_id = id;
	if (!client_call(client, TARGET_EVENT_STORE, "ReadEntity", &request.base, &response, err))
		return false;
	found = (const void *)response;
	if (found->n_events == 0)
		return not_found(client, topic, id, err);
	*out = found->events[0];
	return true;
}

const char *event_time(const char *entry_id, char text[EVENT_TIME_SIZE])
{
	char when[LINE_TIME_SIZE];
	struct entry_id entry;
	struct error err;

	if (entry_id_parse(entry_id, &entry, &err))
		snprintf(text, EVENT_TIME_SIZE, "%s (%.40s)", line_entry_time(entry, when),
		         entry_id);
	else
		snprintf(text, EVENT_TIME_SIZE, "%.40s", entry_id);
	return text;
}
