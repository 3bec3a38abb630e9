/* tokens.h - how far the log must be projected for a reader to see all that we wrote.
 *
 * The highest entry id per topic that came back with a command's result. */
#ifndef GATEWAY_TOKENS_H
#define GATEWAY_TOKENS_H

#include "base/id.h"

#include "proto/readmodel_v1.pb-c.h"

enum { TOKENS_TOPICS = 32, TOKENS_TOPIC_SIZE = 65 };

struct tokens {
	size_t count;
	struct tokens_row {
		char topic[TOKENS_TOPIC_SIZE];
		struct entry_id id;
		char text[ENTRY_ID_SIZE];
		Rm__Token token; /* of the two texts */
	} rows[TOKENS_TOPICS];
	Rm__Token *picked[TOKENS_TOPICS];
};

/* Remembers it if it is higher. What cannot be read, and topics beyond the table, are left out. */
void tokens_note(struct tokens *tokens, const char *topic, const char *entry_id);
/* Those of the given topics (NULL-terminated; NULL: of all), valid until the next call. */
void tokens_pick(struct tokens *tokens, const char *const *topics, Rm__Consistency *out);

#endif
