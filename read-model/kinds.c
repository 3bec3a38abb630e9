#include "read-model/kinds.h"

#include "base/json.h"

#include "proto/entities.pb-c.h"

#include <string.h>

const struct kind kinds[] = {
	{ "customer",
	  "customers",
	  &shop__customer__descriptor,
	  { { "email", KIND_INDEX_VALUE, "customer_ids:email:" } } },
	{ "product", "products", &shop__product__descriptor, { { 0 } } },
	{ "inventory",
	  "inventory",
	  &shop__inventory__descriptor,
	  { { "product_id", KIND_INDEX_VALUE, "inventory_ids:product_id:" } } },
	{ "cart",
	  "carts",
	  &shop__cart__descriptor,
	  { { "customer_id", KIND_INDEX_VALUE, "customer_carts:" } } },
	{ "order",
	  "orders",
	  &shop__order__descriptor,
	  { { "status", KIND_INDEX_VALUE, "order_ids:status:" },
	    { "customer_id", KIND_INDEX_VALUE, "customer_orders:" },
	    { "cart_id", KIND_INDEX_VALUE, "cart_orders:" } } },
	{ "billing",
	  "billings",
	  &shop__billing__descriptor,
	  { { "order_id", KIND_INDEX_ORDER, "order_billings:" } } },
	{ "shipping",
	  "shippings",
	  &shop__shipping__descriptor,
	  { { "order_id", KIND_INDEX_ORDER, "order_shippings:" },
	    { "delivered", KIND_INDEX_FLAG, "delivered_shipping_ids" } } },
};
const size_t kinds_count = ARRAY_LEN(kinds);

static const struct kind generic = { 0 };

const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < kinds_count; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return &generic;
}

size_t kind_index_count(const struct kind *kind)
{
	size_t count = 0;
	while (count < KIND_INDICES_MAX && kind->indices[count].field != NULL)
		count++;
	return count;
}

const struct kind_index *kind_index_of(const struct kind *kind, const char *field)
{
	for (size_t i = 0; i < kind_index_count(kind); i++) {
		if (kind->indices[i].type != KIND_INDEX_FLAG &&
		    strcmp(kind->indices[i].field, field) == 0)
			return &kind->indices[i];
	}
	return NULL;
}

enum { SKIPPED = 1 }; /* entity_id */

static const ProtobufCFieldDescriptor *field_at(const struct kind *kind, size_t position)
{
	return &kind->type->fields[position + SKIPPED];
}

size_t kind_field_count(const struct kind *kind)
{
	return kind->type == NULL ? 1 : kind->type->n_fields - SKIPPED;
}

const char *kind_field_name(const struct kind *kind, size_t position)
{
	return kind->type == NULL ? "json" : field_at(kind, position)->name;
}

int kind_field_position(const struct kind *kind, const char *name)
{
	if (kind->type == NULL)
		return -1;
	const ProtobufCFieldDescriptor *field =
	    protobuf_c_message_descriptor_get_field_by_name(kind->type, name);
	return field == NULL ? -1 : (int)(field - kind->type->fields) - SKIPPED;
}

bool kind_field_is_json(const struct kind *kind, size_t position)
{
	if (kind->type == NULL)
		return true;
	const ProtobufCFieldDescriptor *field = field_at(kind, position);
	return field->label == PROTOBUF_C_LABEL_REPEATED ||
	       field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_BOOL;
}

bool kind_field_is_number(const struct kind *kind, size_t position)
{
	if (kind->type == NULL || kind_field_is_json(kind, position))
		return false;
	switch (field_at(kind, position)->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_ENUM:
		return false;
	default:
		return true;
	}
}

const char *kind_field_default(const struct kind *kind, size_t position)
{
	if (kind->type == NULL)
		return "{}";
	const ProtobufCFieldDescriptor *field = field_at(kind, position);
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return "[]";
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		return "";
	case PROTOBUF_C_TYPE_BOOL:
		return "false";
	case PROTOBUF_C_TYPE_MESSAGE:
		return "null";
	case PROTOBUF_C_TYPE_ENUM: {
		const ProtobufCEnumDescriptor *names = field->descriptor;
		const ProtobufCEnumValue *first = protobuf_c_enum_descriptor_get_value(names, 0);
		return first == NULL ? "" : first->name;
	}
	default:
		return "0";
	}
}

/* A number of JSON that every reader takes for the same number; else it is written as a string. */
static bool plain_number(const char *text, size_t len)
{
	enum { SAFE_DIGITS = 15 };
	size_t digits = 0, i = text[0] == '-' ? 1 : 0;
	while (text[i + digits] >= '0' && text[i + digits] <= '9')
		digits++;
	if (digits == 0 || digits > SAFE_DIGITS || (digits > 1 && text[i] == '0'))
		return false;
	if (i + digits == len)
		return true;
	struct error err; /* a fraction, from services that write such */
	struct json *json;
	if (!json_parse(text, len, &json, &err))
		return false;
	bool number = json_kind(json) == JSON_NUMBER;
	json_free(json);
	return number;
}

void kind_write_value(const struct kind *kind, size_t position, const char *text, size_t len,
                      struct buffer *out)
{
	if (kind_field_is_json(kind, position) ||
	    (kind_field_is_number(kind, position) && plain_number(text, len)))
		buffer_append(out, text, len);
	else
		json_write_string(out, text, len);
}

static bool list_holds(const char *text, const char *value)
{
	struct error err;
	struct json *json;
	bool holds = false;
	if (!json_parse(text, strlen(text), &json, &err))
		return false;
	for (const struct json *item = json_first(json); item != NULL && !holds;
	     item = json_next(item)) {
		const char *string = json_text(item);
		holds = string != NULL && strcmp(string, value) == 0;
	}
	json_free(json);
	return holds;
}

bool kind_value_holds(const char *text, const char *value)
{
	return strcmp(text, value) == 0 || (text[0] == '[' && list_holds(text, value));
}
