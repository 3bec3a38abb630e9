#include "base/redis_internal.h"

#include <stdlib.h>
#include <string.h>

/* What `size` and the union hold depends on the kind. */
struct redis_value {
	enum redis_kind kind;
	size_t size; /* of a string, status or error in bytes; of an array in elements */
	union {
		int64_t integer;
		const char *string;
		const struct redis_value **elements;
	};
};

/* A length is believed before the elements are there. */
enum { ELEMENTS_MAX = 1 << 20 };

/* `size` bytes follow it. */
static struct redis_value *value_create(const redisReadTask *task, enum redis_kind kind,
                                        size_t size)
{
	struct redis_value *value = arena_alloc(task->privdata, sizeof(*value) + size);
	*value = (struct redis_value){ .kind = kind };
	if (task->parent != NULL) {
		struct redis_value *parent = task->parent->obj;
		parent->elements[task->idx] = value;
	}
	return value;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t len)
{
	enum redis_kind kind = task->type == REDIS_REPLY_ERROR    ? REDIS_ERROR
	                       : task->type == REDIS_REPLY_STATUS ? REDIS_STATUS
	                                                          : REDIS_STRING;
	struct redis_value *value = value_create(task, kind, len + 1);
	char *copy = (char *)(value + 1);
	memcpy(copy, bytes, len);
	copy[len] = '\0';
	value->size = len;
	value->string = copy;
	return value;
}

/* NULL makes the reader give up, and the connection with it. */
static void *create_array(const redisReadTask *task, int count)
{
	if (count > ELEMENTS_MAX)
		return NULL;
	size_t size = (size_t)count * sizeof(struct redis_value *);
	struct redis_value *value = value_create(task, REDIS_ARRAY, size);
	value->size = (size_t)count;
	value->elements = memset(value + 1, 0, size);
	return value;
}

static void *create_integer(const redisReadTask *task, long long integer)
{
	struct redis_value *value = value_create(task, REDIS_INTEGER, 0);
	value->integer = integer;
	return value;
}

static void *create_nil(const redisReadTask *task)
{
	return value_create(task, REDIS_NIL, 0);
}

static void free_nothing(void *value)
{
	(void)value;
}

redisReader *redis_reader_create(void)
{
	static redisReplyObjectFunctions functions = { create_string, create_array, create_integer,
		                                       create_nil, free_nothing };
	redisReader *reader = redisReaderCreateWithFunctions(&functions);
	ASSERT(reader != NULL);
	return reader;
}

enum redis_kind redis_value_kind(const struct redis_value *value)
{
	return value == NULL ? REDIS_NIL : value->kind;
}

int64_t redis_value_integer(const struct redis_value *value)
{
	switch (redis_value_kind(value)) {
	case REDIS_INTEGER:
		return value->integer;
	case REDIS_STRING:
	case REDIS_STATUS:
		return strtoll(value->string, NULL, 10);
	default:
		return 0;
	}
}

const char *redis_value_string(const struct redis_value *value, size_t *len)
{
	switch (redis_value_kind(value)) {
	case REDIS_STRING:
	case REDIS_STATUS:
	case REDIS_ERROR:
		*len = value->size;
		return value->string;
	default:
		*len = 0;
		return "";
	}
}

size_t redis_value_count(const struct redis_value *value)
{
	return redis_value_kind(value) == REDIS_ARRAY ? value->size : 0;
}

const struct redis_value *redis_value_at(const struct redis_value *value, size_t index)
{
	return index < redis_value_count(value) ? value->elements[index] : NULL;
}

/* The next value of a group. */
static const char *shape_after(const char *shape)
{
	while (*shape == '?')
		shape++;
	int depth = 0;
	do {
		depth += (*shape == '(' || *shape == '[') - (*shape == ')' || *shape == ']');
		shape++;
	} while (depth > 0);
	return shape;
}

static bool fits(const struct redis_value *value, const char *shape)
{
	enum redis_kind kind = redis_value_kind(value);
	switch (*shape) {
	case '.':
		return true;
	case 'i':
		return kind == REDIS_INTEGER;
	case 's':
		return kind == REDIS_STRING;
	case 'a':
		return kind == REDIS_ARRAY;
	case '?':
		return kind == REDIS_NIL || fits(value, shape + 1);
	}
	ASSERT(*shape == '(' || *shape == '[');
	const char *first = shape + 1, *next = first;
	bool again = *shape == '[';
	for (size_t i = 0; i < redis_value_count(value); i++) {
		if (again && *next == ']')
			next = first;
		if (*next == ')' || !fits(value->elements[i], next))
			return false;
		next = shape_after(next);
	}
	return kind == REDIS_ARRAY && (*next == ')' || *next == ']' || (again && next == first));
}

bool redis_check(const struct redis_value *value, const char *shape, const struct error *failed,
                 struct error *err)
{
	static const char *const names[] = {
		[REDIS_NIL] = "nil",         [REDIS_INTEGER] = "an integer",
		[REDIS_STRING] = "a string", [REDIS_ARRAY] = "a list",
		[REDIS_STATUS] = "a status", [REDIS_ERROR] = "an error",
	};
	size_t len;
	enum redis_kind kind = redis_value_kind(value);
	if (failed != NULL) {
		*err = *failed;
		return false;
	}
	if (kind == REDIS_ERROR)
		return error_set(err, ERR_UNAVAILABLE, "redis: %s",
		                 redis_value_string(value, &len));
	return fits(value, shape) ||
	       error_set(err, ERR_UNAVAILABLE, "redis answered %s that does not fit %s",
	                 names[kind], shape);
}

enum { COMMAND_MAX = 256 * 1024 * 1024 };

void redis_command_init(struct redis_command *command)
{
	command->argc = 0;
	command->slot = REDIS_SLOT_OF_KEY;
	buffer_init(&command->args, COMMAND_MAX);
}

void redis_command_free(struct redis_command *command)
{
	buffer_free(&command->args);
	command->argc = 0;
}

void redis_command_clear(struct redis_command *command)
{
	buffer_clear(&command->args);
	command->argc = 0;
	command->slot = REDIS_SLOT_OF_KEY;
}

void redis_route(struct redis_command *command, const char *key)
{
	command->slot = redis_slot_of_key(key, strlen(key));
}

void redis_arg(struct redis_command *command, const char *text)
{
	redis_arg_bytes(command, text, strlen(text));
}

char *redis_put_decimal(char *end, uint64_t number)
{
	do {
		*--end = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return end;
}

void redis_arg_bytes(struct redis_command *command, const void *bytes, size_t len)
{
	char head[24];
	size_t at = sizeof(head);
	head[--at] = '\n';
	head[--at] = '\r';
	at = (size_t)(redis_put_decimal(head + at, len) - head);
	head[--at] = '$';
	size_t head_len = sizeof(head) - at;
	char *place = buffer_extend(&command->args, head_len + len + 2);
	command->argc++;
	if (place == NULL)
		return;
	memcpy(place, head + at, head_len);
	if (len > 0)
		memcpy(place + head_len, bytes, len);
	memcpy(place + head_len + len, "\r\n", 2);
}

void redis_arg_integer(struct redis_command *command, int64_t number)
{
	char text[24], *end = text + sizeof(text);
	char *begin = redis_put_decimal(end, number < 0 ? -(uint64_t)number : (uint64_t)number);
	if (number < 0)
		*--begin = '-';
	redis_arg_bytes(command, begin, (size_t)(end - begin));
}
