/* fold_state.h - a copy of a message in one piece of memory. */
#ifndef DOMAIN_FOLD_STATE_H
#define DOMAIN_FOLD_STATE_H

#include "base/error.h"

#include <protobuf-c/protobuf-c.h>

/* The copy is what to free, once. Messages of strings, numbers, enums, messages and lists of them. */
ProtobufCMessage *state_copy(const ProtobufCMessage *message);
/* Equal in one field, whatever its type. */
bool state_field_equal(const ProtobufCMessage *a, const ProtobufCMessage *b,
                       const ProtobufCFieldDescriptor *field);

#endif
