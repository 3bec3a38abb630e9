#include "base/redis_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CRC-16/XMODEM, as the cluster specification of Redis wants it. */
static unsigned crc16(const char *bytes, size_t len)
{
	unsigned crc = 0;
	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned)(unsigned char)bytes[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
		crc &= 0xffff;
	}
	return crc;
}

int redis_slot_of_key(const char *key, size_t len)
{
	const char *open = memchr(key, '{', len);
	if (open != NULL) {
		size_t rest = len - (size_t)(open + 1 - key);
		const char *close = memchr(open + 1, '}', rest);
		if (close != NULL && close > open + 1) {
			key = open + 1;
			len = (size_t)(close - key);
		}
	}
	return (int)(crc16(key, len) % REDIS_SLOTS);
}

struct word {
	const char *text; /* not terminated */
	size_t len;
};

/* Takes "$<len>\r\n<bytes>\r\n" off the front. */
static bool next_word(const char **args, const char *end, struct word *word)
{
	char *after;
	if (*args >= end)
		return false;
	word->len = strtoul(*args + 1, &after, 10);
	word->text = after + 2;
	*args = word->text + word->len + 2;
	return true;
}

static bool word_is(const struct word *word, const char *text)
{
	return word->len == strlen(text) && memcmp(word->text, text, word->len) == 0;
}

/* Where the first key is, for commands that do not have it as their first argument. */
static const struct {
	const char *name;
	size_t key;        /* 0: it has none */
	const char *after; /* it is behind this word */
	bool counted;      /* the argument before it says how many keys there are */
} forms[] = {
	{ "FCALL", 3, NULL, true },       { "FCALL_RO", 3, NULL, true },
	{ "XREAD", 1, "STREAMS", false }, { "MEMORY", 2, NULL, false },
	{ "XINFO", 2, NULL, false },      { "TIME", 0, NULL, false },
	{ "PING", 0, NULL, false },       { "CONFIG", 0, NULL, false },
	{ "FUNCTION", 0, NULL, false },   { "SCAN", 0, NULL, false },
	{ "WAIT", 0, NULL, false },       { "INFO", 0, NULL, false },
	{ "CLUSTER", 0, NULL, false },    { "ROLE", 0, NULL, false },
};

int redis_slot_of_args(const char *args, size_t len)
{
	const char *end = args + len;
	struct word word, count = { "1", 1 };
	size_t key = 1, form;
	if (!next_word(&args, end, &word))
		return -1;
	for (form = 0; form < ARRAY_LEN(forms) && !word_is(&word, forms[form].name); form++)
		;
	if (form < ARRAY_LEN(forms)) {
		key = forms[form].key;
		while (forms[form].after != NULL && !word_is(&word, forms[form].after)) {
			if (!next_word(&args, end, &word))
				return -1;
		}
	}
	if (key == 0)
		return -1;
	for (size_t i = 0; i < key; i++) {
		count = word;
		if (!next_word(&args, end, &word))
			return -1;
	}
	if (form < ARRAY_LEN(forms) && forms[form].counted && word_is(&count, "0"))
		return -1;
	return redis_slot_of_key(word.text, word.len);
}

enum redis_fate redis_fate(const struct redis_value *answer)
{
	static const struct {
		const char *prefix;
		enum redis_fate fate;
	} fates[] = {
		{ "MOVED ", FATE_MOVED },    { "ASK ", FATE_ASK },
		{ "TRYAGAIN ", FATE_LATER }, { "CLUSTERDOWN ", FATE_LATER },
		{ "LOADING ", FATE_LATER },  { "MASTERDOWN ", FATE_LATER },
		{ "READONLY ", FATE_LOST },  { "NOREPLICAS ", FATE_REFUSED },
		{ "OOM ", FATE_REFUSED },    { "MISCONF ", FATE_REFUSED },
		{ "BUSY ", FATE_REFUSED },
	};
	if (redis_value_kind(answer) != REDIS_ERROR)
		return FATE_DONE;
	size_t len;
	const char *text = redis_value_string(answer, &len);
	for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
		if (strncmp(text, fates[i].prefix, strlen(fates[i].prefix)) == 0)
			return fates[i].fate;
	}
	return FATE_DONE;
}

bool redis_redirect_parse(const struct redis_value *answer, struct redis_redirect *out)
{
	size_t len;
	const char *text = redis_value_string(answer, &len);
	char place[sizeof(out->host) + 8], *after;
	text += strcspn(text, " ");
	out->slot = (int)strtol(text, &after, 10);
	if (*after != ' ' ||
	    (size_t)snprintf(place, sizeof(place), "%s", after + 1) >= sizeof(place))
		return false;
	char *colon = strrchr(place, ':');
	if (colon == NULL || (size_t)(colon - place) >= sizeof(out->host))
		return false;
	*colon = '\0';
	out->port = (int)strtol(colon + 1, NULL, 10);
	strcpy(out->host, strcmp(place, "?") == 0 ? "" : place);
	return out->slot >= 0 && out->slot < REDIS_SLOTS && out->port > 0 && out->port <= 65535;
}
