#include "event-store/check.h"

#include "base/json.h"

#include <string.h>

enum {
	DEPTH_MAX = 32,
	NAMES_MAX = 16, /* of an object whose names are compared here */
	SHORT_NUMBER = 15
};
#define VERSION_MAX (INT64_MAX / 1024)

/* A scanner of JSON: nothing is built, the bytes are looked at once. What it cannot judge, such as members that
 * may be there twice and numbers that may be beyond a double, is left to json_parse, as whoever reads the
 * event will use it. */
struct scan {
	const char *at;
	const char *end;
	bool doubtful;
};

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r'))
		scan->at++;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct scan *scan)
{
	if (scan->at == scan->end)
		return false;
	char c = *scan->at++;
	if (c != 'u')
		return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
	scan->doubtful = true; /* half of a pair? */
	if (scan->end - scan->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		if (!is_hex(scan->at[i]))
			return false;
	}
	if (memcmp(scan->at, "0000", 4) == 0)
		return false;
	scan->at += 4;
	return true;
}

static bool scan_string(struct scan *scan)
{
	if (scan->at == scan->end || *scan->at++ != '"')
		return false;
	while (scan->at < scan->end) {
		unsigned char c = (unsigned char)*scan->at++;
		if (c == '"')
			return true;
		if (c < 0x20 || (c == '\\' && !scan_escape(scan)))
			return false;
	}
	return false;
}

static bool scan_digits(struct scan *scan)
{
	const char *first = scan->at;
	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return scan->at > first;
}

static bool scan_number(struct scan *scan)
{
	if (*scan->at == '-')
		scan->at++;
	const char *first = scan->at;
	if (!scan_digits(scan) || (*first == '0' && scan->at - first > 1))
		return false;
	if (scan->at < scan->end && *scan->at == '.') {
		scan->at++;
		if (!scan_digits(scan))
			return false;
	}
	scan->doubtful = scan->doubtful || scan->at - first > SHORT_NUMBER;
	if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
		scan->doubtful = true;
		scan->at++;
		if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
			scan->at++;
		return scan_digits(scan);
	}
	return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
		return false;
	scan->at += len;
	return true;
}

static bool scan_value(struct scan *scan, int depth);

/* Of one object, so far. */
struct names {
	size_t count;
	struct {
		const char *at;
		size_t len;
	} items[NAMES_MAX];
};

static bool scan_name(struct scan *scan, struct names *names)
{
	const char *at = scan->at;
	if (!scan_string(scan))
		return false;
	size_t len = (size_t)(scan->at - at);
	if (names->count == NAMES_MAX || memchr(at, '\\', len) != NULL) {
		scan->doubtful = true;
		return true;
	}
	for (size_t i = 0; i < names->count; i++) {
		if (names->items[i].len == len && memcmp(names->items[i].at, at, len) == 0)
			scan->doubtful = true;
	}
	names->items[names->count].at = at;
	names->items[names->count++].len = len;
	return true;
}

/* An object or a list. */
static bool scan_container(struct scan *scan, int depth)
{
	bool object = *scan->at++ == '{';
	char close = object ? '}' : ']';
	struct names names;
	names.count = 0;
	if (depth == 0)
		return false;
	skip_space(scan);
	if (scan->at < scan->end && *scan->at == close) {
		scan->at++;
		return true;
	}
	for (;;) {
		skip_space(scan);
		if (object) {
			if (!scan_name(scan, &names))
				return false;
			skip_space(scan);
			if (scan->at == scan->end || *scan->at++ != ':')
				return false;
		}
		if (!scan_value(scan, depth - 1))
			return false;
		skip_space(scan);
		if (scan->at == scan->end)
			return false;
		char c = *scan->at++;
		if (c == close)
			return true;
		if (c != ',')
			return false;
	}
}

static bool scan_value(struct scan *scan, int depth)
{
	skip_space(scan);
	if (scan->at == scan->end)
		return false;
	switch (*scan->at) {
	case '{':
	case '[':
		return scan_container(scan, depth);
	case '"':
		return scan_string(scan);
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	default:
		return scan_number(scan);
	}
}

static bool can_be_parsed(const char *text, size_t len)
{
	struct error ignored;
	struct json *tree = NULL;
	bool ok = json_parse(text, len, &tree, &ignored);
	json_free(tree);
	return ok;
}

