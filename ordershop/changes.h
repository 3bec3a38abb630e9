/* changes.h - what differs between two states of an entity, for people. */
#ifndef ORDERSHOP_CHANGES_H
#define ORDERSHOP_CHANGES_H

#include "base/json.h"

/* Appends for each field that differs `prefix`, "status: CREATED -> IN_STOCK", "\n"; with `before` NULL
 * "status: CREATED". Texts are JSON objects; anything else is one value without a name. False: nothing
 * differs. */
bool changes_write(struct buffer *out, const char *prefix, const char *before, const char *after);
/* Are they the same JSON, with members in the same order? */
bool value_same(const struct json *a, const struct json *b);
/* The text as indented JSON, or as it is; ends with a line break. */
void changes_pretty(struct buffer *out, const char *text);

#endif
