/* scenario_words.c - the single values of a scenario file. */
#include "ordershop/command.h"
#include "ordershop/scenario_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_MAX_LENGTH = 64, TITLE_MAX = 200 };

/* The first word of an event's type, and its topic. */
static const struct {
	const char *word, *topic;
} topics[] = {
	{ "Customer", "customer" }, { "Product", "product" },   { "Inventory", "inventory" },
	{ "Stock", "inventory" },   { "Cart", "cart" },         { "Order", "order" },
	{ "Billing", "billing" },   { "Shipping", "shipping" }, { "Mail", "mail" },
};

const char *scenario_topic_of(const char *event_type)
{
	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		if (strncmp(event_type, topics[i].word, strlen(topics[i].word)) == 0)
			return topics[i].topic;
	}
	return NULL;
}

bool scenario_topic_is(const char *topic)
{
	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		if (strcmp(topics[i].topic, topic) == 0)
			return true;
	}
	return false;
}

bool scenario_is_entity(const char *topic)
{
	return scenario_topic_is(topic) && strcmp(topic, "mail") != 0;
}

int reader_word(struct reader *reader, const struct node *node, const char *const *names,
                size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(node->text, names[i]) == 0)
			return (int)i;
	}
	const char *near = closest_name(node->text, names, count);
	node_fail(reader->path, node, reader->err, "%s: there is no '%.60s'%s%s%s", node->key,
	          node->text, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
	          near != NULL ? "'?" : "");
	return -1;
}

bool reader_title(struct reader *reader, const struct node *node, const char **out)
{
	size_t len = strlen(node->text);
	if (len < 1 || len > TITLE_MAX || strpbrk(node->text, "\r\n") != NULL)
		return node_fail(reader->path, node, reader->err,
		                 "%s: must be one line of 1 to %d bytes", node->key, TITLE_MAX);
	*out = node->text;
	return true;
}

bool reader_number(struct reader *reader, const struct node *node, int64_t min, int64_t max,
                   int64_t *out)
{
	char *end;
	long long number = strtoll(node->text, &end, 10);
	if (node->kind != NODE_TEXT || node->text[0] == '\0' || *end != '\0' || number < min ||
	    number > max)
		return node_fail(reader->path, node, reader->err,
		                 "%s: must be a whole number of %lld to %lld", node->key,
		                 (long long)min, (long long)max);
	*out = number;
	return true;
}

static bool name_valid(const char *text)
{
	size_t len = strlen(text);
	for (const char *c = text; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
			return false;
	}
	return len >= 1 && len <= NAME_MAX_LENGTH;
}

bool reader_name(struct reader *reader, const struct node *node)
{
	if (node->kind == NODE_TEXT && name_valid(node->text))
		return true;
	return node_fail(reader->path, node, reader->err,
	                 "a name must be 1 to %d letters, digits, '_' or '-'", NAME_MAX_LENGTH);
}

uint64_t reader_span(const char *text)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = {
		{ "s", 1000000 }, { "m", 60000000 }, { "h", 3600000000 }, { "d", 86400000000 }
	};
	char *end;
	if (!isdigit((unsigned char)text[0]) || strspn(text, "0123456789") > 9)
		return 0;
	uint64_t number = strtoull(text, &end, 10);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].unit) == 0)
			return number * units[i].us;
	}
	return 0;
}

static uint64_t time_us(const char *text)
{
	struct tm parts = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	time_t seconds = end != NULL && *end == '\0' ? timegm(&parts) : -1;
	return seconds > 0 ? (uint64_t)seconds * 1000000 : 0;
}

bool reader_time(struct reader *reader, const struct node *node, uint64_t *us)
{
	*us = time_us(node->text);
	if (*us > 0)
		return true;
	return node_fail(reader->path, node, reader->err,
	                 "%s: must be a time such as 2026-01-01T00:00:00Z%s, is \"%.60s\"",
	                 node->key, strcmp(node->key, "at") == 0 ? " or +90s" : "", node->text);
}