bool check_json_object(const char *text, size_t len)
{
	struct scan scan = { text, text + len, false };
	skip_space(&scan);
	if (scan.at == scan.end || *scan.at != '{' || !scan_value(&scan, DEPTH_MAX))
		return false;
	skip_space(&scan);
	return scan.at == scan.end && utf8_valid(text, len) &&
	       (!scan.doubtful || can_be_parsed(text, len));
}

static bool check_text(const char *field, const char *text, size_t min, size_t max, size_t *bytes,
                       struct error *err)
{
	size_t len = strlen(text);
	if (len < min || len > max)
		return error_set(err, ERR_INVALID, "%s: must have %zu to %zu bytes, has %zu", field,
		                 min, max, len);
	if (!utf8_valid(text, len))
		return error_set(err, ERR_INVALID, "%s: must be UTF-8", field);
	*bytes += len;
	return true;
}

/* Says why. */
static bool no_object(const char *field, const char *text, size_t len, struct error *err)
{
	struct json *tree = NULL;
	if (len > 0 && !json_parse(text, len, &tree, err))
		return error_wrap(err, "%s: must be a JSON object", field);
	(void)error_set(err, ERR_INVALID, "%s: must be a JSON object, is %s", field,
	                len == 0 ? "empty" : json_kind_name(json_kind(tree)));
	json_free(tree);
	return false;
}

static bool check_object(const char *field, const char *text, size_t max, size_t *bytes,
                         struct error *err)
{
	size_t len = strlen(text);
	if (len > max)
		return error_set(err, ERR_INVALID, "%s: must have at most %zu bytes, has %zu",
		                 field, max, len);
	if (!check_json_object(text, len))
		return no_object(field, text, len, err);
	*bytes += len;
	return true;
}

/* What an event says, however it comes. */
struct content {
	const char *event_id, *event_action, *event_data, *event_type, *entity_id, *metadata;
};

static bool check_event_id(const char *id, size_t *bytes, struct error *err)
{
	*bytes += UUID_SIZE;
	return uuid_valid(id) ||
	       error_set(err, ERR_INVALID, "event_id: must be a UUID, is \"%.40s\"", id);
}

static bool check_content(const struct content *content, size_t *bytes, struct error *err)
{
	return check_event_id(content->event_id, bytes, err) &&
	       check_text("event_action", content->event_action, 1, EVENT_WORD_MAX, bytes, err) &&
	       check_text("event_type", content->event_type, 0, EVENT_WORD_MAX, bytes, err) &&
	       check_text("entity_id", content->entity_id, 0, EVENT_NAME_MAX, bytes, err) &&
	       check_object("event_data", content->event_data, EVENT_DATA_MAX, bytes, err) &&
	       (content->metadata[0] == '\0' ||
	        check_object("metadata", content->metadata, METADATA_MAX, bytes, err));
}

static bool check_void(const Es__NewEvent *event, size_t *bytes, struct error *err)
{
	if (event->event_action[0] != '\0' || event->event_data[0] != '\0' ||
	    event->event_type[0] != '\0' || event->entity_id[0] != '\0' ||
	    event->metadata[0] != '\0' || event->expected_version != 0 ||
	    event->after_event_id[0] != '\0')
		return error_set(
		    err, ERR_INVALID,
		    "expect: with EXPECT_NEVER an event has an event_id and nothing else");
	return check_event_id(event->event_id, bytes, err);
}

