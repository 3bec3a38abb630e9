/* fold_state.h - states compared field by field. */
#ifndef DOMAIN_FOLD_STATE_H
#define DOMAIN_FOLD_STATE_H

#include "base/error.h"

#include <protobuf-c/protobuf-c.h>

/* Equal in one field, whatever its type. */
bool state_field_equal(const ProtobufCMessage *a, const ProtobufCMessage *b,
                       const ProtobufCFieldDescriptor *field);

#endif
