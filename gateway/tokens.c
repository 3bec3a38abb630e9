#include "gateway/tokens.h"

#include <string.h>

static struct tokens_row *find(struct tokens *tokens, const char *topic)
{
	for (size_t i = 0; i < tokens->count; i++) {
		if (strcmp(tokens->rows[i].topic, topic) == 0)
			return &tokens->rows[i];
	}
	return NULL;
}

void tokens_note(struct tokens *tokens, const char *topic, const char *entry_id)
{
	struct entry_id id;
	struct error ignored;
	if (strlen(entry_id) >= ENTRY_ID_SIZE || !entry_id_parse(entry_id, &id, &ignored))
		return;
	struct tokens_row *row = find(tokens, topic);
	if (row == NULL) {
		if (tokens->count == TOKENS_TOPICS || strlen(topic) >= TOKENS_TOPIC_SIZE)
			return;
		row = &tokens->rows[tokens->count++];
		strcpy(row->topic, topic);
		rm__token__init(&row->token);
		row->token.topic = row->topic;
		row->token.entry_id = row->text;
	} else if (entry_id_compare(id, row->id) <= 0) {
		return;
	}
	row->id = id;
	strcpy(row->text, entry_id);
}

void tokens_pick(struct tokens *tokens, const char *const *topics, Rm__Consistency *out)
{
	rm__consistency__init(out);
	out->tokens = tokens->picked;
	if (topics == NULL) {
		for (size_t i = 0; i < tokens->count; i++)
			tokens->picked[out->n_tokens++] = &tokens->rows[i].token;
		return;
	}
	for (; *topics != NULL; topics++) {
		struct tokens_row *row = find(tokens, *topics);
		if (row != NULL)
			tokens->picked[out->n_tokens++] = &row->token;
	}
}
