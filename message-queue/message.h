/* message.h - what may be sent, and how it lies in Redis.
 *
 * A record is the time at which the message was queued (8 bytes, big-endian milliseconds; the highest
 * bit: it may have been delivered before) and the packed Message. */
#ifndef MESSAGE_QUEUE_MESSAGE_H
#define MESSAGE_QUEUE_MESSAGE_H

#include "base/arena.h"
#include "base/id.h"
#include "proto/messagequeue_v1.pb-c.h"

enum { MESSAGE_PAYLOAD_MAX = 1024 * 1024, MESSAGE_METADATA_MAX = 16 * 1024, RECORD_TIME_SIZE = 8 };
#define DELAY_MAX_MS (30U * 86400 * 1000)

/* Names, id, payload, metadata, priority and delay. An empty id becomes a new UUID, written to `new_id`. */
MUST_USE bool message_check(Mq__Message *message, char new_id[UUID_SIZE], struct error *err);

/* malloc'ed. `again`: it may have been delivered before, though Redis knows of no attempt. */
char *record_create(const Mq__Message *message, uint64_t now_ms, bool again, size_t *len);
/* The message lives in `arena`; NULL for what is no record. */
Mq__Message *record_message(const char *record, size_t len, struct arena *arena);
uint64_t record_time_ms(const char *record, size_t len); /* 0 for what is no record */
bool record_again(const char *record, size_t len);

/* `what`: the name of the field. */
MUST_USE bool delay_check(const char *what, uint32_t delay_ms, struct error *err);

#endif
