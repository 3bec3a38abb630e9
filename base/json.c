#include "base/json_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Up to so many members an object is checked for doubled names pair by pair, then by sorting. */
enum { PAIRWISE_MAX = 12 };

void json_path_format(const struct json_path *path, char out[JSON_PATH_SIZE])
{
	const struct json_path *chain[JSON_DEPTH_MAX + 2];
	size_t count = 0;
	for (; path != NULL && count < ARRAY_LEN(chain); path = path->up)
		chain[count++] = path;
	struct buffer text;
	buffer_init(&text, 1 << 20);
	while (count > 0) {
		const struct json_path *step = chain[--count];
		if (step->name == NULL)
			buffer_printf(&text, "[%zu]", step->index);
		else
			buffer_printf(&text, "%s%s", text.len > 0 ? "." : "", step->name);
	}
	size_t len = 0;
	while (len < text.len) {
		size_t sequence = utf8_sequence(text.bytes + len, text.len - len);
		if (sequence == 0 || len + sequence >= JSON_PATH_SIZE)
			break;
		len += sequence;
	}
	if (len > 0)
		memcpy(out, text.bytes, len);
	out[len] = '\0';
	buffer_free(&text);
}

const char *json_clip(const char *text, char out[JSON_CLIP_SIZE])
{
	size_t len = 0, left = strlen(text);
	while (len < left) {
		size_t sequence = utf8_sequence(text + len, left - len);
		if (sequence == 0 || len + sequence > JSON_CLIP_SIZE - 4)
			break;
		len += sequence;
	}
	memcpy(out, text, len);
	memcpy(out + len, "...", 4);
	if (len == left)
		out[len] = '\0';
	return out;
}

static bool doubled(const struct json_path *up, const char *name, struct error *err)
{
	char where[JSON_PATH_SIZE];
	struct json_path path = { .up = up, .name = name };
	json_path_format(&path, where);
	return error_set(err, ERR_INVALID, "%s: is given twice", where);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(cJSON *const *)a)->string, (*(cJSON *const *)b)->string);
}

static bool check_many_names(const cJSON *object, size_t count, const struct json_path *up,
                             struct error *err)
{
	const cJSON **members = malloc(count * sizeof(cJSON *));
	ASSERT(members != NULL);
	size_t used = 0;
	for (const cJSON *member = object->child; member != NULL; member = member->next)
		members[used++] = member;
	qsort(members, used, sizeof(cJSON *), compare_names);
	bool ok = true;
	for (size_t i = 1; i < used && ok; i++) {
		if (strcmp(members[i - 1]->string, members[i]->string) == 0)
			ok = doubled(up, members[i]->string, err);
	}
	free(members);
	return ok;
}

static bool check_names(const cJSON *object, const struct json_path *up, struct error *err)
{
	size_t count = 0;
	for (const cJSON *member = object->child; member != NULL; member = member->next)
		count++;
	if (count > PAIRWISE_MAX)
		return check_many_names(object, count, up, err);
	for (const cJSON *a = object->child; a != NULL; a = a->next) {
		for (const cJSON *b = a->next; b != NULL; b = b->next) {
			if (strcmp(a->string, b->string) == 0)
				return doubled(up, a->string, err);
		}
	}
	return true;
}

struct finish {
	const struct json_numbers *numbers;
	size_t ordinal; /* of the next number */
	size_t next;    /* in numbers->kept */
	struct error *err;
};

/* Gives the numbers their texts, which cJSON has lost, and refuses doubled names. */
static bool finish_tree(struct finish *finish, cJSON *node, const struct json_path *path)
{
	if (cJSON_IsNumber(node)) {
		size_t ordinal = finish->ordinal++;
		if (finish->next == finish->numbers->count ||
		    finish->numbers->kept[finish->next].ordinal != ordinal)
			return true;
		const struct json_kept *kept = &finish->numbers->kept[finish->next++];
		if (!isfinite(node->valuedouble)) {
			char where[JSON_PATH_SIZE];
			json_path_format(path, where);
			return error_set(finish->err, ERR_INVALID, "%s%sthe number is too large",
			                 where, where[0] != '\0' ? ": " : "");
		}
		node->valuestring = cJSON_malloc(kept->len + 1);
		ASSERT(node->valuestring != NULL);
		memcpy(node->valuestring, kept->text, kept->len);
		node->valuestring[kept->len] = '\0';
		return true;
	}
	if (cJSON_IsObject(node) && !check_names(node, path, finish->err))
		return false;
	size_t index = 0;
	for (cJSON *child = node->child; child != NULL; child = child->next) {
		struct json_path step = { .up = path, .name = child->string, .index = index++ };
		if (!finish_tree(finish, child, &step))
			return false;
	}
	return true;
}

