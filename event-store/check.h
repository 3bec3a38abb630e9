/* check.h - what may be appended. Pure.
 *
 * Every refusal is ERR_INVALID (or ERR_TOO_LARGE) and names the field and its limit. */
#ifndef EVENT_STORE_CHECK_H
#define EVENT_STORE_CHECK_H

#include "base/id.h"
#include "proto/eventstore_v1.pb-c.h"

enum {
	APPEND_EVENTS_MAX = 256,
	REPLICAS_MAX = 16, /* that an append may wait for */
	APPEND_BYTES_MAX = 2 * 1024 * 1024,
	EVENT_DATA_MAX = 1024 * 1024,
	EVENT_WORD_MAX = 64,  /* action and type */
	EVENT_NAME_MAX = 128, /* entity id */
	METADATA_MAX = 64 * 1024
};

/* One valid JSON object in UTF-8 without NUL. */
bool check_json_object(const char *text, size_t len);

/* *bytes: of all strings of the request. */
MUST_USE bool check_append(const Es__AppendRequest *request, size_t *bytes, struct error *err);
/* An event with its own id and version; *bytes grows by its strings. Its topic is the caller's matter. */
MUST_USE bool check_import(const Es__Event *event, struct entry_id *id, size_t *bytes,
                           struct error *err);
MUST_USE bool check_entity(const char *topic, const char *entity_id, struct error *err);

#endif