static bool check_event(const Es__NewEvent *event, size_t *bytes, struct error *err)
{
	if (event->expect == ES__EXPECT__EXPECT_NEVER)
		return check_void(event, bytes, err);
	const struct content content = { event->event_id,   event->event_action, event->event_data,
		                         event->event_type, event->entity_id,    event->metadata };
	if ((unsigned)event->expect > ES__EXPECT__EXPECT_EXACT)
		return error_set(err, ERR_INVALID, "expect: must be 0 to %d, is %d",
		                 ES__EXPECT__EXPECT_NEVER, (int)event->expect);
	if (event->entity_id[0] == '\0' && event->expect != ES__EXPECT__EXPECT_ANY)
		return error_set(err, ERR_INVALID,
		                 "expect: must be EXPECT_ANY for an event without entity_id");
	if (event->expected_version > VERSION_MAX)
		return error_set(err, ERR_INVALID, "expected_version: is beyond any version");
	if (event->after_event_id[0] != '\0' &&
	    (event->expect != ES__EXPECT__EXPECT_EXACT || event->expected_version == 0))
		return error_set(
		    err, ERR_INVALID,
		    "after_event_id: needs EXPECT_EXACT and an expected_version above 0");
	if (event->after_event_id[0] != '\0' && !uuid_valid(event->after_event_id))
		return error_set(err, ERR_INVALID, "after_event_id: must be a UUID, is \"%.40s\"",
		                 event->after_event_id);
	if (event->expected_version != 0 && event->expect != ES__EXPECT__EXPECT_EXACT)
		return error_set(
		    err, ERR_INVALID,
		    "expected_version: is checked with EXPECT_EXACT only, and must be 0 "
		    "otherwise");
	return check_content(&content, bytes, err);
}

static bool check_durability(const Es__AppendRequest *request, struct error *err)
{
	bool replicated = request->durability == ES__DURABILITY__DURABILITY_REPLICATED;
	unsigned min = replicated ? 1 : 0, max = replicated ? REPLICAS_MAX : 0;
	if ((int)request->durability < 0 ||
	    request->durability > ES__DURABILITY__DURABILITY_REPLICATED)
		return error_set(err, ERR_INVALID, "durability: must be 0 to %d, is %d",
		                 ES__DURABILITY__DURABILITY_REPLICATED, (int)request->durability);
	if (request->replicas < min || request->replicas > max)
		return error_set(err, ERR_INVALID,
		                 "replicas: must be %u to %u with this durability, is %u", min, max,
		                 request->replicas);
	return true;
}

bool check_append(const Es__AppendRequest *request, size_t *bytes, struct error *err)
{
	size_t total = 0;
	if (request == NULL)
		return error_set(err, ERR_INVALID, "request: is missing");
	if (!name_check("topic", request->topic, err) || !check_durability(request, err))
		return false;
	if (request->n_events == 0 || request->n_events > APPEND_EVENTS_MAX)
		return error_set(err, ERR_INVALID, "events: must be 1 to %d, are %zu",
		                 APPEND_EVENTS_MAX, request->n_events);
	for (size_t i = 0; i < request->n_events; i++) {
		if (!check_event(request->events[i], &total, err))
			return error_wrap(err, "events[%zu]", i);
		if (request->events[i]->expect == ES__EXPECT__EXPECT_NEVER && request->n_events > 1)
			return error_set(
			    err, ERR_INVALID,
			    "events[%zu].expect: EXPECT_NEVER must be alone in its request", i);
	}
	if (total > APPEND_BYTES_MAX)
		return error_set(err, ERR_INVALID, "events: must have at most %d bytes, have %zu",
		                 APPEND_BYTES_MAX, total);
	*bytes = total;
	return true;
}

bool check_import(const Es__Event *event, struct entry_id *id, size_t *bytes, struct error *err)
{
	const struct content content = { event->event_id,   event->event_action, event->event_data,
		                         event->event_type, event->entity_id,    event->metadata };
	if (!entry_id_parse(event->entry_id, id, err))
		return error_wrap(err, "entry_id");
	if (id->us > 999 || (id->ms == 0 && id->us == 0))
		return error_set(err, ERR_INVALID,
		                 "entry_id: must be milliseconds, \"-\" and 0 to 999 microseconds, "
		                 "above 0-0, is %.40s",
		                 event->entry_id);
	if (event->entity_id[0] == '\0' && event->entity_version != 0)
		return error_set(err, ERR_INVALID,
		                 "entity_version: must be 0 for an event without entity_id");
	if (event->entity_id[0] != '\0' &&
	    (event->entity_version == 0 || event->entity_version > VERSION_MAX))
		return error_set(err, ERR_INVALID, "entity_version: must be 1 to %lld, is %llu",
		                 (long long)VERSION_MAX, (unsigned long long)event->entity_version);
	return check_content(&content, bytes, err);
}

bool check_entity(const char *topic, const char *entity_id, struct error *err)
{
	size_t bytes = 0;
	return name_check("topic", topic, err) &&
	       check_text("entity_id", entity_id, 1, EVENT_NAME_MAX, &bytes, err);
}
