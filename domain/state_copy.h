/* state_copy.h - a message and all that it points to, in one block of memory. */
#ifndef DOMAIN_STATE_COPY_H
#define DOMAIN_STATE_COPY_H

#include <protobuf-c/protobuf-c.h>

/* Bytes that the copy takes. The messages of proto/entities.proto: strings, messages, numbers. Unknown
 * fields are left out. */
size_t state_size(const ProtobufCMessage *message);
/* `memory`: as many bytes, aligned for any type. */
ProtobufCMessage *state_copy(void *memory, const ProtobufCMessage *message);

#endif
