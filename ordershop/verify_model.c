#include "ordershop/verify_model.h"

#include "ordershop/changes.h"
#include "ordershop/lines.h"
#include "proto/readmodel_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 1000, WAIT_MS = 8000 };

struct model_check {
	struct client *client;
	const struct fold *fold;
	uint64_t show;
	struct model_verified found;
	/* The model must have come so far. */
	Rm__Token token, *tokens[1];
	Rm__Consistency consistency;
	char entry[ENTRY_ID_SIZE];
};

static void differs(struct model_check *check, const char *topic, const char *id, const char *what)
{
	if (check->found.differences++ < check->show)
		line_printf("read-model: %s %s: %s", topic, id, what);
}

/* The last event of all topics. */
static void open_check(struct model_check *check)
{
	struct entry_id last = { 0 };

	rm__token__init(&check->token);
	rm__consistency__init(&check->consistency);
	for (const struct fold_topic *t = fold_topics(check->fold); t != NULL; t = t->hh.next) {
		if (entry_id_compare(t->last, last) >= 0) {
			last = t->last;
			check->token.topic = t->name;
		}
	}
	entry_id_format(last, check->entry);
	check->token.entry_id = check->entry;
	check->tokens[0] = &check->token;
	check->consistency.tokens = check->tokens;
	check->consistency.n_tokens = 1;
	check->consistency.wait_ms = WAIT_MS;
}

/* The first field that both have and that differs; NULL: none. A field that the model does not show was not given
 * in the event, and is at its default in the fold. */
static const char *different_field(struct arena *arena, const char *shown, const char *folded)
{
	struct json *left = NULL, *right = NULL;
	struct error err;
	const char *name = NULL;

	if (!json_parse(shown, strlen(shown), &left, &err) ||
	    !json_parse(folded, strlen(folded), &right, &err))
		name = "data";
	for (const struct json *m = name || json_kind(left) != JSON_OBJECT ? NULL
	                                                                   : json_first(left);
	     m && !name; m = json_next(m)) {
		const struct json *other =
		    json_kind(right) == JSON_OBJECT ? json_member(right, json_name(m)) : NULL;

		if (other && !value_same(m, other))
			name = arena_strdup(arena, json_name(m));
	}
	json_free(left);
	json_free(right);
	return name;
}

static void check_entity(struct model_check *check, const char *topic, const Rm__Entity *shown)
{
	const struct fold_entity *entity = fold_find(check->fold, topic, shown->id);
	char what[128];
	struct buffer folded;

	check->found.checked++;
	if (entity == NULL || entity->deleted) {
		differs(check, topic, shown->id, "is shown, but is not there");
		return;
	}
	if (entity->version != shown->version) {
		snprintf(what, sizeof(what), "version: must be %" PRIu64 ", is %" PRIu64,
		         entity->version, shown->version);
		differs(check, topic, shown->id, what);
		return;
	}
	buffer_init(&folded, LINE_MAX_BYTES);
	fold_entity_write(entity, &folded);
	const char *field = different_field(check->client->arena, shown->json, folded.bytes);
	if (field) {
		snprintf(what, sizeof(what), "%.64s: is another than in the log", field);
		differs(check, topic, shown->id, what);
	}
	buffer_free(&folded);
}

static bool check_topic(struct model_check *check, const struct fold_topic *topic,
                        struct error *err)
{
	Rm__ListRequest request = RM__LIST_REQUEST__INIT;
	const ProtobufCMessage *response;
	char cursor[256] = "", what[96];
	uint64_t shown = 0;

	request.name = topic->name;
	request.limit = PAGE;
	request.cursor = cursor;
	request.consistency = &check->consistency;
	do {
		arena_reset(check->client->arena);
		if (!client_call(check->client, TARGET_READ_MODEL, "List", &request.base, &response,
		                 err))
			return false;
		const Rm__ListResponse *page = (const void *)response;

		for (size_t i = 0; i < page->n_entities; i++)
			check_entity(check, topic->name, page->entities[i]);
		shown += page->n_entities;
		snprintf(cursor, sizeof(cursor), "%s", page->cursor);
	} while (*cursor);
	if (shown != topic->living) {
		snprintf(what, sizeof(what), "must be %" PRIu64 ", are %" PRIu64, topic->living,
		         shown);
		differs(check, topic->name, "entities", what);
	}
	return true;
}

static bool check_mails(struct model_check *check, const struct fold_topic *topic,
                        struct error *err)
{
	Rm__MailsRequest request = RM__MAILS_REQUEST__INIT;
	const ProtobufCMessage *response;
	char cursor[256] = "", what[96];
	uint64_t shown = 0;

	request.limit = PAGE;
	request.cursor = cursor;
	request.consistency = &check->consistency;
	do {
		arena_reset(check->client->arena);
		if (!client_call(check->client, TARGET_READ_MODEL, "Mails", &request.base,
		                 &response, err))
			return false;
		const Rm__MailsResponse *page = (const void *)response;

		shown += page->n_mails;
		snprintf(cursor, sizeof(cursor), "%s", page->cursor);
	} while (*cursor);
	check->found.checked += shown;
	if (shown != topic->loose) {
		snprintf(what, sizeof(what), "must be %" PRIu64 ", are %" PRIu64, topic->loose,
		         shown);
		differs(check, topic->name, "mails", what);
	}
	return true;
}

bool verify_model(struct client *client, const struct fold *fold, uint64_t show,
                  struct model_verified *out, struct error *err)
{
	struct model_check check = { .client = client, .fold = fold, .show = show };
	bool done = true;

	open_check(&check);
	for (const struct fold_topic *t = fold_topics(fold); t != NULL && done; t = t->hh.next) {
		if (t->entities != NULL)
			done = check_topic(&check, t, err);
		if (done && strcmp(t->name, "mail") == 0)
			done = check_mails(&check, t, err);
	}
	arena_reset(client->arena);
	*out = check.found;
	return done;
}
