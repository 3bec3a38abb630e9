#include "base/when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool when_span_parse(const char *text, uint64_t max_ms, uint64_t *ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	char *end;
	unsigned long long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	for (size_t i = 0; errno == 0 && i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].unit) == 0 && number <= max_ms / units[i].ms) {
			*ms = number * units[i].ms;
			return true;
		}
	}
	return false;
}

static bool parse_ago(const char *text, uint64_t now_ms, uint64_t *time_ms)
{
	uint64_t span_ms;

	if (!when_span_parse(text, now_ms, &span_ms))
		return false;
	*time_ms = now_ms - span_ms;
	return true;
}

/* ".5", ".123456", ".123456789": what is beyond microseconds is cut. Returns what follows; NULL: no digit does. */
static const char *parse_fraction(const char *text, struct when *when)
{
	unsigned us = 0, digits = 0;
	if (*text != '.')
		return text;
	for (text++; *text >= '0' && *text <= '9'; text++, digits++) {
		if (digits < 6)
			us = us * 10 + (unsigned)(*text - '0');
	}
	for (unsigned i = digits; i < 6; i++)
		us *= 10;
	when->time_ms += us / 1000;
	when->time_us = us % 1000;
	when->has_us = digits > 3;
	return digits > 0 ? text : NULL;
}

static bool parse_date(const char *text, struct when *when)
{
	static const struct {
		const char *form;
		bool hours, seconds;
	} forms[] = {
		{ "%Y-%m-%dT%H:%M:%S", true, true }, { "%Y-%m-%d %H:%M:%S", true, true },
		{ "%Y-%m-%dT%H:%M", true, false },   { "%Y-%m-%d %H:%M", true, false },
		{ "%Y-%m-%d", false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm parts = { 0 };
		const char *end = strptime(text, forms[i].form, &parts);
		int day = parts.tm_mday;
		time_t seconds = end ? timegm(&parts) : -1;
		/* timegm makes March of the 31st of February */
		if (seconds <= 0 || parts.tm_mday != day)
			continue;
		*when = (struct when){ .time_ms = (uint64_t)seconds * 1000 };
		if (forms[i].seconds)
			end = parse_fraction(end, when);
		if (end != NULL && (*end == '\0' || (forms[i].hours && strcmp(end, "Z") == 0)))
			return true;
	}
	return false;
}

bool when_parse(const char *text, uint64_t now_ms, struct when *when, struct error *err)
{
	struct entry_id id;
	*when = (struct when){ 0 };
	if (*text == '\0' || parse_ago(text, now_ms, &when->time_ms) || parse_date(text, when))
		return true;
	*when = (struct when){ 0 };
	if (!entry_id_parse(text, &id, err))
		return error_set(err, ERR_INVALID,
		                 "'%.60s' is no entry id such as 1700000000000-12 and no time such "
		                 "as 2024-05-01, 2024-05-01T12:30:00 (UTC) or 10m (ago)",
		                 text);
	entry_id_format(id, when->entry_id);
	return true;
}

bool moment_parse(const char *text, uint64_t now_us, struct entry_id *last, struct error *err)
{
	struct when when;
	struct entry_id moment;
	struct entry_id now = { .ms = now_us / 1000, .us = 999 };
	if (*text == '\0')
		return error_set(err, ERR_INVALID, "is empty");
	if (!when_parse(text, now_us / 1000, &when, err))
		return false;
	if (when.entry_id[0] != '\0') {
		if (!entry_id_parse(when.entry_id, &moment, err))
			return false;
	} else {
		moment =
		    (struct entry_id){ .ms = when.time_ms, .us = when.has_us ? when.time_us : 999 };
	}
	if (entry_id_compare(moment, now) > 0)
		return error_set(err, ERR_INVALID, "'%.60s' is in the future", text);
	*last = moment;
	return true;
}
