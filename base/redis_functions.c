#include "base/redis_internal.h"

#include <stdio.h>
#include <string.h>

/* "#!lua name=<name>\n" and the source: what is loaded, and what FUNCTION LIST shows. */
static void library_code(struct buffer *out, const struct redis_library *library)
{
	buffer_init(out, 16 * 1024 * 1024);
	buffer_printf(out, "#!lua name=%s\n", library->name);
	buffer_puts(out, library->source);
	ASSERT(!out->overflow);
}

static void library_ask(struct redis_command *command, const struct redis_library *library)
{
	redis_arg(command, "FUNCTION");
	redis_arg(command, "LIST");
	redis_arg(command, "LIBRARYNAME");
	redis_arg(command, library->name);
	redis_arg(command, "WITHCODE");
}

static const struct redis_value *map_member(const struct redis_value *map, const char *name)
{
	for (size_t i = 0; i + 1 < redis_value_count(map); i += 2) {
		size_t len;
		if (strcmp(redis_value_string(redis_value_at(map, i), &len), name) == 0)
			return redis_value_at(map, i + 1);
	}
	return NULL;
}

static bool library_matches(const struct redis_library *library, const struct redis_value *listed)
{
	const struct redis_value *first = redis_value_at(listed, 0);
	const struct redis_value *stored = map_member(first, "library_code");
	if (stored == NULL)
		return false;
	struct buffer code;
	library_code(&code, library);
	size_t len;
	const char *text = redis_value_string(stored, &len);
	bool same = len == code.len && memcmp(text, code.bytes, len) == 0;
	buffer_free(&code);
	return same;
}

static void library_load(struct redis_command *command, const struct redis_library *library)
{
	struct buffer code;
	library_code(&code, library);
	redis_arg(command, "FUNCTION");
	redis_arg(command, "LOAD");
	redis_arg(command, "REPLACE");
	redis_arg_bytes(command, code.bytes, code.len);
	buffer_free(&code);
}

static void put(struct batch *setup, const char *first, const char *second, const char *third)
{
	struct redis_command command;
	redis_command_init(&command);
	redis_arg(&command, first);
	if (second != NULL)
		redis_arg(&command, second);
	if (third != NULL)
		redis_arg(&command, third);
	batch_append(setup, &command, 0, NULL, NULL);
	redis_command_free(&command);
}

void redis_put_wait(struct batch *batch, int replicas, unsigned timeout_ms)
{
	char number[16], ms[16];
	snprintf(number, sizeof(number), "%d", replicas);
	snprintf(ms, sizeof(ms), "%u", timeout_ms);
	/* A command that blocked is waited for as of its beginning, without what ended it; one after it is
	 * waited for as of now. */
	put(batch, "PING", NULL, NULL);
	put(batch, "WAIT", number, ms);
}

void redis_setup_find(struct batch *setup, const char *master_name)
{
	batch_clear(setup);
	put(setup, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_name);
}

void redis_setup_ask(struct batch *setup, const struct redis_address *address,
                     const struct redis_library *libraries, size_t count)
{
	char database[16];
	batch_clear(setup);
	if (address->user != NULL)
		put(setup, "AUTH", address->user, address->password);
	else if (address->password != NULL)
		put(setup, "AUTH", address->password, NULL);
	snprintf(database, sizeof(database), "%d", address->database);
	put(setup, "SELECT", database, NULL);
	put(setup, "ROLE", NULL, NULL);
	put(setup, "CLUSTER", "SLOTS", NULL);
	struct redis_command command;
	redis_command_init(&command);
	for (size_t i = 0; i < count; i++) {
		redis_command_clear(&command);
		library_ask(&command, &libraries[i]);
		batch_append(setup, &command, 0, NULL, NULL);
	}
	redis_command_free(&command);
}

const struct redis_value *redis_setup_role(const struct batch *setup, size_t libraries)
{
	return setup->requests[setup->count - libraries - 2].value;
}

const struct redis_value *redis_setup_map(const struct batch *setup, size_t libraries)
{
	return setup->requests[setup->count - libraries - 1].value;
}

bool redis_setup_load(struct batch *setup, const struct redis_library *libraries, size_t count)
{
	struct redis_command command;
	struct batch loads;
	redis_command_init(&command);
	batch_init(&loads);
	const struct request *asked = &setup->requests[setup->count - count];
	for (size_t i = 0; i < count; i++) {
		if (library_matches(&libraries[i], asked[i].value))
			continue;
		redis_command_clear(&command);
		library_load(&command, &libraries[i]);
		batch_append(&loads, &command, 0, NULL, NULL);
	}
	redis_command_free(&command);
	batch_swap(setup, &loads);
	batch_free(&loads);
	return setup->count > 0;
}

bool redis_function_missing(const char *args, const struct redis_value *answer)
{
	static const char fcall[] = "$5\r\nFCALL\r\n";
	static const char fcall_ro[] = "$8\r\nFCALL_RO\r\n";
	if (redis_value_kind(answer) != REDIS_ERROR)
		return false;
	size_t len;
	return strstr(redis_value_string(answer, &len), "Function not found") != NULL &&
	       (strncmp(args, fcall, sizeof(fcall) - 1) == 0 ||
	        strncmp(args, fcall_ro, sizeof(fcall_ro) - 1) == 0);
}
