#include "message-queue/message.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_AGAIN = 0x80 }; /* of the first byte */

static bool json_check(const char *what, const char *text, size_t max, bool object,
                       struct error *err)
{
	size_t len = strlen(text);
	if (len > max)
		return error_set(err, ERR_INVALID, "%s: %zu bytes, at most %zu are allowed", what,
		                 len, max);
	enum json_kind kind;
	if (!json_valid(text, len, &kind, err))
		return error_wrap(err, "%s", what);
	if (object && kind != JSON_OBJECT)
		return error_set(err, ERR_INVALID, "%s: must be a JSON object, is %s", what,
		                 json_kind_name(kind));
	return true;
}

bool delay_check(const char *what, uint32_t delay_ms, struct error *err)
{
	if (delay_ms <= DELAY_MAX_MS)
		return true;
	return error_set(err, ERR_INVALID, "%s: %u, at most %u (30 days) is allowed", what,
	                 delay_ms, DELAY_MAX_MS);
}

bool message_check(Mq__Message *message, char new_id[UUID_SIZE], struct error *err)
{
	if (!name_check("service", message->service, err) ||
	    !name_check("function", message->function, err))
		return false;
	if (message->message_id[0] == '\0') {
		uuid_v4(new_id);
		message->message_id = new_id;
	} else if (!uuid_valid(message->message_id)) {
		return error_set(err, ERR_INVALID, "message_id: must be a UUID, is \"%.40s\"",
		                 message->message_id);
	}
	if (message->payload[0] == '\0')
		return error_set(err, ERR_INVALID, "payload: must be JSON, is empty");
	if (!json_check("payload", message->payload, MESSAGE_PAYLOAD_MAX, false, err))
		return false;
	if (message->priority > MQ__PRIORITY__LOW)
		return error_set(err, ERR_INVALID, "priority: %d, must be NORMAL, HIGH or LOW",
		                 (int)message->priority);
	if (!delay_check("delay_ms", message->delay_ms, err))
		return false;
	return message->metadata[0] == '\0' ||
	       json_check("metadata", message->metadata, MESSAGE_METADATA_MAX, true, err);
}

char *record_create(const Mq__Message *message, uint64_t now_ms, bool again, size_t *len)
{
	size_t packed = protobuf_c_message_get_packed_size(&message->base);
	uint8_t *record = malloc(RECORD_TIME_SIZE + packed);
	ASSERT(record != NULL);
	for (size_t i = 0; i < RECORD_TIME_SIZE; i++)
		record[i] = (uint8_t)(now_ms >> (8 * (RECORD_TIME_SIZE - 1 - i)));
	if (again)
		record[0] |= RECORD_AGAIN;
	protobuf_c_message_pack(&message->base, record + RECORD_TIME_SIZE);
	*len = RECORD_TIME_SIZE + packed;
	return (char *)record;
}

Mq__Message *record_message(const char *record, size_t len, struct arena *arena)
{
	if (len < RECORD_TIME_SIZE)
		return NULL;
	return (Mq__Message *)protobuf_c_message_unpack(
	    &mq__message__descriptor, arena_allocator(arena), len - RECORD_TIME_SIZE,
	    (const uint8_t *)record + RECORD_TIME_SIZE);
}

uint64_t record_time_ms(const char *record, size_t len)
{
	uint64_t time_ms = 0;
	for (size_t i = 0; len >= RECORD_TIME_SIZE && i < RECORD_TIME_SIZE; i++)
		time_ms = time_ms << 8 | (uint8_t)(i == 0 ? record[i] & ~RECORD_AGAIN : record[i]);
	return time_ms;
}

bool record_again(const char *record, size_t len)
{
	return len >= RECORD_TIME_SIZE && (record[0] & RECORD_AGAIN) != 0;
}
