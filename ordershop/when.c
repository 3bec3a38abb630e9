#include "ordershop/when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool parse_ago(const char *text, uint64_t now_ms, uint64_t *time_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	for (size_t i = 0; end > text && errno == 0 && i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].unit) == 0 && number <= now_ms / units[i].ms) {
			*time_ms = now_ms - number * units[i].ms;
			return true;
		}
	}
	return false;
}

static bool parse_date(const char *text, uint64_t *time_ms)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ",
		                             "%Y-%m-%d %H:%M:%S" };

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm parts = { 0 };
		const char *end = strptime(text, forms[i], &parts);
		time_t seconds = end && *end == '\0' ? timegm(&parts) : -1;

		if (seconds > 0) {
			*time_ms = (uint64_t)seconds * 1000;
			return true;
		}
	}
	return false;
}

bool when_parse(const char *text, uint64_t now_ms, struct when *when, struct error *err)
{
	struct entry_id id;

	*when = (struct when){ 0 };
	if (*text == '\0' || parse_ago(text, now_ms, &when->time_ms) ||
	    parse_date(text, &when->time_ms))
		return true;
	if (!entry_id_parse(text, &id, err))
		return error_set(err, ERR_INVALID,
		                 "'%.60s' is no entry id such as 1700000000000-12 and no time such "
		                 "as 2024-05-01T12:30:00 or 10m",
		                 text);
	entry_id_format(id, when->entry_id);
	return true;
}