bool json_parse(const char *text, size_t len, struct json **out, struct error *err)
{
	struct json_numbers numbers = { 0 };
	bool ok = false;
	cJSON *root = NULL;
	if (!json_scan(text, len, &numbers, err))
		goto end;
	root = cJSON_ParseWithLength(text, len);
	if (root == NULL) {
		error_set(err, ERR_INTERNAL, "the JSON cannot be parsed");
		goto end;
	}
	struct finish finish = { .numbers = &numbers, .err = err };
	ok = finish_tree(&finish, root, NULL);
end:
	free(numbers.kept);
	if (ok)
		*out = (struct json *)(void *)root;
	else
		cJSON_Delete(root);
	return ok;
}

bool json_valid(const char *text, size_t len, enum json_kind *kind, struct error *err)
{
	struct json_numbers numbers = { 0 };
	bool ok = json_scan(text, len, &numbers, err);
	free(numbers.kept);
	if (!ok)
		return false;
	switch (text[strspn(text, " \t\r\n")]) {
	case '{':
		*kind = JSON_OBJECT;
		break;
	case '[':
		*kind = JSON_LIST;
		break;
	case '"':
		*kind = JSON_STRING;
		break;
	case 't':
	case 'f':
		*kind = JSON_BOOL;
		break;
	case 'n':
		*kind = JSON_NULL;
		break;
	default:
		*kind = JSON_NUMBER;
	}
	return true;
}

void json_free(struct json *json)
{
	cJSON_Delete((cJSON *)(void *)json);
}

enum json_kind json_kind(const struct json *value)
{
	switch (node_of(value)->type & 0xFF) {
	case cJSON_False:
	case cJSON_True:
		return JSON_BOOL;
	case cJSON_Number:
		return JSON_NUMBER;
	case cJSON_String:
		return JSON_STRING;
	case cJSON_Array:
		return JSON_LIST;
	case cJSON_Object:
		return JSON_OBJECT;
	default:
		return JSON_NULL;
	}
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
		[JSON_STRING] = "a string", [JSON_LIST] = "a list",    [JSON_OBJECT] = "an object",
	};
	return names[kind];
}

const struct json *json_member(const struct json *object, const char *name)
{
	if (json_kind(object) != JSON_OBJECT)
		return NULL;
	for (const cJSON *member = node_of(object)->child; member != NULL; member = member->next) {
		if (strcmp(member->string, name) == 0)
			return json_of(member);
	}
	return NULL;
}

size_t json_count(const struct json *value)
{
	size_t count = 0;
	for (const struct json *child = json_first(value); child != NULL; child = json_next(child))
		count++;
	return count;
}

const struct json *json_at(const struct json *value, size_t index)
{
	const struct json *child = json_first(value);
	while (child != NULL && index-- > 0)
		child = json_next(child);
	return child;
}

const struct json *json_first(const struct json *value)
{
	return json_of(node_of(value)->child);
}

const struct json *json_next(const struct json *value)
{
	return json_of(node_of(value)->next);
}

const char *json_name(const struct json *value)
{
	return node_of(value)->string;
}

const char *json_text(const struct json *value)
{
	return cJSON_IsString(node_of(value)) ? node_of(value)->valuestring : NULL;
}

double json_number(const struct json *value)
{
	return cJSON_IsNumber(node_of(value)) ? node_of(value)->valuedouble : 0;
}

static bool integer_from_text(const char *text, int64_t *out)
{
	bool negative = text[0] == '-';
	const char *p = text + negative;
	int64_t value = 0;
	if (*p == '\0')
		return false;
	for (; *p != '\0'; p++) {
		int digit = *p - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value))
			return false;
	}
	/* Collected as a negative number, because there is one more of those. */
	if (!negative && value == INT64_MIN)
		return false;
	*out = negative ? value : -value;
	return true;
}

bool json_integer(const struct json *value, int64_t *out, struct error *err)
{
	const cJSON *node = node_of(value);
	if (cJSON_IsString(node)) {
		char clip[JSON_CLIP_SIZE];
		if (integer_from_text(node->valuestring, out))
			return true;
		return error_set(err, ERR_INVALID, "must be an integer, is \"%s\"",
		                 json_clip(node->valuestring, clip));
	}
	if (!cJSON_IsNumber(node))
		return error_set(err, ERR_INVALID, "must be an integer, is %s",
		                 json_kind_name(json_kind(value)));
	double number = node->valuedouble;
	if (number != trunc(number))
		return error_set(err, ERR_INVALID, "must be an integer, is %s",
		                 node->valuestring != NULL ? node->valuestring : "a fraction");
	if (fabs(number) > (double)JSON_SAFE_INTEGER)
		return error_set(err, ERR_INVALID,
		                 "integers beyond 9007199254740991 must be sent as strings, is %s",
		                 node->valuestring != NULL ? node->valuestring : "larger");
	*out = (int64_t)number;
	return true;
}
